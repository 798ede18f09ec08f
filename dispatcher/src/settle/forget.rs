//! A subscriber is forgotten on purpose: it said so itself, an operator did, or it stayed away for too long.

use super::journal::Record;
use crate::{
    drain::Outcome,
    fanout::registry::SubscriberIx,
    machine::{Effect, Machine, Now, Refused},
};

/// A subscriber that was forgotten, and what it had been due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) subscriber: Box<str>,
    /// For a person to read.
    pub(crate) why: &'static str,
    /// Open entries that were closed.
    pub(crate) entries: u64,
    /// Those of them whose end was decided.
    pub(crate) owed: u64,
}

impl Machine {
    /// An operator lets go of all that a subscriber is owed.
    ///
    /// # Errors
    /// Nobody is known by this name, or it is connected.
    pub(crate) fn forget(&mut self, now: Now, id: &str) -> Result<Forgotten, Refused> {
        self.now = now;
        if self.stopping {
            return Err(Refused::Stopping);
        }
        let Some(ix) = self.registry.find(id) else {
            return Err(Refused::NotFound(format!("no subscriber {id:?} is known")));
        };
        if self.registry.at(ix).stream.is_some() {
            return Err(Refused::Connected { subscriber: id.to_owned() });
        }
        Ok(self.release(ix, "an operator said so"))
    }

    /// Closes every entry of a subscriber without a stream, and forgets it.
    pub(crate) fn release(&mut self, ix: SubscriberIx, why: &'static str) -> Forgotten {
        let subscriber = self.registry.at(ix);
        let (mut open, wanted): (Vec<_>, Vec<_>) =
            (subscriber.marks.open().collect(), subscriber.marks.wanted().collect());
        let (number, id, entries) = (subscriber.number, subscriber.id.clone(), open.len() as u64);
        let owed = self.registry.get(ix).map_or(0, |subscriber| self.owed(subscriber) as u64);
        // What a drain has given up goes first: with the last that it still awaits, it would count no more.
        open.sort_by_key(|slot| !self.closings.has_given_up(ix, self.lives.life_ref(*slot)));
        open.into_iter().for_each(|slot| self.close_entry(ix, slot, Outcome::Rejected));
        for slot in wanted {
            if self.lives.at(slot).alive() {
                self.cancel_start(ix, slot);
            } else {
                self.let_go_of_start(ix, slot);
            }
        }
        self.forget_backlog(ix);
        self.record(Record::Unsubscribed { subscriber: number });
        self.forget_in_closings(ix);
        self.registry.remove(ix);
        self.counters.entries_released += entries;
        self.counters.subscribers_forgotten += 1;
        let forgotten = Forgotten { subscriber: id, why, entries, owed };
        self.effect(Effect::Forgotten(forgotten.clone()));
        forgotten
    }
}
