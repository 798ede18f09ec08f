//! The registry: every subscriber that is known, connected or away.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use hookwire_protocol::v1::{GapCause, RetentionKind, WhenFull};

use super::filter::Filter;
use crate::{
    metrics::Counters,
    queue::{Lost, Queue},
    serve::stream::Stream,
    settle::{
        backlog::Backlog,
        journal::{RanSeconds, SubscriberNumber},
        lives::{LifeRef, Slot},
        marks::Marks,
        retention::{Account, Limits},
        retry::Retry,
    },
};

/// A subscriber's index in the registry; used again once it is forgotten.
pub(crate) type SubscriberIx = usize;

/// Displaced instances that are remembered while the one that displaced them is connected.
const MAX_DISPLACED: usize = 64;

/// One subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) id: Box<str>,
    /// Which the journal knows it by.
    pub(crate) number: SubscriberNumber,
    pub(crate) filter: Filter,
    pub(crate) when_full: WhenFull,
    pub(crate) marks: Marks,
    /// `None` while it is away.
    pub(crate) stream: Option<Stream>,
    pub(crate) queue: Queue,
    /// Starts that wait for the end of an earlier life, by that life's slot.
    pub(crate) waiting: HashMap<Slot, Vec<LifeRef>>,
    /// Lives whose start or end was answered RETRY, and not otherwise since.
    pub(crate) retrying: HashMap<LifeRef, Retry>,
    /// What is owed to it, and for how long.
    pub(crate) account: Account,
    /// What retention ALL keeps for it beside that: what its queue holds, and what it has not answered.
    pub(crate) backlog: Backlog,
    /// How long dispatchers had run when its last stream ended; `None` while it has one.
    pub(crate) away_since: Option<RanSeconds>,
    /// What was lost and not told yet, by cause.
    gaps: BTreeMap<i32, Lost>,
    displaced: VecDeque<String>,
    /// Whether it wants events of a hook, by the hook's index. Grows as hooks are seen.
    pub(crate) wanted_hooks: Vec<bool>,
    pub(crate) last_ack: Option<Duration>,
    pub(crate) acked: u64,
    pub(crate) timed_out: u64,
    pub(crate) lost: u64,
}

impl Subscriber {
    pub(crate) fn new(
        id: &str,
        number: SubscriberNumber,
        filter: Filter,
        queue: Queue,
        limits: Limits,
    ) -> Self {
        Self {
            id: id.into(),
            number,
            filter,
            when_full: WhenFull::DropOldest,
            marks: Marks::default(),
            stream: None,
            queue,
            waiting: HashMap::new(),
            retrying: HashMap::new(),
            account: Account::new(limits),
            backlog: Backlog::default(),
            away_since: None,
            gaps: BTreeMap::new(),
            displaced: VecDeque::new(),
            wanted_hooks: Vec::new(),
            last_ack: None,
            acked: 0,
            timed_out: 0,
            lost: 0,
        }
    }

    /// Whether every event that it wants is kept until it is settled.
    pub(crate) fn keeps_all(&self) -> bool {
        self.account.limits.kind == RetentionKind::All
    }

    /// Counts what is lost; the next frame tells it. Every loss goes through here: a Gap, and a metric.
    pub(crate) fn lose(&mut self, cause: GapCause, lost: Lost, counters: &mut Counters) {
        if lost.events > 0 {
            self.lost += lost.events;
            counters.deliveries_lost += lost.events;
            self.gaps.entry(cause as i32).or_default().merge(lost);
        }
    }

    /// The next loss that is to be told.
    pub(crate) fn take_gap(&mut self) -> Option<(i32, Lost)> {
        self.gaps.pop_first()
    }

    /// Lives whose start or end waits to be written again.
    pub(crate) fn waiting_retries(&self) -> impl Iterator<Item = &LifeRef> {
        self.retrying.iter().filter(|(_, retry)| retry.waits.is_some()).map(|(life, _)| life)
    }

    /// An instance that was displaced stays out while the one that displaced it is connected.
    pub(crate) fn is_displaced(&self, instance: &str) -> bool {
        self.stream.is_some() && self.displaced.iter().any(|displaced| displaced == instance)
    }

    /// Remembers the present instance as displaced by another.
    pub(crate) fn displace(&mut self, by: &str) {
        let instance = self.stream.as_ref().map(|stream| stream.instance.clone()).unwrap_or_default();
        self.displaced.retain(|displaced| displaced != by);
        if !instance.is_empty() && instance != by {
            self.displaced.push_back(instance);
            if self.displaced.len() > MAX_DISPLACED {
                self.displaced.pop_front();
            }
        }
    }

    /// Nobody is connected: nobody is refused for having been displaced.
    pub(crate) fn forgive_displaced(&mut self) {
        self.displaced.clear();
    }
}

/// All subscribers.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    subscribers: Vec<Option<Subscriber>>,
    by_id: BTreeMap<Box<str>, SubscriberIx>,
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn find(&self, id: &str) -> Option<SubscriberIx> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn insert(&mut self, subscriber: Subscriber) -> SubscriberIx {
        let free = self.subscribers.iter().position(Option::is_none);
        let ix = free.unwrap_or_else(|| {
            self.subscribers.push(None);
            self.subscribers.len() - 1
        });
        self.by_id.insert(subscriber.id.clone(), ix);
        self.subscribers[ix] = Some(subscriber);
        ix
    }

    pub(crate) fn remove(&mut self, ix: SubscriberIx) {
        if let Some(subscriber) = self.subscribers[ix].take() {
            self.by_id.remove(&subscriber.id);
        }
    }

    pub(crate) fn get(&self, ix: SubscriberIx) -> Option<&Subscriber> {
        self.subscribers.get(ix)?.as_ref()
    }

    /// A subscriber that is known to be here.
    pub(crate) fn at(&mut self, ix: SubscriberIx) -> &mut Subscriber {
        self.subscribers[ix].as_mut().expect("streams and drains name only subscribers that are here")
    }

    /// The indices in use.
    pub(crate) fn indices(&self) -> impl Iterator<Item = SubscriberIx> + use<> {
        let used: Vec<_> = self.by_id.values().copied().collect();
        used.into_iter()
    }

    /// All, with their indices.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SubscriberIx, &mut Subscriber)> {
        self.subscribers
            .iter_mut()
            .enumerate()
            .filter_map(|(ix, subscriber)| Some((ix, subscriber.as_mut()?)))
    }

    /// All, in order of their ids.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = (SubscriberIx, &Subscriber)> {
        self.by_id.values().filter_map(|ix| Some((*ix, self.get(*ix)?)))
    }
}
