//! A journal that commits late: what a call caused leaves the process only once the call's records are durable.
//!
//! It loses every record that may be lost, so nothing that leaves may lean on one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use hookwire_protocol::v1::{self, event::Payload, subscribe_response::Message};
use prost::Message as _;

use super::{Checked, rule};
use crate::{fanout::registry::SubscriberIx, serve::stream::StreamId, settle::journal::Record};

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
    outputs: Vec<Output>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    /// How many calls are not committed yet, at most.
    pub(super) lag: usize,
    pending: VecDeque<Call>,
    boots: BTreeSet<(Box<str>, Box<str>)>,
    published: BTreeMap<(Box<str>, Box<str>), u64>,
    started: BTreeMap<u64, Bytes>,
    decided: BTreeMap<u64, Bytes>,
    entries: BTreeSet<(Box<str>, u64)>,
    epochs: BTreeMap<Box<str>, u64>,
    /// Whom a number names.
    names: BTreeMap<SubscriberIx, Box<str>>,
}

impl Journal {
    pub(super) fn new(lag: usize) -> Self {
        Self { lag, ..Self::default() }
    }

    pub(super) fn append(&mut self, records: Vec<Record>, outputs: Vec<Output>) {
        self.pending.push_back(Call { records, outputs });
    }

    /// Commits all but the last calls; says what has left by that, by stream: the last seq of each batch.
    pub(super) fn commit(&mut self) -> Checked<Vec<(StreamId, u64)>> {
        let mut left = Vec::new();
        while self.pending.len() > self.lag {
            let Some(call) = self.pending.pop_front() else { break };
            let effects = call.records.iter().any(|record| {
                matches!(record, Record::Started { .. } | Record::Decided { .. } | Record::Ended { .. })
            });
            for record in call.records.into_iter().filter(|record| !record.may_be_lost()) {
                let text = format!("{record:?}");
                self.take(record).map_err(|error| format!("{text}: {error}"))?;
            }
            for output in call.outputs {
                if let Output::Message { stream, message, .. } = &output
                    && let Message::Events(batch) = &**message
                {
                    left.push((*stream, batch.first_seq + batch.events.len() as u64 - 1));
                }
                self.let_out(&output, effects).map_err(|error| format!("{output:?}: {error}"))?;
            }
        }
        Ok(left)
    }

    fn take(&mut self, record: Record) -> Checked {
        match record {
            Record::Boot { gateway, boot } => {
                self.published.retain(|(published, _), _| *published != gateway); // a boot counts anew
                rule!(self.boots.insert((gateway, boot)), "a boot for the second time");
            }
            Record::BootOver { gateway, boot } => {
                rule!(self.boots.contains(&(gateway, boot)), "a boot that never was");
            }
            Record::Published { gateway, emitter, publish_seq } => {
                let older = self.published.insert((gateway, emitter), publish_seq);
                rule!(older.is_none_or(|older| older < publish_seq), "{older:?} before");
            }
            Record::Started { incarnation, event, .. } => {
                let newest = self.started.keys().last().copied().unwrap_or(0);
                rule!(incarnation > newest, "the newest is {newest}");
                self.started.insert(incarnation, event);
            }
            Record::Decided { incarnation, event } => {
                rule!(self.started.contains_key(&incarnation), "never started");
                rule!(self.decided.insert(incarnation, event).is_none(), "decided before");
            }
            Record::Entry { subscriber, incarnation } => {
                rule!(self.started.contains_key(&incarnation), "never started");
                let name = self.names.get(&subscriber).ok_or("nobody subscribed")?;
                self.entries.insert((name.clone(), incarnation));
            }
            Record::Subscribed { name, subscriber, stream_epoch } => {
                let newest = self.epochs.values().max().copied().unwrap_or(0);
                rule!(stream_epoch > newest, "the newest is {newest}");
                self.epochs.insert(name.clone(), stream_epoch);
                self.names.insert(subscriber, name);
            }
            Record::Released { subscriber } => {
                let name = self.names.remove(&subscriber).ok_or("nobody subscribed")?;
                self.entries.retain(|(holder, _)| *holder != name);
            }
            Record::Ended { .. } | Record::StartSettled { .. } | Record::Closed { .. } => {}
        }
        Ok(())
    }

    /// Judges what leaves, at the moment when exactly the records of its call and those before are durable.
    fn let_out(&self, output: &Output, effects: bool) -> Checked {
        match output {
            Output::Message { subscriber, message, .. } => self.let_message_out(subscriber, message),
            Output::Attached { gateway, boot } => {
                let known = self.boots.contains(&((*gateway).into(), boot.as_str().into()));
                rule!(known, "an answer before its boot is durable");
                Ok(())
            }
            Output::Receipt { gateway, emitter, through } => {
                let durable = self.published.get(&((*gateway).into(), (*emitter).into()));
                rule!(!effects || durable == Some(through), "effects, and durable is {durable:?}");
                Ok(())
            }
        }
    }

    fn let_message_out(&self, subscriber: &str, message: &Message) -> Checked {
        match message {
            Message::Welcome(welcome) => {
                let durable = self.epochs.get(subscriber);
                rule!(durable == Some(&welcome.stream_epoch), "durable is {durable:?}");
            }
            Message::Events(batch) => {
                for event in &batch.events {
                    self.let_event_out(subscriber, event)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn let_event_out(&self, subscriber: &str, event: &v1::Event) -> Checked {
        let life = event.session.as_ref().map_or(0, |session| session.incarnation);
        let durable = match &event.payload {
            Some(Payload::SessionStart(_)) => {
                let entry = self.entries.contains(&(subscriber.into(), life));
                rule!(entry, "the start of {life} leaves before its entry is durable");
                self.started.get(&life)
            }
            Some(Payload::SessionEnd(_)) => {
                let entry = self.entries.contains(&(subscriber.into(), life));
                rule!(entry, "the end of {life} leaves without an entry");
                self.decided.get(&life)
            }
            _ => return Ok(()),
        };
        let durable = durable.ok_or_else(|| format!("{} leaves before it is durable", event.id))?;
        let kept = v1::EventBatch::decode(durable.clone()).map_err(|error| error.to_string())?;
        rule!(kept.events.as_slice() == [event.clone()], "durable is {kept:?}");
        Ok(())
    }
}
