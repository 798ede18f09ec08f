//! Drains, and boots that end without one: who is owed which ends, and what became of each.

mod outcome;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hookwire_protocol::v1::{self, SessionEndReason, StopReason};

use super::Model;
use crate::machine::tests::schedule::GATEWAYS;

pub(super) type ClosingId = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Acked,
    Accepted,
    Rejected,
    TimedOut,
    Unreachable,
    Retried,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ends,
    Stop,
    Done,
}

/// One plugin's part: each end that it is owed, and what became of it.
#[derive(Clone, Debug)]
struct Share {
    stage: Stage,
    owed: BTreeMap<u64, Option<Outcome>>,
}

/// One gateway's boot, on its way out.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    id: ClosingId,
    gateway: usize,
    boot: String,
    reason: StopReason,
    /// `None`: not a drain.
    restart_expected: Option<Duration>,
    started: Duration,
    deadline: Duration,
    ended: u64,
    /// Whether a gateway_stop is told, and the gateway's own.
    stop: Option<Option<(u64, StopReason)>>,
    /// Somebody was told: it does not change any more.
    told: bool,
    shares: BTreeMap<usize, Share>,
    last_answer: Option<Duration>,
    finished: Option<Duration>,
}

/// Somebody who waits for a report.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    drain: usize,
    order: Order,
    started: Duration,
    closings: Vec<ClosingId>,
}

/// What is asked of a drain.
#[derive(Clone, Debug)]
pub(in crate::machine::tests) struct Order {
    pub(in crate::machine::tests) gateway: Option<usize>,
    pub(in crate::machine::tests) reason: StopReason,
    pub(in crate::machine::tests) budget: Duration,
    pub(in crate::machine::tests) restart_expected: Duration,
}

impl Share {
    fn count(&self, outcome: Option<Outcome>) -> u64 {
        self.owed.values().filter(|became| **became == outcome).count() as u64
    }

    fn row(&self, id: &str) -> v1::SubscriberReport {
        let (timed_out, unreachable, retried) = (
            self.count(Some(Outcome::TimedOut)),
            self.count(Some(Outcome::Unreachable)),
            self.count(Some(Outcome::Retried)),
        );
        v1::SubscriberReport {
            id: id.to_owned(),
            owed: self.owed.len() as u64,
            acked: self.count(Some(Outcome::Acked)),
            accepted: self.count(Some(Outcome::Accepted)),
            rejected: self.count(Some(Outcome::Rejected)),
            timed_out,
            unreachable,
            retried,
            carried_over: timed_out + unreachable + retried,
            slowest: None, // told apart from the numbers
        }
    }
}

impl Closing {
    fn under_way(&self) -> bool {
        self.finished.is_none()
    }

    fn is_drain(&self) -> bool {
        self.restart_expected.is_some()
    }

    fn left(&self, now: Duration) -> Duration {
        self.deadline.saturating_sub(now)
    }
}

impl Model {
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Duration> {
        self.closings.iter().filter(|closing| closing.under_way()).map(|closing| closing.deadline)
    }

    /// Whether a drain of this gateway is under way.
    pub(in crate::machine::tests) fn drains(&self, gateway: usize) -> bool {
        self.closings.iter().any(|it| it.gateway == gateway && it.is_drain() && it.under_way())
    }

    /// Drains one gateway or all; the number of the drain, whose report comes in its time.
    pub(in crate::machine::tests) fn drain(&mut self, order: Order, stop: bool) -> Result<usize, ()> {
        let gateways = match order.gateway {
            Some(gateway) if !self.gateways.contains_key(&gateway) => return Err(()),
            Some(gateway) => vec![gateway],
            None => self.gateways.keys().copied().filter(|gateway| self.has_work(*gateway)).collect(),
        };
        self.stopping |= stop;
        let closings: Vec<_> = gateways.into_iter().map(|gateway| self.join(gateway, &order, stop)).collect();
        // Who joins gets the report of the first.
        let first = self.waiters.iter().find(|it| !closings.is_empty() && it.closings == closings);
        let (reason, budget) =
            first.map_or((order.reason, order.budget), |it| (it.order.reason, it.order.budget));
        let order = Order { reason, budget, ..order };
        self.drains += 1;
        self.waiters.push(Waiter { drain: self.drains, order, started: self.now, closings });
        self.report();
        Ok(self.drains)
    }

    /// A gateway that is over and owes nobody anything is not drained with all.
    fn has_work(&self, gateway: usize) -> bool {
        let owes = self.plugins.keys().any(|plugin| !self.ends_owed(*plugin, gateway).is_empty());
        !self.gateways[&gateway].closed || self.drains(gateway) || owes
    }

    /// The earlier deadline wins.
    fn join(&mut self, gateway: usize, order: &Order, stop: bool) -> ClosingId {
        let (boot, deadline) = (self.gateways[&gateway].boot.clone(), self.now + order.budget);
        let same = |it: &&mut Closing| it.gateway == gateway && it.boot == boot && it.is_drain();
        if let Some(closing) = self.closings.iter_mut().find(same) {
            closing.deadline = closing.deadline.min(deadline);
            return closing.id;
        }
        if !stop {
            self.over(gateway);
        }
        let reason = match order.reason {
            StopReason::Restart => SessionEndReason::Restart,
            _ => SessionEndReason::Shutdown,
        };
        self.close(gateway, reason, order.reason, order.budget, Some(order.restart_expected))
    }

