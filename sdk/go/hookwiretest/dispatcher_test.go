package hookwiretest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	"github.com/hookwire/hookwire/sdk/go/hookwiretest"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

const deleted = hookwirev1.SessionEndReason_SESSION_END_REASON_DELETED

// record is a plugin's memory of what it was handed.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *record) want(t *testing.T, lines ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.lines, lines) {
		t.Errorf("got  %q\nwant %q", r.lines, lines)
	}
	r.lines = nil
}

// recording returns a plugin that writes down what it gets, and answers as answer says.
func recording(answer func(event *hookwire.Event) error, options ...hookwire.Option) (*hookwire.Plugin, *record) {
	plugin, record := hookwire.New("test", options...), &record{}
	plugin.On("*", func(_ context.Context, event *hookwire.Event) error {
		id, life := "", uint64(0)
		if event.Session != nil {
			id, life = event.Session.ID, event.Session.Incarnation
		}
		record.add("%s %s#%d %v", event.Hook, id, life, event.Kind)
		return answer(event)
	})
	return plugin, record
}

func ok(*hookwire.Event) error { return nil }

func status(t *testing.T, got hookwire.Answer, want hookwire.Status) {
	t.Helper()
	if got.Status != want {
		t.Errorf("answered %v, want %v", got, want)
	}
}

func TestALife(t *testing.T) {
	plugin, record := recording(ok)
	dispatcher := hookwiretest.Start(t, plugin)
	status(t, dispatcher.Start(hookwire.Session{ID: "s"}), hookwire.StatusOK)
	status(t, dispatcher.Event("message_received", "s", `{"n":1}`), hookwire.StatusOK)
	status(t, dispatcher.End("s", deleted), hookwire.StatusOK)
	status(t, dispatcher.Start(hookwire.Session{ID: "s"}), hookwire.StatusOK)
	record.want(t, "session_start s#1 LIVE", "message_received s#1 LIVE", "session_end s#1 LIVE", "session_start s#2 LIVE")
	if err := dispatcher.Stop(); err != nil {
		t.Error(err)
	}
}

func TestTheAnswerIsTheHandlers(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		start     hookwire.Answer
		otherwise hookwire.Answer
	}{
		"nil": {
			nil, hookwire.Answer{Status: hookwire.StatusOK}, hookwire.Answer{Status: hookwire.StatusOK},
		},
		"accepted": {
			fmt.Errorf("wrapped: %w", hookwire.Accepted),
			hookwire.Answer{Status: hookwire.StatusAccepted}, hookwire.Answer{Status: hookwire.StatusAccepted},
		},
		"retry": {
			fmt.Errorf("wrapped: %w", hookwire.Retry(1500*time.Microsecond, "busy")),
			hookwire.Answer{Status: hookwire.StatusRetry, Text: "busy", RetryAfter: 2 * time.Millisecond},
			hookwire.Answer{Status: hookwire.StatusRetry, Text: "busy", RetryAfter: 2 * time.Millisecond},
		},
		"reject": {
			fmt.Errorf("wrapped: %w", hookwire.Reject("quota", "too many")),
			hookwire.Answer{Status: hookwire.StatusReject, Code: "quota", Text: "too many"},
			hookwire.Answer{Status: hookwire.StatusReject, Code: "quota", Text: "too many"},
		},
		"any other": {
			errors.New("disk full"),
			hookwire.Answer{Status: hookwire.StatusRetry, Text: "disk full"},
			hookwire.Answer{Status: hookwire.StatusReject, Code: "exception", Text: "disk full"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, _ := recording(func(*hookwire.Event) error { return test.err })
			dispatcher := hookwiretest.Start(t, plugin)
			if got := dispatcher.Start(hookwire.Session{ID: "s"}); got != test.start {
				t.Errorf("a start: got %+v, want %+v", got, test.start)
			}
			if got := dispatcher.Event("message_received", "s", "{}"); got != test.otherwise {
				t.Errorf("another event: got %+v, want %+v", got, test.otherwise)
			}
		})
	}
}

