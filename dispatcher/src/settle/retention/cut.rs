//! What goes of a log: with retention ALL, events and owed ends are let go of by whole sessions, the oldest first.

use std::collections::HashMap;

use super::{AT_ONCE, NEVER};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::Machine,
    queue::run::Item,
    settle::{
        journal::{RanSeconds, Untold},
        lives::{LifeRef, Lives},
    },
};

/// A cut for want of room leaves so many parts of what may be kept, less one: each has to look through all of it.
const CUT: u64 = 8;

/// What is too old in a log goes in so many steps, over the time that it is kept.
const STEPS: RanSeconds = 1000;

impl Machine {
    /// Lets go of the oldest sessions of a log: what is kept of their events, and what is owed of them.
    pub(super) fn cut(&mut self, ix: SubscriberIx, gone: &mut Untold) -> RanSeconds {
        let (ran, at) = (self.ran(), self.next_cut(ix));
        let Self { registry, lives, .. } = self;
        let subscriber = registry.at(ix);
        let fits = subscriber.kept_bytes() <= subscriber.account.limits.bytes;
        let at = if fits { at.max(subscriber.account.cut_again) } else { at };
        if at > ran {
            return at;
        }
        let cut = Cut::of(subscriber, lives, ran);
        gone.events.merge(subscriber.backlog.shed(|event| cut.takes(event)));
        subscriber.queue.shed(|event| cut.takes(event));
        subscriber.account.cut_again =
            ran + if cut.is_full() { 1 } else { 1 + subscriber.account.limits.age / STEPS };
        let again = subscriber.account.cut_again;
        self.record_backlog(ix);
        for life in cut.lives.into_values() {
            let ended = self.lives.get(life).is_some_and(|held| !held.alive());
            if ended && self.registry.at(ix).marks.holds(life.slot) {
                self.expire_life(ix, life.slot, gone);
            }
        }
        self.next_cut(ix).max(again)
    }

    /// When the oldest of a log is too old, or at once where there is too much of it.
    fn next_cut(&mut self, ix: SubscriberIx) -> RanSeconds {
        let owed = self.first_owed(ix).map(|(_, owed)| owed.since);
        let subscriber = self.registry.at(ix);
        let oldest = owed.into_iter().chain(subscriber.backlog.oldest()).min();
        oldest.map_or(NEVER, |since| subscriber.goes_at(since))
    }
}

/// What goes of a log.
#[derive(Default)]
struct Cut {
    /// Of these sessions all, by incarnation.
    lives: HashMap<u64, LifeRef>,
    /// Of events that belong to no session, those up to this place.
    through: u64,
}

/// Something that is kept: an event, or an end with its start.
struct Entry {
    position: u64,
    since: RanSeconds,
    life: LifeRef,
    bytes: u64,
}

impl Cut {
    /// The oldest sessions, until what is left is young enough and fits, with some room to spare.
    fn of(subscriber: &Subscriber, lives: &Lives, ran: RanSeconds) -> Self {
        let limits = subscriber.account.limits;
        let mut sizes = HashMap::<_, u64>::new();
        for entry in subscriber.log(lives) {
            *sizes.entry(entry.life.incarnation).or_default() += entry.bytes;
        }
        let kept = subscriber.kept_bytes();
        let room = if kept > limits.bytes { limits.bytes - limits.bytes / CUT } else { limits.bytes };
        let (mut cut, mut left) = (Self::default(), kept);
        for Entry { position, since, life, bytes } in subscriber.log(lives) {
            if (left <= room && since.saturating_add(limits.age) > ran) || cut.is_full() {
                break;
            }
            if life.incarnation == 0 {
                left = left.saturating_sub(bytes);
                cut.through = position;
            } else if cut.lives.insert(life.incarnation, life).is_none() {
                left = left.saturating_sub(sizes[&life.incarnation]);
            }
        }
        cut
    }

    /// So much goes at once, and no more.
    fn is_full(&self) -> bool {
        self.lives.len() as u64 == AT_ONCE
    }

    fn takes(&self, event: &Item) -> bool {
        match event.life.incarnation {
            0 => event.position <= self.through,
            incarnation => self.lives.contains_key(&incarnation),
        }
    }
}

impl Subscriber {
    /// All that is kept, in the order in which it happened.
    fn log<'a>(&'a self, lives: &'a Lives) -> impl Iterator<Item = Entry> + 'a {
        let event = |(item, since, bytes): (&Item, RanSeconds, u64)| Entry {
            position: item.position,
            since,
            life: item.life,
            bytes,
        };
        let owed = lives.ended_after(self.account.passed).filter(|(_, slot, _)| self.marks.holds(*slot));
        let owed = owed.filter_map(|(position, slot, life)| {
            let (owed, life) = (life.owed()?, LifeRef { incarnation: life.incarnation(), slot });
            Some(Entry { position, since: owed.since, life, bytes: owed.bytes })
        });
        let (mut events, mut owed) = (self.backlog.items().map(event).peekable(), owed.peekable());
        std::iter::from_fn(move || match (events.peek(), owed.peek()) {
            (Some(event), Some(end)) if end.position < event.position => owed.next(),
            (Some(_), _) => events.next(),
            (None, _) => owed.next(),
        })
    }
}
