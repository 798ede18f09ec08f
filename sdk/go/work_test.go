package hookwire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

func wantAnswers(t *testing.T, got, want map[uint64]Status) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
}

func TestASlowSessionHoldsUpItselfAlone(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		link := run(t, author.plugin()).welcome()
		link.live(1, start("slow", 1), message("slow", "m"), start("b", 2), end("b", 2))
		wantAnswers(t, link.answers(2), map[uint64]Status{3: StatusOK, 4: StatusOK})
		author.wantBegun(t, "end-2", "start-1", "start-2") // its message has not begun
		author.permit(1)
		author.wantBegun(t, "m")
		if through := link.ack().GetThroughSeq(); through != 1 {
			t.Errorf("acknowledged through %d", through)
		}
		author.permit(1)
		if through := link.ack().GetThroughSeq(); through != 4 {
			t.Errorf("acknowledged through %d", through)
		}
	})
}

func TestGatewayStopIsHandledLast(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		link := run(t, author.plugin()).welcome()
		link.live(1, end("slow", 1), wireEvent("stop", "gateway_stop", "", 0), start("b", 2))
		author.wantBegun(t, "end-1", "start-2")
		author.permit(1)
		author.wantBegun(t, "stop")
	})
}

func TestNoMoreThanSoManyAtOnce(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		link := run(t, author.plugin(WithConcurrency(1))).welcome()
		link.live(1, start("slow", 1), start("b", 2), start("c", 3))
		author.wantBegun(t, "start-1")
		author.permit(1)
		author.wantBegun(t, "start-2", "start-3")
	})
}

func TestARunOfEventsIsAcknowledgedByItsLast(t *testing.T) {
	alone(t, func(t *testing.T) {
		link := run(t, newAuthor().plugin()).welcome()
		var events []*hookwirev1.Event
		for life := range uint64(100) {
			events = append(events, start(fmt.Sprint(life), life))
		}
		link.live(1, events...)
		answers := link.answers(100)
		for seq := range uint64(100) {
			if answers[seq+1] != StatusOK {
				t.Errorf("%d was answered %v", seq+1, answers[seq+1])
			}
		}
		if !link.silent() {
			t.Error("something was answered twice")
		}
	})
}

func TestAFullHandLeavesTheStreamUnread(t *testing.T) {
	alone(t, func(t *testing.T) {
		author, told := newAuthor(), make(chan *DrainNotice, 1)
		plugin := author.plugin()
		plugin.OnDrain(func(_ context.Context, notice *DrainNotice) error {
			told <- notice
			return nil
		})
		link := run(t, plugin).welcome()
		var events []*hookwirev1.Event
		for life := range uint64(maxInHand) {
			events = append(events, start("slow", life))
		}
		link.live(1, events...)
		go link.Say(drainNotice())
		if synctest.Wait(); len(told) != 0 {
			t.Error("read on with a full hand")
		}
		author.permit(1)
		link.ack()
		<-told // room for one more
		go author.permit(maxInHand - 1)
		link.answers(maxInHand - 1)
	})
}

func drainNotice() *hookwirev1.SubscribeResponse {
	return &hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_DrainNotice{
		DrainNotice: &hookwirev1.DrainNotice{GatewayId: "gateway", EndsOwed: 4, BudgetMs: 2000},
	}}
}

func TestADrainIsToldAtOnce(t *testing.T) {
	alone(t, func(t *testing.T) {
		author, told := newAuthor(), make(chan uint64)
		plugin := author.plugin(WithConcurrency(1))
		plugin.OnDrain(func(_ context.Context, notice *DrainNotice) error {
			told <- notice.EndsOwed
			panic("the author's mistake")
		})
		link := run(t, plugin).welcome()
		link.live(1, start("slow", 1))
		link.Say(drainNotice())
		if owed := <-told; owed != 4 {
			t.Errorf("%d ends owed", owed)
		}
		author.permit(1)
		link.ack()
	})
}

func TestAPanicIsOneDeliverys(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		author.answer = func(event *Event) error {
			if event.ID == "start-1" || event.ID == "m" {
				panic("the author's mistake")
			}
			return nil
		}
		link := run(t, author.plugin()).welcome()
		link.live(1, start("a", 1), message("a", "m"), start("a", 2))
		wantAnswers(t, link.answers(3), map[uint64]Status{1: StatusRetry, 2: StatusReject, 3: StatusOK})
	})
}

func TestWhatNobodyHandlesIsOK(t *testing.T) {
	alone(t, func(t *testing.T) {
		plugin := New("test")
		plugin.On("session_end", func(context.Context, *Event) error { return Reject("never", "called") })
		link := run(t, plugin).welcome()
		link.live(1, start("a", 1), wireEvent("g", "gateway_start", "", 0))
		wantAnswers(t, link.answers(2), map[uint64]Status{1: StatusOK, 2: StatusOK})
	})
}

func TestARedeliveryJoinsTheHandlerThatStillRuns(t *testing.T) {
	alone(t, func(t *testing.T) {
		author, store := newAuthor(), NewMemoryStore()
		peer := run(t, author.plugin(WithStore(store)))
		first := peer.welcome()
		first.live(1, start("b", 1), start("slow", 2), message("slow", "m"))
		author.wantBegun(t, "start-1", "start-2")
		first.End(errors.New("cut"))

		second := peer.welcome()
		second.deliver(1, KindRedelivered, start("slow", 2))
		second.caughtUp()
		author.permit(2)
		wantAnswers(t, second.answers(1), map[uint64]Status{1: StatusOK}) // under its new number, and nothing else
		author.wantBegun(t, "m")                                          // each began once
		if !second.silent() {
			t.Error("what came on the first stream was answered on the second")
		}
		if _, found, _ := store.Get(t.Context(), "start-2"); !found {
			t.Error("forgotten, although it came again on this stream")
		}
		if _, found, _ := store.Get(t.Context(), "start-1"); found {
			t.Error("remembered, although nothing of the first stream comes any more")
		}
	})
}

