//! What became of deliveries that are settled, by event id: a bounded memory. Pure.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::{HashMap, hash_map::Entry};

use crate::outcome::Outcome;

/// How many ids a plugin remembers: some 20 MB where it comes to that.
pub(crate) const REMEMBERED: usize = 100_000;

/// The newest settled ids and their outcomes; the oldest is forgotten first.
#[derive(Debug)]
pub(crate) struct Memory {
    capacity: usize,
    outcomes: HashMap<Arc<str>, Outcome>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Memory {
    /// Holds at most `capacity` ids.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, outcomes: HashMap::new(), oldest_first: VecDeque::new() }
    }

    /// Remembers what became of an event. The first outcome stays. A retry is none to remember.
    pub(crate) fn remember(&mut self, id: Arc<str>, outcome: Outcome) {
        if !outcome.settles() {
            return;
        }
        let Entry::Vacant(unknown) = self.outcomes.entry(id) else { return };
        self.oldest_first.push_back(unknown.key().clone());
        unknown.insert(outcome);
        if self.oldest_first.len() > self.capacity
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.outcomes.remove(&oldest);
        }
    }

    /// What became of it, where that is known.
    pub(crate) fn recall(&self, id: &str) -> Option<&Outcome> {
        self.outcomes.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recalls_the_first_outcome() {
        let mut memory = Memory::new(2);
        memory.remember("a".into(), Outcome::Accepted);
        memory.remember("a".into(), Outcome::Ok);
        assert_eq!(memory.recall("a"), Some(&Outcome::Accepted));
        assert_eq!(memory.recall("b"), None);
    }

    #[test]
    fn a_retry_is_not_remembered() {
        let mut memory = Memory::new(2);
        memory.remember("a".into(), Outcome::retry("later"));
        assert_eq!(memory.recall("a"), None);
        memory.remember("a".into(), Outcome::reject("no", ""));
        assert_eq!(memory.recall("a"), Some(&Outcome::reject("no", "")));
    }

    #[test]
    fn forgets_the_oldest() {
        let mut memory = Memory::new(2);
        for id in ["a", "b", "a", "c"] {
            memory.remember(id.into(), Outcome::Ok);
        }
        assert_eq!(["a", "b", "c"].map(|id| memory.recall(id).is_some()), [false, true, true]);
        assert_eq!(memory.outcomes.len(), memory.oldest_first.len());
    }
}
