//! The machine: ledger, queues and drains without sockets, clocks, randomness or tasks.
//!
//! Inputs and the time go in as calls; what is to happen comes out as return values, as [`Frame`]s when a stream
//! [pulls](Machine::pull), and as the [`Record`]s and [`Effect`]s of [`Machine::take_step`]. Each stage adds its own
//! transitions: `emit/publish.rs`, `serve/subscription.rs`, `serve/pull.rs`, `serve/write.rs`, `settle/`, `drain.rs`.
//!
//! [`Frame`]: crate::serve::frame::Frame

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use hookwire_protocol::v1::{self, GoodbyeReason};

use crate::{
    drain::{Closings, Ticket},
    emit::{
        boots::{GatewayIx, Gateways, SourceId},
        lot::Lot,
    },
    fanout::{
        catalogue::Hooks,
        registry::{Registry, SubscriberIx},
    },
    metrics::Counters,
    serve::{
        frame::Frame,
        stream::{Stream, StreamId},
    },
    settle::{
        journal::Record,
        lives::{LifeRef, Lives},
    },
};

/// How often deliveries are looked through for an overdue answer.
pub(crate) const OVERDUE_CHECK: Duration = Duration::from_secs(1);

/// When a peer should come back whose stream was ended for no fault of its own.
pub(crate) const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// A moment, told by whoever drives the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the machine was made, on a monotonic clock.
    pub mono: Duration,
    /// By the wall clock, in nanoseconds since the Unix epoch.
    pub unix_nano: u64,
}

/// What the machine is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The ledger's random name.
    pub ledger_id: String,
    /// How many times this ledger's dispatcher has started: the high half of every stream_epoch.
    pub epoch: u32,
    /// What is owed survives the process.
    pub durable: bool,
    /// After how long an unanswered delivery is counted as timed out.
    pub ack_timeout: Duration,
    /// How long a drain waits by default.
    pub drain_budget: Duration,
    /// How long a gateway may be gone before it counts as lost.
    pub gateway_grace: Duration,
    /// When a RETRY that names no delay is written again.
    pub retry_after: Duration,
    /// The most events that one subscriber's queue holds.
    pub queue_events: usize,
    /// The most bytes that one subscriber's queue holds.
    pub queue_bytes: u64,
    /// The window of a subscriber that names none, and the largest that is granted.
    pub max_in_flight: u32,
    /// The largest event that is taken in, in bytes.
    pub max_event_bytes: u32,
}

/// Something that is to happen, besides frames.
#[derive(Debug)]
pub(crate) enum Effect {
    /// This stream has something to pull.
    Ready(StreamId),
    /// This stream has lost its place: its last frame.
    Dismiss(StreamId, Frame),
    /// This gateway's stream is over.
    EndSource(SourceId, GoodbyeReason),
    /// This gateway has been away for longer than its grace.
    GatewayLost(String),
    /// This drain has ended.
    Drained(Ticket, v1::DrainReport),
}

/// What a call left behind. The effects may happen once the records are durable.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
}

impl Step {
    /// The stream has something to pull.
    pub(crate) fn wake(&mut self, stream: &mut Stream) {
        if stream.wake() {
            self.effects.push(Effect::Ready(stream.id));
        }
    }
}

/// Why somebody is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// What came makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Another instance has taken this one's place.
    #[error(
        "instance {instance:?} of subscriber {subscriber:?} was displaced by a newer one that is connected: \
         do not reconnect"
    )]
    Displaced { subscriber: String, instance: String },
    /// The boot has ended.
    #[error("boot {boot:?} of gateway {gateway:?} is over: a new process needs a new boot_id")]
    BootOver { gateway: String, boot: String },
    /// There is no such gateway, or it is in another boot.
    #[error("{0}")]
    NotFound(String),
    /// Too many of something.
    #[error("{0}")]
    Exhausted(String),
    /// The dispatcher is on its way out.
    #[error("the dispatcher is stopping: come back in a second")]
    Stopping,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) settings: Settings,
    pub(crate) now: Now,
    pub(crate) gateways: Gateways,
    /// Who publishes on which stream: the gateway and the emitter.
    pub(crate) sources: HashMap<SourceId, (GatewayIx, Box<str>)>,
    pub(crate) registry: Registry,
    pub(crate) streams: HashMap<StreamId, SubscriberIx>,
    pub(crate) lives: Lives,
    pub(crate) closings: Closings,
    pub(crate) counters: Counters,
    /// What is being taken in.
    pub(crate) lot: Lot,
    pub(crate) hooks: Hooks,
    /// What was answered RETRY, by when it is due again.
    pub(crate) retries: BTreeMap<(Duration, u64), (StreamId, LifeRef)>,
    /// When deliveries are next looked through for an overdue answer.
    pub(crate) next_overdue_check: Option<Duration>,
    pub(crate) stopping: bool,
    pub(crate) step: Step,
    /// How many boots there were.
    pub(crate) boots: u32,
    incarnations: u64,
    positions: u64,
    stream_epochs: u32,
}

impl Machine {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: Now::default(),
            gateways: Gateways::default(),
            sources: HashMap::new(),
            registry: Registry::default(),
            streams: HashMap::new(),
            lives: Lives::default(),
            closings: Closings::default(),
            counters: Counters::default(),
            lot: Lot::default(),
            hooks: Hooks::default(),
            retries: BTreeMap::new(),
            next_overdue_check: None,
            stopping: false,
            step: Step::default(),
            boots: 0,
            incarnations: 0,
            positions: 0,
            stream_epochs: 0,
        }
    }

    /// What the calls since the last one left behind.
    pub(crate) fn take_step(&mut self) -> Step {
        std::mem::take(&mut self.step)
    }

    /// When [`Machine::tick`] is next needed.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        let retry = self.retries.keys().next().map(|(at, _)| *at);
        [self.gateways.next_loss(), self.closings.next_deadline(), retry, self.next_overdue_check]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Now) {
        self.now = now;
        self.lose_gateways();
        self.write_retries_again();
        self.count_overdue();
        self.close_at_deadline();
    }

    pub(crate) fn record(&mut self, record: Record) {
        self.step.records.push(record);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    /// The next place in the order of all things.
    pub(crate) fn next_position(&mut self) -> u64 {
        self.positions += 1;
        self.positions
    }

    /// The last place that was given out.
    pub(crate) fn position(&self) -> u64 {
        self.positions
    }

    /// Increasing, never reused.
    pub(crate) fn next_incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    /// Larger for every accepted Subscribe.
    pub(crate) fn next_stream_epoch(&mut self) -> u64 {
        self.stream_epochs += 1;
        u64::from(self.settings.epoch) << 32 | u64::from(self.stream_epochs)
    }

    /// The subscriber has something to pull, if it is connected.
    pub(crate) fn wake(&mut self, ix: SubscriberIx) {
        if let Some(stream) = &mut self.registry.at(ix).stream {
            self.step.wake(stream);
        }
    }

    fn count_overdue(&mut self) {
        let now = self.now.mono;
        if self.next_overdue_check.is_none_or(|at| at > now) {
            return;
        }
        let mut unanswered = false;
        for (_, subscriber) in self.registry.iter_mut() {
            let Some(stream) = &mut subscriber.stream else { continue };
            let overdue = stream.overdue(now, self.settings.ack_timeout);
            subscriber.timed_out += overdue;
            self.counters.ack_timeouts += overdue;
            unanswered |= stream.awaits_answers();
        }
        self.next_overdue_check = unanswered.then(|| now + OVERDUE_CHECK);
    }
}

#[cfg(test)]
mod tests;
