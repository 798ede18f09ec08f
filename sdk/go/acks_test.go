package hookwire

import (
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

var ok = Answer{Status: StatusOK}

// deliveries returns a stream's answers and its first deliveries; that of seq stands at seq-1.
func deliveries(count int) (*acks, []*delivery) {
	acks, all := &acks{}, make([]*delivery, count)
	for i := range all {
		all[i] = &delivery{}
		acks.deliver(all[i])
	}
	return acks, all
}

// wantAck takes an Ack and compares it; exceptions are by seq.
func wantAck(t *testing.T, acks *acks, through uint64, exceptions map[uint64]Status) {
	t.Helper()
	ack := acks.take()
	if ack.GetThroughSeq() != through {
		t.Errorf("through_seq %d, want %d", ack.GetThroughSeq(), through)
	}
	got := make(map[uint64]Status)
	for _, exception := range ack.GetExceptions() {
		got[exception.GetSeq()] = Status(exception.GetStatus())
	}
	wantAnswers(t, got, exceptions)
}

func TestARunOfOKsIsOneNumber(t *testing.T) {
	acks, all := deliveries(5)
	if acks.take() != nil {
		t.Error("nothing is answered")
	}
	for _, delivery := range all {
		delivery.answer(ok)
	}
	if acks.pending() != 5 {
		t.Errorf("%d pending", acks.pending())
	}
	wantAck(t, acks, 5, nil)
	if acks.take() != nil || acks.pending() != 0 {
		t.Error("all is said")
	}
}

func TestNobodyWaitsForASlowOne(t *testing.T) {
	acks, all := deliveries(3)
	all[1].answer(ok)
	all[2].answer(ok)
	wantAck(t, acks, 0, map[uint64]Status{2: StatusOK, 3: StatusOK})
	all[0].answer(ok)
	wantAck(t, acks, 3, nil)
}

func TestAnOKThatThePrefixReachesInTimeIsNoException(t *testing.T) {
	acks, all := deliveries(3)
	all[1].answer(ok)
	all[2].answer(Answer{Status: StatusAccepted})
	all[0].answer(ok)
	wantAck(t, acks, 3, map[uint64]Status{3: StatusAccepted})
}

func TestBehindOneThatHangsNothingPilesUp(t *testing.T) {
	acks, _ := deliveries(1)
	for range 1000 {
		for range maxExceptions {
			next := &delivery{}
			acks.deliver(next)
			next.answer(ok)
		}
		if count := len(acks.take().GetExceptions()); count != maxExceptions {
			t.Fatalf("%d exceptions", count)
		}
	}
	if acks.first != acks.last || acks.pending() != 0 {
		t.Error("what is answered is still held")
	}
	acks.first.answer(ok)
	wantAck(t, acks, 1000*maxExceptions+1, nil)
}

func TestWhatDoesNotFitIsNotCalledOK(t *testing.T) {
	acks, all := deliveries(maxExceptions + 2)
	for i := range all {
		all[len(all)-1-i].answer(Answer{Status: StatusAccepted})
	}
	first, second := acks.take(), acks.take()
	if first.GetThroughSeq() != maxExceptions || len(first.GetExceptions()) != maxExceptions {
		t.Errorf("through %d, %d exceptions", first.GetThroughSeq(), len(first.GetExceptions()))
	}
	if second.GetThroughSeq() != maxExceptions+2 || len(second.GetExceptions()) != 2 {
		t.Errorf("through %d, %d exceptions", second.GetThroughSeq(), len(second.GetExceptions()))
	}
	if acks.take() != nil {
		t.Error("all is said")
	}
}

func TestAnAckFullOfWordsIsOneThatADispatcherReads(t *testing.T) {
	acks, all := deliveries(2 * maxExceptions)
	wordy := Answer{Status: StatusReject, Code: strings.Repeat("c", 1<<10), Text: strings.Repeat("t", 1<<10)}
	for _, delivery := range all {
		delivery.answer(wordy)
	}
	if size := proto.Size(acks.take()); size >= 256<<10 {
		t.Errorf("%d bytes", size)
	}
}

// Read by the contract's rules, the Acks say of each delivery what was answered, whatever the order and wherever an Ack is
// taken.
func TestEveryDeliveryGetsItsAnswer(t *testing.T) {
	statuses := []Status{StatusOK, StatusOK, StatusOK, StatusAccepted, StatusRetry, StatusReject}
	for seed := range uint64(2000) {
		dice := rand.New(rand.NewPCG(seed, 0))
		acks, all := deliveries(1 + dice.IntN(60))
		read, want := make(map[uint64]Status), make(map[uint64]Status)
		through := uint64(0)
		take := func() bool {
			ack := acks.take()
			for _, exception := range ack.GetExceptions() {
				if read[exception.GetSeq()] != 0 {
					t.Fatalf("seed %d: %d is answered twice", seed, exception.GetSeq())
				}
				read[exception.GetSeq()] = Status(exception.GetStatus())
			}
			for through < ack.GetThroughSeq() {
				if through++; read[through] == 0 {
					read[through] = StatusOK
				}
			}
			return ack != nil
		}
		for _, i := range dice.Perm(len(all)) {
			status := statuses[dice.IntN(len(statuses))]
			want[uint64(i+1)] = status
			all[i].answer(Answer{Status: status})
			if dice.IntN(3) == 0 {
				take()
			}
		}
		for take() {
		}
		wantAnswers(t, read, want)
	}
}
