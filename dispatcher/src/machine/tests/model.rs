//! The naive model: what the contract says, as maps and sets.
//!
//! It shares nothing with the machine but the wire's types. Lives are numbered 1, 2, 3 … as the ledger's counter does.

mod closing;
mod gateway;
mod plugin;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hookwire_protocol::v1::{self, SessionEndReason};

pub(super) use self::{
    closing::Order,
    plugin::{Delivered, Delivery, Plugin, Stop, Stream},
};
use self::{
    closing::{Closing, Waiter},
    gateway::Gateway,
};

/// The machine's settings, as far as the model needs them.
pub(super) const GRACE: Duration = Duration::from_secs(2);
pub(super) const BUDGET: Duration = Duration::from_secs(1);
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);
pub(super) const WINDOW: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: Duration,
    /// Counts all that happens: the order of all things.
    pub(super) clock: u64,
    pub(super) stopping: bool,
    pub(super) lives: BTreeMap<u64, Life>,
    pub(super) gateways: BTreeMap<usize, Gateway>,
    /// Those that are known, connected or away.
    pub(super) plugins: BTreeMap<usize, Plugin>,
    /// Every event but starts and ends, by the number in its payload.
    pub(super) told: BTreeMap<u64, Told>,
    /// Every stream_epoch that was told, by when its stream began.
    pub(super) stream_epochs: BTreeMap<u64, u64>,
    /// Reports that are due now: the drain's number, and what it has to say.
    pub(super) reports: Vec<(usize, v1::DrainReport)>,
    /// Gateways that were ever drained.
    pub(super) drained: BTreeSet<usize>,
    closings: Vec<Closing>,
    waiters: Vec<Waiter>,
    closings_made: usize,
    drains: usize,
}

/// One life of one session.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) gateway: usize,
    pub(super) boot: String,
    pub(super) id: &'static str,
    pub(super) key: &'static str,
    pub(super) agent: &'static str,
    pub(super) synthetic: bool,
    /// The last session_seq.
    pub(super) seq: u64,
    pub(super) end: Option<End>,
    /// The start as it was first seen on the wire.
    pub(super) start_seen: Option<v1::Event>,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) reason: SessionEndReason,
    /// By the clock.
    pub(super) decided: u64,
    /// As it was first seen on the wire.
    pub(super) seen: Option<v1::Event>,
}

/// One event that is neither start nor end.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) gateway: usize,
    pub(super) boot: String,
    pub(super) hook: &'static str,
    /// Id, key and agent.
    pub(super) session: Option<(&'static str, &'static str, &'static str)>,
    /// The incarnations that it may name: more than one where the contract leaves it open.
    pub(super) incarnations: Vec<u64>,
    pub(super) late: bool,
    pub(super) seq: u64,
    /// By the clock.
    pub(super) at: u64,
    pub(super) seen: Option<v1::Event>,
}

impl Model {
    /// The next moment in the order of all things.
    pub(super) fn tick_clock(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Duration) {
        self.now = now;
        self.lose_gateways();
        self.reach_deadlines();
    }

    /// When something is due by the clock on the wall, at the latest.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let losses = self.gateways.values().filter_map(|gateway| gateway.lost_at);
        let streams = self.plugins.values().filter_map(|plugin| plugin.stream.as_ref());
        let retries = streams.flat_map(|stream| stream.retries.values().copied());
        let retries = retries.filter(|at| *at > self.now);
        losses.chain(retries).chain(self.deadlines()).min()
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = (u64, &Life)> {
        self.lives.iter().filter(|(_, life)| life.end.is_none()).map(|(number, life)| (*number, life))
    }

    pub(super) fn is_alive(&self, life: u64) -> bool {
        self.lives[&life].end.is_none()
    }

    fn begin_life(
        &mut self,
        gateway: usize,
        (id, key, agent): (&'static str, &'static str, &'static str),
        synthetic: bool,
    ) -> u64 {
        let number = self.lives.len() as u64 + 1;
        let boot = self.gateways[&gateway].boot.clone();
        let life = Life { gateway, boot, id, key, agent, synthetic, seq: 1, end: None, start_seen: None };
        self.lives.insert(number, life);
        for plugin in self.plugins.values_mut() {
            if plugin.wants.lifecycle() && plugin.wants.session(key, agent) {
                plugin.wanted.insert(number);
            }
        }
        number
    }

    /// The first end decided wins; a start that nobody is there to take goes with it.
    fn decide(&mut self, life: u64, reason: SessionEndReason) {
        let decided = self.tick_clock();
        let held = self.lives.get_mut(&life).unwrap();
        assert!(held.end.is_none());
        held.end = Some(End { reason, decided, seen: None });
        for plugin in self.plugins.values_mut().filter(|plugin| plugin.stream.is_none()) {
            plugin.wanted.remove(&life);
        }
    }

    /// Earlier lives of the same id or key whose end is decided, due to this plugin, and not yet written.
    pub(super) fn blockers(&self, plugin: &Plugin, life: u64, written: &BTreeSet<u64>) -> BTreeSet<u64> {
        let later = &self.lives[&life];
        let due = plugin.entries.keys().chain(&plugin.wanted).copied();
        due.filter(|earlier| {
            let held = &self.lives[earlier];
            let named = held.id == later.id || (!held.key.is_empty() && held.key == later.key);
            *earlier < life
                && held.gateway == later.gateway
                && named
                && held.end.is_some()
                && !written.contains(earlier)
        })
        .collect()
    }
}
