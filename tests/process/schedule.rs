//! Random schedules of a gateway's sessions, and a model of what they come to that knows nothing of ledgers.

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::cast::gateway;

/// Session ids in use: few, so that they meet often.
const IDS: usize = 6;

/// Why a gateway ends a session.
const REASONS: [&str; 6] = ["new", "reset", "idle", "daily", "deleted", "compaction"];

/// A schedule under way: what was fired, and what is alive now.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: StdRng,
    boot: usize,
    /// Sessions that live, by id.
    alive: HashSet<String>,
    /// What the gateway has ended in this boot, and not started again.
    ended: HashSet<String>,
    /// How often each id has lived.
    lives: BTreeMap<String, usize>,
    fired: usize,
}

/// Which schedules are played: those of `HOOKWIRE_SEED`, or new ones.
pub(crate) fn seeds(count: usize) -> Vec<u64> {
    match std::env::var("HOOKWIRE_SEED") {
        Ok(seed) => vec![seed.parse().expect("HOOKWIRE_SEED is a number")],
        Err(_) => (0..count).map(|_| u64::from(rand::random::<u32>())).collect(),
    }
}

impl Schedule {
    /// Nothing was fired yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            boot: 0,
            alive: HashSet::new(),
            ended: HashSet::new(),
            lives: BTreeMap::new(),
            fired: 0,
        }
    }

    /// The next firings, about so many.
    pub(crate) fn fire(&mut self, count: usize) -> Vec<Value> {
        (0..count).flat_map(|_| self.step()).collect()
    }

    /// The process goes away, and another comes: what was alive is over, and what was ended may live again.
    pub(crate) fn next_boot(&mut self) {
        self.boot += 1;
        self.alive.clear();
        self.ended.clear();
    }

    /// How often each id has lived.
    pub(crate) fn lives(&self) -> &BTreeMap<String, usize> {
        &self.lives
    }

    /// How many sessions are open.
    pub(crate) fn open(&self) -> usize {
        self.alive.len()
    }

    fn step(&mut self) -> Vec<Value> {
        self.fired += 1;
        let id = format!("s{}", self.random.random_range(0..IDS));
        let name = format!("m{}", self.fired);
        match self.random.random_range(0..12) {
            0..=1 => vec![self.start(&id)],
            2 => vec![self.start(&id), self.start(&id)],
            3 => vec![self.end(&id)],
            4 => self.reset(&id),
            5 => vec![self.delete(&id)],
            6 => self.duplicate_end(&id),
            7 => vec![gateway::keyed_message(&gateway::key(&id), &name)],
            8 => vec![gateway::mark(&name)],
            _ => vec![self.message(&id, &name)],
        }
    }

    fn start(&mut self, id: &str) -> Value {
        self.ended.remove(id);
        self.begin(id);
        gateway::start(id)
    }

    fn begin(&mut self, id: &str) {
        if self.alive.insert(id.to_owned()) {
            *self.lives.entry(id.to_owned()).or_default() += 1;
        }
    }

    fn end(&mut self, id: &str) -> Value {
        let reason = REASONS[self.random.random_range(0..REASONS.len())];
        self.over(id);
        gateway::end(id, reason)
    }

    fn over(&mut self, id: &str) {
        self.alive.remove(id);
        self.ended.insert(id.to_owned());
    }

    /// Keeps the id, as a gateway does.
    fn reset(&mut self, id: &str) -> Vec<Value> {
        self.over(id);
        let mut end = gateway::end(id, "reset");
        end["event"]["nextSessionId"] = json!(id);
        let mut start = self.start(id);
        start["event"]["resumedFrom"] = json!(id);
        vec![end, start]
    }

    fn delete(&mut self, id: &str) -> Value {
        self.over(id);
        gateway::end(id, "deleted")
    }

    fn duplicate_end(&mut self, id: &str) -> Vec<Value> {
        let end = self.end(id);
        vec![end.clone(), end]
    }

    /// Starts what nobody has started, but not what the gateway has ended.
    fn message(&mut self, id: &str, name: &str) -> Value {
        if !self.ended.contains(id) {
            self.begin(id);
        }
        gateway::message(id, name)
    }
}

#[test]
fn the_model_knows_the_rules() {
    let mut schedule = Schedule::new(0);
    schedule.message("unknown", "m");
    schedule.start("twice");
    schedule.start("twice");
    schedule.end("never-started");
    schedule.message("never-started", "late");
    schedule.reset("twice");
    let expected: HashMap<_, _> = [("unknown", 1), ("twice", 2)].into();
    let lives: HashMap<_, _> = schedule.lives().iter().map(|(id, count)| (id.as_str(), *count)).collect();
    assert_eq!(lives, expected);
    assert_eq!(schedule.open(), 2);
    schedule.next_boot();
    schedule.message("never-started", "m");
    assert_eq!(schedule.lives()["never-started"], 1);
}