func TestReconnectDeliversAgainWhatIsNotSettled(t *testing.T) {
	fail := true
	plugin, record := recording(func(event *hookwire.Event) error {
		if fail && event.Session.ID == "b" {
			return errors.New("not yet")
		}
		return nil
	})
	dispatcher := hookwiretest.Start(t, plugin)
	status(t, dispatcher.Start(hookwire.Session{ID: "a"}), hookwire.StatusOK)
	status(t, dispatcher.Start(hookwire.Session{ID: "b"}), hookwire.StatusRetry)
	status(t, dispatcher.End("b", deleted), hookwire.StatusRetry)
	record.want(t, "session_start a#1 LIVE", "session_start b#2 LIVE", "session_start b#2 REDELIVERED")

	fail = false
	again := dispatcher.Reconnect()
	record.want(t, "session_start b#2 REDELIVERED", "session_end b#2 REDELIVERED")
	if len(again) != 2 || again[1].Hook != "session_end" || again[1].Answer.Status != hookwire.StatusOK {
		t.Errorf("delivered again: %+v", again)
	}
	if again := dispatcher.Reconnect(); len(again) != 0 {
		t.Errorf("delivered again although it is settled: %+v", again)
	}
}

func TestADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var draining []bool
		plugin, record := recording(func(event *hookwire.Event) error {
			draining = append(draining, event.Draining())
			if left := event.TimeLeft(); event.Draining() && left > 2*time.Second {
				t.Errorf("%v left of a drain of 2 s", left)
			}
			return nil
		})
		plugin.OnDrain(func(_ context.Context, notice *hookwire.DrainNotice) error {
			if notice.GatewayID != hookwiretest.GatewayID || notice.Budget != 2*time.Second || notice.EndsOwed != 1 {
				t.Errorf("got %+v", notice)
			}
			return errors.New("an error is logged, no more")
		})
		dispatcher := hookwiretest.Start(t, plugin)
		dispatcher.Start(hookwire.Session{ID: "s"})
		drained := dispatcher.Drain(2 * time.Second)
		status(t, drained[0].Answer, hookwire.StatusOK)
		dispatcher.Event("message_received", "", "{}")
		record.want(t, "session_start s#1 LIVE", "session_end s#1 LIVE", "gateway_stop #0 LIVE", "message_received #0 LIVE")
		if !slices.Equal(draining, []bool{false, true, true, false}) {
			t.Errorf("draining: %v", draining)
		}
		_ = dispatcher.Stop()
	})
}

func TestWhatADrainHasNoTimeForIsStillOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		plugin, _ := recording(func(event *hookwire.Event) error {
			if event.SessionEnd != nil {
				<-hang
			}
			return nil
		})
		dispatcher := hookwiretest.Start(t, plugin)
		dispatcher.Start(hookwire.Session{ID: "s"})
		status(t, dispatcher.Drain(time.Second)[0].Answer, 0)
		close(hang)
		again := dispatcher.Reconnect()
		if len(again) != 1 || again[0].Answer.Status != hookwire.StatusOK {
			t.Errorf("delivered again: %+v", again)
		}
		_ = dispatcher.Stop()
	})
}

func TestASweepKnowsWhatIsOwed(t *testing.T) {
	for name, test := range map[string]struct {
		options []hookwire.Option
		known   [3]bool // lives 1 and 2 after a reconnect, life 1 after a restart
	}{
		"announced":     {[]hookwire.Option{hookwire.WithAnnounce()}, [3]bool{false, true, false}},
		"not announced": {nil, [3]bool{true, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, _ := recording(ok, test.options...)
			var sweeps []*hookwire.Sweep
			plugin.OnSweep(func(_ context.Context, sweep *hookwire.Sweep) error {
				sweeps = append(sweeps, sweep)
				return nil
			})
			dispatcher := hookwiretest.Start(t, plugin)
			dispatcher.Start(hookwire.Session{ID: "gone"})
			dispatcher.Start(hookwire.Session{ID: "alive"})
			dispatcher.End("gone", deleted)
			dispatcher.Reconnect()
			dispatcher.Restart()
			if len(sweeps) != 3 {
				t.Fatalf("%d sweeps", len(sweeps))
			}
			first, again, anew := sweeps[0], sweeps[1], sweeps[2]
			got := [3]bool{again.IsOwed(first.LedgerID, 1), again.IsOwed(first.LedgerID, 2), anew.IsOwed(first.LedgerID, 1)}
			if got != test.known || first.Known || !again.Known || anew.Known {
				t.Errorf("owed: %v, want %v", got, test.known)
			}
		})
	}
}

func TestItEndsWithThePlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plugin, _ := recording(ok)
		dispatcher := hookwiretest.Start(t, plugin)
		dispatcher.Start(hookwire.Session{ID: "s"})
		if err := dispatcher.Stop(); err != nil {
			t.Error(err)
		}
	}) // and synctest sees that no goroutine is left
}
