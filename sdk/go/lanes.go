package hookwire

// after is what a job waits for.
type after int

const (
	// afterLane waits for what came before it in its lane.
	afterLane after = iota
	// afterAll waits for all that came before it in any lane.
	afterAll
)

// place is where a job stands in its lane.
type place struct {
	lane *lane
	// behind is the job that follows in the lane.
	behind *job
	// nextReady is the job that follows in the queue of those that have their turn.
	nextReady *job
	// arrival is its number among all jobs.
	arrival uint64
	// waitsFor is how many earlier jobs of any lane are not done; 0 for one that waits for its lane alone.
	waitsFor int
}

// lane is one session, or the gateway for what belongs to none. Its first job is out, or has its turn.
type lane struct {
	name        string
	first, last *job
}

// lanes keep jobs in order inside one session, and side by side across sessions. At most one job of a lane is out at
// a time. One that is afterAll waits besides until every earlier job of every lane is done.
type lanes struct {
	arrivals uint64
	size     int
	byName   map[string]*lane
	// held are the jobs that wait for those of other lanes: a handful at most.
	held []*job

	firstReady, lastReady *job
	ready                 int
}

// push puts a job at the end of its lane.
func (l *lanes) push(job *job, name string, after after) {
	l.arrivals++
	job.arrival = l.arrivals
	if after == afterAll && l.size > 0 {
		job.waitsFor = l.size
		l.held = append(l.held, job)
	}
	l.size++
	into, found := l.byName[name]
	if found {
		into.last.behind = job
		into.last = job
	} else {
		into = &lane{name: name, first: job, last: job}
		l.byName[name] = into
	}
	job.lane = into
	l.stepUp(job)
}

// pop returns the next job whose turn it is, or nil. It is out then, until done.
func (l *lanes) pop() *job {
	job := l.firstReady
	if job != nil {
		l.firstReady = job.nextReady
		l.ready--
	}
	return job
}

// done says that a job is finished: whoever waited for it steps up.
func (l *lanes) done(job *job) {
	l.size--
	if next := job.behind; next != nil {
		job.lane.first = next
		l.stepUp(next)
	} else {
		delete(l.byName, job.lane.name)
	}
	if len(l.held) > 0 {
		l.release(job.arrival)
	}
}

// release tells those that wait for all lanes that an earlier job is done.
func (l *lanes) release(arrival uint64) {
	held := l.held[:0]
	for _, job := range l.held {
		if arrival < job.arrival {
			job.waitsFor--
		}
		if job.waitsFor > 0 {
			held = append(held, job)
		} else {
			l.stepUp(job)
		}
	}
	clear(l.held[len(held):])
	l.held = held
}

// stepUp gives a job its turn, if it waits for nothing.
func (l *lanes) stepUp(job *job) {
	if job.lane.first != job || job.waitsFor > 0 {
		return
	}
	if l.firstReady == nil {
		l.firstReady = job
	} else {
		l.lastReady.nextReady = job
	}
	l.lastReady = job
	l.ready++
}
