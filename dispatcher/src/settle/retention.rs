//! Retention: what a subscriber is owed does not wait for ever, nor without bound.
//!
//! An entry is *owed* from the moment in which its session's end is decided until that end is settled. It waits for so
//! long and no longer, connected or not, and together with the others in so many bytes; what was decided first goes
//! first. A session that is alive owes no end yet: its entry does not age, however old the session is. Only time in
//! which a dispatcher runs counts.
//!
//! Nothing is looked through to find what is too old: lives that have ended stand in the order of their decisions
//! ([`Lives::ended_after`]), and a subscriber remembers up to where in that order it is owed nothing.
//!
//! [`Lives::ended_after`]: super::lives::Lives::ended_after

use std::time::Duration;

use hookwire_protocol::v1::{self, RetentionKind};

use super::{
    journal::{RanSeconds, Record},
    life::Owed,
    lives::Slot,
};
use crate::{
    drain::Outcome,
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Machine, Settings},
    queue::Lost,
};

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
    pub(crate) age: RanSeconds,
    pub(crate) bytes: u64,
}

impl Limits {
    /// As much as is asked for, and no more than the dispatcher keeps.
    pub(crate) fn granted(asked: Option<v1::Retention>, settings: &Settings) -> Self {
        let asked = asked.unwrap_or_default();
        let or = |asked: u64, most: u64| if asked == 0 { most } else { asked.min(most) };
        let age = or(asked.max_age_ms.div_ceil(1000), settings.retention_age.into());
        Self { age: age as RanSeconds, bytes: or(asked.max_bytes, settings.retention_bytes) }
    }

    /// As a Welcome says it. Whatever kind was asked for: only what is owed is kept.
    pub(crate) fn wire(self) -> v1::Retention {
        v1::Retention {
            kind: RetentionKind::Owed.into(),
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
    /// Entries that expired and that it was not told of, and their bytes.
    untold: Lost,
    /// All that ever expired.
    pub(crate) expired: u64,
}

impl Account {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, bytes: 0, passed: 0, untold: Lost::default(), expired: 0 }
    }

    /// Goes on with so many entries that expired and were not told of.
    pub(crate) fn restore(&mut self, untold: u64) {
        self.untold.events = untold;
    }

    /// One more end is owed; says when that needs a look.
    pub(crate) fn owe(&mut self, owed: Owed) -> RanSeconds {
        self.bytes += owed.bytes;
        if self.bytes > self.limits.bytes { owed.since } else { owed.since.saturating_add(self.limits.age) }
    }

    /// One is owed no more.
    pub(crate) fn settle(&mut self, owed: Owed) {
        self.bytes -= owed.bytes;
    }

    /// When what is owed since then is to go, `None` where it is to go now.
    fn goes(&self, since: RanSeconds, ran: RanSeconds) -> Option<RanSeconds> {
        let at = since.saturating_add(self.limits.age);
        (at > ran && self.bytes <= self.limits.bytes).then_some(at)
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
        let due = if self.registry.at(ix).account.bytes > 0 { ran } else { NEVER };
        self.retention_due = self.retention_due.min(due).min(self.forgets_at(ix).unwrap_or(NEVER));
    }

    /// When a subscriber that is away will have been away for too long.
    fn forgets_at(&self, ix: SubscriberIx) -> Option<RanSeconds> {
        let away_since = self.registry.get(ix)?.away_since?;
        Some(away_since.saturating_add(self.settings.forget_after))
    }

    /// Lets go of what this subscriber is owed no longer; says when there will be more.
    fn expire(&mut self, ix: SubscriberIx) -> RanSeconds {
        let ran = self.ran();
        let mut gone = Lost::default();
        let next = loop {
            let Some((slot, owed)) = self.first_owed(ix) else { break NEVER };
            if let Some(at) = self.registry.at(ix).account.goes(owed.since, ran) {
                break at;
            }
            if gone.events == AT_ONCE {
                break ran + 1;
            }
            gone.add(owed.bytes);
            self.close_entry(ix, slot, Outcome::Rejected);
        };
        if gone.events > 0 {
            self.counters.entries_expired += gone.events;
            let account = &mut self.registry.at(ix).account;
            account.expired += gone.events;
            account.untold.merge(gone);
            self.record_untold(ix);
            self.wake(ix);
        }
        next
    }

    /// Of what is owed to a subscriber, what was decided first.
    fn first_owed(&mut self, ix: SubscriberIx) -> Option<(Slot, Owed)> {
        let Self { registry, lives, .. } = self;
        let Subscriber { account, marks, .. } = registry.at(ix);
        let mut passes = true;
        for (position, slot, life) in lives.ended_after(account.passed) {
            if marks.is_open(slot) {
                return Some((slot, life.owed()?));
            }
            // A start that is still to be written makes an entry then.
            passes &= !marks.wants(slot);
            if passes {
                account.passed = position;
            }
        }
        None
    }

    /// What expired and was not told yet: whoever takes it tells it.
    pub(crate) fn take_expired(&mut self, ix: SubscriberIx) -> Option<Lost> {
        let untold = std::mem::take(&mut self.registry.at(ix).account.untold);
        if untold.events == 0 {
            return None;
        }
        self.record_untold(ix);
        Some(untold)
    }

    fn record_untold(&mut self, ix: SubscriberIx) {
        let subscriber = self.registry.at(ix);
        let (subscriber, untold) = (subscriber.number, subscriber.account.untold.events);
        self.record(Record::Expired { subscriber, untold });
    }
}
