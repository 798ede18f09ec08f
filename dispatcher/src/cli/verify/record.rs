//! What went to and fro between the plugin and its dispatcher. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use hookwire_protocol::v1::{
    Ack, AckStatus, BatchKind, EventBatch, GoodbyeReason, subscribe_request::Message as Said,
    subscribe_response::Message as Told,
};

/// All streams so far, in order.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) streams: Vec<Stream>,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) subscriber: String,
    pub(super) opened: Instant,
    pub(super) caught_up: bool,
    /// By number, from 1 on.
    pub(super) handed: Vec<Handed>,
    pub(super) answers: BTreeMap<u64, Answer>,
    through: u64,
    /// It answered what it had not been handed.
    pub(super) invented: bool,
    /// How the plugin left, if it did in order.
    pub(super) left: Option<Left>,
    /// The dispatcher's Goodbye.
    pub(super) told_to_go: Option<(GoodbyeReason, Instant)>,
    /// Acks that came, and when the last did.
    pub(super) last_ack: Option<Instant>,
    pub(super) ended: Option<Instant>,
}

/// How a plugin leaves in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It said Goodbye, and what it is owed is kept.
    Keeping,
    /// It said Goodbye, and what it was owed is let go of.
    Releasing,
    /// It half-closed the call, without a word: what it is owed is kept, too.
    HalfClosing,
}

/// An event, as it went to the plugin.
#[derive(Clone, Debug)]
pub(super) struct Handed {
    pub(super) event_id: String,
    pub(super) hook: String,
    pub(super) kind: i32,
    /// Its life, and its place in it; 0 where it has none.
    pub(super) incarnation: u64,
    pub(super) session_seq: u64,
}

/// What the plugin said to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: AckStatus,
    /// How long the effect log was then, in bytes.
    pub(super) log: u64,
}

impl Stream {
    /// One that begins.
    pub(super) fn new(subscriber: String) -> Self {
        Self {
            subscriber,
            opened: Instant::now(),
            caught_up: false,
            handed: Vec::new(),
            answers: BTreeMap::new(),
            through: 0,
            invented: false,
            left: None,
            told_to_go: None,
            last_ack: None,
            ended: None,
        }
    }

    /// The plugin said something; the effect log was so long then.
    pub(super) fn said(&mut self, message: &Said, log: u64) {
        match message {
            Said::Ack(ack) => self.acked(ack, log),
            Said::Goodbye(goodbye) => {
                self.left = Some(if goodbye.release { Left::Releasing } else { Left::Keeping });
            }
            Said::Hello(_) => {}
        }
    }

    /// The plugin says nothing more.
    pub(super) fn half_closed(&mut self) {
        self.left.get_or_insert(Left::HalfClosing);
    }

    fn acked(&mut self, ack: &Ack, log: u64) {
        self.last_ack = Some(Instant::now());
        let handed = self.handed.len() as u64;
        for exception in &ack.exceptions {
            self.invented |= exception.seq > handed;
            let status = exception.status();
            self.answers.entry(exception.seq).or_insert(Answer { status, log });
        }
        self.invented |= ack.through_seq > handed;
        let through = ack.through_seq.min(handed);
        for seq in self.through + 1..=through {
            self.answers.entry(seq).or_insert(Answer { status: AckStatus::Ok, log });
        }
        self.through = self.through.max(through);
    }

    /// The dispatcher said something.
    pub(super) fn told(&mut self, message: &Told) {
        match message {
            Told::Events(batch) => self.handed(batch),
            Told::CaughtUp(_) => self.caught_up = true,
            Told::Goodbye(goodbye) => self.told_to_go = Some((goodbye.reason(), Instant::now())),
            _ => {}
        }
    }

    fn handed(&mut self, batch: &EventBatch) {
        self.handed.extend(batch.events.iter().map(|event| Handed {
            event_id: event.id.clone(),
            hook: event.hook.clone(),
            kind: batch.kind,
            incarnation: event.session.as_ref().map_or(0, |session| session.incarnation),
            session_seq: event.session_seq,
        }));
    }

