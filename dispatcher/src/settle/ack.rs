//! A plugin answers. Answers count only on the stream that carried the delivery, and one bad answer ends nothing.

use std::time::Duration;

use hookwire_protocol::v1::{self, AckStatus};

use super::{journal::Record, lives::LifeRef};
use crate::{
    drain::Outcome,
    fanout::registry::SubscriberIx,
    machine::{Machine, Now},
    serve::{
        flight::{Answered, Delivered},
        stream::StreamId,
    },
};

/// A plugin's answer to one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    Accepted,
    /// After this delay, where it names one.
    Retry(Option<Duration>),
    Reject,
}

impl Machine {
    /// Takes an Ack: the exceptions first, then all up to `through_seq`.
    pub(crate) fn ack(&mut self, now: Now, id: StreamId, ack: &v1::Ack) {
        self.now = now;
        let Some(ix) = self.streams.get(&id).copied() else {
            self.counters.acks_stale += 1;
            return;
        };
        self.registry.at(ix).last_ack = Some(now.mono);
        for exception in &ack.exceptions {
            let Some(answer) = read(exception) else {
                self.counters.acks_unknown += 1;
                continue;
            };
            match self.stream(ix).and_then(|stream| stream.answer(exception.seq)) {
                Some(delivered) => self.settle(ix, delivered, answer),
                None => self.counters.acks_unknown += 1,
            }
        }
        self.ack_through(ix, ack.through_seq);
        self.record_backlog(ix);
        self.wake(ix);
    }

    fn ack_through(&mut self, ix: SubscriberIx, seq: u64) {
        let Some(last) = self.stream(ix).map(|stream| stream.next_seq() - 1) else { return };
        if seq > last {
            self.counters.acks_unknown += 1;
            return;
        }
        while let Some(answered) = self.stream(ix).and_then(|stream| stream.answer_through(seq)) {
            match answered {
                Answered::One(delivered) => self.settle(ix, delivered, Answer::Ok),
                Answered::Events(events) => {
                    let (count, subscriber) = (events.len() as u64, self.registry.at(ix));
                    self.counters.acks_ok += count;
                    subscriber.acked += count;
                    if subscriber.keeps_all() {
                        subscriber.backlog.settle_all(events);
                    }
                }
            }
        }
    }

    fn settle(&mut self, ix: SubscriberIx, delivered: Delivered, answer: Answer) {
        match answer {
            Answer::Ok => self.counters.acks_ok += 1,
            Answer::Accepted => self.counters.acks_accepted += 1,
            Answer::Retry(_) => self.counters.acks_retry += 1,
            Answer::Reject => self.counters.acks_reject += 1,
        }
        self.registry.at(ix).acked += 1;
        match delivered {
            Delivered::Start(life) if self.is_open(ix, life) => self.settle_start(ix, life, answer),
            Delivered::End(life) if self.is_open(ix, life) => self.settle_end(ix, life, answer),
            Delivered::GatewayStop(closing) => self.gateway_stop_answered(ix, closing),
            Delivered::Event { position, .. } => self.registry.at(ix).backlog.settle(position),
            // The entry was let go of since.
            Delivered::Start(_) | Delivered::End(_) => {}
        }
    }

    fn settle_start(&mut self, ix: SubscriberIx, life: LifeRef, answer: Answer) {
        match answer {
            Answer::Ok | Answer::Accepted => {
                if !self.registry.at(ix).marks.settle_start(life.slot) {
                    return; // an announcement of what was settled long ago: a RETRY is its end's
                }
                self.forget_retry(ix, life);
                let (subscriber, incarnation) = (self.registry.at(ix).number, life.incarnation);
                self.record(Record::StartSettled { subscriber, incarnation });
                if !self.lives.at(life.slot).alive() {
                    self.end_is_due(ix, life);
                }
            }
            Answer::Reject => {
                self.counters.entries_rejected += 1;
                self.close_entry(ix, life.slot, Outcome::Rejected);
            }
            // What is settled stays settled: there is nothing to write again.
            Answer::Retry(_) if self.registry.at(ix).marks.is_settled(life.slot) => {}
            Answer::Retry(after) => self.retry(ix, life, after),
        }
    }

    fn settle_end(&mut self, ix: SubscriberIx, life: LifeRef, answer: Answer) {
        match answer {
            Answer::Ok => self.close_entry(ix, life.slot, Outcome::Acked),
            Answer::Accepted => self.close_entry(ix, life.slot, Outcome::Accepted),
            Answer::Reject => {
                self.counters.entries_rejected += 1;
                self.close_entry(ix, life.slot, Outcome::Rejected);
            }
            Answer::Retry(after) => self.retry(ix, life, after),
        }
    }

    /// Whether this subscriber has an entry for exactly this life.
    pub(crate) fn is_open(&self, ix: SubscriberIx, life: LifeRef) -> bool {
        self.lives.get(life).is_some() && self.registry.get(ix).is_some_and(|it| it.marks.is_open(life.slot))
    }

    fn stream(&mut self, ix: SubscriberIx) -> Option<&mut crate::serve::stream::Stream> {
        self.registry.at(ix).stream.as_mut()
    }
}

/// `None`: an answer that nobody knows.
fn read(exception: &v1::AckException) -> Option<Answer> {
    Some(match exception.status() {
        AckStatus::Ok => Answer::Ok,
        AckStatus::Accepted => Answer::Accepted,
        AckStatus::Reject => Answer::Reject,
        AckStatus::Retry => {
            let after = Duration::from_millis(exception.retry_after_ms.into());
            Answer::Retry((!after.is_zero()).then_some(after))
        }
        AckStatus::Unspecified => return None,
    })
}
