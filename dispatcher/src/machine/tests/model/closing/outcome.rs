//! What becomes of each end that is owed, and the reports.

use std::{collections::BTreeMap, time::Duration};

use hookwire_protocol::v1::{self, StopReason};

use super::{Closing, ClosingId, Outcome, Share, Stage, Waiter};
use crate::machine::tests::{
    model::{Model, plugin::Stop},
    schedule::{GATEWAYS, PLUGINS},
};

impl Model {
    /// An owed end is settled.
    pub(in crate::machine::tests::model) fn settled(&mut self, ix: usize, life: u64, outcome: Outcome) {
        let now = self.now;
        self.each_owed(ix, life, |share| _ = share.owed.insert(life, Some(outcome)), Some(now));
    }

    /// An owed end is not to be handed out after all.
    pub(in crate::machine::tests::model) fn cancelled(&mut self, ix: usize, life: u64) {
        self.each_owed(ix, life, |share| _ = share.owed.remove(&life), None);
    }

    /// What is to be written again only after the deadline is carried over at once.
    pub(in crate::machine::tests::model) fn retried(&mut self, ix: usize, life: u64, at: Duration) {
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
    pub(super) fn move_on(&mut self, id: ClosingId, ix: usize) {
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
    pub(in crate::machine::tests::model) fn stop_answered(&mut self, ix: usize, id: ClosingId) {
        let now = self.now;
        if let Some(closing) = self.closings.iter_mut().find(|closing| closing.id == id)
            && let Some(share) = closing.shares.get_mut(&ix).filter(|share| share.stage == Stage::Stop)
        {
            share.stage = Stage::Done;
            closing.last_answer = Some(now);
        }
        self.finish();
    }

    /// Whether a drain carries this end over, because its RETRY does not fit.
    pub(in crate::machine::tests::model) fn has_given_up(&self, ix: usize, life: u64) -> bool {
        let gave_up = |share: &Share| share.owed.get(&life) == Some(&Some(Outcome::Retried));
        self.closings.iter().filter_map(|closing| closing.shares.get(&ix)).any(gave_up)
    }

    /// A gateway_stop that came after its boot began to end, before anybody was told one.
    pub(in crate::machine::tests::model) fn said_late(
        &mut self,
        gateway: usize,
        number: u64,
        reason: StopReason,
    ) {
        let boot = &self.gateways[&gateway].boot;
        let untold =
            |it: &&mut Closing| it.gateway == gateway && it.boot == *boot && it.stop.is_some() && !it.told;
        if let Some(closing) = self.closings.iter_mut().find(untold) {
            closing.stop = Some(closing.stop.flatten().or(Some((number, reason))));
        }
    }

    /// A stream broke: its gateway_stop is awaited no more; its ends are.
    pub(in crate::machine::tests::model) fn stream_ended_in_closings(&mut self, ix: usize) {
        for share in self.closings.iter_mut().filter_map(|closing| closing.shares.get_mut(&ix)) {
            if share.stage == Stage::Stop {
                share.stage = Stage::Done;
            }
        }
        self.finish();
    }

    pub(in crate::machine::tests::model) fn forget_in_closings(&mut self, ix: usize) {
        for share in self.closings.iter_mut().filter_map(|closing| closing.shares.get_mut(&ix)) {
            share.stage = Stage::Done;
        }
        self.finish();
    }

    pub(in crate::machine::tests::model) fn reach_deadlines(&mut self) {
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

    pub(super) fn finish(&mut self) {
        for closing in self.closings.iter_mut().filter(|closing| closing.under_way()) {
            if closing.shares.values().all(|share| share.stage == Stage::Done) {
                closing.finished = Some(self.now);
            }
        }
        self.report();
    }

    /// Whoever waits for nothing but finished closings gets a report.
    pub(super) fn report(&mut self) {
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
            durable: true,
            budget_ms: waiter.order.budget.as_millis() as u32,
            elapsed_ms: (finished - started).as_millis() as u32,
            last_ack_ms: last_answer.map(|at| (at - started).as_millis() as u32),
            sessions_ended: mine.iter().map(|closing| closing.ended).sum(),
            subscribers: rows.into_values().collect(),
        }
    }
}
