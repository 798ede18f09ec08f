//! A journal that commits late: what a call caused leaves the process only once the call's records are durable.
//!
//! Behind it lies what is outside: it remembers all that ever became durable or left, however often the dispatcher
//! crashes, and judges what leaves by that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use hookwire_protocol::v1::{self, BatchKind, event::Payload, subscribe_response::Message};
use prost::Message as _;

use super::{Checked, model::Model, rule};
use crate::{
    emit::boots::GatewayIx,
    serve::stream::StreamId,
    settle::journal::{
        RanSeconds, Record, SubscriberNumber,
        image::{EntryState, Image},
    },
};

/// Something that leaves the process.
#[derive(Debug)]
pub(super) enum Output {
    Message { subscriber: &'static str, stream: StreamId, message: Box<Message> },
    Attached { gateway: &'static str, boot: String },
    Receipt { gateway: &'static str, emitter: &'static str, through: u64 },
}

/// What one call left behind.
#[derive(Debug)]
struct Call {
    records: Vec<Record>,
    /// How long dispatchers had run.
    ran: RanSeconds,
    outputs: Vec<Output>,
    /// The model after the call, where a crash is still to come.
    model: Option<Box<Model>>,
}

/// What a crash leaves.
pub(super) struct Remains {
    pub(super) image: Image,
    /// The model as it was when the last record became durable; `None`: as it is.
    pub(super) model: Option<Box<Model>>,
    /// Of whom and of which life a settlement was lost, the newest first.
    pub(super) unsettled: Vec<(Box<str>, u64)>,
    /// Of whom the record was lost that its stream has ended.
    pub(super) unleft: Vec<Box<str>>,
    /// Of whom a count of expired entries was lost, once for each count.
    pub(super) uncounted: Vec<Box<str>>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    /// How many calls are not committed yet, at most.
    pub(super) lag: usize,
    pending: VecDeque<Call>,
    image: Image,
    /// Records that may be lost, and that nothing durable stands behind.
    tail: Vec<Record>,
    /// The model after the last call that was committed, where a crash is still to come.
    model: Box<Model>,
    boots: BTreeSet<(GatewayIx, Box<str>)>,
    started: BTreeMap<u64, Bytes>,
    decided: BTreeMap<u64, Bytes>,
    newest_epoch: u64,
    /// Starts that have left, by subscriber and life.
    handed: BTreeSet<(Box<str>, u64)>,
}

impl Journal {
    pub(super) fn new(lag: usize) -> Self {
        Self { lag, ..Self::default() }
    }

    pub(super) fn append(
        &mut self,
        records: Vec<Record>,
        ran: RanSeconds,
        outputs: Vec<Output>,
        model: impl FnOnce() -> Option<Box<Model>>,
    ) {
        let model = if self.lag > 0 { model() } else { None };
        self.pending.push_back(Call { records, ran, outputs, model });
    }

    /// Commits all but the last calls; says what has left by that, by stream: the last seq of each batch.
    pub(super) fn commit(&mut self) -> Checked<Vec<(StreamId, u64)>> {
        let mut left = Vec::new();
        while self.pending.len() > self.lag {
            self.commit_one(&mut left)?;
        }
        Ok(left)
    }

    /// Commits so many of the calls that are pending, and loses the others; of what may be lost at the end, it keeps so
    /// many records.
    pub(super) fn crash(&mut self, committed: usize, kept: usize) -> Checked<Remains> {
        let none_is_lost = committed >= self.pending.len();
        for _ in 0..committed {
            self.commit_one(&mut Vec::new())?;
        }
        self.pending.clear();
        let model = (!none_is_lost).then(|| std::mem::take(&mut self.model));
        let lost = self.tail.split_off(kept.min(self.tail.len()));
        self.flush();
        let unsettled = lost.iter().rev().filter_map(|record| match record {
            Record::StartSettled { subscriber, incarnation } | Record::Closed { subscriber, incarnation } => {
                Some((self.name(*subscriber)?, *incarnation))
            }
            _ => None,
        });
        let unsettled = unsettled.collect();
        let unleft = self.names(&lost, |record| match record {
            Record::Left { subscriber, .. } => Some(*subscriber),
            _ => None,
        });
        let uncounted = self.names(&lost, |record| match record {
            Record::Expired { subscriber, .. } => Some(*subscriber),
            _ => None,
        });
        Ok(Remains { unsettled, unleft, uncounted, image: self.image.clone(), model })
    }

    fn commit_one(&mut self, left: &mut Vec<(StreamId, u64)>) -> Checked {
        let Some(call) = self.pending.pop_front() else { return Ok(()) };
        let effects = call.records.iter().any(|record| {
            matches!(record, Record::Started { .. } | Record::Decided { .. } | Record::Ended { .. })
        });
        for record in call.records {
            if record.may_be_lost() {
                self.tail.push(record);
                continue;
            }
            self.flush();
            self.take(&record).map_err(|error| format!("{record:?}: {error}"))?;
            self.image.apply(record);
        }
        for output in call.outputs {
            if let Output::Message { stream, message, .. } = &output
                && let Message::Events(batch) = &**message
            {
                left.push((*stream, batch.first_seq + batch.events.len() as u64 - 1));
            }
            self.let_out(&output, effects).map_err(|error| format!("{output:?}: {error}"))?;
        }
        self.image.ran = call.ran;
        if let Some(model) = call.model {
            self.model = model;
        }
        Ok(())
    }

    /// A new process has gone on from what was durable.
    pub(super) fn recovered(&mut self, model: &Model) {
        *self.model = model.clone();
    }

    fn flush(&mut self) {
        self.tail.drain(..).for_each(|record| self.image.apply(record));
    }

    fn names(&self, records: &[Record], whose: fn(&Record) -> Option<SubscriberNumber>) -> Vec<Box<str>> {
        records.iter().filter_map(whose).filter_map(|subscriber| self.name(subscriber)).collect()
    }

    fn name(&self, subscriber: SubscriberNumber) -> Option<Box<str>> {
        self.image.subscribers.get(&subscriber).map(|known| known.hello.subscriber_id.as_str().into())
    }

    /// Judges a record that is about to become durable.
    fn take(&mut self, record: &Record) -> Checked {
        match record {
            Record::Boot { gateway, boot, .. } => {
                rule!(self.boots.insert((*gateway, boot.clone())), "a boot for the second time");
            }
            Record::BootOver { gateway } | Record::GatewayStop { gateway, .. } => {
                rule!(self.image.gateways.contains_key(gateway), "a gateway that never was");
            }
            Record::Published { gateway, emitter, publish_seq } => {
                let gateway = self.image.gateways.get(gateway).ok_or("a gateway that never was")?;
                let older = gateway.emitters.get(emitter);
                rule!(older.is_none_or(|older| older < publish_seq), "{older:?} before");
            }
            Record::Started { incarnation, event, .. } => {
                let newest = self.started.keys().last().copied().unwrap_or(0);
                rule!(*incarnation > newest, "the newest is {newest}");
                self.started.insert(*incarnation, event.clone());
            }
            Record::Decided { incarnation, event, .. } => {
                rule!(self.started.contains_key(incarnation), "never started");
                rule!(self.decided.insert(*incarnation, event.clone()).is_none(), "decided before");
            }
            Record::Entry { subscriber, incarnation } => {
                rule!(self.image.lives.contains_key(incarnation), "never started, or forgotten");
                rule!(self.image.subscribers.contains_key(subscriber), "nobody subscribed");
            }
            Record::Subscribed { stream_epoch, .. } => {
                rule!(*stream_epoch > self.newest_epoch, "the newest is {}", self.newest_epoch);
                self.newest_epoch = *stream_epoch;
            }
            Record::Unsubscribed { subscriber } => {
                rule!(self.image.subscribers.contains_key(subscriber), "nobody subscribed");
            }
            _ => {}
        }
        Ok(())
    }

    /// Judges what leaves, at the moment when exactly the records of its call and those before are durable.
    fn let_out(&mut self, output: &Output, effects: bool) -> Checked {
        match output {
            Output::Message { subscriber, message, .. } => self.let_message_out(subscriber, message),
            Output::Attached { gateway, boot } => {
                let known = self.image.gateways.values().any(|it| *it.id == **gateway && *it.boot == **boot);
                rule!(known, "an answer before its boot is durable");
                Ok(())
            }
            Output::Receipt { gateway, emitter, through } => {
                let gateway = self.image.gateways.values().find(|it| *it.id == **gateway);
                let durable = gateway.and_then(|it| it.emitters.get(*emitter));
                rule!(!effects || durable == Some(through), "effects, and durable is {durable:?}");
                Ok(())
            }
        }
    }

    fn let_message_out(&mut self, subscriber: &str, message: &Message) -> Checked {
        match message {
            Message::Welcome(welcome) => {
                let mut known = self.image.subscribers.values();
                let durable = known.find(|it| it.hello.subscriber_id == subscriber);
                let durable = durable.map(|known| known.stream_epoch);
                rule!(durable == Some(welcome.stream_epoch), "durable is {durable:?}");
            }
            Message::Events(batch) => {
                for event in &batch.events {
                    self.let_event_out(subscriber, batch.kind(), event)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn let_event_out(&mut self, subscriber: &str, kind: BatchKind, event: &v1::Event) -> Checked {
        let life = event.session.as_ref().map_or(0, |session| session.incarnation);
        let durable = match &event.payload {
            Some(Payload::SessionStart(_)) => {
                let entry = self.entry(subscriber, life);
                let open = matches!(entry, Some(EntryState::Open | EntryState::StartSettled));
                rule!(open, "the start of {life} leaves, and durable is {entry:?}");
                let again = kind == BatchKind::Redelivered && entry == Some(EntryState::StartSettled);
                rule!(!again, "the start of {life} again, behind a settlement that was durable");
                self.handed.insert((subscriber.into(), life));
                self.started.get(&life)
            }
            Some(Payload::SessionEnd(_)) => {
                let entry = self.entry(subscriber, life);
                let open = matches!(entry, Some(EntryState::Open | EntryState::StartSettled));
                rule!(open, "the end of {life} leaves, and durable is {entry:?}");
                let handed = self.handed.contains(&(subscriber.into(), life));
                rule!(handed, "the end of {life} for one who was handed no start");
                self.decided.get(&life)
            }
            _ => return Ok(()),
        };
        let durable = durable.ok_or_else(|| format!("{} leaves before it is durable", event.id))?;
        let kept = v1::EventBatch::decode(durable.clone()).map_err(|error| error.to_string())?;
        rule!(kept.events.as_slice() == [event.clone()], "durable is {kept:?}");
        Ok(())
    }

    fn entry(&self, subscriber: &str, life: u64) -> Option<EntryState> {
        let mut known = self.image.subscribers.iter();
        let (number, _) = known.find(|(_, known)| known.hello.subscriber_id == subscriber)?;
        self.image.entries.get(&(life, *number)).copied()
    }
}
