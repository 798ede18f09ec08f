package hookwire

import (
	"context"
	"log/slog"
	"sync"
	"time"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// maxInHand is how much may be in hand, or answered and unsent, before the stream is left unread. Starts and ends know no
// window: without this, a plugin that is slow to handle them would hold them all in memory.
const maxInHand = 8192

// job is a delivery on its way to its handler, or something that waits for its turn like one.
type job struct {
	place
	delivery delivery
	// joined are later deliveries of the same event, which get the same answer.
	joined  []*delivery
	event   Event
	session Session
	handler Handler
	// remember says that the event may be delivered again once it is settled.
	remember bool
	// instead is done in place of a handler, and needs no answer.
	instead func()
}

// work is what the plugin has in hand: received, and not yet answered. It outlives a stream. A handler that runs while
// the stream breaks goes on; when its event is delivered again, that delivery gets the same answer, instead of starting the
// handler twice.
//
// Handlers run in workers: goroutines that take jobs for as long as there are some, at most concurrency of them.
type work struct {
	log         *slog.Logger
	routes      routes
	store       Store
	concurrency int
	rememberAll bool
	grace       time.Duration
	// ctx is the handlers', which ends when they are out of time.
	ctx       context.Context
	outOfTime context.CancelFunc

	// answered wakes who writes: there is something to acknowledge. eased wakes who reads: there is less in hand. idle wakes who
	// waits for the end: there may be nothing in hand.
	answered, eased, idle wake

	mu     sync.Mutex
	lanes  lanes
	inHand map[string]*job
	// stream is the present one, acks are its answers.
	stream streamName
	acks   *acks
	drains *drains
	// workers run, and so many of them have not taken their first job.
	workers, starting int
	// aside is the author's code for drains that runs.
	aside int
	// sweeping says that a sweep is due or runs: nothing is taken in until it is over.
	sweeping bool
	// closed says that nothing more is taken in, sealed that nothing more is answered.
	closed, sealed bool
}

// streamName tells streams apart, over ledgers, too.
type streamName struct {
	ledgerID string
	epoch    uint64
}

// newWork returns what has nothing in hand. It is to be told outOfTime in the end.
func newWork(ctx context.Context, p *Plugin) *work {
	ctx, outOfTime := context.WithCancel(ctx)
	return &work{
		log:         p.log,
		routes:      p.routes,
		store:       p.store,
		concurrency: p.concurrency,
		rememberAll: p.retention.Kind == RetainAll,
		grace:       p.grace,
		ctx:         ctx,
		outOfTime:   outOfTime,
		answered:    newWake(),
		eased:       newWake(),
		idle:        newWake(),
		lanes:       lanes{byName: make(map[string]*lane)},
		inHand:      make(map[string]*job),
		acks:        &acks{},
		drains:      &drains{},
	}
}

// begin says that a stream is there. The numbers of the one before it mean nothing any more.
func (w *work) begin(stream streamName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream = stream
	w.acks = &acks{}
	w.drains.endAll()
}

// take takes deliveries in that came together: each joins the one in hand, is answered, or waits for its turn.
func (w *work) take(jobs []job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	for i := range jobs {
		w.takeIn(&jobs[i])
	}
	w.startWorkers(0)
	if w.acks.pending() > 0 {
		w.answered.set()
	}
}

func (w *work) takeIn(job *job) {
	w.acks.deliver(&job.delivery)
	event := &job.event
	if first, found := w.inHand[event.ID]; found {
		first.joined = append(first.joined, &job.delivery)
		return
	}
	// A plugin that listens to ends alone is sent the starts, too: they go together.
	if job.handler = w.routes.find(event.Hook); job.handler == nil {
		job.delivery.answer(Answer{Status: StatusOK})
		return
	}
	job.remember = w.rememberAll || event.isLifecycle()
	w.inHand[event.ID] = job
	lane, after := placeOf(event)
	w.lanes.push(job, lane, after)
}

// placeOf says where an event belongs. Events without a session keep their order among themselves. A gateway's stop comes after
// all that came before it: handlers close databases there.
func placeOf(event *Event) (lane string, after after) {
	if session := event.Session; session != nil {
		if lane = session.ID; lane == "" {
			lane = session.Key
		}
	}
	if event.Hook == "gateway_stop" {
		return lane, afterAll
	}
	return lane, afterLane
}

// drainNotice tells the author at once, whatever is in hand.
func (w *work) drainNotice(notice *DrainNotice, handler func(context.Context, *DrainNotice) error) {
	w.drains.begin(notice.GatewayID, time.Now().Add(notice.Budget))
	w.mu.Lock()
	defer w.mu.Unlock()
	if handler == nil || w.closed {
		return
	}
	w.aside++
	go func() {
		if err := guard(func() error { return handler(w.ctx, notice) }); err != nil {
			w.log.Error("on drain", "gateway", notice.GatewayID, failure(err))
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.aside--
		w.eased.set()
		w.idle.set()
	}()
}

// caughtUp has the store forget and the author sweep, once all that came before is done. Where there is a sweep, nothing
// is taken in until it is over.
func (w *work) caughtUp(sweep *Sweep, handler func(context.Context, *Sweep) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.sweeping = handler != nil
	stream := w.stream
	w.lanes.push(&job{instead: func() { w.catchUp(stream, sweep, handler) }}, caughtUpLane, afterAll)
	w.startWorkers(0)
}

// caughtUpLane is no session's: a session has an id or a key of its own.
const caughtUpLane = "\x00"

func (w *work) catchUp(stream streamName, sweep *Sweep, handler func(context.Context, *Sweep) error) {
	if err := w.store.Forget(w.ctx, stream.ledgerID, stream.epoch); err != nil {
		w.log.Error("the store does not forget", "error", err)
	}
	if handler == nil {
		return
	}
	if err := guard(func() error { return handler(w.ctx, sweep) }); err != nil {
		w.log.Error("on sweep", failure(err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweeping = false
}

// hasRoom reports whether more may be read.
func (w *work) hasRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lanes.size+w.aside+w.acks.pending() < maxInHand && !w.sweeping
}

// size returns how much is in hand.
func (w *work) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lanes.size + w.aside
}

// takeAck returns the Ack that is due, or nil.
func (w *work) takeAck() *hookwirev1.Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	ack := w.acks.take()
	if ack != nil {
		w.eased.set()
	}
	return ack
}

// close says that nothing more is taken in.
func (w *work) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// seal says that nothing more is answered.
func (w *work) seal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealed = true
}

// finish takes nothing more in, and waits until nothing is in hand. What has not come so far within the grace has no
// say any more, and is told so: it will be delivered again. A handler that has begun is not cut off before that, also where nobody
// hears its answer.
func (w *work) finish() {
	w.close()
	timer := time.NewTimer(w.grace)
	defer timer.Stop()
	for w.size() > 0 {
		select {
		case <-w.idle:
		case <-timer.C:
			w.log.Warn("out of time: what is in hand will be delivered again", "in_hand", w.size())
			w.seal()
			w.outOfTime()
			return
		}
	}
}
