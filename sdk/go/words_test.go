package hookwire

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

func TestGlobs(t *testing.T) {
	for _, test := range []struct {
		glob, name string
		want       bool
	}{
		{"*", "", true},
		{"*", "anything", true},
		{"", "", true},
		{"", "x", false},
		{"session_*", "session_start", true},
		{"session_*", "session_", true},
		{"session_*", "sessions", false},
		{"*_start", "session_start", true},
		{"*_start", "session_started", false},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b", "ab ab", true},
		{"*a*b*", "ba", false},
		{"session_?", "session_é", true},
		{"session_?", "session_", false},
		{"*?", "é", true},
		{"gateway_stop", "gateway_stop", true},
		{"gateway_stop", "gateway_stopped", false},
		{"[a-z]*", "a", false},
	} {
		if got := globMatches(test.glob, test.name); got != test.want {
			t.Errorf("%q, %q: %v", test.glob, test.name, got)
		}
	}
}

func TestTheFirstHandlerThatMatchesGetsIt(t *testing.T) {
	var routes routes
	routes.add("session_end", func(_ context.Context, _ *Event) error { return Accepted })
	routes.add("session_*", func(_ context.Context, _ *Event) error { return nil })
	for hook, want := range map[string]error{"session_end": Accepted, "session_start": nil} {
		if got := routes.find(hook)(t.Context(), nil); got != want {
			t.Errorf("%s: %v", hook, got)
		}
	}
	if routes.find("message_received") != nil {
		t.Error("nobody wants it")
	}
}

func TestMoreNamesThanAreRememberedStillFindTheirHandler(t *testing.T) {
	var routes routes
	routes.add("message_*", func(_ context.Context, _ *Event) error { return nil })
	for round := range 2 {
		for n := range maxKnownHooks + 1 {
			if routes.find(fmt.Sprint("message_", n)) == nil || routes.find(fmt.Sprint("tool_", n)) != nil {
				t.Fatalf("round %d, %d", round, n)
			}
		}
	}
	if len(routes.known) != maxKnownHooks {
		t.Errorf("%d are remembered", len(routes.known))
	}
}

func TestAddresses(t *testing.T) {
	for text, valid := range map[string]bool{
		"127.0.0.1:7400": true, "localhost:0": true, "[::1]:7400": true, "unix:/run/hookwire.sock": true,
		"unix:rel.sock": true, "7400": false, "host:": false, "host:99999": false, "host:http": false, ":7400": false,
		"::1:7400": false, "http://host:1": false, "unix:": false,
	} {
		if _, err := parseAddress(text); (err == nil) != valid {
			t.Errorf("%q: %v", text, err)
		}
		t.Setenv(AddressVariable, text)
		if address, err := parseAddress(""); (err == nil) != valid || valid && string(address) != text {
			t.Errorf("%s=%q: %q, %v", AddressVariable, text, address, err)
		}
	}
	t.Setenv(AddressVariable, "")
	if address, err := parseAddress(""); err != nil || address != DefaultAddress {
		t.Errorf("by default: %q, %v", address, err)
	}
}

func TestTheBoundDoublesInTwoStagesAndBeginsAnew(t *testing.T) {
	var pause backoff
	var bounds []time.Duration
	for range eagerAttempts + 6 {
		bound := max(pause.bound, firstWait)
		if wait := pause.next(); wait < 0 || wait > bound {
			t.Errorf("waits for %v, at most %v", wait, bound)
		}
		bounds = append(bounds, bound/time.Millisecond)
	}
	want := "[100 200 400 400]…[400 800 1600 3200 6400 10000 10000]"
	if got := fmt.Sprintf("%d…%d", bounds[:4], bounds[eagerAttempts-1:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if pause.reset(); pause.next() > firstWait {
		t.Error("it does not begin anew")
	}
}

func TestADelayNeverBecomesTheDefault(t *testing.T) {
	for after, want := range map[time.Duration]uint32{
		-time.Second: 1, 0: 1, time.Nanosecond: 1, 1001 * time.Microsecond: 2, math.MaxInt64: math.MaxUint32,
	} {
		answer := answerOf(Retry(after, ""), true)
		if got := answer.exception(1).GetRetryAfterMs(); got != want {
			t.Errorf("%v: %d ms", after, got)
		}
	}
	answer := answerOf(fmt.Errorf("disk full"), true)
	if got := answer.exception(1).GetRetryAfterMs(); got != 0 {
		t.Errorf("without a delay: %d ms", got)
	}
}

func TestALongTextIsCutBetweenCharacters(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("ä", 1000):       strings.Repeat("ä", 128),
		"x" + strings.Repeat("ä", 1000): "x" + strings.Repeat("ä", 127),
		strings.Repeat("x", 256):        strings.Repeat("x", 256),
		"broken \xff":                   "broken ",
		strings.Repeat("\x80", 1000):    "",
	} {
		got := cut(text)
		if got != want || !utf8.ValidString(got) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAStatusIsANoOrNobodyThere(t *testing.T) {
	for code, want := range map[codes.Code]bool{
		codes.InvalidArgument: true, codes.FailedPrecondition: true, codes.OutOfRange: true, codes.Unimplemented: true,
		codes.Unavailable: false, codes.Unknown: false, codes.Internal: false, codes.Canceled: false,
		codes.ResourceExhausted: false, codes.DeadlineExceeded: false,
	} {
		if got := isRefusal(code); got != want {
			t.Errorf("%v: %v", code, got)
		}
	}
}

func TestWordsAreTheContracts(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		StatusOK: "OK", StatusAccepted: "ACCEPTED", StatusRetry: "RETRY", StatusReject: "REJECT", Status(99): "99",
		KindLive: "LIVE", KindAnnounced: "ANNOUNCED", KindRedelivered: "REDELIVERED", Kind(99): "99",
	} {
		if got.String() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
