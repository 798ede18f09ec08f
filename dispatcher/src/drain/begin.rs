//! How a closing begins: everything that lives is decided, and everybody gets a share of what is owed.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use hookwire_protocol::v1::{self, GapCause, SessionEndReason, StopReason, subscribe_response};

use super::{
    DrainOrder,
    closing::{Closing, ClosingId, Share, Shares, Stage},
};
use crate::{
    emit::boots::GatewayIx,
    fanout::registry::{Subscriber, SubscriberIx},
    machine::Machine,
    queue::run::Item,
    serve::stream::{Due, Phase, Turn},
    settle::{decide::Ending, lives::LifeRef, retry::Retry},
};

impl Machine {
    /// Fixes what is owed: decides all that live, and gives everybody a share.
    pub(super) fn begin_closing(
        &mut self,
        ix: GatewayIx,
        order: &DrainOrder,
        quiet: Option<SessionEndReason>,
    ) -> ClosingId {
        let id = ClosingId(self.closings.number());
        let drain_reason = match order.reason {
            StopReason::Restart => SessionEndReason::Restart,
            StopReason::Shutdown | StopReason::Unspecified => SessionEndReason::Shutdown,
        };
        if quiet.is_none() {
            self.cancel_starts_of(ix);
        }
        let boot = &mut self.gateways.at_mut(ix).boot;
        let tells_stop = !std::mem::replace(&mut boot.stop_told, true);
        let closing = Closing {
            id,
            gateway: ix,
            boot: boot.id.clone(),
            boot_number: boot.number,
            reason: order.reason,
            quiet: quiet.is_some(),
            mark: u64::MAX, // what is decided from here on is decided by this closing
            started: self.now.mono,
            restart_expected: order.restart_expected,
            deadline: self.now.mono + order.budget,
            sessions_ended: 0,
            last_answer: None,
            said: boot.stop.clone(),
            stop: None,
            tells_stop,
            shares: Shares::default(),
            finished: None,
        };
        self.closings.closings.push(closing);
        if tells_stop {
            self.record_gateway_stop(ix);
        }
        let ended = self.decide_all(ix, quiet.unwrap_or(drain_reason));
        self.give_shares(id, ended);
        id
    }

    /// At a drain no start is written any more: one without an entry goes together with its end, and its events, which
    /// wait for it, are lost.
    fn cancel_starts_of(&mut self, gateway: GatewayIx) {
        for ix in self.registry.indices() {
            let Self { registry, lives, counters, .. } = self;
            let subscriber = registry.at(ix);
            if subscriber.keeps_all() {
                continue; // its log goes on after the drain
            }
            let Subscriber { queue, marks, .. } = subscriber;
            let startless = |event: &Item| {
                let wanted = event.life.incarnation > 0 && marks.wants(event.life.slot);
                wanted && lives.get(event.life).is_some_and(|life| life.gateway() == gateway)
            };
            let lost = queue.shed(startless);
            registry.at(ix).lose(GapCause::Drain, lost, counters);
            let wanted: Vec<_> = self.registry.at(ix).marks.wanted_of(self.lives.of(gateway)).collect();
            wanted.into_iter().for_each(|slot| self.cancel_start(ix, slot));
        }
    }

    fn decide_all(&mut self, ix: GatewayIx, reason: SessionEndReason) -> u64 {
        let live = self.lives.alive_of(ix);
        let by_gateway = self.gateways.at(ix).boot.closed;
        for slot in &live {
            let life = self.lives.at(*slot);
            let (id, incarnation) = (life.id().to_owned(), life.incarnation());
            let (said, time_unix_nano) = (v1::SessionEnd::default(), self.now.unix_nano);
            self.decide(*slot, Ending { reason, said, time_unix_nano, traceparent: "", synthetic: true });
            if by_gateway {
                self.gateway_ended(ix, &id, incarnation, reason);
            }
        }
        live.len() as u64
    }