func TestWhatIsInHandIsNotBegunAgain(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		author.answer = func(*Event) error { return Reject("no", "said once") }
		link := run(t, author.plugin()).welcome()
		link.live(1, message("slow", "m"), message("slow", "m"))
		author.permit(1)
		wantAnswers(t, link.answers(2), map[uint64]Status{1: StatusReject, 2: StatusReject})
		author.wantBegun(t, "m")
	})
}

func TestWhatIsSettledIsAnsweredFromTheStore(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		author.answer = func(*Event) error { return Accepted }
		peer := run(t, author.plugin())
		first := peer.welcome()
		first.live(1, start("a", 1))
		first.answers(1)
		first.End(errors.New("cut"))

		second := peer.welcome()
		second.deliver(1, KindRedelivered, start("a", 1))
		second.deliver(2, KindAnnounced, start("a", 1))
		wantAnswers(t, second.answers(2), map[uint64]Status{1: StatusAccepted, 2: StatusAccepted})
		author.wantBegun(t, "start-1")
	})
}

func TestARetryIsDoneAgain(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		author.answer = func(event *Event) error {
			if event.Kind == KindLive {
				return errors.New("not yet")
			}
			return nil
		}
		link := run(t, author.plugin()).welcome()
		link.live(1, start("a", 1))
		wantAnswers(t, link.answers(1), map[uint64]Status{1: StatusRetry})
		link.deliver(2, KindRedelivered, start("a", 1))
		if through := link.ack().GetThroughSeq(); through != 2 {
			t.Errorf("acknowledged through %d", through)
		}
	})
}

func TestOrdinaryEventsAreRememberedWhereAllIsRetained(t *testing.T) {
	for _, kind := range []RetentionKind{RetainOwed, RetainAll} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			alone(t, func(t *testing.T) {
				author := newAuthor()
				link := run(t, author.plugin(WithRetention(Retention{Kind: kind}))).welcome()
				link.live(1, message("a", "m"))
				link.answers(1)
				link.live(2, message("a", "m"))
				link.answers(1)
				want := []string{"m", "m"}
				if kind == RetainAll {
					want = want[:1]
				}
				author.wantBegun(t, want...)
			})
		})
	}
}

// brokenStore fails at everything.
type brokenStore struct{ *MemoryStore }

var errBroken = errors.New("broken")

func (brokenStore) Put(context.Context, string, Answer, string, uint64) error { return errBroken }
func (brokenStore) Forget(context.Context, string, uint64) error              { return errBroken }

// blindStore cannot say what it knows.
type blindStore struct{ *MemoryStore }

func (blindStore) Get(context.Context, string) (Answer, bool, error) {
	return Answer{}, false, errBroken
}

func TestAStoreThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		store Store
		want  Status
		begun []string
	}{
		"to remember": {brokenStore{NewMemoryStore()}, StatusOK, []string{"start-1"}},
		"to answer":   {blindStore{NewMemoryStore()}, StatusRetry, nil},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T) {
				author := newAuthor()
				link := run(t, author.plugin(WithStore(test.store))).welcome()
				link.caughtUp()
				link.live(1, start("a", 1))
				wantAnswers(t, link.answers(1), map[uint64]Status{1: test.want})
				author.wantBegun(t, test.begun...)
			})
		})
	}
}

func TestItSweepsBetweenWhatWasAndWhatComes(t *testing.T) {
	alone(t, func(t *testing.T) {
		author, sweeps := newAuthor(), make(chan [3]bool, 1)
		goOn := make(chan struct{})
		plugin := author.plugin(WithAnnounce())
		plugin.OnSweep(func(_ context.Context, sweep *Sweep) error {
			var owed [3]bool
			for i := range owed {
				owed[i] = sweep.IsOwed("ledger", uint64(i+1))
			}
			sweeps <- owed
			<-goOn
			return errors.New("an error is logged, no more")
		})
		link := run(t, plugin).welcome()
		link.deliver(1, KindRedelivered, start("slow", 1), start("b", 2))
		link.caughtUp()
		go link.live(3, message("c", "live"))
		author.wantBegun(t, "start-1", "start-2")
		if len(sweeps) != 0 {
			t.Error("swept while something older is in hand")
		}
		author.permit(1)
		if owed := <-sweeps; owed != [3]bool{true, true, false} {
			t.Errorf("owed: %v", owed)
		}
		author.wantBegun(t)
		close(goOn)
		author.wantBegun(t, "live")
		link.answers(3)
	})
}

func TestWhoIsOutOfTimeHasNoSay(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		work := newWork(t.Context(), author.plugin())
		jobs := make([]job, 2)
		for i, event := range []*hookwirev1.Event{start("slow", 1), end("slow", 1)} {
			jobs[i].event.read(event, &jobs[i].session, &batch{drains: work.drains})
		}
		work.take(jobs)
		author.wantBegun(t, "start-1")
		work.finish()
		author.wantBegun(t) // the first was cancelled, and has returned an error; the second has not begun
		if ack := work.takeAck(); work.size() != 1 || ack != nil {
			t.Errorf("%d in hand, answered %v", work.size(), ack)
		}
	})
}
