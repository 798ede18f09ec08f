// Package hookwiretest drives a plugin from memory: no server, no socket, and the plugin's own way from the stream to the
// handler and back, with its lanes, its store and its acks. It works within testing/synctest, too.
//
//	func TestCountsSessions(t *testing.T) {
//		dispatcher := hookwiretest.Start(t, newPlugin())
//		answer := dispatcher.Start(hookwire.Session{ID: "s1"})
//		if answer.Status != hookwire.StatusOK {
//			t.Errorf("the start was answered %v", answer)
//		}
//	}
package hookwiretest

import (
	"context"
	"testing"
	"time"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	"github.com/hookwire/hookwire/sdk/go/internal/transport"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

const (
	// GatewayID is the gateway of all events.
	GatewayID = "test-gateway"
	// BootID is its boot.
	BootID = "test-boot"

	// patience is how long an answer may take: only a fault takes so long.
	patience = time.Minute
	// budget is what a batch says.
	budget = 30 * time.Second
)

// Dispatcher plays the dispatcher to one plugin. Its methods may be called from several goroutines, save Reconnect, Restart, Drain
// and Stop, which want to be alone. They end the test where the plugin does not answer within a minute, or has ended.
type Dispatcher struct {
	t       testing.TB
	streams chan *transport.Pipe
	stop    context.CancelFunc
	// ended is closed when the plugin has ended, with err.
	ended chan struct{}
	err   error

	ledger ledger
	stream *stream
}

// Start runs a plugin, and welcomes it to a ledger that does not know it. The test's cleanup stops it.
func Start(t testing.TB, plugin *hookwire.Plugin) *Dispatcher {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	d := &Dispatcher{t: t, streams: make(chan *transport.Pipe), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		d.err = transport.Run(ctx, plugin, d.dial)
	}()
	t.Cleanup(func() { _ = d.Stop() })
	d.ledger.begin()
	d.welcome(false)
	return d
}

// dial implements [transport.Dial].
func (d *Dispatcher) dial(ctx context.Context) (transport.Stream, error) {
	pipe := transport.NewPipe(ctx)
	select {
	case d.streams <- pipe:
		return pipe, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Delivery is an event that was delivered, and its answer.
type Delivery struct {
	// Hook is the event's hook.
	Hook string
	// SessionID is its session's id, empty where there is none.
	SessionID string
	// Answer is the plugin's; the zero Answer where none came.
	Answer hookwire.Answer
}

// Start has a session begin, and returns the plugin's answer. The incarnation is the dispatcher's to give.
func (d *Dispatcher) Start(session hookwire.Session) hookwire.Answer {
	d.t.Helper()
	life := d.ledger.start(session)
	return d.deliver(hookwire.KindLive, life.start).Answer
}

// Event has a hook fire, with its JSON, and returns the plugin's answer. The session's id may be empty; one that is not alive is
// delivered without a life.
func (d *Dispatcher) Event(hook, sessionID, json string) hookwire.Answer {
	d.t.Helper()
	return d.deliver(hookwire.KindLive, d.ledger.event(hook, sessionID, json)).Answer
}

// End has a live session end, and returns the plugin's answer. As the contract wants it, an end waits for its start to be
// settled: where it is not, that is delivered again first, and its answer returned if it does not settle it now. Of a start that
// was rejected there is no end, and the zero Answer is returned.
func (d *Dispatcher) End(sessionID string, reason hookwirev1.SessionEndReason) hookwire.Answer {
	d.t.Helper()
	life := d.ledger.end(sessionID, reason)
	if life == nil {
		d.t.Fatalf("no session %q is alive", sessionID)
		return hookwire.Answer{}
	}
	deliveries := d.replay(life, hookwire.KindLive)
	if len(deliveries) == 0 {
		return hookwire.Answer{}
	}
	return deliveries[len(deliveries)-1].Answer
}

// Drain plays the gateway's stop: the notice, the ends of all live sessions, gateway_stop, the summary. It returns what was
// delivered. What is not answered within the budget is still owed.
func (d *Dispatcher) Drain(budget time.Duration) []Delivery {
	d.t.Helper()
	notice := &hookwirev1.DrainNotice{
		GatewayId: GatewayID,
		BootId:    BootID,
		Reason:    hookwirev1.StopReason_STOP_REASON_SHUTDOWN,
		BudgetMs:  uint32(budget.Milliseconds()),
		EndsOwed:  uint64(len(d.ledger.alive())),
	}
	d.say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_DrainNotice{DrainNotice: notice}})
	deadline := time.Now().Add(budget)
	for _, life := range d.ledger.alive() {
		d.ledger.end(life.session.GetId(), hookwirev1.SessionEndReason_SESSION_END_REASON_SHUTDOWN)
	}
	var flights []*flight
	for _, life := range d.ledger.open() {
		if life.startSettled() {
			flights = append(flights, d.send(hookwire.KindLive, budget, life.end))
		} else {
			flights = append(flights, d.send(hookwire.KindRedelivered, budget, life.start))
		}
	}
	deliveries := d.awaitAll(flights, deadline)
	stop := d.send(hookwire.KindLive, budget, d.ledger.gatewayStop())
	deliveries = append(deliveries, d.awaitAll([]*flight{stop}, deadline)...)
	summary := &hookwirev1.DrainSummary{GatewayId: GatewayID, BootId: BootID, Owed: notice.EndsOwed}
	d.say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_DrainSummary{DrainSummary: summary}})
	return deliveries
}

