//! What was published and has no receipt yet: numbered, bounded, and sent again after a break. Pure.

use std::collections::{HashMap, VecDeque};

use hookwire_protocol::v1::{GatewayEvent, Publish, Receipt, Refusal};
use prost::Message;

/// Nothing more is read while this many events, or bytes, wait for a receipt.
const MAX_PENDING: Size = Size { events: 4096, bytes: 8 << 20 };

/// A batch is what is ready, up to this. One event may be larger.
const MAX_BATCH: Size = Size { events: 256, bytes: 64 << 10 };

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    events: usize,
    bytes: usize,
}

impl Size {
    fn is_below(self, limit: Self) -> bool {
        self.events < limit.events && self.bytes < limit.bytes
    }

    fn plus(self, pending: &Pending) -> Self {
        Self { events: self.events + 1, bytes: self.bytes + pending.bytes }
    }

    fn minus(self, pending: &Pending) -> Self {
        Self { events: self.events - 1, bytes: self.bytes - pending.bytes }
    }
}

/// The events of one emitter that have no receipt: first those that were sent, then the others.
#[derive(Debug, Default)]
pub(super) struct Resend {
    pending: VecDeque<Pending>,
    all: Size,
    unsent: Size,
    last_seq: u64,
}

#[derive(Debug)]
struct Pending {
    seq: u64,
    line: u64,
    bytes: usize,
    event: GatewayEvent,
}

/// What a receipt settled.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Settled {
    /// How many events were taken in.
    pub(super) taken: u64,
    /// Those that were refused: the line of each, and the refusal.
    pub(super) refused: Vec<(u64, Refusal)>,
}

impl Resend {
    /// Whether another event may be pushed: not while a whole batch waits to be sent, nor beyond the bound.
    pub(super) fn has_room(&self) -> bool {
        self.all.is_below(MAX_PENDING) && self.unsent.is_below(MAX_BATCH)
    }

    /// Gives an event that was read from this line its number.
    pub(super) fn push(&mut self, line: u64, event: GatewayEvent) {
        self.last_seq += 1;
        let pending = Pending { seq: self.last_seq, line, bytes: event.encoded_len(), event };
        self.all = self.all.plus(&pending);
        self.unsent = self.unsent.plus(&pending);
        self.pending.push_back(pending);
    }