    /// Whether it goes on.
    pub(super) fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// What was handed over on it, with what was said to it.
    pub(super) fn dealt(&self) -> impl Iterator<Item = (&Handed, Option<&Answer>)> {
        (1..).zip(&self.handed).map(|(seq, handed)| (handed, self.answers.get(&seq)))
    }
}

impl Record {
    /// The newest stream.
    pub(super) fn last(&self) -> Option<&Stream> {
        self.streams.last()
    }

    /// Whether the newest stream is open, and through with what was before it.
    pub(super) fn is_caught_up(&self) -> bool {
        self.last().is_some_and(|stream| stream.is_open() && stream.caught_up)
    }

    /// What was handed over on any stream, with what was said to it.
    pub(super) fn dealt(&self) -> impl Iterator<Item = (&Handed, Option<&Answer>)> {
        self.streams.iter().flat_map(Stream::dealt)
    }

    /// How many events of this hook were handed over, each counted once, and of how many the answer counts.
    pub(super) fn of_hook(&self, hook: &str) -> (usize, usize) {
        let of = |answered: bool| {
            let dealt = self.dealt().filter(|(handed, answer)| {
                handed.hook == hook && (!answered || answer.is_some_and(|it| settles(it.status)))
            });
            dealt.map(|(handed, _)| handed.event_id.as_str()).collect::<BTreeSet<_>>().len()
        };
        (of(false), of(true))
    }

    /// Events that were handed over, and answered nowhere.
    pub(super) fn unanswered(&self) -> usize {
        let answered: BTreeSet<_> =
            self.dealt().filter_map(|(it, answer)| answer.map(|_| &it.event_id)).collect();
        let handed: BTreeSet<_> = self.dealt().map(|(it, _)| &it.event_id).collect();
        handed.difference(&answered).count()
    }

    /// Answers that are neither OK nor ACCEPTED.
    pub(super) fn declined(&self) -> usize {
        let declines = |answer: &&Answer| !matches!(answer.status, AckStatus::Ok | AckStatus::Accepted);
        self.dealt().filter_map(|(_, answer)| answer).filter(declines).count()
    }

    /// Whether an event of this hook came again.
    pub(super) fn came_again(&self, hook: &str) -> bool {
        self.dealt().any(|(it, _)| it.hook == hook && it.kind == i32::from(BatchKind::Redelivered))
    }
}

fn settles(status: AckStatus) -> bool {
    matches!(status, AckStatus::Ok | AckStatus::Accepted | AckStatus::Reject)
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::{AckException, Event};

    use super::*;

    fn stream(events: usize) -> Stream {
        let mut stream = Stream::new("x".into());
        let events = (0..events).map(|n| Event { id: n.to_string(), hook: "m".into(), ..Default::default() });
        stream.told(&Told::Events(EventBatch {
            first_seq: 1,
            events: events.collect(),
            ..Default::default()
        }));
        stream
    }

    #[test]
    fn exceptions_go_first_and_the_rest_is_ok() {
        let mut stream = stream(3);
        let reject = AckException { seq: 2, status: AckStatus::Reject.into(), ..Default::default() };
        stream.said(&Said::Ack(Ack { through_seq: 2, exceptions: vec![reject] }), 7);
        let statuses: Vec<_> = stream.dealt().map(|(_, answer)| answer.map(|it| it.status)).collect();
        assert_eq!(statuses, [Some(AckStatus::Ok), Some(AckStatus::Reject), None]);
        let record = Record { streams: vec![stream] };
        assert_eq!((record.unanswered(), record.declined(), record.of_hook("m")), (1, 1, (3, 2)));
    }

    #[test]
    fn an_answer_to_nothing_is_seen() {
        let mut stream = stream(1);
        stream.said(&Said::Ack(Ack { through_seq: u64::MAX, exceptions: vec![] }), 0);
        assert!(stream.invented && stream.answers.len() == 1);
    }
}
