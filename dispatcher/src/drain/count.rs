//! What happens to what is owed: answered, given up, or carried over when the deadline comes.

use std::time::Duration;

use super::{
    Outcome,
    closing::{ClosingId, Stage},
};
use crate::{fanout::registry::SubscriberIx, machine::Machine, settle::lives::LifeRef};

impl Machine {
    /// An entry closed, or a start was cancelled: counts it where it is owed.
    pub(crate) fn count_in_closings(&mut self, ix: SubscriberIx, life: LifeRef, outcome: Option<Outcome>) {
        if self.closings.closings.is_empty() {
            return;
        }
        let held = self.lives.at(life.slot);
        let now = self.now.mono;
        let mut moved = Vec::new();
        for closing in &mut self.closings.closings {
            let started = closing.started;
            let Some(share) = closing.share_of(ix, held) else { continue };
            if !share.given_up.is_empty() && share.given_up.remove(&life) {
                share.report.retried -= 1;
            } else {
                share.due -= 1;
            }
            match outcome {
                Some(Outcome::Acked) => share.report.acked += 1,
                Some(Outcome::Accepted) => share.report.accepted += 1,
                Some(Outcome::Rejected) => share.report.rejected += 1,
                None => share.report.owed -= 1, // it never was handed out
            }
            if outcome.is_some() {
                share.was_answered(held, now - started);
            }
            if share.due == 0 {
                moved.push(closing.id);
            }
            if outcome.is_some() {
                closing.last_answer = Some(now);
            }
        }
        self.move_all_on(moved, ix);
    }

    /// Nothing more is due to this subscriber in these.
    fn move_all_on(&mut self, closings: Vec<ClosingId>, ix: SubscriberIx) {
        if !closings.is_empty() {
            closings.into_iter().for_each(|id| self.move_on(id, ix));
            self.finish_closings();
        }
    }

    /// A RETRY that does not fit into what is left is carried over at once.
    pub(crate) fn retry_in_closings(&mut self, ix: SubscriberIx, life: LifeRef, at: Duration) {
        let held = self.lives.at(life.slot);
        let now = self.now.mono;
        let mut moved = Vec::new();
        for closing in &mut self.closings.closings {
            let too_late = at > closing.deadline;
            let Some(share) = closing.share_of(ix, held) else { continue };
            if too_late && share.given_up.insert(life) {
                share.due -= 1;
                share.report.retried += 1;
                moved.push(closing.id);
            }
            closing.last_answer = Some(now);
        }
        self.move_all_on(moved, ix);
    }

    /// The gateway_stop was answered, whatever the answer.
    pub(crate) fn gateway_stop_answered(&mut self, ix: SubscriberIx, id: ClosingId) {
        let now = self.now.mono;
        let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id) else { return };
        if let Some(share) = closing.shares.get_mut(ix).filter(|share| share.stage == Stage::Stop) {
            share.stage = Stage::Done;
            closing.last_answer = Some(now);
        }
        self.finish_closings();
    }

    /// A stream broke: its gateway_stop is not awaited any more. Its ends are: it may come back in time.
    pub(crate) fn stream_ended_in_closings(&mut self, ix: SubscriberIx) {
        for closing in &mut self.closings.closings {
            if let Some(share) = closing.shares.get_mut(ix).filter(|share| share.stage == Stage::Stop) {
                share.stage = Stage::Done;
            }
        }
        self.finish_closings();
    }

    /// A subscriber is forgotten: nothing of it is awaited.
    pub(crate) fn forget_in_closings(&mut self, ix: SubscriberIx) {
        for closing in &mut self.closings.closings {
            if let Some(share) = closing.shares.get_mut(ix) {
                share.stage = Stage::Done;
            }
        }
        self.finish_closings();
    }

    /// The deadlines of these have come.
    pub(crate) fn close_at_deadline(&mut self) {
        let now = self.now.mono;
        let due = self.closings.closings.iter().filter(|it| it.finished.is_none() && it.deadline <= now);
        for id in due.map(|it| it.id).collect::<Vec<_>>() {
            for ix in self.registry.indices() {
                self.give_up(id, ix);
            }
        }
        self.finish_closings();
    }

    /// The deadline has come for one subscriber: what is still due is carried over.
    fn give_up(&mut self, id: ClosingId, ix: SubscriberIx) {
        let retrying = self.retrying_of(id, ix);
        let connected = self.registry.at(ix).stream.is_some();
        let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id) else { return };
        let Some(share) = closing.shares.get_mut(ix) else { return };
        if share.stage == Stage::Ends {
            let retried = retrying.min(share.due);
            share.report.retried += retried;
            let rest = share.due - retried;
            *(if connected { &mut share.report.timed_out } else { &mut share.report.unreachable }) += rest;
            share.due = 0;
            self.move_on(id, ix);
        }
        if let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id)
            && let Some(share) = closing.shares.get_mut(ix)
        {
            share.stage = Stage::Done;
        }
    }

    /// Lives that are owed in a closing and wait for their RETRY.
    fn retrying_of(&self, id: ClosingId, ix: SubscriberIx) -> u64 {
        let Some(closing) = self.closings.closings.iter().find(|it| it.id == id) else { return 0 };
        let Some(subscriber) = self.registry.get(ix) else { return 0 };
        let given_up = closing.shares.get(ix).map(|share| &share.given_up);
        let owed = |life: &&LifeRef| {
            let held = self.lives.get(**life);
            held.is_some_and(|held| {
                held.gateway() == closing.gateway && held.decided().is_some_and(|at| at <= closing.mark)
            }) && given_up.is_none_or(|given_up| !given_up.contains(*life))
        };
        subscriber.waiting_retries().filter(owed).count() as u64
    }
}
