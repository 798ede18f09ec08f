package sqlitestore_test

import (
	"context"
	"path/filepath"
	"testing"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	"github.com/hookwire/hookwire/sdk/go/examples/sqlitestore"
	"github.com/hookwire/hookwire/sdk/go/hookwiretest"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// A process that has applied an end, and crashed before its answer was heard, is followed by one that is handed the same.
func TestWhatWasAppliedBeforeACrashIsNotAppliedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.db")
	applied := 0
	for range 2 {
		store, err := sqlitestore.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		plugin := hookwire.New("test", hookwire.WithStore(store))
		plugin.On("session_end", func(context.Context, *hookwire.Event) error {
			applied++
			return hookwire.Reject("no", "said once")
		})
		dispatcher := hookwiretest.Start(t, plugin)
		dispatcher.Start(hookwire.Session{ID: "s"})
		answer := dispatcher.End("s", hookwirev1.SessionEndReason_SESSION_END_REASON_DELETED)
		if answer.Status != hookwire.StatusReject || answer.Code != "no" {
			t.Errorf("answered %+v", answer)
		}
		if err := dispatcher.Stop(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	if applied != 1 {
		t.Errorf("applied %d times", applied)
	}
}

func TestItForgetsWhatWillNotComeAgain(t *testing.T) {
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "answers.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	ctx, ok := t.Context(), hookwire.Answer{Status: hookwire.StatusOK}
	for _, put := range []struct {
		id, ledger string
		epoch      uint64
	}{{"earlier", "here", 1}, {"again", "here", 1}, {"again", "here", 2}, {"elsewhere", "there", 3}} {
		if err := store.Put(ctx, put.id, ok, put.ledger, put.epoch); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Forget(ctx, "here", 2); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"earlier": false, "again": true, "elsewhere": false, "never": false} {
		if _, found, err := store.Get(ctx, id); found != want || err != nil {
			t.Errorf("%s: found %v, %v", id, found, err)
		}
	}
}
