//! A plugin comes, takes over, goes.

use std::collections::VecDeque;

use hookwire_protocol::v1::{GapCause, GoodbyeReason, WhenFull, subscribe_request, subscribe_response};

use super::{
    frame::Frame,
    stream::{Due, Stream, StreamId, Turn},
};
use crate::{
    fanout::{
        filter::Filter,
        registry::{Subscriber, SubscriberIx},
    },
    machine::{Effect, Machine, Now, Refused},
    metrics::Counters,
    queue::{Lost, Queue},
    settle::{journal::Record, lives::Slot, retention::Limits},
};

/// The longest subscriber_id or instance_id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Subscribers that one dispatcher knows, connected or away.
const MAX_SUBSCRIBERS: usize = 4096;

/// The largest message that stock gRPC clients take in, in bytes; with the default settings none is larger.
const STOCK_MESSAGE_BYTES: u32 = 4 << 20;

/// What a message carries beyond its largest event, in bytes: a batch takes its last event at just under 64 KiB.
const ENVELOPE_BYTES: u32 = 128 << 10;

impl Machine {
    /// A plugin says Hello. What it is to get is then [pulled](Machine::pull).
    ///
    /// # Errors
    /// A malformed Hello, an instance that was displaced, or too many subscribers.
    pub(crate) fn subscribe(
        &mut self,
        now: Now,
        id: StreamId,
        hello: &subscribe_request::Hello,
    ) -> Result<(), Refused> {
        self.now = now;
        if self.stopping {
            return Err(Refused::Stopping);
        }
        check_ids(hello)?;
        let filter =
            Filter::new(&hello.hooks, hello.filter.clone().unwrap_or_default()).map_err(Refused::Invalid)?;
        let found = self.registry.find(&hello.subscriber_id);
        let ix = match found {
            Some(ix) => self.take_over(ix, hello)?,
            None => self.register(hello, filter.clone())?,
        };
        let stream_epoch = self.next_stream_epoch();
        let subscriber = self.registry.at(ix).number;
        self.record(Record::Subscribed { subscriber, hello: Box::new(durable(hello)), stream_epoch });
        self.begin_stream(ix, id, hello, filter);
        self.plan_replay(ix);
        let welcome = self.welcome(ix, found.is_some(), stream_epoch);
        if let Some(stream) = &mut self.registry.at(ix).stream {
            stream.control.push_front(subscribe_response::Message::Welcome(welcome));
        }
        self.notify_of_drains(ix);
        self.wake(ix);
        Ok(())
    }

    /// A stream is gone. `release`: the plugin lets go of all that it is owed.
    pub(crate) fn leave(&mut self, now: Now, id: StreamId, release: bool) {
        self.now = now;
        let Some(ix) = self.streams.get(&id).copied() else { return };
        self.end_stream(ix);
        self.registry.at(ix).forgive_displaced();
        if release {
            self.release(ix, "it said so");
        }
    }

    /// Ends every stream once what is due before its Goodbye is written.
    pub(crate) fn farewell(&mut self, now: Now, goodbye: &subscribe_response::Goodbye) {
        self.now = now;
        for ix in self.registry.indices() {
            let subscriber = self.registry.at(ix);
            let Some(stream) = &mut subscriber.stream else { continue };
            let due = stream.first.drain(..).chain(stream.live.drain(..));
            let told = |turn: &Turn| matches!(turn.due, Due::GatewayStop(..) | Due::Control(_));
            let (told, untold): (VecDeque<_>, VecDeque<_>) = due.partition(told);
            stream.first = told;
            stream.goodbye.get_or_insert_with(|| goodbye.clone());
            let mut lost = Lost::default();
            untold.iter().filter_map(Turn::event).for_each(|event| lost.add_all(event));
            subscriber.lose(GapCause::Drain, lost, &mut self.counters);
            self.wake(ix);
        }
    }

    fn take_over(
        &mut self,
        ix: SubscriberIx,
        hello: &subscribe_request::Hello,
    ) -> Result<SubscriberIx, Refused> {
        let subscriber = self.registry.at(ix);
        if subscriber.is_displaced(&hello.instance_id) {
            let (subscriber, instance) = (hello.subscriber_id.clone(), hello.instance_id.clone());
            return Err(Refused::Displaced { subscriber, instance });
        }
        let Some(older) = subscriber.stream.as_ref().map(|stream| stream.id) else { return Ok(ix) };
        subscriber.displace(&hello.instance_id);
        self.counters.takeovers += 1;
        let goodbye = subscribe_response::Goodbye {
            reason: GoodbyeReason::Displaced.into(),
            reconnect_after_ms: 0,
            text: format!("instance {:?} has taken over: do not reconnect", hello.instance_id),
        };
        self.effect(Effect::Dismiss(older, Frame::control(subscribe_response::Message::Goodbye(goodbye))));
        self.end_stream(ix);
        Ok(ix)
    }

    fn register(
        &mut self,
        hello: &subscribe_request::Hello,
        filter: Filter,
    ) -> Result<SubscriberIx, Refused> {
        if self.registry.len() >= MAX_SUBSCRIBERS {
            let text = format!("{MAX_SUBSCRIBERS} subscribers are known: no room for another");
            return Err(Refused::Exhausted(text));
        }
        let queue = self.queue(WhenFull::DropOldest);
        let number = self.next_subscriber_number();
        let limits = Limits::granted(hello.retention, &self.settings);
        Ok(self.registry.insert(Subscriber::new(&hello.subscriber_id, number, filter, queue, limits)))
    }

    pub(crate) fn queue(&self, when_full: WhenFull) -> Queue {
        Queue::new(self.settings.queue_events, self.settings.queue_bytes, when_full)
    }