// Reconnect cuts the stream and welcomes the plugin when it is back: what is not settled is delivered again, live sessions are
// announced if it asked for that, then it is caught up. It returns what was delivered, when the plugin has swept.
func (d *Dispatcher) Reconnect() []Delivery {
	d.t.Helper()
	d.stream.cut()
	return d.welcome(true)
}

// Restart is the end of a dispatcher that kept nothing, and of its sessions: the plugin comes back to another ledger, which does
// not know it.
func (d *Dispatcher) Restart() {
	d.t.Helper()
	d.stream.cut()
	d.ledger.begin()
	d.welcome(false)
}

// Stop tells the plugin to stop, as SIGTERM does, and returns what its Run returns. It may be called again.
func (d *Dispatcher) Stop() error {
	d.stop()
	<-d.ended
	return d.err
}

// welcome waits for the plugin's stream and plays its beginning, up to CaughtUp and the sweep.
func (d *Dispatcher) welcome(known bool) []Delivery {
	d.t.Helper()
	select {
	case pipe := <-d.streams:
		d.stream = newStream(pipe)
	case <-d.ended:
		d.t.Fatalf("the plugin has ended: %v", d.err)
	case <-time.After(patience):
		d.t.Fatalf("the plugin did not come")
	}
	hello, ok := d.stream.hello()
	if !ok {
		d.t.Fatalf("the plugin did not begin with Hello")
	}
	d.say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Welcome_{
		Welcome: &hookwirev1.SubscribeResponse_Welcome{
			LedgerId:    d.ledger.id,
			StreamEpoch: d.ledger.nextStream(),
			Known:       known,
		},
	}})
	go d.stream.listen()
	deliveries := d.replayAll()
	if hello.GetAnnounce() {
		deliveries = append(deliveries, d.announce()...)
	}
	d.say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_CaughtUp{CaughtUp: &hookwirev1.CaughtUp{}}})
	d.say(&hookwirev1.SubscribeResponse{}) // says nothing, and is only read when the sweep is over
	return deliveries
}

// replayAll delivers again what is open: in order of the incarnations, and each end behind its settled start.
func (d *Dispatcher) replayAll() []Delivery {
	var deliveries []Delivery
	for _, life := range d.ledger.open() {
		deliveries = append(deliveries, d.replay(life, hookwire.KindRedelivered)...)
	}
	return deliveries
}

// replay delivers what is due of one life.
func (d *Dispatcher) replay(life *life, kind hookwire.Kind) []Delivery {
	d.t.Helper()
	var deliveries []Delivery
	if !life.startSettled() {
		deliveries = append(deliveries, d.deliver(hookwire.KindRedelivered, life.start))
	}
	if life.startSettled() && !life.closed() && life.end != nil {
		deliveries = append(deliveries, d.deliver(kind, life.end))
	}
	return deliveries
}

func (d *Dispatcher) announce() []Delivery {
	var flights []*flight
	for _, life := range d.ledger.alive() {
		flights = append(flights, d.send(hookwire.KindAnnounced, budget, life.start))
	}
	return d.awaitAll(flights, time.Now().Add(patience))
}

func (d *Dispatcher) say(message *hookwirev1.SubscribeResponse) {
	d.t.Helper()
	if !d.stream.pipe.Say(message) {
		d.t.Fatalf("the plugin has cut the stream")
	}
}

// deliver delivers one event and waits for its answer.
func (d *Dispatcher) deliver(kind hookwire.Kind, event *event) Delivery {
	d.t.Helper()
	flight := d.send(kind, budget, event)
	answer, answered := d.await(flight, time.Now().Add(patience))
	if !answered {
		d.t.Fatalf("no answer to %s", event.wire.GetHook())
	}
	return event.delivery(answer)
}

func (d *Dispatcher) send(kind hookwire.Kind, budget time.Duration, event *event) *flight {
	d.t.Helper()
	flight, said := d.stream.deliver(kind, budget, event)
	if !said {
		d.t.Fatalf("the plugin has cut the stream")
	}
	return flight
}

func (d *Dispatcher) awaitAll(flights []*flight, deadline time.Time) []Delivery {
	deliveries := make([]Delivery, 0, len(flights))
	for _, flight := range flights {
		answer, _ := d.await(flight, deadline)
		deliveries = append(deliveries, flight.event.delivery(answer))
	}
	return deliveries
}

// await waits for an answer, and reports whether one came.
func (d *Dispatcher) await(flight *flight, deadline time.Time) (hookwire.Answer, bool) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-flight.answered:
		return flight.answer, true
	case <-d.ended:
	case <-timer.C:
	}
	return hookwire.Answer{}, false
}
