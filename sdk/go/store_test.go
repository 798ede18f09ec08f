package hookwire

import "testing"

func TestAMemoryStoreAnswersWhatWasPutLast(t *testing.T) {
	store := NewMemoryStore()
	put(t, store, "a", Answer{Status: StatusReject, Code: "no", Text: "never"}, "ledger", 1)
	put(t, store, "a", Answer{Status: StatusAccepted}, "ledger", 2)
	if answer, found, err := store.Get(t.Context(), "a"); err != nil || !found || answer.Status != StatusAccepted {
		t.Errorf("got %v, %v, %v", answer, found, err)
	}
	wantStored(t, store, map[string]bool{"a": true, "b": false})
}

func TestAMemoryStoreForgetsTheOldest(t *testing.T) {
	store := NewMemoryStore()
	store.capacity = 2
	for _, id := range []string{"a", "b", "a", "c"} {
		put(t, store, id, ok, "ledger", 1)
	}
	wantStored(t, store, map[string]bool{"a": true, "b": false, "c": true})
	if store.oldest.Len() != len(store.byID) {
		t.Error("it holds what it cannot find")
	}
}

func TestAMemoryStoreForgetsOtherLedgersAndEarlierStreams(t *testing.T) {
	store := NewMemoryStore()
	put(t, store, "earlier", ok, "ledger", 1)
	put(t, store, "present", ok, "ledger", 2)
	put(t, store, "put again", ok, "ledger", 1)
	put(t, store, "put again", ok, "ledger", 2)
	put(t, store, "elsewhere", ok, "other", 3)
	if err := store.Forget(t.Context(), "ledger", 2); err != nil {
		t.Fatal(err)
	}
	wantStored(t, store, map[string]bool{"earlier": false, "present": true, "put again": true, "elsewhere": false})
}

func put(t *testing.T, store *MemoryStore, id string, answer Answer, ledgerID string, epoch uint64) {
	t.Helper()
	if err := store.Put(t.Context(), id, answer, ledgerID, epoch); err != nil {
		t.Error(err)
	}
}

func wantStored(t *testing.T, store *MemoryStore, want map[string]bool) {
	t.Helper()
	for id, want := range want {
		if _, found, _ := store.Get(t.Context(), id); found != want {
			t.Errorf("%s: found %v, want %v", id, found, want)
		}
	}
}