    /// A second signal.
    pub(in crate::machine::tests) fn hurry(&mut self) {
        for closing in &mut self.closings {
            closing.deadline = closing.deadline.min(self.now + Duration::from_millis(200));
        }
    }

    pub(super) fn close(
        &mut self,
        gateway: usize,
        end: SessionEndReason,
        reason: StopReason,
        budget: Duration,
        restart_expected: Option<Duration>,
    ) -> ClosingId {
        let drain = restart_expected.is_some();
        if drain {
            self.drained.insert(gateway);
            self.cancel_starts_of(gateway);
        }
        let held = self.gateways.get_mut(&gateway).unwrap();
        let tells_stop = !std::mem::replace(&mut held.stop_told, true);
        let (boot, closed, stop) = (held.boot.clone(), held.closed, tells_stop.then_some(held.stop));
        let alive = self.alive().filter(|(_, life)| life.gateway == gateway);
        let alive: Vec<_> = alive.map(|(number, life)| (number, life.id)).collect();
        for (life, id) in &alive {
            self.decide(*life, end);
            if closed {
                self.ended_by_gateway(gateway, id, vec![*life]);
            }
        }
        self.closings_made += 1;
        let id = self.closings_made;
        self.closings.push(Closing {
            id,
            gateway,
            boot,
            reason,
            restart_expected,
            started: self.now,
            deadline: self.now + budget,
            ended: alive.len() as u64,
            stop,
            told: false,
            shares: BTreeMap::new(),
            last_answer: None,
            finished: None,
        });
        for plugin in self.plugins.keys().copied().collect::<Vec<_>>() {
            self.give_share(id, plugin);
        }
        self.finish();
        id
    }

    fn cancel_starts_of(&mut self, gateway: usize) {
        for ix in self.plugins.keys().copied().collect::<Vec<_>>() {
            let wanted = self.plugins[&ix].wanted.iter().copied();
            let wanted: Vec<_> = wanted.filter(|life| self.lives[life].gateway == gateway).collect();
            self.plugins.get_mut(&ix).unwrap().cancelled.extend(&wanted);
            wanted.into_iter().for_each(|life| self.cancel(ix, life));
        }
    }

    /// Open entries of this gateway's whose end is decided, whichever boot.
    fn ends_owed(&self, plugin: usize, gateway: usize) -> BTreeSet<u64> {
        let owed = |life: &u64| self.lives[life].gateway == gateway && self.lives[life].end.is_some();
        self.plugins[&plugin].entries.keys().copied().filter(owed).collect()
    }

    fn give_share(&mut self, id: ClosingId, ix: usize) {
        let (now, closing) = (self.now, self.closing(id));
        let (gateway, deadline, drain) = (closing.gateway, closing.deadline, closing.is_drain());
        let mut owed = self.ends_owed(ix, gateway);
        let plugin = &self.plugins[&ix];
        if !drain {
            // Nobody stops for this one: starts that are on their way arrive, and their ends behind them.
            let wanted = plugin.wanted.iter().copied();
            owed.extend(
                wanted.filter(|life| self.lives[life].gateway == gateway && self.lives[life].end.is_some()),
            );
        }
        let retries = plugin.stream.as_ref().map(|stream| stream.retries.clone()).unwrap_or_default();
        let late = |life: &u64| drain && retries.get(life).is_some_and(|at| *at > deadline && *at > now);
        let connected = plugin.stream.is_some();
        let became = |life: &u64| match connected {
            true => late(life).then_some(Outcome::Retried),
            false => Some(Outcome::Unreachable),
        };
        let stage = if connected { Stage::Ends } else { Stage::Done };
        let share = Share { stage, owed: owed.iter().map(|life| (*life, became(life))).collect() };
        let ends_owed = owed.len() as u64;
        self.closing(id).shares.insert(ix, share);
        self.notice(id, ix, ends_owed);
        self.move_on(id, ix);
    }

    fn notice(&mut self, id: ClosingId, ix: usize, ends_owed: u64) {
        let now = self.now;
        let closing = self.closing(id);
        let Some(restart_expected) = closing.restart_expected else { return };
        let notice = v1::DrainNotice {
            gateway_id: GATEWAYS[closing.gateway].to_owned(),
            boot_id: closing.boot.clone(),
            reason: closing.reason.into(),
            budget_ms: closing.left(now).as_millis() as u32,
            ends_owed,
            restart_expected_ms: restart_expected.saturating_sub(now - closing.started).as_millis() as u32,
        };
        if let Some(stream) = &mut self.plugins.get_mut(&ix).unwrap().stream {
            stream.notices.push_back(notice);
        }
    }

    pub(super) fn notify_of_drains(&mut self, ix: usize) {
        let waits = |share: &Share| share.stage == Stage::Ends;
        let due = self.closings.iter().filter(|it| it.is_drain());
        let due = due.filter_map(|it| Some((it.id, it.shares.get(&ix).filter(|share| waits(share))?)));
        let due: Vec<_> = due.map(|(id, share)| (id, share.count(None))).collect();
        due.into_iter().for_each(|(id, ends_owed)| self.notice(id, ix, ends_owed));
    }

    fn closing(&mut self, id: ClosingId) -> &mut Closing {
        self.closings.iter_mut().find(|closing| closing.id == id).expect("it is under way")
    }
}
