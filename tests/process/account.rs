//! What one subscriber was handed, and whether that keeps the promise.

use std::collections::{BTreeMap, HashMap, HashSet};

use hookwire_protocol::hook;

use crate::cast::line::{Delivery, deliveries};

/// The lives that one subscriber saw, over all its processes.
#[derive(Debug, Default)]
pub(crate) struct Account {
    name: String,
    /// By incarnation: the start's event id, and the session's.
    starts: HashMap<u64, (String, String)>,
    /// By incarnation: the end's event id.
    ends: HashMap<u64, String>,
    /// Boots whose gateway_stop was handed over, in order.
    stops: Vec<String>,
    /// The names of ordinary events, in order.
    names: Vec<String>,
}

impl Account {
    /// Reads the lines that one subscriber's processes printed, one after the other.
    ///
    /// # Panics
    /// When their order breaks the promise, or an event id is not what it should be.
    pub(crate) fn of(name: &str, processes: &[Vec<String>]) -> Self {
        let mut account = Self { name: name.to_owned(), ..Self::default() };
        for delivery in processes.iter().flat_map(|lines| deliveries(lines)) {
            account.enter(&delivery);
        }
        account.event_ids_are_distinct();
        account
    }

    fn enter(&mut self, delivery: &Delivery) {
        let incarnation = delivery.session.incarnation;
        let over = self.stops.contains(&delivery.boot);
        let allowed = delivery.late || delivery.kind == "redelivered" || delivery.hook == hook::GATEWAY_STOP;
        assert!(!over || allowed, "{}: behind its gateway_stop: {delivery:?}", self.name);
        match delivery.hook.as_str() {
            hook::SESSION_START => self.enter_start(delivery),
            hook::SESSION_END => self.enter_end(delivery),
            hook::GATEWAY_STOP => self.stops.push(delivery.boot.clone()),
            _ => {
                let ended = self.ends.contains_key(&incarnation);
                assert!(delivery.late || !ended, "{}: behind its end, not late: {delivery:?}", self.name);
                self.names.push(delivery.payload["name"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    fn enter_start(&mut self, delivery: &Delivery) {
        let incarnation = delivery.session.incarnation;
        assert!(incarnation > 0, "{}: {delivery:?}", self.name);
        // A dispatcher that was killed may have forgotten a settlement: that costs a redelivery.
        let again = delivery.kind == "redelivered" && self.starts.contains_key(&incarnation);
        let over = self.ends.contains_key(&incarnation);
        assert!(again || !over, "{}: behind its end: {delivery:?}", self.name);
        let entry = (delivery.event_id.clone(), delivery.session.id.clone());
        let known = self.starts.entry(incarnation).or_insert_with(|| entry.clone());
        assert_eq!(*known, entry, "{}: two starts of one life", self.name);
    }

    fn enter_end(&mut self, delivery: &Delivery) {
        let incarnation = delivery.session.incarnation;
        assert!(self.starts.contains_key(&incarnation), "{}: no start before {delivery:?}", self.name);
        let known = self.ends.entry(incarnation).or_insert_with(|| delivery.event_id.clone());
        assert_eq!(*known, delivery.event_id, "{}: two ends of one life", self.name);
    }

    fn event_ids_are_distinct(&self) {
        let all = self.starts.values().map(|(id, _)| id).chain(self.ends.values());
        let distinct: HashSet<_> = all.collect();
        assert_eq!(distinct.len(), self.starts.len() + self.ends.len(), "{}: an id is used twice", self.name);
    }

    /// Asserts that each life that it saw start, it saw end.
    pub(crate) fn every_life_ended(&self) {
        let ghosts: Vec<_> = self.starts.iter().filter(|(life, _)| !self.ends.contains_key(life)).collect();
        assert!(ghosts.is_empty(), "{}: never ended: {ghosts:?}", self.name);
    }

    /// How often it saw each session live.
    pub(crate) fn lives(&self) -> BTreeMap<String, usize> {
        let mut lives = BTreeMap::new();
        for (_, session) in self.starts.values() {
            *lives.entry(session.clone()).or_default() += 1;
        }
        lives
    }

    /// The incarnations that it saw start.
    pub(crate) fn started(&self) -> HashSet<u64> {
        self.starts.keys().copied().collect()
    }

    /// How many lives it saw end.
    pub(crate) fn ended(&self) -> usize {
        self.ends.len()
    }

    /// The boots whose gateway_stop it was handed, in order.
    pub(crate) fn stops(&self) -> &[String] {
        &self.stops
    }

    /// The names of the ordinary events that it was handed, in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}
