package hookwire

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// firstWait is where the bound begins: the longest first wait.
	firstWait = 100 * time.Millisecond
	// soonWait is where the bound stays at first: a dispatcher that is being upgraded is back in seconds, and so are its
	// plugins.
	soonWait = 400 * time.Millisecond
	// eagerAttempts is for how many attempts it stays there: about five seconds.
	eagerAttempts = 25
	// longestWait is where the bound stops growing.
	longestWait = 10 * time.Second
)

// backoff says how long to wait before the next attempt to connect. Full jitter: each wait is anything from nothing to a
// bound that doubles. A dispatcher that comes back then meets its plugins one by one, not all at once. The zero value
// begins anew.
type backoff struct {
	attempts int
	bound    time.Duration
}

// next returns the next wait.
func (b *backoff) next() time.Duration {
	if b.attempts++; b.attempts == 1 {
		b.bound = firstWait
	}
	wait := rand.N(b.bound + 1)
	limit := longestWait
	if b.attempts < eagerAttempts {
		limit = soonWait
	}
	b.bound = min(b.bound*2, limit)
	return wait
}

// level returns how loudly to tell of the last wait: once for each outage it is worth a person's while.
func (b *backoff) level() slog.Level {
	if b.attempts == 1 {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// reset begins anew, after a success.
func (b *backoff) reset() { *b = backoff{} }