    fn begin_stream(
        &mut self,
        ix: SubscriberIx,
        id: StreamId,
        hello: &subscribe_request::Hello,
        filter: Filter,
    ) {
        let when_full = match hello.when_full() {
            WhenFull::Unspecified => WhenFull::DropOldest,
            policy => policy,
        };
        let most = self.settings.max_in_flight;
        let window = if hello.max_in_flight == 0 { most } else { hello.max_in_flight.min(most) };
        let (began, queue) = (self.position(), self.queue(when_full));
        let limits = Limits::granted(hello.retention, &self.settings);
        let subscriber = self.registry.at(ix);
        (subscriber.account.limits, subscriber.away_since) = (limits, None);
        let refiltered = !subscriber.filter.is_same(&filter);
        subscriber.filter = filter;
        subscriber.wanted_hooks.clear();
        subscriber.when_full = when_full;
        subscriber.queue = queue;
        self.refresh_backlog(ix, refiltered);
        let subscriber = self.registry.at(ix);
        subscriber.stream = Some(Stream::new(id, hello.instance_id.clone(), began, hello.announce, window));
        self.streams.insert(id, ix);
        self.retention_changed(ix);
    }

    fn welcome(&self, ix: SubscriberIx, known: bool, stream_epoch: u64) -> subscribe_response::Welcome {
        let mut welcome = subscribe_response::Welcome {
            ledger_id: self.settings.ledger_id.clone(),
            dispatcher_epoch: self.settings.epoch,
            stream_epoch,
            known,
            ack_timeout_ms: self.settings.ack_timeout.as_millis() as u32,
            drain_budget_ms: self.settings.drain_budget.as_millis() as u32,
            max_message_bytes: STOCK_MESSAGE_BYTES.max(self.settings.max_event_bytes + ENVELOPE_BYTES),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        let Some(subscriber) = self.registry.get(ix) else { return welcome };
        (welcome.granted_hooks, welcome.unknown_hooks) = subscriber.filter.granted(self.hooks.names());
        welcome.filter = Some(subscriber.filter.wire().clone());
        welcome.ends_owed = self.owed(subscriber) as u64;
        welcome.starts_to_replay = subscriber.marks.unsettled_len() as u64;
        welcome.max_in_flight = subscriber.stream.as_ref().map_or(0, Stream::window);
        welcome.set_when_full(subscriber.when_full);
        welcome.retention = Some(subscriber.account.limits.wire());
        welcome
    }

    /// Ends that are decided and wait: of open entries, and with retention ALL also of lives whose start waits.
    pub(crate) fn owed(&self, subscriber: &Subscriber) -> usize {
        let ended = |slot: &Slot| !self.lives.at(*slot).alive();
        let wanted = subscriber.marks.wanted().filter(|slot| subscriber.keeps_all() && ended(slot));
        subscriber.marks.open().filter(ended).count() + wanted.count()
    }

    /// The stream is no more: what was on its way to it is gone, what it is owed stays.
    fn end_stream(&mut self, ix: SubscriberIx) {
        let subscriber = self.registry.at(ix);
        let Some(stream) = subscriber.stream.take() else { return };
        self.streams.remove(&stream.id);
        let mut lost = subscriber.queue.shed_all();
        let taken_along = stream.first.iter().chain(&stream.live).filter_map(Turn::event);
        taken_along.for_each(|event| lost.add_all(event));
        lost.merge(stream.into_lost());
        if !subscriber.keeps_all() {
            subscriber.lose(GapCause::Away, lost, &mut self.counters);
        }
        subscriber.marks.forget_written(|slot| !self.lives.at(slot).alive());
        subscriber.waiting.clear();
        let number = subscriber.number;
        self.forget_retries(ix);
        let ended = |slot: &Slot| !self.lives.at(*slot).alive();
        let subscriber = self.registry.at(ix);
        let (keeps_all, marks) = (subscriber.keeps_all(), &subscriber.marks);
        let cancelled: Vec<_> = marks.wanted().filter(|slot| !keeps_all && ended(slot)).collect();
        cancelled.into_iter().for_each(|slot| self.cancel_start(ix, slot));
        let ran = self.ran();
        self.registry.at(ix).away_since = Some(ran);
        self.retention_changed(ix);
        self.record(Record::Left { subscriber: number, ran });
        self.stream_ended_in_closings(ix);
    }
}

impl Subscriber {
    /// Loses what the queue still holds of one life, because a drain leaves no time for it.
    pub(crate) fn shed_life(&mut self, incarnation: u64, decided: u64, counters: &mut Counters) {
        let mut lost = Lost::default();
        self.queue.take_life(incarnation, decided).iter().for_each(|event| lost.add_all(event));
        self.lose(GapCause::Drain, lost, counters);
    }
}

/// What is to survive of a Hello: the rest is the stream's, and some of it has no bound but the message's.
fn durable(hello: &subscribe_request::Hello) -> subscribe_request::Hello {
    subscribe_request::Hello {
        subscriber_id: hello.subscriber_id.clone(),
        hooks: hello.hooks.clone(),
        filter: hello.filter.clone(),
        retention: hello.retention,
        ..Default::default()
    }
}

fn check_ids(hello: &subscribe_request::Hello) -> Result<(), Refused> {
    let (subscriber, instance) = (hello.subscriber_id.len(), hello.instance_id.len());
    if subscriber == 0 || subscriber > MAX_ID_BYTES {
        return Err(Refused::Invalid(format!(
            "subscriber_id: it has 1 to {MAX_ID_BYTES} bytes, not {subscriber}"
        )));
    }
    if instance > MAX_ID_BYTES {
        return Err(Refused::Invalid(format!(
            "instance_id: it has at most {MAX_ID_BYTES} bytes, not {instance}"
        )));
    }
    Ok(())
}
