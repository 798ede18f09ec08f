//! What is remembered of answers, and when: the rules around a [`Store`].

use std::sync::Arc;

use tracing::warn;

use crate::{event::StreamFacts, outcome::Outcome, store::Store};

/// A plugin's answers.
pub(crate) struct Memory {
    store: Box<dyn Store>,
    /// Any event may come again; otherwise only starts and ends do.
    all: bool,
    facts: Arc<StreamFacts>,
}

impl Memory {
    /// What this store knows.
    pub(crate) fn new(store: Box<dyn Store>, all: bool) -> Self {
        Self { store, all, facts: Arc::default() }
    }

    /// From now on, answers are put under this stream.
    pub(crate) fn begin_stream(&mut self, facts: Arc<StreamFacts>) {
        self.facts = facts;
    }

    /// What was answered to this event, where that is known. It is known under the present stream from now on.
    pub(crate) fn recall(&mut self, id: &str, is_lifecycle: bool) -> Option<Outcome> {
        if !(self.all || is_lifecycle) {
            return None;
        }
        let known = self.store.get(id).unwrap_or_else(|error| {
            warn!(event = id, %error, "the store does not answer: handled as if it were new");
            None
        })?;
        Some(self.keep(id, is_lifecycle, known))
    }

    /// Remembers an answer that is about to be given. A start or an end that cannot be remembered is not done: that comes
    /// again.
    pub(crate) fn keep(&mut self, id: &str, is_lifecycle: bool, answer: Outcome) -> Outcome {
        if !(self.all || is_lifecycle) || !answer.settles() {
            return answer;
        }
        let put = self.store.put(id, &answer, &self.facts.ledger_id, self.facts.stream_epoch);
        match put {
            Err(error) if is_lifecycle => Outcome::retry(format!("the answer cannot be stored: {error}")),
            Err(error) => {
                warn!(event = id, %error, "the answer cannot be stored");
                answer
            }
            Ok(()) => answer,
        }
    }

    /// Nothing that was put under an earlier stream comes again.
    pub(crate) fn forget_earlier(&mut self) {
        if let Err(error) = self.store.forget(&self.facts.ledger_id, self.facts.stream_epoch) {
            warn!(%error, "the store forgets nothing");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::BoxError, store::MemoryStore};

    struct Full;

    impl Store for Full {
        fn get(&mut self, _: &str) -> Result<Option<Outcome>, BoxError> {
            Err("unreadable".into())
        }

        fn put(&mut self, _: &str, _: &Outcome, _: &str, _: u64) -> Result<(), BoxError> {
            Err("full".into())
        }

        fn forget(&mut self, _: &str, _: u64) -> Result<(), BoxError> {
            Err("read-only".into())
        }
    }

    #[test]
    fn only_what_comes_again_is_remembered() {
        let mut memory = Memory::new(Box::new(MemoryStore::default()), false);
        memory.keep("start", true, Outcome::Accepted);
        memory.keep("message", false, Outcome::Ok);
        memory.keep("retried", true, Outcome::retry("later"));
        assert_eq!(memory.recall("start", true), Some(Outcome::Accepted));
        assert_eq!(memory.recall("message", false), None);
        assert_eq!(memory.recall("retried", true), None);

        let mut all = Memory::new(Box::new(MemoryStore::default()), true);
        all.keep("message", false, Outcome::Ok);
        assert_eq!(all.recall("message", false), Some(Outcome::Ok));
    }

    #[test]
    fn what_cannot_be_stored_is_not_done() {
        let mut memory = Memory::new(Box::new(Full), true);
        assert_eq!(memory.recall("start", true), None);
        assert_eq!(
            memory.keep("start", true, Outcome::Ok),
            Outcome::retry("the answer cannot be stored: full")
        );
        assert_eq!(memory.keep("message", false, Outcome::Ok), Outcome::Ok);
        memory.forget_earlier();
    }

    #[test]
    fn what_came_again_is_kept_over_the_next_streams() {
        let mut memory = Memory::new(Box::new(MemoryStore::default()), false);
        let stream = |stream_epoch| {
            Arc::new(StreamFacts { ledger_id: "here".to_owned(), stream_epoch, ..Default::default() })
        };
        memory.begin_stream(stream(1));
        memory.keep("again", true, Outcome::Ok);
        memory.keep("once", true, Outcome::Ok);
        memory.begin_stream(stream(2));
        assert_eq!(memory.recall("again", true), Some(Outcome::Ok));
        memory.forget_earlier();
        assert_eq!(memory.recall("again", true), Some(Outcome::Ok));
        assert_eq!(memory.recall("once", true), None);
    }
}
