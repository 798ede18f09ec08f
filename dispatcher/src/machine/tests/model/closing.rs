//! Drains, and boots that end without one: who is owed which ends, and what became of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hookwire_protocol::v1::{self, SessionEndReason, StopReason};

use super::{Model, plugin::Stop};
use crate::machine::tests::schedule::{GATEWAYS, PLUGINS};

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
#[derive(Debug)]
struct Share {
    stage: Stage,
    owed: BTreeMap<u64, Option<Outcome>>,
}

/// One gateway's boot, on its way out.
#[derive(Debug)]
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
#[derive(Debug)]
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
        let closings = gateways.into_iter().map(|gateway| self.join(gateway, &order, stop)).collect();
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

    /// An owed end is settled.
    pub(super) fn settled(&mut self, ix: usize, life: u64, outcome: Outcome) {
        let now = self.now;
        self.each_owed(ix, life, |share| drop(share.owed.insert(life, Some(outcome))), Some(now));
    }

    /// An owed end is not to be handed out after all.
    pub(super) fn cancelled(&mut self, ix: usize, life: u64) {
        self.each_owed(ix, life, |share| drop(share.owed.remove(&life)), None);
    }

    /// What is to be written again only after the deadline is carried over at once.
    pub(super) fn retried(&mut self, ix: usize, life: u64, at: Duration) {
        let now = self.now;
        for id in self.owing(ix, life) {
            let closing = self.closing(id);
            closing.last_answer = Some(now);
            if at > closing.deadline {
                closing.shares.get_mut(&ix).unwrap().owed.insert(life, Some(Outcome::Retried));
            }
            self.move_on(id, ix);
        }
        self.finish();
    }

    fn each_owed(&mut self, ix: usize, life: u64, change: impl Fn(&mut Share), answered: Option<Duration>) {
        for id in self.owing(ix, life) {
            let closing = self.closing(id);
            closing.last_answer = answered.or(closing.last_answer);
            change(closing.shares.get_mut(&ix).unwrap());
            self.move_on(id, ix);
        }
        self.finish();
    }

    /// Closings that still wait for this end.
    fn owing(&self, ix: usize, life: u64) -> Vec<ClosingId> {
        let waits = |it: &&Closing| {
            it.shares
                .get(&ix)
                .is_some_and(|share| share.stage == Stage::Ends && share.owed.contains_key(&life))
        };
        self.closings.iter().filter(waits).map(|closing| closing.id).collect()
    }

    /// Once all ends are settled or given up: gateway_stop, then the summary.
    fn move_on(&mut self, id: ClosingId, ix: usize) {
        let now = self.now;
        let plugin = self.plugins.get_mut(&ix).unwrap();
        let closing = self.closings.iter_mut().find(|closing| closing.id == id).unwrap();
        let share = closing.shares.get_mut(&ix).unwrap();
        if share.stage != Stage::Ends || share.count(None) > 0 {
            return;
        }
        share.stage = Stage::Done;
        let Some(stream) = &mut plugin.stream else { return };
        if let Some(own) = closing.stop.filter(|_| plugin.wants.hook("gateway_stop")) {
            share.stage = Stage::Stop;
            closing.told = true;
            stream.stops.push(Stop {
                closing: id,
                gateway: closing.gateway,
                boot: closing.boot.clone(),
                own: own.map(|(number, _)| number),
                reason: own.map_or(closing.reason, |(_, reason)| reason),
            });
        }
        if closing.is_drain() {
            let elapsed = (now - closing.started).as_millis() as u32;
            let (row, gateway) = (closing.shares[&ix].row(""), GATEWAYS[closing.gateway].to_owned());
            stream.summaries.push_back(v1::DrainSummary {
                gateway_id: gateway,
                boot_id: closing.boot.clone(),
                owed: row.owed,
                acked: row.acked,
                accepted: row.accepted,
                rejected: row.rejected,
                timed_out: row.timed_out,
                unreachable: row.unreachable,
                retried: row.retried,
                carried_over: row.carried_over,
                elapsed_ms: elapsed,
            });
        }
    }

    /// The gateway_stop was answered, whatever the answer.
    pub(super) fn stop_answered(&mut self, ix: usize, id: ClosingId) {
        let now = self.now;
        if let Some(closing) = self.closings.iter_mut().find(|closing| closing.id == id)
            && let Some(share) = closing.shares.get_mut(&ix).filter(|share| share.stage == Stage::Stop)
        {
            share.stage = Stage::Done;
            closing.last_answer = Some(now);
        }
        self.finish();
    }

    /// A gateway_stop that came after its boot began to end, before anybody was told one.
    pub(super) fn said_late(&mut self, gateway: usize, number: u64, reason: StopReason) {
        let boot = &self.gateways[&gateway].boot;
        let untold =
            |it: &&mut Closing| it.gateway == gateway && it.boot == *boot && it.stop.is_some() && !it.told;
        if let Some(closing) = self.closings.iter_mut().find(untold) {
            closing.stop = Some(closing.stop.flatten().or(Some((number, reason))));
        }
    }

    /// A stream broke: its gateway_stop is awaited no more; its ends are.
    pub(super) fn stream_ended_in_closings(&mut self, ix: usize) {
        for share in self.closings.iter_mut().filter_map(|closing| closing.shares.get_mut(&ix)) {
            if share.stage == Stage::Stop {
                share.stage = Stage::Done;
            }
        }
        self.finish();
    }

    pub(super) fn forget_in_closings(&mut self, ix: usize) {
        for share in self.closings.iter_mut().filter_map(|closing| closing.shares.get_mut(&ix)) {
            share.stage = Stage::Done;
        }
        self.finish();
    }

    pub(super) fn reach_deadlines(&mut self) {
        let now = self.now;
        let due = self.closings.iter().filter(|closing| closing.under_way() && closing.deadline <= now);
        for id in due.map(|closing| closing.id).collect::<Vec<_>>() {
            for ix in self.plugins.keys().copied().collect::<Vec<_>>() {
                self.give_up(id, ix);
            }
        }
        self.finish();
    }

    fn give_up(&mut self, id: ClosingId, ix: usize) {
        let (now, stream) = (self.now, self.plugins[&ix].stream.as_ref());
        let became = |life: &u64| match stream {
            Some(stream) if stream.retries.get(life).is_some_and(|at| *at > now) => Outcome::Retried,
            Some(_) => Outcome::TimedOut,
            None => Outcome::Unreachable,
        };
        let closing = self.closings.iter_mut().find(|closing| closing.id == id).unwrap();
        let Some(share) = closing.shares.get_mut(&ix) else { return };
        if share.stage == Stage::Ends {
            for (life, outcome) in &mut share.owed {
                outcome.get_or_insert_with(|| became(life));
            }
            self.move_on(id, ix);
        }
        self.closing(id).shares.get_mut(&ix).unwrap().stage = Stage::Done;
    }

    fn finish(&mut self) {
        for closing in self.closings.iter_mut().filter(|closing| closing.under_way()) {
            if closing.shares.values().all(|share| share.stage == Stage::Done) {
                closing.finished = Some(self.now);
            }
        }
        self.report();
    }

    /// Whoever waits for nothing but finished closings gets a report.
    fn report(&mut self) {
        let finished = |id: &ClosingId| self.closings.iter().any(|it| it.id == *id && !it.under_way());
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| waiter.closings.iter().all(finished));
        self.waiters = waiting;
        for waiter in done {
            let report = self.report_for(&waiter);
            self.reports.push((waiter.drain, report));
        }
    }

    /// Forgets closings that nobody waits for.
    pub(in crate::machine::tests) fn forget_finished(&mut self) {
        let waiters = &self.waiters;
        self.closings
            .retain(|it| it.under_way() || waiters.iter().any(|waiter| waiter.closings.contains(&it.id)));
    }

    fn report_for(&self, waiter: &Waiter) -> v1::DrainReport {
        let mine: Vec<_> = self.closings.iter().filter(|it| waiter.closings.contains(&it.id)).collect();
        let mut rows: BTreeMap<usize, v1::SubscriberReport> = BTreeMap::new();
        for ix in self.plugins.keys().chain(mine.iter().flat_map(|closing| closing.shares.keys())) {
            rows.entry(*ix).or_insert_with(|| {
                let owed = mine.iter().filter_map(|closing| closing.shares.get(ix));
                // One life can be owed in one closing only once, and in two of two gateways never.
                let owed = owed.flat_map(|share| share.owed.iter().map(|(life, became)| (*life, *became)));
                Share { stage: Stage::Done, owed: owed.collect() }.row(PLUGINS[*ix])
            });
        }
        let started = mine.iter().map(|closing| closing.started).min().unwrap_or(waiter.started);
        let finished = mine.iter().filter_map(|closing| closing.finished).max().unwrap_or(started);
        let last_answer = mine.iter().filter_map(|closing| closing.last_answer).max();
        v1::DrainReport {
            reason: waiter.order.reason.into(),
            scope: waiter.order.gateway.map_or("all", |gateway| GATEWAYS[gateway]).to_owned(),
            durable: false,
            budget_ms: waiter.order.budget.as_millis() as u32,
            elapsed_ms: (finished - started).as_millis() as u32,
            last_ack_ms: last_answer.map(|at| (at - started).as_millis() as u32),
            sessions_ended: mine.iter().map(|closing| closing.ended).sum(),
            subscribers: rows.into_values().collect(),
        }
    }

    fn closing(&mut self, id: ClosingId) -> &mut Closing {
        self.closings.iter_mut().find(|closing| closing.id == id).expect("it is under way")
    }
}
