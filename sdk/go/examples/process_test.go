package examples_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"syscall"
	"testing"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// burst is many lives: a start, a message and an end each.
func burst(count int) []*hookwirev1.GatewayEvent {
	var events []*hookwirev1.GatewayEvent
	for n := range count {
		session := fmt.Sprint("s", n)
		events = append(events, start(session), message(session), end(session, deleted))
	}
	return events
}

// wantAllEnded checks that so many lives are in the table, and none is left open.
func wantAllEnded(t *testing.T, table *sessionTable, count int) {
	t.Helper()
	rows := table.rows()
	if len(rows) != count {
		t.Errorf("%d rows, want %d", len(rows), count)
	}
	for _, row := range rows {
		if row.status != "ended" || row.reason != "SESSION_END_REASON_DELETED" {
			t.Errorf("left as %v", row)
		}
	}
	table.once()
}

func TestKilledInMidBurst(t *testing.T) {
	inMidBurst(t, syscall.SIGKILL, -1)
}

func TestStoppedInMidBurst(t *testing.T) {
	inMidBurst(t, syscall.SIGTERM, 0)
}

// inMidBurst ends the plugin once it has handled some of a burst, and has another process do the rest.
func inMidBurst(t *testing.T, signal syscall.Signal, code int) {
	const lives = 1000
	dispatcher, directory := serve(t, "127.0.0.1:0", ""), t.TempDir()
	first := dispatcher.sessionTableIn(directory)
	dispatcher.connected("table")
	gateway := dispatcher.attach("gateway")
	var starts []*hookwirev1.GatewayEvent
	for n := range lives {
		starts = append(starts, start(fmt.Sprint("s", n)))
	}
	gateway.publish(starts...)
	eventually(t, "some starts are handled", func() bool { return first.once() > 10 })
	if before := first.once(); before == lives {
		t.Fatal("all was handled before the signal")
	}
	if got := first.end(signal); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	handled := first.once()
	for n := range lives {
		gateway.publish(end(fmt.Sprint("s", n), deleted))
	}
	second := dispatcher.sessionTableIn(directory)
	dispatcher.atRest("table")
	// A start that was not handed over before its session's end cancels out with it.
	rows := len(second.rows())
	if rows < handled {
		t.Errorf("%d rows of %d that were handled", rows, handled)
	}
	wantAllEnded(t, second, rows)
	if signal == syscall.SIGTERM {
		again := make(map[string]bool)
		for _, it := range second.effects() {
			if again[it.EventID] {
				t.Errorf("%s %s was handled twice, although its answer was taken along", it.Hook, it.EventID)
			}
			again[it.EventID] = true
		}
	}
}

func TestABurst(t *testing.T) {
	const lives = 2000
	dispatcher := serve(t, "127.0.0.1:0", "")
	table := dispatcher.sessionTableIn(t.TempDir())
	dispatcher.connected("table")
	dispatcher.attach("gateway").publish(burst(lives)...)
	dispatcher.atRest("table")
	wantAllEnded(t, table, lives)
}

func TestTheNewerInstanceTakesOver(t *testing.T) {
	dispatcher, directory := serve(t, "127.0.0.1:0", ""), t.TempDir()
	older := dispatcher.sessionTableIn(directory)
	dispatcher.connected("table")
	newer := dispatcher.sessionTableIn(directory)
	if code := older.wait(); code != 76 {
		t.Errorf("exit code %d", code)
	}
	if said := older.stderr.String(); !strings.Contains(said, "displaced by another process of the same name") {
		t.Errorf("it said %q", said)
	}
	dispatcher.attach("gateway").publish(burst(1)...)
	dispatcher.atRest("table")
	wantAllEnded(t, newer, 1)
}

func TestTheDispatcherRestarts(t *testing.T) {
	directory := t.TempDir()
	first := serve(t, "127.0.0.1:0", directory)
	table := first.sessionTableIn(t.TempDir())
	first.connected("table")
	first.attach("gateway").publish(start("a"), start("b"), end("b", deleted))
	first.atRest("table")
	first.end(syscall.SIGKILL)

	second := serve(t, first.address, directory)
	second.connected("table")
	second.attach("gateway").publish(end("a", deleted), start("c"), end("c", deleted))
	second.atRest("table")
	wantAllEnded(t, table, 3)
}

func TestADispatcherThatHasLostItsLedger(t *testing.T) {
	first := serve(t, "127.0.0.1:0", "")
	table := first.sessionTableIn(t.TempDir())
	first.connected("table")
	first.attach("gateway").publish(start("ghost"))
	first.atRest("table")
	first.end(syscall.SIGKILL)

	serve(t, first.address, "").connected("table")
	eventually(t, "the ghost is swept", func() bool { return table.rows()[0].reason == "SWEPT" })
	swept := 0
	for _, effect := range table.effects() {
		if effect.Swept != nil && *effect.Swept == 1 {
			swept++
		}
	}
	if swept != 1 {
		t.Errorf("swept %d times", swept)
	}
}

func TestARefusal(t *testing.T) {
	dispatcher := serve(t, "127.0.0.1:0", "")
	plugin := quiet(strings.Repeat("x", 200), hookwire.WithAddress(dispatcher.address))
	var refused *hookwire.RefusedError
	if err := plugin.Run(t.Context()); !errors.As(err, &refused) || refused.Text == "" {
		t.Errorf("ended with %v", err)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	dispatcher := serve(t, "127.0.0.1:0", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- quiet("leaves-nothing", hookwire.WithAddress(dispatcher.address)).Run(ctx) }()
	dispatcher.connected("leaves-nothing")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// gRPC's own goroutines end a moment behind the connection's close.
	eventually(t, "no goroutine is left", func() bool {
		stacks := make([]byte, 1<<20)
		all := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(all, "sdk/go.(*") && !strings.Contains(all, "http2Client")
	})
}

func quiet(name string, options ...hookwire.Option) *hookwire.Plugin {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	plugin := hookwire.New(name, append(options, hookwire.WithLogger(log))...)
	plugin.On("*", func(context.Context, *hookwire.Event) error { return nil })
	return plugin
}
