package hookwire

import (
	"context"
	"fmt"
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

// startWorkers begins as many as there are jobs whose turn it is, and that nobody is about to take.
func (w *work) startWorkers(taken int) {
	for w.starting+taken < w.lanes.ready && w.workers < w.concurrency {
		w.workers++
		w.starting++
		go w.worker()
	}
}

// worker does jobs for as long as there are some whose turn it is, and time for them.
func (w *work) worker() {
	w.mu.Lock()
	w.starting--
	for job := w.next(); job != nil; job = w.next() {
		w.mu.Unlock()
		if job.instead != nil {
			job.instead()
			w.mu.Lock()
		} else {
			w.settle(job, w.answerTo(job))
		}
		w.lanes.done(job)
		w.startWorkers(1) // this one goes on
	}
	w.workers--
	w.eased.set()
	w.idle.set()
	w.mu.Unlock()
}

// next returns the next job to be done, or nil.
func (w *work) next() *job {
	if w.sealed {
		return nil
	}
	return w.lanes.pop()
}

// answerTo has the store or the handler answer.
func (w *work) answerTo(job *job) Answer {
	event := &job.event
	if !job.remember {
		return w.handle(job)
	}
	answer, found, err := w.store.Get(w.ctx, event.ID)
	switch {
	case err != nil:
		w.log.Error("the store cannot be asked", "event", event.ID, "error", err)
		return answerOf(fmt.Errorf("store: %w", err), event.isLifecycle())
	case found:
		w.log.Debug("delivered again: answered as before", "event", event.ID)
		return answer
	default:
		return w.handle(job)
	}
}

// handle runs the author's code.
func (w *work) handle(job *job) Answer {
	event := &job.event
	err := guard(func() error { return job.handler(event.traced(w.ctx), event) })
	answer := answerOf(err, event.isLifecycle())
	if !answer.settles() || answer.Status == StatusReject {
		w.log.Warn("not done", "event", event.ID, "hook", event.Hook, "status", answer.Status.String(), failure(err))
	}
	return answer
}

// settle remembers an answer and gives it to all deliveries of the event. It returns with the lock held.
func (w *work) settle(job *job, answer Answer) {
	stream := job.event.batch.stream
	if job.remember && answer.settles() {
		w.put(job, answer, stream)
	}
	w.mu.Lock()
	for job.remember && answer.settles() && w.stream != stream && len(job.joined) > 0 {
		// Delivered again on a newer stream meanwhile: it has to be found until that one has caught up.
		stream = w.stream
		w.mu.Unlock()
		w.put(job, answer, stream)
		w.mu.Lock()
	}
	delete(w.inHand, job.event.ID)
	if w.sealed {
		return
	}
	job.delivery.answer(answer)
	for _, delivery := range job.joined {
		delivery.answer(answer)
	}
	w.answered.set()
	w.eased.set()
}

// put remembers an answer. Where that fails, the answer holds all the same: the work is done, and would surely be done
// again if it were a RETRY.
func (w *work) put(job *job, answer Answer, stream streamName) {
	if err := w.store.Put(w.ctx, job.event.ID, answer, stream.ledgerID, stream.epoch); err != nil {
		w.log.Error("the store does not remember", "event", job.event.ID, "error", err)
	}
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

// wake wakes one goroutine that waits for something to change, which looks again then.
type wake chan struct{}

func newWake() wake { return make(wake, 1) }

// set never waits: one that is not heard yet says as much as two.
func (s wake) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
