package hookwire

import (
	"container/list"
	"context"
	"sync"
)

// Store remembers what became of events that may be delivered again: starts and ends, and every event of a plugin that asked
// for [RetainAll]. The SDK asks it before a handler, and tells it behind the handler and before the ack; a RETRY is
// not told. What it knows is answered the same again, without the handler.
//
// A crash between handler and Put applies an event twice. An effect that must happen once is keyed on (ledger id, incarnation)
// or on the event's id in the same transaction as the effect: then no Store is needed.
//
// It is used by several goroutines at once. An error of Get counts as the handler's; one of the others is logged.
type Store interface {
	// Get returns what became of an event, and whether that is known.
	Get(ctx context.Context, eventID string) (answer Answer, found bool, err error)
	// Put remembers what became of an event, and the newest stream on which it may have been delivered. It replaces what was
	// there.
	Put(ctx context.Context, eventID string, answer Answer, ledgerID string, streamEpoch uint64) error
	// Forget drops what is of another ledger, or was put under a smaller stream epoch: it will not be delivered again.
	Forget(ctx context.Context, ledgerID string, streamEpoch uint64) error
}

// maxRemembered is how many events a MemoryStore remembers: some 20 MB where it comes to that.
const maxRemembered = 100_000

// MemoryStore is the Store of a plugin that names no other: the newest 100,000 events, for as long as the process lives.
type MemoryStore struct {
	mu       sync.Mutex
	capacity int
	byID     map[string]*list.Element
	oldest   *list.List // of *remembered, the oldest in front
}

type remembered struct {
	eventID     string
	answer      Answer
	ledgerID    string
	streamEpoch uint64
}

// NewMemoryStore returns an empty one.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{capacity: maxRemembered, byID: make(map[string]*list.Element), oldest: list.New()}
}

// Get implements [Store].
func (m *MemoryStore) Get(_ context.Context, eventID string) (Answer, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if element, found := m.byID[eventID]; found {
		return element.Value.(*remembered).answer, true, nil
	}
	return Answer{}, false, nil
}

// Put implements [Store].
func (m *MemoryStore) Put(_ context.Context, eventID string, answer Answer, ledgerID string, epoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	put := &remembered{eventID, answer, ledgerID, epoch}
	if element, found := m.byID[eventID]; found {
		element.Value = put
		m.oldest.MoveToBack(element)
		return nil
	}
	m.byID[eventID] = m.oldest.PushBack(put)
	if m.oldest.Len() > m.capacity {
		m.drop(m.oldest.Front())
	}
	return nil
}

// Forget implements [Store].
func (m *MemoryStore) Forget(_ context.Context, ledgerID string, streamEpoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for element := m.oldest.Front(); element != nil; {
		next := element.Next()
		if it := element.Value.(*remembered); it.ledgerID != ledgerID || it.streamEpoch < streamEpoch {
			m.drop(element)
		}
		element = next
	}
	return nil
}

func (m *MemoryStore) drop(element *list.Element) {
	delete(m.byID, element.Value.(*remembered).eventID)
	m.oldest.Remove(element)
}
