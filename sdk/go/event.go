package hookwire

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/propagation"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// Kind is why an event is delivered now. The numbers are those of the wire.
type Kind int32

const (
	// KindLive says: it just happened.
	KindLive = Kind(hookwirev1.BatchKind_BATCH_KIND_LIVE)
	// KindAnnounced says: the start of a session that was alive when the plugin came, see [WithAnnounce].
	KindAnnounced = Kind(hookwirev1.BatchKind_BATCH_KIND_ANNOUNCED)
	// KindRedelivered says: owed from an earlier stream, or delivered again after a RETRY.
	KindRedelivered = Kind(hookwirev1.BatchKind_BATCH_KIND_REDELIVERED)
)

// String returns the kind as the contract spells it: "LIVE", "ANNOUNCED" or "REDELIVERED".
func (k Kind) String() string {
	return wireName(hookwirev1.BatchKind(k).String(), "BATCH_KIND_")
}

// Session is a session of the gateway's.
type Session struct {
	// ID is the gateway's own. A reset may keep it, so one id can live many times.
	ID string
	// Key is the gateway's routing key. Never an identity.
	Key string
	// AgentID is the agent that owns it, empty where the gateway names none.
	AgentID string
	// Incarnation is one life of this session: with [Event.LedgerID] the identity to key a row on. 0 where the event
	// belongs to no life.
	Incarnation uint64
}

// Event is one hook firing on its way to a handler. To make an effect happen once, key it on (LedgerID, Session.Incarnation)
// or on ID: after a crash the same event may come again.
//
// An Event is not changed by the SDK once a handler has it, and stays valid behind the handler's return.
type Event struct {
	// ID is the same whenever and however often the event is delivered.
	ID string
	// Hook is the hook's name, such as "session_start".
	Hook string
	// Session is nil where the hook names none.
	Session *Session
	// SessionStart is what a session_start says; nil for any other hook.
	SessionStart *hookwirev1.SessionStart
	// SessionEnd is what a session_end says; nil for any other hook.
	SessionEnd *hookwirev1.SessionEnd
	// JSON is the hook's own fields, as the gateway wrote them; empty for the four lifecycle hooks, which are typed.
	JSON json.RawMessage
	// Kind is whether it just happened, was announced, or is delivered again.
	Kind Kind
	// LedgerID is the ledger in which incarnations count.
	LedgerID string
	// StreamEpoch is larger for every stream of this ledger: a fencing token to check in your own store.
	StreamEpoch uint64
	// SessionSeq increases within one incarnation; it may jump, and is 0 where there is no incarnation.
	SessionSeq uint64
	// Time is when it fired, by the gateway's clock.
	Time time.Time
	// Synthetic says that the dispatcher made the event; the gateway did not fire it.
	Synthetic bool
	// Late says that it came after its session's end.
	Late bool
	// GatewayID is the durable name of the gateway.
	GatewayID string
	// BootID is the gateway's process.
	BootID string
	// Traceparent is the W3C trace context, empty where the gateway gave none. The handler's context carries it.
	Traceparent string

	wire  *hookwirev1.Event
	batch *batch
	// drained is the end of the drain in which it came: the last of its events are handled behind the summary.
	drained time.Time
}

// batch is what is true of all events that came together.
type batch struct {
	kind     Kind
	stream   streamName
	received time.Time
	budget   time.Duration
	drains   *drains
}

// Wire returns the event as it came over the wire. It is not to be changed.
func (e *Event) Wire() *hookwirev1.Event { return e.wire }

// TimeLeft returns what is left of the time that the dispatcher gave for the event, counted from its receipt on a
// monotonic clock; while its gateway drains, no more than the drain leaves. It is advice and not a fence: a later answer still
// counts, and the handler's context has no such deadline.
func (e *Event) TimeLeft() time.Duration {
	left := e.batch.budget - time.Since(e.batch.received)
	if deadline := e.drainDeadline(); !deadline.IsZero() {
		left = min(left, time.Until(deadline))
	}
	return max(left, 0)
}

// Draining reports whether the event's gateway is about to stop: its [DrainNotice] was in force when the event came, or is now.
func (e *Event) Draining() bool { return !e.drainDeadline().IsZero() }

// drainDeadline returns when the drain is over; the zero time where there is none.
func (e *Event) drainDeadline() time.Time {
	if !e.drained.IsZero() {
		return e.drained
	}
	return e.batch.drains.deadline(e.GatewayID)
}

// isLifecycle reports whether it is a start or an end: what the dispatcher owes, and delivers until it is settled.
func (e *Event) isLifecycle() bool { return e.SessionStart != nil || e.SessionEnd != nil }

// read fills a blank event in from the wire, and its session, which lives where the caller says. Field by field: a whole
// Event that is copied costs more than all of them.
func (e *Event) read(wire *hookwirev1.Event, session *Session, batch *batch) {
	e.wire, e.batch = wire, batch
	e.ID, e.Hook = wire.GetId(), wire.GetHook()
	e.GatewayID, e.BootID = wire.GetGatewayId(), wire.GetBootId()
	e.Kind = batch.kind
	e.LedgerID, e.StreamEpoch = batch.stream.ledgerID, batch.stream.epoch
	e.SessionSeq = wire.GetSessionSeq()
	e.Time = time.Unix(0, int64(wire.GetTimeUnixNano()))
	e.Traceparent = wire.GetTraceparent()
	e.Synthetic, e.Late = wire.GetSynthetic(), wire.GetLate()
	e.drained = batch.drains.deadline(e.GatewayID)
	switch payload := wire.GetPayload().(type) {
	case *hookwirev1.Event_Json:
		e.JSON = payload.Json
	case *hookwirev1.Event_SessionStart:
		e.SessionStart = payload.SessionStart
	case *hookwirev1.Event_SessionEnd:
		e.SessionEnd = payload.SessionEnd
	}
	if named := wire.GetSession(); named != nil {
		session.ID, session.Key = named.GetId(), named.GetKey()
		session.AgentID, session.Incarnation = named.GetAgentId(), named.GetIncarnation()
		e.Session = session
	}
}

// traced returns a context that carries the event's trace context, where there is one.
func (e *Event) traced(ctx context.Context) context.Context {
	if e.Traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": e.Traceparent})
}
