package hookwire

import "fmt"

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
