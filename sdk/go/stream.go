package hookwire

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/hookwire/hookwire/sdk/go/internal/transport"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

const (
	// handshakeTime is how long dialling, Hello and Welcome may take together.
	handshakeTime = 10 * time.Second
	// partingTime is how long the last words may take.
	partingTime = 2 * time.Second
)

// stream is one Subscribe call that was welcomed: from there to the last word. One goroutine reads it, one writes its Acks,
// and one waits for the end.
type stream struct {
	transport.Stream
	log       *slog.Logger
	work      *work
	callbacks callbacks

	name      streamName
	known     bool
	announced bool
	// received is the number of the last delivery.
	received uint64
	// named are the lives that were named so far: until CaughtUp, and where the author wants to know.
	named map[uint64]struct{}
}

// callbacks are the author's code beside the handlers, nil where there is none.
type callbacks struct {
	drain func(context.Context, *DrainNotice) error
	sweep func(context.Context, *Sweep) error
}

// open dials, says Hello and waits for the Welcome. The stream lives no longer than ctx, and is to be closed.
func (p *Plugin) open(ctx context.Context, dial transport.Dial, work *work) (*stream, error) {
	call, err := dial(ctx)
	if err != nil {
		return nil, endByError(err)
	}
	stream := &stream{Stream: call, log: p.log, work: work, callbacks: p.callbacks, announced: p.announce}
	if err := stream.greet(p.hello()); err != nil {
		stream.Close()
		return nil, err
	}
	return stream, nil
}

// greet says Hello without waiting for anything, and reads the Welcome.
func (s *stream) greet(hello *hookwirev1.SubscribeRequest_Hello) error {
	// Where this fails, Recv says why.
	_ = s.Send(&hookwirev1.SubscribeRequest{Message: &hookwirev1.SubscribeRequest_Hello_{Hello: hello}})
	first, err := s.Recv()
	if err != nil {
		return endByError(err)
	}
	if goodbye := first.GetGoodbye(); goodbye != nil {
		return endByGoodbye(goodbye)
	}
	welcome := first.GetWelcome()
	if welcome == nil {
		return lost("it did not begin with a Welcome")
	}
	s.name = streamName{welcome.GetLedgerId(), welcome.GetStreamEpoch()}
	s.known = welcome.GetKnown()
	if s.callbacks.sweep != nil {
		s.named = make(map[uint64]struct{})
	}
	s.log.Info("welcome", "ledger_id", s.name.ledgerID, "stream_epoch", s.name.epoch, "known", s.known,
		"ends_owed", welcome.GetEndsOwed())
	if unknown := welcome.GetUnknownHooks(); len(unknown) > 0 {
		s.log.Warn("no such hooks there, so far", "hooks", unknown)
	}
	if expired := welcome.GetExpired(); expired.GetEntries()+expired.GetEvents() > 0 {
		s.log.Warn("expired while away", "sessions", expired.GetEntries(), "events", expired.GetEvents())
	}
	return nil
}

// serve takes in what comes and answers it, until the stream ends or stop does. It returns why the stream ended, and
// nil where that was stop: then what is in hand had the grace to finish.
func (s *stream) serve(stop context.Context) error {
	s.work.begin(s.name)
	ended, quit, written := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() { ended <- s.read(stop) }()
	go func() {
		defer close(written)
		s.write(quit)
	}()
	select {
	case err := <-ended:
		close(quit)
		s.Close() // ends a Send that waits
		<-written
		return err
	case <-stop.Done():
	}
	s.log.Info("stopping", "in_hand", s.work.size())
	s.work.finish()
	parting := time.AfterFunc(partingTime, s.Close) // ends whoever waits below
	defer parting.Stop()
	close(quit)
	<-written
	s.leave()
	<-ended // until the dispatcher has answered, the last Ack may still be on its way out of this process
	return nil
}

// leave says what is left to say, and Goodbye.
func (s *stream) leave() {
	goodbye := &hookwirev1.SubscribeRequest_Goodbye{Release: false}
	message := &hookwirev1.SubscribeRequest{Message: &hookwirev1.SubscribeRequest_Goodbye_{Goodbye: goodbye}}
	if s.sendAcks() && s.Send(message) == nil {
		_ = s.CloseSend() // where this fails, nobody hears us
	}
}

