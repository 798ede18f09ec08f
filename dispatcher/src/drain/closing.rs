//! A closing: the end of one gateway's boot, under way.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use hookwire_protocol::v1::{self, StopReason};

use super::Ticket;
use crate::{
    emit::boots::{GatewayIx, HeldStop},
    fanout::registry::SubscriberIx,
    settle::lives::{Life, LifeRef},
};

/// One closing; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClosingId(pub(super) u64);

/// How far one subscriber has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its ends are awaited.
    Ends,
    /// Its gateway_stop is.
    Stop,
    Done,
}

/// One subscriber's part in a closing. `owed = due + acked + accepted + rejected + carried over`, at any time.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) stage: Stage,
    pub(super) report: v1::SubscriberReport,
    /// Ends that are still awaited.
    pub(super) due: u64,
    /// Those that were given up because their RETRY does not fit.
    pub(super) given_up: HashSet<LifeRef>,
}

/// The shares of all subscribers. It is looked into for every end, so they stand where their numbers say.
#[derive(Debug, Default)]
pub(super) struct Shares(Vec<Option<Share>>);

impl Shares {
    pub(super) fn get(&self, ix: SubscriberIx) -> Option<&Share> {
        self.0.get(ix)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, ix: SubscriberIx) -> Option<&mut Share> {
        self.0.get_mut(ix)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriberIx, &Share)> {
        self.0.iter().enumerate().filter_map(|(ix, share)| Some((ix, share.as_ref()?)))
    }
}

impl FromIterator<(SubscriberIx, Share)> for Shares {
    fn from_iter<T: IntoIterator<Item = (SubscriberIx, Share)>>(all: T) -> Self {
        let mut shares = Vec::new();
        for (ix, share) in all {
            if ix >= shares.len() {
                shares.resize_with(ix + 1, || None);
            }
            shares[ix] = Some(share);
        }
        Self(shares)
    }
}

/// The end of one gateway's boot, under way.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) id: ClosingId,
    pub(super) gateway: GatewayIx,
    pub(super) boot: Box<str>,
    pub(super) boot_number: u32,
    pub(super) reason: StopReason,
    /// A boot that was lost or replaced: nobody is told of a drain, and nobody waits for one.
    pub(super) quiet: bool,
    /// What was decided up to here is owed.
    pub(super) mark: u64,
    pub(super) started: Duration,
    pub(super) deadline: Duration,
    /// When the gateway expects to be back, from the start on; zero where nobody knows.
    pub(super) restart_expected: Duration,
    pub(super) sessions_ended: u64,
    pub(super) last_answer: Option<Duration>,
    /// The gateway's own gateway_stop, where it had said one: a newer boot may be here before it is told.
    pub(super) said: Option<HeldStop>,
    /// The gateway_stop's bytes, once somebody gets it; `None` as well where it was told before.
    pub(super) stop: Option<Bytes>,
    pub(super) tells_stop: bool,
    pub(super) shares: Shares,
    pub(super) finished: Option<Duration>,
}

/// A report that is awaited.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    pub(super) scope: String,
    pub(super) reason: StopReason,
    pub(super) budget: Duration,
    pub(super) started: Duration,
    pub(super) closings: Vec<ClosingId>,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(crate) struct Closings {
    pub(super) closings: Vec<Closing>,
    pub(super) waiters: Vec<Waiter>,
    /// Somebody is about to wait: nothing is dropped yet.
    pub(super) gathering: bool,
    pub(super) count: u64,
}

impl Closings {
    /// Whether a drain waits for this life's end: there is no time for anything but starts and ends.
    pub(crate) fn drain(&self, life: &Life) -> bool {
        let owed =
            |it: &Closing| it.gateway == life.gateway() && life.decided().is_some_and(|at| at <= it.mark);
        self.closings.iter().any(|it| !it.quiet && it.finished.is_none() && owed(it))
    }

    /// Whether a drain of this gateway is under way.
    pub(crate) fn under_way(&self) -> bool {
        self.closings.iter().any(|it| !it.quiet && it.finished.is_none())
    }

    /// Whether this gateway is being drained.
    pub(crate) fn drains(&self, gateway: GatewayIx) -> bool {
        self.closings.iter().any(|it| it.gateway == gateway && !it.quiet && it.finished.is_none())
    }

    /// Whether a boot of this gateway is being closed.
    pub(crate) fn is_closing(&self, gateway: GatewayIx) -> bool {
        self.closings.iter().any(|it| it.gateway == gateway)
    }

    /// Whether a drain carries this life's end over, because its RETRY does not fit.
    pub(crate) fn has_given_up(&self, ix: SubscriberIx, life: LifeRef) -> bool {
        let gave_up = |share: &Share| share.given_up.contains(&life);
        self.closings.iter().filter_map(|closing| closing.shares.get(ix)).any(gave_up)
    }

    /// When the next deadline comes.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.closings.iter().filter(|it| it.finished.is_none()).map(|it| it.deadline).min()
    }

    /// What is left for a subscriber that a drain waits for.
    pub(crate) fn left(&self, ix: SubscriberIx, now: Duration) -> Option<Duration> {
        let waits =
            |it: &&Closing| !it.quiet && it.shares.get(ix).is_some_and(|share| share.stage != Stage::Done);
        self.closings.iter().filter(waits).map(|it| it.deadline.saturating_sub(now)).min()
    }

    /// A gateway_stop that came after its boot's drain began takes the synthetic one's place, unless that is told.
    pub(crate) fn said_late(&mut self, boot_number: u32, said: HeldStop) {
        let untold = |it: &&mut Closing| it.boot_number == boot_number && it.tells_stop && it.stop.is_none();
        if let Some(closing) = self.closings.iter_mut().find(untold) {
            closing.said.get_or_insert(said);
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Closing {
    /// The share that is owed this life's end, if it is still awaited there.
    pub(super) fn share_of(&mut self, ix: SubscriberIx, life: &Life) -> Option<&mut Share> {
        let owed = self.gateway == life.gateway() && life.decided().is_some_and(|at| at <= self.mark);
        self.shares.get_mut(ix).filter(|share| owed && share.stage == Stage::Ends)
    }
}

impl Share {
    /// Of ends that were answered in the same millisecond, the first stands for all: the others' ids are not read.
    pub(super) fn was_answered(&mut self, life: &Life, after: Duration) {
        let ms = after.as_millis() as u32;
        if self.report.slowest.as_ref().is_none_or(|slowest| slowest.ms < ms) {
            self.report.slowest = Some(v1::SlowestEnd { session: life.id().to_owned(), ms });
        }
    }
}
