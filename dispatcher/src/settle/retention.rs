//! Retention: what a subscriber is owed does not wait for ever, nor without bound.
//!
//! An entry is *owed* from the moment in which its session's end is decided until that end is settled. It waits for so
//! long and no longer, connected or not, and together with the others in so many bytes; what was decided first goes
//! first. A session that is alive owes no end yet: its entry does not age, however old the session is. Only time in
//! which a dispatcher runs counts. A start that was not handed over yet is owed together with its end.
//!
//! With retention ALL the other events that are kept count, too, in time and in bytes. A cut takes the sessions of the
//! oldest events whole: what is kept of their events and, where such a session has ended, its entry. Of a session that is
//! alive the entry stays. An event counts with its part of the lot that is in the journal as long as anybody keeps of it.
//!
//! Nothing is looked through to find what is too old: lives that have ended stand in the order of their decisions
//! ([`Lives::ended_after`]), and a subscriber remembers up to where in that order it is owed nothing.
//!
//! [`Lives::ended_after`]: super::lives::Lives::ended_after

mod cut;

use std::time::Duration;

use hookwire_protocol::v1::{self, GapCause, RetentionKind};

use super::{
    journal::{RanSeconds, Record, Untold},
    life::Owed,
    lives::Slot,
};
use crate::{
    drain::Outcome,
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Machine, Settings},
    queue::Lost,
    serve::stream::{Due, Turn},
};

/// So short a line of turns is not looked through.
const FEW: usize = 64;

/// Entries of one subscriber that expire in one step; the others have their turn a second later.
const AT_ONCE: u64 = 4096;

/// Never, as a moment.
pub(crate) const NEVER: RanSeconds = RanSeconds::MAX;

/// A duration in whole seconds, as retention counts them: rather one too many.
pub(crate) fn seconds(duration: Duration) -> RanSeconds {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    seconds.try_into().unwrap_or(NEVER)
}

/// What is kept for one subscriber, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) kind: RetentionKind,
    pub(crate) age: RanSeconds,
    pub(crate) bytes: u64,
}

impl Limits {
    /// As much as is asked for, and no more than the dispatcher keeps.
    pub(crate) fn granted(asked: Option<v1::Retention>, settings: &Settings) -> Self {
        let asked = asked.unwrap_or_default();
        let or = |asked: u64, most: u64| if asked == 0 { most } else { asked.min(most) };
        let age = or(asked.max_age_ms.div_ceil(1000), settings.retention_age.into());
        let (kind, most) = match asked.kind() {
            RetentionKind::All => (RetentionKind::All, settings.retention_all_bytes),
            RetentionKind::Owed | RetentionKind::Unspecified => {
                (RetentionKind::Owed, settings.retention_bytes)
            }
        };
        Self { kind, age: age as RanSeconds, bytes: or(asked.max_bytes, most) }
    }

    /// As a Welcome says it.
    pub(crate) fn wire(self) -> v1::Retention {
        v1::Retention {
            kind: self.kind.into(),
            max_age_ms: u64::from(self.age) * 1000,
            max_bytes: self.bytes,
        }
    }
}

/// What is owed to one subscriber, as far as retention counts it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) limits: Limits,
    /// The starts and ends of all that is owed.
    pub(crate) bytes: u64,
    /// Nothing that was decided up to here, in the order of all things, is owed or will be.
    passed: u64,
    /// What expired, and it was not told of.
    untold: Untold,
    /// All that ever expired.
    pub(crate) expired: u64,
    /// Of a log, what is too old goes no earlier: each cut has to look through all of it.
    cut_again: RanSeconds,
}

impl Account {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, bytes: 0, passed: 0, untold: Untold::default(), expired: 0, cut_again: 0 }
    }

    /// Goes on with what expired and was not told.
    pub(crate) fn restore(&mut self, untold: Untold) {
        self.untold = untold;
    }

    /// One more end is owed.
    fn owe(&mut self, owed: Owed) {
        self.bytes += owed.bytes;
    }

    /// One is owed no more.
    pub(crate) fn settle(&mut self, owed: Owed) {
        self.bytes -= owed.bytes;
    }
}

impl Subscriber {
    /// An end is decided of which it is owed something; says when that needs a look.
    pub(crate) fn owe(&mut self, owed: Owed) -> RanSeconds {
        self.account.owe(owed);
        self.goes_at(owed.since)
    }

    /// When what is kept since then goes: at once, where all of it is too much.
    pub(crate) fn goes_at(&self, since: RanSeconds) -> RanSeconds {
        if self.kept_bytes() > self.account.limits.bytes {
            since
        } else {
            since.saturating_add(self.account.limits.age)
        }
    }

    /// All that counts against its limit, in bytes.
    fn kept_bytes(&self) -> u64 {
        self.account.bytes + self.backlog.bytes()
    }
}

impl Machine {
    /// When retention is next to be looked after.
    pub(crate) fn next_retention(&self) -> Option<Duration> {
        (self.retention_due < NEVER).then(|| self.moment(self.retention_due))
    }

    /// Lets go of what has waited for too long or takes too much room, and of subscribers that stayed away too long.
    pub(crate) fn look_after_retention(&mut self) {
        let ran = self.ran();
        if self.retention_due > ran {
            return;
        }
        self.retention_due = NEVER;
        for ix in self.registry.indices() {
            let due = match self.forgets_at(ix) {
                Some(at) if at <= ran => {
                    self.release(ix, "it was away for too long");
                    continue;
                }
                at => at.unwrap_or(NEVER).min(self.expire(ix)),
            };
            self.retention_due = self.retention_due.min(due);
        }
    }

