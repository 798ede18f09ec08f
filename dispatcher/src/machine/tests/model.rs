//! The naive model: what the contract says, as maps and sets.
//!
//! It shares nothing with the machine but the wire's types. Lives are numbered 1, 2, 3 … as the ledger's counter does.

mod closing;
mod crash;
mod gateway;
mod plugin;
mod retention;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hookwire_protocol::v1::{self, SessionEndReason};

pub(super) use self::{
    closing::Order,
    gateway::Listed,
    plugin::{Delivered, Delivery, Plugin, Stop, Stream},
    retention::Kept,
};
use self::{
    closing::{Closing, Waiter},
    crash::Was,
    gateway::Gateway,
};

/// The machine's settings, as far as the model needs them.
pub(super) const GRACE: Duration = Duration::from_secs(2);
pub(super) const BUDGET: Duration = Duration::from_secs(1);
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_millis(1_700);
pub(super) const RETENTION_AGE: u64 = 8;
pub(super) const RETENTION_BYTES: u64 = 4_000;
pub(super) const FORGET_AFTER: u64 = 20;
pub(super) const WINDOW: u32 = 4;

#[derive(Clone, Debug, Default)]
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
    /// The size of each life's start, as it is encoded.
    pub(super) start_sizes: BTreeMap<u64, u64>,
    /// The size of each life's end, and its place among all decisions: gateways that are lost at the same moment have no
    /// order.
    pub(super) end_sizes: BTreeMap<u64, (u64, u64)>,
    /// Entries that expired, and plugins that were forgotten.
    pub(super) expired: u64,
    pub(super) forgotten: u64,
    /// Counts of what expired that a crash may lose: of whom, and what it was before.
    counts: Vec<(usize, (u64, u64))>,
    /// The seconds that dispatchers had run before this one.
    ran_before: u64,
    closings: Vec<Closing>,
    waiters: Vec<Waiter>,
    closings_made: usize,
    drains: usize,
    /// Counts what a publication does to sessions: an emitter's last number is journaled together with that.
    effects: u64,
    /// What was settled, and what it was before: the newest may be lost by a crash.
    settlements: Vec<(usize, u64, Was)>,
}

/// One life of one session.
#[derive(Clone, Debug)]
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

#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) reason: SessionEndReason,
    /// By the clock.
    pub(super) decided: u64,
    /// In whole seconds.
    pub(super) since: u64,
    /// As it was first seen on the wire.
    pub(super) seen: Option<v1::Event>,
}

/// One event that is neither start nor end.
#[derive(Clone, Debug)]
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
    /// As it was seen before a crash, after which it was published again.
    pub(super) id: Option<String>,
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
        self.keep_to_retention();
    }

    /// When something is due by the clock on the wall, at the latest.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let losses = self.gateways.values().filter_map(|gateway| gateway.lost_at);
        let streams = self.plugins.values().filter_map(|plugin| plugin.stream.as_ref());
        let retries = streams.flat_map(|stream| stream.retries.values().copied());
        let retries = retries.filter(|at| *at > self.now);
        losses.chain(retries).chain(self.deadlines()).chain(self.next_expiry()).min()
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
        self.effects += 1;
        for plugin in self.plugins.values_mut() {
            if plugin.wants.lifecycle() && plugin.wants.session(key, agent) {
                plugin.wanted.insert(number);
            }
        }
        number
    }

    /// The first end decided wins; a start that nobody is there to take goes with it.
    fn decide(&mut self, life: u64, reason: SessionEndReason) {
        let (decided, since) = (self.tick_clock(), self.seconds());
        let held = self.lives.get_mut(&life).unwrap();
        assert!(held.end.is_none());
        held.end = Some(End { reason, decided, since, seen: None });
        self.effects += 1;
        let away = self.plugins.iter().filter(|(_, it)| it.stream.is_none() && it.wanted.contains(&life));
        for ix in away.map(|(ix, _)| *ix).collect::<Vec<_>>() {
            self.settles(ix, life);
            self.plugins.get_mut(&ix).unwrap().handed_or_not(life);
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
