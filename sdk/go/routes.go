package hookwire

import (
	"context"
	"unicode/utf8"
)

// maxKnownHooks is how many hooks' names are remembered: gateways have tens, but what they send is no bound.
const maxKnownHooks = 1024

// Handler is the author's code for one event. Its error is the answer: see [Plugin.On].
type Handler func(ctx context.Context, event *Event) error

// routes says which of the author's handlers gets an event.
type routes struct {
	globs    []string
	handlers []Handler
	known    map[string]Handler
}

// add puts one more glob behind those that are there.
func (r *routes) add(glob string, handler Handler) {
	r.globs = append(r.globs, glob)
	r.handlers = append(r.handlers, handler)
}

// find returns the first handler whose glob matches the hook, or nil. A name is matched once, and then known.
func (r *routes) find(hook string) Handler {
	if handler, known := r.known[hook]; known {
		return handler
	}
	var found Handler
	for i, glob := range r.globs {
		if globMatches(glob, hook) {
			found = r.handlers[i]
			break
		}
	}
	if len(r.known) < maxKnownHooks {
		if r.known == nil {
			r.known = make(map[string]Handler)
		}
		r.known[hook] = found
	}
	return found
}

// globMatches reports whether a glob matches all of a name: * is any run of characters, ? is one.
func globMatches(glob, name string) bool {
	// Where the last * stands, and how much of the name it has taken so far: on a mismatch it takes one more.
	star, taken := -1, 0
	g, n := 0, 0
	for n < len(name) {
		_, size := utf8.DecodeRuneInString(name[n:])
		switch {
		case g < len(glob) && glob[g] == '*':
			star, taken = g, n
			g++
		case g < len(glob) && glob[g] == '?':
			g++
			n += size
		case g < len(glob) && glob[g] == name[n]:
			g++
			n++
		case star >= 0:
			_, size := utf8.DecodeRuneInString(name[taken:])
			taken += size
			g, n = star+1, taken
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
