//! What became of events that are settled, by event id, so that one that comes again is answered and not handled again.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::{HashMap, hash_map::Entry};

use crate::outcome::{BoxError, Outcome};

/// How many ids a plugin remembers by itself: some 20 MB where it comes to that.
const REMEMBERED: usize = 100_000;

/// Where a plugin remembers its answers. [`MemoryStore`] by default, which a crash forgets; one on disk goes in with
/// [`store`](crate::PluginBuilder::store).
///
/// The order is: the handler, then `put`, then the Ack. A crash between the handler and `put` has the event handled
/// again, so an effect that must happen once is keyed on (ledger, incarnation) or on the event's id all the same.
///
/// It is asked about starts and ends (with a retention of ALL about every event), in the task that reads the stream: a call
/// that takes long holds up the plugin.
pub trait Store: Send {
    /// The answer that was put under this id.
    ///
    /// # Errors
    /// Any: the event counts as new then.
    fn get(&mut self, event_id: &str) -> Result<Option<Outcome>, BoxError>;

    /// Remembers an answer: OK, ACCEPTED or REJECT, never RETRY. One that is there stays, under the ledger and the stream
    /// of this call.
    ///
    /// # Errors
    /// Any: a start or an end is answered RETRY then.
    fn put(
        &mut self,
        event_id: &str,
        answer: &Outcome,
        ledger_id: &str,
        stream_epoch: u64,
    ) -> Result<(), BoxError>;

    /// Drops what is of another ledger, and what was last put under an earlier stream of this one: nothing of an earlier
    /// stream comes again.
    ///
    /// # Errors
    /// Any: what is not dropped only takes room.
    fn forget(&mut self, ledger_id: &str, stream_epoch: u64) -> Result<(), BoxError>;
}

/// The newest 100,000 ids; the oldest is forgotten first.
#[derive(Debug)]
pub struct MemoryStore {
    capacity: usize,
    answers: HashMap<Arc<str>, Answered>,
    oldest_first: VecDeque<Arc<str>>,
    /// Of the last that was put: all share it, as a rule.
    ledger: Arc<str>,
}

#[derive(Debug)]
struct Answered {
    answer: Outcome,
    ledger: Arc<str>,
    stream_epoch: u64,
}

impl MemoryStore {
    /// Holds at most `capacity` ids.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, answers: HashMap::new(), oldest_first: VecDeque::new(), ledger: "".into() }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(REMEMBERED)
    }
}

impl Store for MemoryStore {
    fn get(&mut self, event_id: &str) -> Result<Option<Outcome>, BoxError> {
        Ok(self.answers.get(event_id).map(|answered| answered.answer.clone()))
    }

    fn put(
        &mut self,
        event_id: &str,
        answer: &Outcome,
        ledger_id: &str,
        stream_epoch: u64,
    ) -> Result<(), BoxError> {
        if *self.ledger != *ledger_id {
            self.ledger = ledger_id.into();
        }
        let ledger = self.ledger.clone();
        match self.answers.entry(event_id.into()) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                (known.ledger, known.stream_epoch) = (ledger, stream_epoch);
            }
            Entry::Vacant(unknown) => {
                self.oldest_first.push_back(unknown.key().clone());
                unknown.insert(Answered { answer: answer.clone(), ledger, stream_epoch });
            }
        }
        if self.oldest_first.len() > self.capacity
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.answers.remove(&oldest);
        }
        Ok(())
    }

    fn forget(&mut self, ledger_id: &str, stream_epoch: u64) -> Result<(), BoxError> {
        let stays = |it: &mut Answered| *it.ledger == *ledger_id && it.stream_epoch >= stream_epoch;
        self.answers.retain(|_, answered| stays(answered));
        self.oldest_first.retain(|id| self.answers.contains_key(id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(store: &mut MemoryStore, ids: &[&str]) -> Vec<bool> {
        ids.iter().map(|id| store.get(id).expect("memory").is_some()).collect()
    }

    #[test]
    fn the_first_answer_stays() {
        let mut store = MemoryStore::new(2);
        store.put("a", &Outcome::Accepted, "here", 1).expect("memory");
        store.put("a", &Outcome::Ok, "here", 2).expect("memory");
        assert_eq!(store.get("a").expect("memory"), Some(Outcome::Accepted));
        assert_eq!(store.get("b").expect("memory"), None);
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut store = MemoryStore::new(2);
        for id in ["a", "b", "a", "c"] {
            store.put(id, &Outcome::Ok, "here", 1).expect("memory");
        }
        assert_eq!(known(&mut store, &["a", "b", "c"]), [false, true, true]);
        assert_eq!(store.answers.len(), store.oldest_first.len());
    }

    #[test]
    fn forgets_what_is_of_another_ledger_or_an_earlier_stream() {
        let mut store = MemoryStore::default();
        for (id, ledger, stream) in [("a", "there", 9), ("b", "here", 1), ("c", "here", 1), ("d", "here", 2)]
        {
            store.put(id, &Outcome::Ok, ledger, stream).expect("memory");
        }
        store.put("c", &Outcome::Ok, "here", 2).expect("memory");
        store.forget("here", 2).expect("memory");
        assert_eq!(known(&mut store, &["a", "b", "c", "d"]), [false, false, true, true]);
        assert_eq!(store.oldest_first.len(), 2);
    }
}
