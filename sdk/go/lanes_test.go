package hookwire

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// out takes everything whose turn it is.
func out(l *lanes) []*job {
	var jobs []*job
	for job := l.pop(); job != nil; job = l.pop() {
		jobs = append(jobs, job)
	}
	return jobs
}

// push puts a job into a lane, and returns it.
func push(l *lanes, name string, after after) *job {
	job := &job{}
	l.push(job, name, after)
	return job
}

func newLanes() *lanes { return &lanes{byName: make(map[string]*lane)} }

func wantOut(t *testing.T, l *lanes, want ...*job) {
	t.Helper()
	if got := out(l); !slices.Equal(got, want) {
		t.Errorf("%d jobs are out, want %d others", len(got), len(want))
	}
}

func TestOneAtATimeInALaneAndLanesSideBySide(t *testing.T) {
	lanes := newLanes()
	a1, a2, b := push(lanes, "a", afterLane), push(lanes, "a", afterLane), push(lanes, "b", afterLane)
	wantOut(t, lanes, a1, b)
	lanes.done(b)
	wantOut(t, lanes)
	lanes.done(a1)
	wantOut(t, lanes, a2)
}

func TestAfterAllWaitsForWhatCameBeforeItAndForNothingElse(t *testing.T) {
	lanes := newLanes()
	a, all := push(lanes, "a", afterLane), push(lanes, "", afterAll)
	behind, b := push(lanes, "", afterLane), push(lanes, "b", afterLane)
	wantOut(t, lanes, a, b) // what came later does not wait for it, save in its lane
	lanes.done(a)
	wantOut(t, lanes, all) // nor does it wait for what came later
	lanes.done(all)
	wantOut(t, lanes, behind)
}

// Whatever is finished in whatever order: all get their turn, each lane in order, nothing is left.
func TestEverythingGetsItsTurn(t *testing.T) {
	for seed := range uint64(2000) {
		dice := rand.New(rand.NewPCG(seed, 0))
		type pushed struct {
			lane  string
			after after
		}
		lanes, about := newLanes(), make(map[*job]pushed)
		var order, running []*job
		finished := make(map[*job]bool)
		left := 1 + dice.IntN(40)
		for left > 0 || len(running) > 0 {
			if left > 0 && dice.IntN(2) == 0 {
				it := pushed{string(rune('a' + dice.IntN(4))), after(dice.IntN(2))}
				job := push(lanes, it.lane, it.after)
				about[job] = it
				order = append(order, job)
				left--
			}
			running = append(running, out(lanes)...)
			if len(running) == 0 {
				continue
			}
			pick := dice.IntN(len(running))
			job := running[pick]
			running = slices.Delete(running, pick, pick+1)
			for _, earlier := range order[:slices.Index(order, job)] {
				if !finished[earlier] && (about[job].after == afterAll || about[earlier].lane == about[job].lane) {
					t.Fatalf("seed %d: overtaken", seed)
				}
			}
			finished[job] = true
			lanes.done(job)
			running = append(running, out(lanes)...)
		}
		if len(finished) != len(order) || lanes.size+len(lanes.byName)+len(lanes.held)+lanes.ready != 0 {
			t.Fatalf("seed %d: %d of %d had their turn", seed, len(finished), len(order))
		}
	}
}