    fn give_shares(&mut self, id: ClosingId, ended: u64) {
        let mark = self.position();
        let Some(closing) = self.closings.closings.iter().find(|it| it.id == id) else { return };
        let (gateway, quiet) = (closing.gateway, closing.quiet);
        let shares: Shares = self.registry.indices().map(|ix| (ix, self.share(ix, closing))).collect();
        let owed: Vec<_> = shares.iter().map(|(ix, share)| (ix, share.report.owed)).collect();
        if let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id) {
            (closing.mark, closing.sessions_ended, closing.shares) = (mark, ended, shares);
        }
        for (ix, owed) in owed {
            if !quiet {
                self.notice(ix, id, owed);
                self.bring_forward(ix, gateway);
            }
            self.move_on(id, ix);
        }
        self.finish_closings();
    }

    /// A subscriber without a stream is unreachable at once: nobody waits for it.
    fn share(&self, ix: SubscriberIx, closing: &Closing) -> Share {
        let owed = self.owed_of(ix, closing.gateway, closing.quiet);
        let late = || self.late_retries(ix, closing.gateway, closing.deadline);
        let given_up = if closing.quiet { HashSet::new() } else { late() };
        let retried = given_up.len() as u64;
        let subscriber = self.registry.get(ix);
        let id = subscriber.map(|subscriber| subscriber.id.to_string()).unwrap_or_default();
        let mut share = Share {
            stage: Stage::Ends,
            report: v1::SubscriberReport { id, owed, retried, ..Default::default() },
            due: owed - retried,
            given_up,
        };
        if subscriber.is_none_or(|subscriber| subscriber.stream.is_none()) {
            share.stage = Stage::Done;
            share.report.unreachable = owed;
        }
        share
    }

    /// Ends that are due to a subscriber, at the start of a closing.
    pub(super) fn owed_of(&self, ix: SubscriberIx, gateway: GatewayIx, quiet: bool) -> u64 {
        let Some(subscriber) = self.registry.get(ix) else { return 0 };
        let lives = self.lives.of(gateway);
        let ended = |slot: &u32| !self.lives.at(*slot).alive();
        // At a drain, only with retention ALL is there a start that waits still.
        let waits = quiet || subscriber.keeps_all();
        let wanted = if waits { subscriber.marks.wanted_of(lives).filter(ended).count() } else { 0 };
        (subscriber.marks.open_of(lives).filter(ended).count() + wanted) as u64
    }

    fn notice(&mut self, ix: SubscriberIx, id: ClosingId, owed: u64) {
        let Some(closing) = self.closings.closings.iter().find(|it| it.id == id) else { return };
        let back_in = closing.restart_expected.saturating_sub(self.now.mono - closing.started);
        let notice = v1::DrainNotice {
            gateway_id: self.gateways.at(closing.gateway).id.to_string(),
            boot_id: closing.boot.to_string(),
            reason: closing.reason.into(),
            budget_ms: closing.deadline.saturating_sub(self.now.mono).as_millis() as u32,
            ends_owed: owed,
            restart_expected_ms: back_in.as_millis() as u32,
        };
        if let Some(stream) = &mut self.registry.at(ix).stream {
            stream.control.push_back(subscribe_response::Message::DrainNotice(notice));
            self.wake(ix);
        }
    }

    /// A stream that has not caught up yet: the drain's ends do not wait behind its announcements.
    fn bring_forward(&mut self, ix: SubscriberIx, gateway: GatewayIx) {
        let Self { registry, lives, .. } = self;
        let keeps_all = registry.at(ix).keeps_all();
        let Some(stream) = &mut registry.at(ix).stream else { return };
        if stream.phase == Phase::Live || keeps_all {
            return;
        }
        let of_gateway = |turn: &Turn| match turn.due {
            Due::End { life, .. } => lives.get(life).is_some_and(|held| held.gateway() == gateway),
            _ => false,
        };
        let (forward, stay): (VecDeque<_>, _) =
            std::mem::take(&mut stream.live).into_iter().partition(of_gateway);
        stream.first.extend(forward);
        stream.live = stay;
    }

    /// A subscriber that comes while a drain waits for it is told.
    pub(crate) fn notify_of_drains(&mut self, ix: SubscriberIx) {
        let waits =
            |it: &&Closing| !it.quiet && it.shares.get(ix).is_some_and(|share| share.stage == Stage::Ends);
        let waiting = self.closings.closings.iter().filter(waits);
        let waiting: Vec<_> = waiting.filter_map(|it| Some((it.id, it.shares.get(ix)?.due))).collect();
        for (id, due) in waiting {
            self.notice(ix, id, due);
        }
    }

    /// What was answered RETRY before the drain began, and is due again only after its end: carried over at once.
    fn late_retries(&self, ix: SubscriberIx, gateway: GatewayIx, deadline: Duration) -> HashSet<LifeRef> {
        let Some(subscriber) = self.registry.get(ix) else { return HashSet::new() };
        let owed = |life| self.lives.get(life).is_some_and(|held| held.gateway() == gateway && !held.alive());
        let late = |retry: &Retry| retry.at().is_some_and(|at| at > deadline);
        let late = subscriber.retrying.iter().filter(|(life, retry)| late(retry) && owed(**life));
        late.map(|(life, _)| *life).collect()
    }
}
