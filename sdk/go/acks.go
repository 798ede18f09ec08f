package hookwire

import (
	"cmp"
	"slices"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// maxExceptions is how many exceptions go into one Ack: with the longest words, half of the 256 KiB that a dispatcher reads.
const maxExceptions = 256

// delivery is one number of one stream, until it is answered.
type delivery struct {
	seq        uint64
	acks       *acks
	prev, next *delivery
}

// answer gives the delivery its answer, on the stream that carried it: where that is over, nobody hears it.
func (d *delivery) answer(answer Answer) { d.acks.answer(d, answer) }

// acks are the answers of one stream: which of its deliveries are answered, and the next Ack.
//
//	seq      1  2  3  4  5  6  7  8
//	answer   ok ok ok    ok    rj        prefix = 3: 4 is still in hand
//	Ack      through_seq 3, exceptions 5 OK, 7 REJECT: nobody waits for 4
//
// It holds what is unanswered, and what is answered and unsent: however long one that hangs is waited for, it grows
// no larger than what is in hand.
type acks struct {
	// first and last of the deliveries that are not answered, in order.
	first, last *delivery
	// received is the last number that came.
	received uint64
	// through is what through_seq has said so far.
	through uint64
	// ahead are the numbers beyond the prefix that are OK, unsent.
	ahead []uint64
	// others are the answers that are not OK, unsent.
	others []numbered
}

// numbered is an answer and what it answers.
type numbered struct {
	seq    uint64
	answer Answer
}

// deliver takes down the next delivery.
func (a *acks) deliver(d *delivery) {
	a.received++
	d.seq, d.acks, d.prev = a.received, a, a.last
	if a.last == nil {
		a.first = d
	} else {
		a.last.next = d
	}
	a.last = d
}

// answer takes down the answer to a delivery. There is one for each.
func (a *acks) answer(d *delivery, answer Answer) {
	isFirst := d == a.first
	a.unlink(d)
	if answer.Status != StatusOK {
		a.others = append(a.others, numbered{d.seq, answer})
	} else if !isFirst {
		a.ahead = append(a.ahead, d.seq)
	}
}

func (a *acks) unlink(d *delivery) {
	if d.prev == nil {
		a.first = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		a.last = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
}

// prefix returns the number up to which everything is answered.
func (a *acks) prefix() uint64 {
	if a.first == nil {
		return a.received
	}
	return a.first.seq - 1
}

// pending returns how many answers wait to be sent, a run of OKs counted as it is long.
func (a *acks) pending() int {
	return int(a.prefix()-a.through) + len(a.ahead) + len(a.others)
}

// take returns the next Ack, or nil where there is nothing to say. What does not fit is left for another.
func (a *acks) take() *hookwirev1.Ack {
	ack := &hookwirev1.Ack{}
	through := a.prefix()
	if len(a.others) > 0 {
		slices.SortFunc(a.others, func(x, y numbered) int { return cmp.Compare(x.seq, y.seq) })
		fits := min(len(a.others), maxExceptions)
		for _, other := range a.others[:fits] {
			ack.Exceptions = append(ack.Exceptions, other.answer.exception(other.seq))
		}
		a.others = slices.Delete(a.others, 0, fits)
		if len(a.others) > 0 {
			// An exception left for later must not be called OK by the prefix.
			through = min(through, a.others[0].seq-1)
		}
	}
	if through > a.through {
		a.through = through
		ack.ThroughSeq = through
	}
	a.takeAhead(ack)
	if ack.ThroughSeq == 0 && len(ack.Exceptions) == 0 {
		return nil
	}
	return ack
}

// takeAhead adds the OKs that stand beyond the prefix: nobody waits for what is slow before them.
func (a *acks) takeAhead(ack *hookwirev1.Ack) {
	left := a.ahead[:0]
	for _, seq := range a.ahead {
		switch {
		case seq <= a.through: // the prefix has reached it in time
		case len(ack.Exceptions) < maxExceptions:
			ack.Exceptions = append(ack.Exceptions, Answer{Status: StatusOK}.exception(seq))
		default:
			left = append(left, seq)
		}
	}
	a.ahead = left
}
