package hookwiretest

import (
	"fmt"
	"sync"
	"time"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// event is one event, and whether its answer has settled it.
type event struct {
	wire *hookwirev1.Event

	mu      sync.Mutex
	settled hookwire.Status
}

// settle takes an answer down: the first that settles holds.
func (e *event) settle(answer hookwire.Answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.settled == 0 && answer.Status != hookwire.StatusRetry {
		e.settled = answer.Status
	}
}

// status returns the answer that has settled it, 0 where none has.
func (e *event) status() hookwire.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.settled
}

func (e *event) delivery(answer hookwire.Answer) Delivery {
	return Delivery{Hook: e.wire.GetHook(), SessionID: e.wire.GetSession().GetId(), Answer: answer}
}

// life is one session from its start to its end.
type life struct {
	session *hookwirev1.Session
	start   *event
	end     *event // nil while it is alive
	seq     uint64
}

func (l *life) startSettled() bool { return l.start.status() != 0 }

// closed reports whether nothing is owed any more.
func (l *life) closed() bool {
	return l.start.status() == hookwire.StatusReject || l.end != nil && l.end.status() != 0
}

// ledger is what the plugin saw start, and what it is owed.
type ledger struct {
	mu      sync.Mutex
	boots   int
	id      string
	streams uint64
	events  uint64
	lives   []*life // by incarnation, from 1 on
}

// begin begins another, empty one.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.boots++
	l.id = fmt.Sprintf("test-ledger-%d", l.boots)
	l.streams, l.lives = 0, nil
}

// nextStream returns a stream epoch that is larger than all before it.
func (l *ledger) nextStream() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams++
	return l.streams
}

// blank returns an event without a session.
func (l *ledger) blank(id, hook string) *hookwirev1.Event {
	return &hookwirev1.Event{
		Id:           id,
		Hook:         hook,
		GatewayId:    GatewayID,
		BootId:       BootID,
		TimeUnixNano: uint64(time.Now().UnixNano()),
	}
}

func (l *ledger) start(session hookwire.Session) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	incarnation := uint64(len(l.lives) + 1)
	wire := l.blank(fmt.Sprintf("%s/%d/start", l.id, incarnation), "session_start")
	wire.Session = &hookwirev1.Session{
		Id:          session.ID,
		Key:         session.Key,
		AgentId:     session.AgentID,
		Incarnation: incarnation,
	}
	wire.SessionSeq = 1
	wire.Payload = &hookwirev1.Event_SessionStart{SessionStart: &hookwirev1.SessionStart{}}
	started := &life{session: wire.Session, start: &event{wire: wire}, seq: 1}
	l.lives = append(l.lives, started)
	return started
}

func (l *ledger) event(hook, sessionID, json string) *event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events++
	wire := l.blank(fmt.Sprintf("%s/event/%d", BootID, l.events), hook)
	wire.Payload = &hookwirev1.Event_Json{Json: []byte(json)}
	if life := l.living(sessionID); life != nil {
		life.seq++
		wire.Session, wire.SessionSeq = life.session, life.seq
	} else if sessionID != "" {
		wire.Session = &hookwirev1.Session{Id: sessionID}
	}
	return &event{wire: wire}
}

// end ends a live session, and returns it; nil where there is none.
func (l *ledger) end(sessionID string, reason hookwirev1.SessionEndReason) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	life := l.living(sessionID)
	if life == nil {
		return nil
	}
	wire := l.blank(fmt.Sprintf("%s/%d/end", l.id, life.session.GetIncarnation()), "session_end")
	wire.Session, wire.SessionSeq = life.session, life.seq+1
	wire.Payload = &hookwirev1.Event_SessionEnd{SessionEnd: &hookwirev1.SessionEnd{
		Reason:         reason,
		LastSessionSeq: life.seq,
	}}
	life.end = &event{wire: wire}
	return life
}

func (l *ledger) gatewayStop() *event {
	wire := l.blank(BootID+"/gateway_stop", "gateway_stop")
	wire.Payload = &hookwirev1.Event_GatewayStop{GatewayStop: &hookwirev1.GatewayStop{
		Reason: hookwirev1.StopReason_STOP_REASON_SHUTDOWN,
	}}
	return &event{wire: wire}
}

// living returns the newest life of an id that is alive, or nil.
func (l *ledger) living(sessionID string) *life {
	for i := len(l.lives) - 1; i >= 0; i-- {
		if life := l.lives[i]; life.session.GetId() == sessionID && life.end == nil {
			return life
		}
	}
	return nil
}

// alive returns the lives that have no end, by incarnation.
func (l *ledger) alive() []*life {
	return l.filter(func(life *life) bool { return life.end == nil })
}

// open returns the lives of which something is owed, by incarnation.
func (l *ledger) open() []*life {
	return l.filter(func(life *life) bool { return !life.closed() })
}

func (l *ledger) filter(keep func(*life) bool) []*life {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kept []*life
	for _, life := range l.lives {
		if keep(life) {
			kept = append(kept, life)
		}
	}
	return kept
}
