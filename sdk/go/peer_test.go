package hookwire

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hookwire/hookwire/sdk/go/internal/transport"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// peer is a scripted dispatcher: it says what the test tells it to, and reads what the plugin says.
type peer struct {
	t       *testing.T
	streams chan *transport.Pipe
	epoch   uint64
	stop    context.CancelFunc
	// ended is closed when the plugin's run has returned err.
	ended chan struct{}
	err   error
}

// alone runs a test with a clock of its own, in which all goroutines have to end.
func alone(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// run runs a plugin against a peer.
func run(t *testing.T, plugin *Plugin) *peer {
	ctx, stop := context.WithCancel(t.Context())
	p := &peer{t: t, streams: make(chan *transport.Pipe, 8), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = plugin.run(ctx, p.dial)
	}()
	t.Cleanup(func() {
		stop()
		<-p.ended
	})
	return p
}

func (p *peer) dial(ctx context.Context) (transport.Stream, error) {
	pipe := transport.NewPipe(ctx)
	p.streams <- pipe
	return pipe, nil
}

// link is one stream of a peer's.
type link struct {
	*transport.Pipe
	t *testing.T
}

// accept returns the next stream, up to its Hello.
func (p *peer) accept() (*link, *hookwirev1.SubscribeRequest_Hello) {
	p.t.Helper()
	pipe := <-p.streams
	return &link{pipe, p.t}, (<-pipe.Heard).GetHello()
}

// welcome returns the next stream, welcomed.
func (p *peer) welcome() *link {
	p.t.Helper()
	link, _ := p.accept()
	p.epoch++
	link.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Welcome_{
		Welcome: &hookwirev1.SubscribeResponse_Welcome{LedgerId: "ledger", StreamEpoch: p.epoch, Known: p.epoch > 1},
	}})
	return link
}

// end returns what the plugin's run has returned.
func (p *peer) end() error {
	<-p.ended
	return p.err
}

func (l *link) deliver(first uint64, kind Kind, events ...*hookwirev1.Event) {
	batch := &hookwirev1.EventBatch{
		FirstSeq: first, Kind: hookwirev1.BatchKind(kind), BudgetMs: 1000, Events: events,
	}
	l.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Events{Events: batch}})
}

func (l *link) live(first uint64, events ...*hookwirev1.Event) { l.deliver(first, KindLive, events...) }

func (l *link) caughtUp() {
	l.Say(&hookwirev1.SubscribeResponse{
		Message: &hookwirev1.SubscribeResponse_CaughtUp{CaughtUp: &hookwirev1.CaughtUp{}},
	})
}

func (l *link) goodbye(reason hookwirev1.GoodbyeReason, reconnectAfterMs uint32) {
	l.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Goodbye_{
		Goodbye: &hookwirev1.SubscribeResponse_Goodbye{
			Reason: reason, ReconnectAfterMs: reconnectAfterMs, Text: "so long",
		},
	}})
}

// ack returns the next Ack.
func (l *link) ack() *hookwirev1.Ack {
	l.t.Helper()
	message := <-l.Heard
	if message.GetAck() == nil {
		l.t.Fatalf("no Ack: %v", message)
	}
	return message.GetAck()
}

// answers reads Acks until so many deliveries are answered. Those beyond an Ack's through_seq are read one by one.
func (l *link) answers(count int) map[uint64]Status {
	l.t.Helper()
	answers := make(map[uint64]Status)
	for through := uint64(0); len(answers) < count; {
		ack := l.ack()
		for _, exception := range ack.GetExceptions() {
			answers[exception.GetSeq()] = Status(exception.GetStatus())
		}
		for through < ack.GetThroughSeq() {
			through++
			if answers[through] == 0 {
				answers[through] = StatusOK
			}
		}
	}
	return answers
}

// parted reports whether the plugin's last words are Goodbye(keep) and a half-close, and answers them.
func (l *link) parted() bool {
	message := <-l.Heard
	goodbye := message.GetGoodbye()
	<-l.HalfClosed
	l.End(nil)
	return goodbye != nil && !goodbye.GetRelease()
}

// silent returns whether the plugin says nothing, once all has come to rest.
func (l *link) silent() bool {
	synctest.Wait()
	return len(l.Heard) == 0
}

func wireEvent(id, hook, session string, life uint64) *hookwirev1.Event {
	event := &hookwirev1.Event{Id: id, Hook: hook, GatewayId: "gateway"}
	if session != "" {
		event.Session = &hookwirev1.Session{Id: session, Incarnation: life}
	}
	return event
}

func start(session string, life uint64) *hookwirev1.Event {
	event := wireEvent(fmt.Sprintf("start-%d", life), "session_start", session, life)
	event.Payload = &hookwirev1.Event_SessionStart{SessionStart: &hookwirev1.SessionStart{}}
	return event
}

func end(session string, life uint64) *hookwirev1.Event {
	event := wireEvent(fmt.Sprintf("end-%d", life), "session_end", session, life)
	event.Payload = &hookwirev1.Event_SessionEnd{SessionEnd: &hookwirev1.SessionEnd{}}
	return event
}

func message(session, id string) *hookwirev1.Event {
	return wireEvent(id, "message_received", session, 1)
}

// author is a plugin author's code: it takes down what was begun, and waits for a permit where the session is "slow".
type author struct {
	permits chan struct{}
	answer  func(*Event) error

	mu  sync.Mutex
	ids []string
}

func newAuthor() *author { return &author{permits: make(chan struct{})} }

func (a *author) handle(ctx context.Context, event *Event) error {
	a.mu.Lock()
	a.ids = append(a.ids, event.ID)
	a.mu.Unlock()
	if event.Session != nil && event.Session.ID == "slow" {
		select {
		case <-a.permits:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if a.answer != nil {
		return a.answer(event)
	}
	return nil
}

// permit lets so many slow ones go on.
func (a *author) permit(count int) {
	for range count {
		a.permits <- struct{}{}
	}
}

// begun returns what was begun since it was last asked, sorted, once all has come to rest.
func (a *author) begun() []string {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := a.ids
	a.ids = nil
	slices.Sort(ids)
	return ids
}

func (a *author) wantBegun(t *testing.T, ids ...string) {
	t.Helper()
	if got := a.begun(); !slices.Equal(got, ids) {
		t.Errorf("begun: %q, want %q", got, ids)
	}
}

// plugin returns a plugin of which an author has all events.
func (a *author) plugin(options ...Option) *Plugin {
	quiet := WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	plugin := New("test", append(options, quiet)...)
	plugin.On("*", a.handle)
	return plugin
}