    /// Nothing waits for a receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Something waits to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent.events > 0
    }

    /// Something was sent and waits for its receipt.
    pub(super) fn awaits_receipt(&self) -> bool {
        self.all.events > self.unsent.events
    }

    /// What is to be sent next, if anything; from now on it counts as sent.
    pub(super) fn next_batch(&mut self) -> Option<Publish> {
        let sent = self.all.events - self.unsent.events;
        let first_publish_seq = self.pending.get(sent)?.seq;
        let mut batch = Size::default();
        let mut events = Vec::new();
        for pending in self.pending.range(sent..) {
            let grown = batch.plus(pending);
            if !events.is_empty() && (grown.bytes > MAX_BATCH.bytes || grown.events > MAX_BATCH.events) {
                break;
            }
            batch = grown;
            self.unsent = self.unsent.minus(pending);
            events.push(pending.event.clone());
        }
        Some(Publish { first_publish_seq, events })
    }

    /// Lets go of what the receipt covers.
    pub(super) fn settle(&mut self, receipt: Receipt) -> Settled {
        let mut refused: HashMap<_, _> =
            receipt.refused.into_iter().map(|refusal| (refusal.publish_seq, refusal)).collect();
        let mut settled = Settled::default();
        while let Some(pending) = self.pop_through(receipt.through_publish_seq) {
            match refused.remove(&pending.seq) {
                Some(refusal) => settled.refused.push((pending.line, refusal)),
                None => settled.taken += 1,
            }
        }
        settled
    }

    /// Starts over on a new stream: what the dispatcher has is settled, everything else is unsent. A refusal whose
    /// receipt was lost cannot be told from an event that was taken in, and counts as one.
    pub(super) fn rewind(&mut self, resume_after: u64) -> Settled {
        self.unsent = self.all;
        self.settle(Receipt { through_publish_seq: resume_after, refused: Vec::new() })
    }

    fn pop_through(&mut self, seq: u64) -> Option<Pending> {
        let was_sent = self.awaits_receipt();
        let pending = self.pending.pop_front_if(|pending| pending.seq <= seq)?;
        self.all = self.all.minus(&pending);
        if !was_sent {
            self.unsent = self.unsent.minus(&pending);
        }
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookwire_protocol::v1::gateway_event::Payload;

    use super::*;

    fn event(bytes: usize) -> GatewayEvent {
        GatewayEvent { payload: Some(Payload::Json(Bytes::from(vec![b'x'; bytes]))), ..Default::default() }
    }

    fn filled(events: u64) -> Resend {
        let mut resend = Resend::default();
        for line in 1..=events {
            resend.push(line, event(1));
        }
        resend
    }

    fn through(publish_seq: u64) -> Receipt {
        Receipt { through_publish_seq: publish_seq, refused: Vec::new() }
    }

    fn next(resend: &mut Resend) -> Option<(u64, usize)> {
        resend.next_batch().map(|batch| (batch.first_publish_seq, batch.events.len()))
    }

    #[test]
    fn batches_are_consecutive_and_bounded() {
        let mut resend = filled(300);
        assert_eq!(next(&mut resend), Some((1, 256)));
        assert_eq!(next(&mut resend), Some((257, 44)));
        assert_eq!(next(&mut resend), None);
        resend.push(301, event(1 << 20));
        resend.push(302, event(1));
        assert_eq!(next(&mut resend), Some((301, 1)), "a large event travels alone");
        assert_eq!(next(&mut resend), Some((302, 1)));
    }

    #[test]
    fn a_receipt_counts_what_it_covers_once() {
        let mut resend = filled(3);
        resend.next_batch();
        let refusal = Refusal { publish_seq: 2, ..Refusal::default() };
        let receipt = Receipt { through_publish_seq: 2, refused: vec![refusal.clone()] };
        assert_eq!(resend.settle(receipt.clone()), Settled { taken: 1, refused: vec![(2, refusal)] });
        assert_eq!(resend.settle(receipt), Settled::default());
        assert!(resend.awaits_receipt());
        assert_eq!(resend.settle(through(99)).taken, 1);
        assert!(resend.is_empty() && !resend.awaits_receipt());
    }

    #[test]
    fn after_a_break_it_goes_on_where_the_welcome_says() {
        let mut resend = filled(5);
        resend.next_batch();
        resend.push(6, event(1));
        resend.settle(through(1));
        assert_eq!(resend.rewind(3), Settled { taken: 2, refused: Vec::new() });
        assert!(resend.has_unsent() && !resend.awaits_receipt());
        assert_eq!(next(&mut resend), Some((4, 3)));
        assert_eq!(resend.rewind(0).taken, 0, "a dispatcher that knows nothing gets what is still held");
        assert_eq!(next(&mut resend), Some((4, 3)));
    }

    #[test]
    fn a_receipt_for_what_was_never_sent_is_harmless() {
        let mut resend = filled(3);
        assert_eq!(resend.settle(through(9)).taken, 3);
        assert!(resend.is_empty() && !resend.has_unsent());
        assert_eq!(next(&mut resend), None);
    }

    #[test]
    fn the_room_is_bounded_in_events_and_bytes() {
        let mut resend = filled(255);
        assert!(resend.has_room());
        resend.push(256, event(1));
        assert!(!resend.has_room(), "a whole batch is ready");
        resend.next_batch();
        assert!(resend.has_room());
        resend.push(257, event(9 << 20));
        resend.next_batch();
        assert!(!resend.has_room(), "too many bytes wait for receipts");
        resend.settle(through(257));
        assert!(resend.has_room());
    }
}