    /// The subscriber's limits have changed, or it went: what follows from that is looked after at the next tick.
    pub(crate) fn retention_changed(&mut self, ix: SubscriberIx) {
        let ran = self.ran();
        let due = if self.registry.at(ix).kept_bytes() > 0 { ran } else { NEVER };
        self.retention_due = self.retention_due.min(due).min(self.forgets_at(ix).unwrap_or(NEVER));
    }

    /// When a subscriber that is away will have been away for too long.
    fn forgets_at(&self, ix: SubscriberIx) -> Option<RanSeconds> {
        let away_since = self.registry.get(ix)?.away_since?;
        Some(away_since.saturating_add(self.settings.forget_after))
    }

    /// Lets go of what is not kept any longer for this subscriber; says when there will be more.
    fn expire(&mut self, ix: SubscriberIx) -> RanSeconds {
        let mut gone = Untold::default();
        let cuts = self.registry.at(ix).keeps_all();
        let next = if cuts { self.cut(ix, &mut gone) } else { self.expire_owed(ix, &mut gone) };
        if gone != Untold::default() {
            self.counters.entries_expired += gone.entries.events;
            self.counters.events_expired += gone.events.events;
            let account = &mut self.registry.at(ix).account;
            account.expired += gone.entries.events;
            account.untold.merge(gone);
            self.registry.at(ix).lost += gone.events.events;
            self.forget_turns(ix);
            self.record_untold(ix);
            self.wake(ix);
        }
        next
    }

    /// Lets go of what is owed for too long, or together with the rest takes too much room.
    fn expire_owed(&mut self, ix: SubscriberIx, gone: &mut Untold) -> RanSeconds {
        let ran = self.ran();
        let mut looked_at = 0;
        loop {
            let Some((slot, owed)) = self.first_owed(ix) else { return NEVER };
            let at = self.registry.at(ix).goes_at(owed.since);
            if at > ran {
                return at;
            }
            if looked_at == AT_ONCE {
                return ran + 1;
            }
            looked_at += 1;
            self.expire_life(ix, slot, gone);
        }
    }

    /// Of what is owed to a subscriber, what was decided first.
    fn first_owed(&mut self, ix: SubscriberIx) -> Option<(Slot, Owed)> {
        let Self { registry, lives, .. } = self;
        let Subscriber { account, marks, .. } = registry.at(ix);
        for (position, slot, life) in lives.ended_after(account.passed) {
            if marks.holds(slot) {
                return Some((slot, life.owed()?));
            }
            account.passed = position;
        }
        None
    }

    /// Lets go of a life that has ended.
    fn expire_life(&mut self, ix: SubscriberIx, slot: Slot, gone: &mut Untold) {
        let (life, bytes) =
            (self.lives.life_ref(slot), self.lives.at(slot).owed().map_or(0, |owed| owed.bytes));
        let subscriber = self.registry.at(ix);
        if subscriber.marks.is_open(slot) {
            gone.entries.add(bytes);
            return self.close_entry(ix, slot, Outcome::Rejected);
        }
        // It was not handed the start, so it has no entry: start and end are gone. So are the events that wait between them,
        // since it reads too slowly.
        gone.events.merge(Lost { events: 2, bytes });
        let between = subscriber.queue.shed(|event| event.life == life);
        subscriber.lose(GapCause::QueueFull, between, &mut self.counters);
        self.let_go_of_start(ix, slot);
    }

    /// A start is not to be written any more, and its life has ended. With retention ALL a drain counts it as owed.
    pub(super) fn let_go_of_start(&mut self, ix: SubscriberIx, slot: Slot) {
        if self.registry.at(ix).keeps_all() {
            self.close_entry(ix, slot, Outcome::Rejected);
        } else {
            self.cancel_start(ix, slot);
        }
    }

    /// Turns of what nobody is due any more go, once they are most of the line.
    fn forget_turns(&mut self, ix: SubscriberIx) {
        let Self { registry, lives, .. } = self;
        let Subscriber { marks, stream: Some(stream), .. } = registry.at(ix) else { return };
        let due = marks.open_len() + marks.wanted().count();
        let is_due = |turn: &Turn| match turn.due {
            Due::Start(life) | Due::End { life, .. } => lives.get(life).is_some() && marks.holds(life.slot),
            _ => true,
        };
        for line in [&mut stream.first, &mut stream.live] {
            if line.len() > FEW + 2 * due {
                line.retain(is_due);
            }
        }
    }

    /// Takes of what expired and was not told yet: whoever takes it tells it.
    pub(crate) fn take_expired<T>(&mut self, ix: SubscriberIx, take: impl FnOnce(&mut Untold) -> T) -> T {
        let untold = &mut self.registry.at(ix).account.untold;
        let was = *untold;
        let taken = take(untold);
        if *untold != was {
            self.record_untold(ix);
        }
        taken
    }

    fn record_untold(&mut self, ix: SubscriberIx) {
        let subscriber = self.registry.at(ix);
        let (subscriber, untold) = (subscriber.number, subscriber.account.untold);
        self.record(Record::Expired { subscriber, untold });
    }
}