// write sends Acks when they are due, until quit or the stream's end.
func (s *stream) write(quit <-chan struct{}) {
	for {
		select {
		case <-quit:
			return
		case <-s.work.answered:
		}
		// Handlers that are quick get their answers into the same Ack, those that are not hold up nobody's.
		runtime.Gosched()
		if !s.sendAcks() {
			return
		}
	}
}

// sendAcks sends what is due, and reports whether somebody hears it. Where the stream has just broken nothing is lost:
// what the answers were for comes again.
func (s *stream) sendAcks() bool {
	for {
		ack := s.work.takeAck()
		if ack == nil {
			return true
		}
		if s.Send(&hookwirev1.SubscribeRequest{Message: &hookwirev1.SubscribeRequest_Ack{Ack: ack}}) != nil {
			return false
		}
	}
}

// read takes messages until the stream ends, and returns why it did. Once told to stop, it reads on only to learn that.
func (s *stream) read(stop context.Context) error {
	for {
		for stop.Err() == nil && !s.work.hasRoom() {
			select {
			case <-s.work.eased:
			case <-stop.Done():
			}
		}
		message, err := s.Recv()
		if err != nil {
			return endByError(err)
		}
		if err := s.take(message); err != nil {
			return err
		}
	}
}

// take takes one message, and returns why the stream is over, if it is.
func (s *stream) take(message *hookwirev1.SubscribeResponse) error {
	switch message := message.GetMessage().(type) {
	case *hookwirev1.SubscribeResponse_Events:
		return s.takeBatch(message.Events)
	case *hookwirev1.SubscribeResponse_CaughtUp:
		s.log.Debug("caught up", "replayed", message.CaughtUp.GetReplayed(), "announced", message.CaughtUp.GetAnnounced())
		sweep := &Sweep{LedgerID: s.name.ledgerID, Known: s.known, announced: s.announced, named: s.named}
		s.named = nil
		s.work.caughtUp(sweep, s.callbacks.sweep)
	case *hookwirev1.SubscribeResponse_Gap:
		s.takeGap(message.Gap)
	case *hookwirev1.SubscribeResponse_DrainNotice:
		notice := newDrainNotice(message.DrainNotice)
		s.log.Info("drain", "gateway", notice.GatewayID, "ends_owed", notice.EndsOwed, "budget", notice.Budget)
		s.work.drainNotice(notice, s.callbacks.drain)
	case *hookwirev1.SubscribeResponse_DrainSummary:
		summary := message.DrainSummary
		s.work.drains.end(summary.GetGatewayId())
		s.log.Info("drained", "gateway", summary.GetGatewayId(), "owed", summary.GetOwed(),
			"carried_over", summary.GetCarriedOver())
	case *hookwirev1.SubscribeResponse_Goodbye_:
		return endByGoodbye(message.Goodbye)
	default: // a second Welcome, or what only a later version knows
		s.log.Debug("a message that says nothing here", "message", message)
	}
	return nil
}

func (s *stream) takeGap(gap *hookwirev1.Gap) {
	if gap.GetCause() == hookwirev1.GapCause_GAP_CAUSE_EXPIRED {
		s.log.Warn("expired: their ends will not come", "sessions", gap.GetCount())
		return
	}
	cause := wireName(gap.GetCause().String(), "GAP_CAUSE_")
	s.log.Warn("events lost", "count", gap.GetCount(), "bytes", gap.GetBytes(), "cause", cause)
}

// jobsAtOnce is how many jobs are allocated together: one that waits for long keeps no more than these.
const jobsAtOnce = 16

func (s *stream) takeBatch(wire *hookwirev1.EventBatch) error {
	if wire.GetFirstSeq() != s.received+1 {
		return lost("a batch begins with the number %d behind %d", wire.GetFirstSeq(), s.received)
	}
	s.received += uint64(len(wire.GetEvents()))
	batch := &batch{
		kind:     Kind(wire.GetKind()),
		stream:   s.name,
		received: time.Now(),
		budget:   time.Duration(wire.GetBudgetMs()) * time.Millisecond,
		drains:   s.work.drains,
	}
	for events := range slices.Chunk(wire.GetEvents(), jobsAtOnce) {
		jobs := make([]job, len(events))
		for i, event := range events {
			jobs[i].event.read(event, &jobs[i].session, batch)
			if s.named != nil && event.Session != nil {
				s.named[event.Session.GetIncarnation()] = struct{}{}
			}
		}
		s.work.take(jobs)
	}
	return nil
}
