//! The end of a boot: who is owed what, until when, and how it went.
//!
//! A gateway's Drain, a dispatcher's stop, a boot that is lost or replaced by a newer one: each is a closing of one
//! gateway. It fixes what is owed at one moment; every entry that closes afterwards is counted where it belongs.

mod begin;
mod closing;
mod count;
mod finish;

use std::time::Duration;

use hookwire_protocol::v1::{self, SessionEndReason, StopReason};

pub(crate) use self::closing::{ClosingId, Closings};
use self::closing::{Stage, Waiter};
use crate::{
    emit::boots::GatewayIx,
    machine::{Effect, Machine, Now, Refused},
};

/// The longest budget that may be asked for: a drain is bounded, whoever asks.
pub(crate) const MAX_BUDGET: Duration = Duration::from_secs(3600);

/// A second signal leaves this much.
pub(crate) const HURRY: Duration = Duration::from_millis(200);

/// Somebody who waits for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// How an entry was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acked,
    Accepted,
    /// Or let go of.
    Rejected,
}

/// What is asked of a drain.
#[derive(Clone, Debug)]
pub(crate) struct DrainOrder {
    /// `None`: all of them.
    pub(crate) gateway: Option<String>,
    /// `None`: the live one.
    pub(crate) boot: Option<String>,
    pub(crate) reason: StopReason,
    pub(crate) budget: Duration,
    pub(crate) restart_expected: Duration,
}

impl Machine {
    /// Drains one gateway, or all of them. [`Effect::Drained`] brings the report.
    ///
    /// # Errors
    /// There is no such gateway, or it is in another boot.
    pub(crate) fn drain(&mut self, now: Now, order: &DrainOrder) -> Result<Ticket, Refused> {
        self.now = now;
        let gateways = match &order.gateway {
            Some(id) => vec![self.gateway_to_drain(id, order.boot.as_deref())?],
            None => self.gateways_to_drain(),
        };
        Ok(self.drain_gateways(order, &gateways, false))
    }

    /// Drains all gateways because the dispatcher stops: their boots are not over. Nothing is taken in any more.
    pub(crate) fn stop(&mut self, now: Now, reason: StopReason, budget: Duration) -> Ticket {
        self.now = now;
        self.stopping = true;
        for source in std::mem::take(&mut self.sources).into_keys() {
            self.effect(Effect::EndSource(source, v1::GoodbyeReason::Stopping));
        }
        let order =
            DrainOrder { gateway: None, boot: None, reason, budget, restart_expected: Duration::ZERO };
        let gateways = self.gateways_to_drain();
        self.drain_gateways(&order, &gateways, true)
    }

    /// A second signal: 200 ms are left.
    pub(crate) fn hurry(&mut self, now: Now) {
        self.now = now;
        for closing in &mut self.closings.closings {
            closing.deadline = closing.deadline.min(now.mono + HURRY);
        }
    }

    /// Nobody waits for this report any more; the drain goes on.
    pub(crate) fn forget_waiter(&mut self, ticket: Ticket) {
        self.closings.waiters.retain(|waiter| waiter.ticket != ticket);
        self.report_finished();
    }

    /// How a drain goes.
    pub(crate) fn progress(&self, now: Now, ticket: Ticket) -> Option<v1::DrainProgress> {
        let waiter = self.closings.waiters.iter().find(|waiter| waiter.ticket == ticket)?;
        let mut progress = v1::DrainProgress::default();
        for closing in self.closings.closings.iter().filter(|it| waiter.closings.contains(&it.id)) {
            let left = closing.deadline.saturating_sub(now.mono).as_millis() as u32;
            progress.left_ms = progress.left_ms.max(left);
            for (ix, share) in closing.shares.iter() {
                progress.owed += share.report.owed;
                progress.settled += share.report.acked + share.report.accepted + share.report.rejected;
                if share.stage != Stage::Done
                    && let Some(subscriber) = self.registry.get(ix)
                {
                    progress.waiting_for.push(subscriber.id.to_string());
                }
            }
        }
        progress.waiting_for.sort_unstable();
        progress.waiting_for.dedup();
        Some(progress)
    }

    /// A boot ends without a Drain: its sessions are decided, and its gateway_stop follows their ends.
    pub(crate) fn close_boot_quietly(&mut self, ix: GatewayIx, reason: SessionEndReason) {
        let stop =
            if reason == SessionEndReason::Restart { StopReason::Restart } else { StopReason::Shutdown };
        let order = DrainOrder {
            gateway: None,
            boot: None,
            reason: stop,
            budget: self.settings.drain_budget,
            restart_expected: Duration::ZERO,
        };
        self.begin_closing(ix, &order, Some(reason));
    }

    /// All but those that are over and owe nobody anything.
    fn gateways_to_drain(&self) -> Vec<GatewayIx> {
        let owes = |ix| self.registry.indices().any(|subscriber| self.owed_of(subscriber, ix, false) > 0);
        let drains = |ix| !self.gateways.at(ix).boot.closed || self.closings.drains(ix) || owes(ix);
        self.gateways.by_id().map(|(ix, _)| ix).filter(|ix| drains(*ix)).collect()
    }

    fn gateway_to_drain(&self, id: &str, boot: Option<&str>) -> Result<GatewayIx, Refused> {
        let Some(ix) = self.gateways.find(id) else {
            return Err(Refused::NotFound(format!("gateway {id:?} has never attached")));
        };
        let gateway = self.gateways.at(ix);
        match boot {
            Some(boot) if gateway.is_over(boot) && *gateway.boot.id != *boot => {
                Err(Refused::BootOver { gateway: id.to_owned(), boot: boot.to_owned() })
            }
            Some(boot) if *gateway.boot.id != *boot => {
                let text = format!("gateway {id:?} is in boot {:?}, not in {boot:?}", gateway.boot.id);
                Err(Refused::NotFound(text))
            }
            _ => Ok(ix),
        }
    }

    /// A drain that is under way is joined: the earlier deadline wins.
    fn drain_gateways(&mut self, order: &DrainOrder, gateways: &[GatewayIx], stop: bool) -> Ticket {
        let started = self.now.mono;
        self.closings.gathering = true;
        let closings: Vec<_> = gateways.iter().map(|ix| self.join_or_begin(*ix, order, stop)).collect();
        let ticket = Ticket(self.closings.number());
        let scope = order.gateway.clone().unwrap_or_else(|| "all".to_owned());
        // Who joins gets the first one's report: that one's reason is what the ends say.
        let first = self.closings.waiters.iter().find(|it| !closings.is_empty() && it.closings == closings);
        let (reason, budget) = first.map_or((order.reason, order.budget), |it| (it.reason, it.budget));
        self.closings.waiters.push(Waiter { ticket, scope, reason, budget, started, closings });
        self.closings.gathering = false;
        self.report_finished();
        ticket
    }

    fn join_or_begin(&mut self, ix: GatewayIx, order: &DrainOrder, stop: bool) -> ClosingId {
        let deadline = self.now.mono + order.budget;
        let boot = &self.gateways.at(ix).boot.id;
        let mut under_way = self.closings.closings.iter_mut();
        if let Some(closing) = under_way.find(|it| it.gateway == ix && !it.quiet && it.boot == *boot) {
            closing.deadline = closing.deadline.min(deadline);
            return closing.id;
        }
        if !stop {
            self.boot_is_over(ix);
        }
        self.begin_closing(ix, order, None)
    }
}
