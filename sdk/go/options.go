package hookwire

import (
	"log/slog"
	"time"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// Option is a setting of a plugin where the default does not fit.
type Option func(*settings)

type settings struct {
	address     string
	announce    bool
	agents      []string
	keys        []string
	maxInFlight uint32
	retention   Retention
	whenFull    WhenFull
	instanceID  string
	concurrency int
	grace       time.Duration
	store       Store
	log         *slog.Logger
}

// WithAddress says where the dispatcher listens: "host:port", or "unix:/path". Otherwise HOOKWIRE_ADDR says so, else it is
// 127.0.0.1:7400.
func WithAddress(address string) Option {
	return func(s *settings) { s.address = address }
}

// WithAnnounce has the sessions that are alive when the plugin comes named to it, as starts. Without it, the plugin sees only
// what starts while it is there, and its owed past.
func WithAnnounce() Option {
	return func(s *settings) { s.announce = true }
}

// WithAgents narrows the subscription to sessions of these agents: ids or globs.
func WithAgents(globs ...string) Option {
	return func(s *settings) { s.agents = globs }
}

// WithKeys narrows the subscription to sessions with these keys: keys or globs.
func WithKeys(globs ...string) Option {
	return func(s *settings) { s.keys = globs }
}

// WithMaxInFlight says how many events other than starts and ends may be unanswered at once. Otherwise the dispatcher says.
func WithMaxInFlight(events uint32) Option {
	return func(s *settings) { s.maxInFlight = events }
}

// WithRetention says what is kept while the plugin is away or does not answer. Otherwise starts and ends are, for as long as the
// dispatcher keeps them; it grants no more than that.
func WithRetention(retention Retention) Option {
	return func(s *settings) { s.retention = retention }
}

// WithWhenFull says what is lost when the plugin is too slow: [DropOldest] by default, never a start or an end.
func WithWhenFull(policy WhenFull) Option {
	return func(s *settings) { s.whenFull = policy }
}

// WithInstanceID names this process, with at most 128 bytes. Random by default, and kept over reconnects.
func WithInstanceID(id string) Option {
	return func(s *settings) { s.instanceID = id }
}

// WithConcurrency says how many handlers may run at once: 256 by default, at least 1.
func WithConcurrency(handlers int) Option {
	return func(s *settings) { s.concurrency = max(handlers, 1) }
}

// WithGrace says how long a plugin that was told to stop may go on with what it has in hand: 10 s by default. Saying goodbye
// takes up to 2 s more where the dispatcher does not answer.
func WithGrace(grace time.Duration) Option {
	return func(s *settings) { s.grace = grace }
}

// WithStore says what remembers the events that were answered: a [MemoryStore] of this plugin by default.
func WithStore(store Store) Option {
	return func(s *settings) { s.store = store }
}

// WithLogger says where the plugin logs what it does: [slog.Default] by default.
func WithLogger(log *slog.Logger) Option {
	return func(s *settings) { s.log = log }
}

// Retention is what is kept for a plugin that is away or does not answer. The zero value asks for what the dispatcher keeps.
type Retention struct {
	// Kind is what is kept.
	Kind RetentionKind
	// MaxAge is for how long, on the wire in whole milliseconds. 0 leaves it to the dispatcher.
	MaxAge time.Duration
	// MaxBytes is how much of it. 0 leaves it to the dispatcher.
	MaxBytes uint64
}

func (r Retention) wire() *hookwirev1.Retention {
	return &hookwirev1.Retention{
		Kind:     hookwirev1.RetentionKind(r.Kind),
		MaxAgeMs: uint64(max(r.MaxAge.Milliseconds(), 0)),
		MaxBytes: r.MaxBytes,
	}
}

// RetentionKind is what is kept for a plugin that is away. The numbers are those of the wire.
type RetentionKind int32

const (
	// RetainOwed keeps starts and ends: what a zero value means, too.
	RetainOwed = RetentionKind(hookwirev1.RetentionKind_RETENTION_KIND_OWED)
	// RetainAll keeps every event.
	RetainAll = RetentionKind(hookwirev1.RetentionKind_RETENTION_KIND_ALL)
)

// WhenFull is what is lost when a plugin is too slow. The numbers are those of the wire.
type WhenFull int32

const (
	// DropOldest loses the oldest queued event: what a zero value means, too.
	DropOldest = WhenFull(hookwirev1.WhenFull_WHEN_FULL_DROP_OLDEST)
	// DropNewest loses the event that just came.
	DropNewest = WhenFull(hookwirev1.WhenFull_WHEN_FULL_DROP_NEWEST)
	// Disconnect ends the stream, and loses all that is queued.
	Disconnect = WhenFull(hookwirev1.WhenFull_WHEN_FULL_DISCONNECT)
)
