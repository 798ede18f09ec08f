package hookwiretest

import (
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	"github.com/hookwire/hookwire/sdk/go/internal/transport"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// stream is the dispatcher's side of one stream.
type stream struct {
	pipe *transport.Pipe
	// over is closed once the plugin is not listened to any more.
	over chan struct{}

	// sending is held while an event is on its way, so that the plugin gets the numbers in order.
	sending sync.Mutex
	seq     uint64

	mu      sync.Mutex
	through uint64
	flights map[uint64]*flight
}

// flight is an event on its way, until it is answered.
type flight struct {
	event    *event
	answer   hookwire.Answer
	answered chan struct{}
}

func newStream(pipe *transport.Pipe) *stream {
	return &stream{pipe: pipe, over: make(chan struct{}), flights: make(map[uint64]*flight)}
}

// hello returns the plugin's first word, if it is that.
func (s *stream) hello() (*hookwirev1.SubscribeRequest_Hello, bool) {
	select {
	case message := <-s.pipe.Heard:
		hello := message.GetHello()
		return hello, hello != nil
	case <-s.pipe.Cut:
		return nil, false
	}
}

// deliver sends an event, and reports whether the plugin has taken it.
func (s *stream) deliver(kind hookwire.Kind, budget time.Duration, event *event) (*flight, bool) {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.seq++
	flight := &flight{event: event, answered: make(chan struct{})}
	s.mu.Lock()
	s.flights[s.seq] = flight
	s.mu.Unlock()
	return flight, s.pipe.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Events{
		Events: &hookwirev1.EventBatch{
			FirstSeq: s.seq,
			Kind:     hookwirev1.BatchKind(kind),
			BudgetMs: uint32(budget.Milliseconds()),
			Events:   []*hookwirev1.Event{event.wire},
		},
	}})
}

// listen takes Acks until the plugin says Goodbye, or the stream is cut.
func (s *stream) listen() {
	defer close(s.over)
	for {
		select {
		case message := <-s.pipe.Heard:
			s.take(message.GetAck())
		case <-s.pipe.HalfClosed:
			s.takeRest()
			s.pipe.End(nil)
			return
		case <-s.pipe.Cut:
			return
		case <-s.pipe.Ended:
			return
		}
	}
}

// takeRest takes what was said before the plugin half-closed the stream.
func (s *stream) takeRest() {
	for {
		select {
		case message := <-s.pipe.Heard:
			s.take(message.GetAck())
		default:
			return
		}
	}
}

// take reads an Ack as the contract has it: the exceptions first. Anything else is nil.
func (s *stream) take(ack *hookwirev1.Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, exception := range ack.GetExceptions() {
		s.answer(exception.GetSeq(), hookwire.Answer{
			Status:     hookwire.Status(exception.GetStatus()),
			Code:       exception.GetCode(),
			Text:       exception.GetText(),
			RetryAfter: time.Duration(exception.GetRetryAfterMs()) * time.Millisecond,
		})
	}
	for s.through < ack.GetThroughSeq() {
		s.through++
		s.answer(s.through, hookwire.Answer{Status: hookwire.StatusOK})
	}
}

// answer gives a delivery its answer, unless it has one.
func (s *stream) answer(seq uint64, answer hookwire.Answer) {
	flight, found := s.flights[seq]
	if !found {
		return
	}
	delete(s.flights, seq)
	flight.event.settle(answer)
	flight.answer = answer
	close(flight.answered)
}

// cut ends the stream as a lost connection does.
func (s *stream) cut() {
	s.pipe.End(status.Error(codes.Unavailable, "cut"))
	<-s.over
}
