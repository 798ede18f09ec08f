//! The machine: ledger, queues and drains without sockets, clocks, randomness or tasks.
//!
//! Inputs and the time go in as calls; what is to happen comes out as return values, as [`Frame`]s when a stream
//! [pulls](Machine::pull), and as the [`Record`]s and [`Effect`]s of a [`Step`]. Each stage adds its own
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
        backlog::Log,
        forget::Forgotten,
        journal::{RanSeconds, Record, SubscriberNumber},
        lives::{LifeRef, Lives},
        retention::NEVER,
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
    /// When a RETRY that names no delay is written again, the first one in a row.
    pub retry_after: Duration,
    /// Each further one waits twice as long, and no longer than this.
    pub retry_after_max: Duration,
    /// For how long an end that is owed is kept, at most.
    pub retention_age: RanSeconds,
    /// How much of what is owed to one subscriber is kept, at most, in bytes.
    pub retention_bytes: u64,
    /// How much is kept for one subscriber with retention ALL, at most, in bytes.
    pub retention_all_bytes: u64,
    /// After how long a subscriber that is away is forgotten.
    pub forget_after: RanSeconds,
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
    /// What this gateway listed as alive is not acted on.
    ListDropped { gateway: String, why: &'static str },
    /// This subscriber is not known any more.
    Forgotten(Forgotten),
    /// This drain has ended.
    Drained(Ticket, v1::DrainReport),
}

/// What a call left behind. The effects may happen once the records are durable.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// There is a journal.
    recording: bool,
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
}

impl Step {
    fn new(recording: bool) -> Self {
        Self { recording, ..Self::default() }
    }

    /// This is to survive.
    pub(crate) fn record(&mut self, record: Record) {
        if self.recording {
            self.records.push(record);
        }
    }

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
    /// There is no such gateway or subscriber, or the gateway is in another boot.
    #[error("{0}")]
    NotFound(String),
    /// Only who is away can be forgotten.
    #[error("subscriber {subscriber:?} is connected: stop it first, and forget it then")]
    Connected { subscriber: String },
    /// Too many of something.
    #[error("{0}")]
    Exhausted(String),
    /// The journal could not be written.
    #[error("the journal failed, and nothing is taken in until the dispatcher is restarted: {0}")]
    Journal(String),
    /// Only what is in a journal can be handed over.
    #[error("the ledger is in memory, where no successor finds it: drain instead, or serve with a journal")]
    InMemory,
    /// Nobody carries a handover out.
    #[error(
        "nobody here carries a handover out: the dispatcher is stopping, or is part of its gateway's process"
    )]
    Embedded,
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
    pub(crate) sources: BTreeMap<SourceId, (GatewayIx, Box<str>)>,
    pub(crate) registry: Registry,
    pub(crate) streams: HashMap<StreamId, SubscriberIx>,
    pub(crate) lives: Lives,
    pub(crate) closings: Closings,
    pub(crate) counters: Counters,
    /// What is being taken in.
    pub(crate) lot: Lot,
    pub(crate) hooks: Hooks,
    /// What retention ALL keeps, and for how many subscribers.
    pub(crate) log: Log,
    /// What was answered RETRY, by when it is due again.
    pub(crate) retries: BTreeMap<(Duration, u64), (StreamId, LifeRef)>,
    /// When deliveries are next looked through for an overdue answer.
    pub(crate) next_overdue_check: Option<Duration>,
    /// When an end that is owed is next too old, or a subscriber was away for too long, at the earliest.
    pub(crate) retention_due: RanSeconds,
    pub(crate) stopping: bool,
    pub(crate) step: Step,
    /// How many boots there were.
    pub(crate) boots: u32,
    incarnations: u64,
    positions: u64,
    stream_epochs: u32,
    subscribers: SubscriberNumber,
    /// How long dispatchers had run on this ledger before this one.
    ran_before: Duration,
}

impl Machine {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            ran_before: Duration::ZERO,
            now: Now::default(),
            gateways: Gateways::default(),
            sources: BTreeMap::new(),
            registry: Registry::default(),
            streams: HashMap::new(),
            lives: Lives::default(),
            closings: Closings::default(),
            counters: Counters::default(),
            lot: Lot::default(),
            hooks: Hooks::default(),
            log: Log::default(),
            retries: BTreeMap::new(),
            next_overdue_check: None,
            retention_due: NEVER,
            stopping: false,
            step: Step::new(settings.durable),
            boots: 0,
            incarnations: 0,
            positions: 0,
            stream_epochs: 0,
            subscribers: 0,
            settings,
        }
    }

    /// Goes on from what was given out before, from how long dispatchers have run, and from the last place that anybody
    /// remembers.
    pub(crate) fn resume_counters(
        &mut self,
        incarnation: u64,
        subscriber: SubscriberNumber,
        ran: RanSeconds,
        position: u64,
    ) {
        (self.incarnations, self.subscribers, self.positions) = (incarnation, subscriber, position);
        self.ran_before = Duration::from_secs(ran.into());
    }

    /// What the calls since the last one left behind.
    #[cfg(test)]
    pub(crate) fn take_step(&mut self) -> Step {
        let next = Step::new(self.settings.durable);
        std::mem::replace(&mut self.step, next)
    }

    /// When [`Machine::tick`] is next needed.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        let retry = self.retries.keys().next().map(|(at, _)| *at);
        let (loss, deadline) = (self.gateways.next_loss(), self.closings.next_deadline());
        let all = [loss, deadline, retry, self.next_overdue_check, self.next_retention()];
        all.into_iter().flatten().min()
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Now) {
        self.now = now;
        self.lose_gateways();
        self.write_retries_again();
        self.count_overdue();
        self.close_at_deadline();
        self.look_after_retention();
    }

    pub(crate) fn record(&mut self, record: Record) {
        self.step.record(record);
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

    /// Increasing, never reused.
    pub(crate) fn next_subscriber_number(&mut self) -> SubscriberNumber {
        self.subscribers += 1;
        self.subscribers
    }

    /// How long dispatchers have run on this ledger.
    pub(crate) fn ran(&self) -> RanSeconds {
        self.ran_at(self.now)
    }

    /// How long they will have run then.
    pub(crate) fn ran_at(&self, now: Now) -> RanSeconds {
        (self.ran_before + now.mono).as_secs() as RanSeconds // in 32 bits: 136 years
    }

    /// When dispatchers will have run for so long, since the machine was made; zero where they had before.
    pub(crate) fn moment(&self, ran: RanSeconds) -> Duration {
        Duration::from_secs(ran.into()).saturating_sub(self.ran_before)
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
