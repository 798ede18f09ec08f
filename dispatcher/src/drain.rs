//! The end of a boot: who is owed what, until when, and how it went.
//!
//! A gateway's Drain, a dispatcher's stop, a boot that is lost or replaced by a newer one: each is a [`Closing`] of one
//! gateway. It fixes what is owed at one moment; every entry that closes afterwards is counted where it belongs.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{self, BatchKind, SessionEndReason, StopReason, subscribe_response},
};

use crate::{
    emit::{
        boots::{GatewayIx, digest},
        encode::{EventId, Parts, Payload},
    },
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Effect, Machine, Now, Refused},
    serve::stream::{Due, Phase, Turn},
    settle::{decide::Ending, lives::LifeRef},
};

/// A second signal leaves this much.
const HURRY: Duration = Duration::from_millis(200);

/// One closing; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClosingId(u64);

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

/// How far one subscriber has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its ends are awaited.
    Ends,
    /// Its gateway_stop is.
    Stop,
    Done,
}

/// One subscriber's part in a closing. `owed = due + acked + accepted + rejected + carried over`, at any time.
#[derive(Debug)]
struct Share {
    stage: Stage,
    report: v1::SubscriberReport,
    /// Ends that are still awaited.
    due: u64,
    /// Those that were given up because their RETRY does not fit.
    given_up: HashSet<LifeRef>,
}

/// The end of one gateway's boot, under way.
#[derive(Debug)]
struct Closing {
    id: ClosingId,
    gateway: GatewayIx,
    boot: Box<str>,
    reason: StopReason,
    /// A boot that was lost or replaced: nobody is told of a drain, and nobody waits for one.
    quiet: bool,
    /// What was decided up to here is owed.
    mark: u64,
    started: Duration,
    deadline: Duration,
    sessions_ended: u64,
    last_answer: Option<Duration>,
    /// The gateway_stop's bytes, once somebody gets it; `None` as well where it was told before.
    stop: Option<Bytes>,
    tells_stop: bool,
    shares: BTreeMap<SubscriberIx, Share>,
    finished: Option<Duration>,
}

/// A report that is awaited.
#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    scope: String,
    reason: StopReason,
    budget: Duration,
    started: Duration,
    closings: Vec<ClosingId>,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(crate) struct Closings {
    closings: Vec<Closing>,
    waiters: Vec<Waiter>,
    count: u64,
}

impl Closings {
    /// Whether a drain of this gateway is under way: there is no time for anything but starts and ends.
    pub(crate) fn drains(&self, gateway: GatewayIx) -> bool {
        self.closings.iter().any(|it| it.gateway == gateway && !it.quiet && it.finished.is_none())
    }

    /// When the next deadline comes.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.closings.iter().filter(|it| it.finished.is_none()).map(|it| it.deadline).min()
    }

    /// What is left for a subscriber that a drain waits for.
    pub(crate) fn left(&self, ix: SubscriberIx, now: Duration) -> Option<Duration> {
        let waits =
            |it: &&Closing| !it.quiet && it.shares.get(&ix).is_some_and(|share| share.stage != Stage::Done);
        self.closings.iter().filter(waits).map(|it| it.deadline.saturating_sub(now)).min()
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Closing {
    /// The share that is owed this life's end, if it is still awaited there.
    fn share_of(&mut self, ix: SubscriberIx, gateway: GatewayIx, decided: Option<u64>) -> Option<&mut Share> {
        let owed = self.gateway == gateway && decided.is_some_and(|position| position <= self.mark);
        self.shares.get_mut(&ix).filter(|share| owed && share.stage == Stage::Ends)
    }
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

    /// How a drain goes.
    pub(crate) fn progress(&self, now: Now, ticket: Ticket) -> Option<v1::DrainProgress> {
        let waiter = self.closings.waiters.iter().find(|waiter| waiter.ticket == ticket)?;
        let mut progress = v1::DrainProgress::default();
        for closing in self.closings.closings.iter().filter(|it| waiter.closings.contains(&it.id)) {
            let left = closing.deadline.saturating_sub(now.mono).as_millis() as u32;
            progress.left_ms = progress.left_ms.max(left);
            for (ix, share) in &closing.shares {
                progress.owed += share.report.owed;
                progress.settled += share.report.acked + share.report.accepted + share.report.rejected;
                if share.stage != Stage::Done
                    && let Some(subscriber) = self.registry.get(*ix)
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
        let closings = gateways.iter().map(|ix| self.join_or_begin(*ix, order, stop)).collect();
        let ticket = Ticket(self.closings.number());
        let scope = order.gateway.clone().unwrap_or_else(|| "all".to_owned());
        let (reason, budget) = (order.reason, order.budget);
        self.closings.waiters.push(Waiter { ticket, scope, reason, budget, started, closings });
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

    /// Fixes what is owed: decides all that live, and gives everybody a share.
    fn begin_closing(
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
            reason: order.reason,
            quiet: quiet.is_some(),
            mark: u64::MAX, // what is decided from here on is decided by this closing
            started: self.now.mono,
            deadline: self.now.mono + order.budget,
            sessions_ended: 0,
            last_answer: None,
            stop: None,
            tells_stop,
            shares: BTreeMap::new(),
            finished: None,
        };
        self.closings.closings.push(closing);
        let ended = self.decide_all(ix, quiet.unwrap_or(drain_reason));
        self.give_shares(id, order, ended);
        id
    }

    /// At a drain no start is written any more: one without an entry goes together with its end.
    fn cancel_starts_of(&mut self, gateway: GatewayIx) {
        for ix in self.registry.indices() {
            let of_gateway = |slot: &u32| self.lives.at(*slot).gateway == gateway;
            let wanted: Vec<_> = self.registry.at(ix).marks.wanted().filter(of_gateway).collect();
            wanted.into_iter().for_each(|slot| self.cancel_start(ix, slot));
        }
    }

    fn decide_all(&mut self, ix: GatewayIx, reason: SessionEndReason) -> u64 {
        let live = self.lives.iter().filter(|(_, life)| life.gateway == ix && life.alive());
        let mut live: Vec<_> = live.map(|(slot, life)| (life.incarnation, slot)).collect();
        live.sort_unstable();
        let by_gateway = self.gateways.at(ix).boot.closed;
        for (incarnation, slot) in &live {
            let id = self.lives.at(*slot).id.clone();
            let (said, time_unix_nano) = (v1::SessionEnd::default(), self.now.unix_nano);
            self.decide(*slot, Ending { reason, said, time_unix_nano, traceparent: "", synthetic: true });
            if by_gateway {
                self.gateway_ended(ix, &id, *incarnation, reason);
            }
        }
        live.len() as u64
    }

    fn give_shares(&mut self, id: ClosingId, order: &DrainOrder, ended: u64) {
        let mark = self.position();
        let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id) else { return };
        (closing.mark, closing.sessions_ended) = (mark, ended);
        let (gateway, quiet) = (closing.gateway, closing.quiet);
        for ix in self.registry.indices() {
            let owed = self.owed_of(ix, gateway, quiet);
            let subscriber = self.registry.at(ix);
            let mut share = Share {
                stage: Stage::Ends,
                report: v1::SubscriberReport { id: subscriber.id.to_string(), owed, ..Default::default() },
                due: owed,
                given_up: HashSet::new(),
            };
            if subscriber.stream.is_none() {
                share.stage = Stage::Done;
                share.report.unreachable = owed;
            }
            let retrying: Vec<_> = subscriber.retrying.iter().copied().collect();
            if let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id) {
                closing.shares.insert(ix, share);
            }
            if !quiet {
                self.notice(ix, id, owed, order.restart_expected);
                self.bring_forward(ix, gateway);
                retrying.into_iter().for_each(|life| self.give_up_late_retry(ix, life));
            }
            self.move_on(id, ix);
        }
        self.finish_closings();
    }

    /// Ends that are due to a subscriber, at the start of a closing.
    fn owed_of(&self, ix: SubscriberIx, gateway: GatewayIx, quiet: bool) -> u64 {
        let Some(subscriber) = self.registry.get(ix) else { return 0 };
        let ended = |slot: &u32| {
            let life = self.lives.at(*slot);
            life.gateway == gateway && !life.alive()
        };
        let wanted = if quiet { subscriber.marks.wanted().filter(ended).count() } else { 0 };
        (subscriber.marks.open().filter(ended).count() + wanted) as u64
    }

    fn notice(&mut self, ix: SubscriberIx, id: ClosingId, owed: u64, restart_expected: Duration) {
        let Some(closing) = self.closings.closings.iter().find(|it| it.id == id) else { return };
        let notice = v1::DrainNotice {
            gateway_id: self.gateways.at(closing.gateway).id.to_string(),
            boot_id: closing.boot.to_string(),
            reason: closing.reason.into(),
            budget_ms: closing.deadline.saturating_sub(self.now.mono).as_millis() as u32,
            ends_owed: owed,
            restart_expected_ms: restart_expected.as_millis() as u32,
        };
        if let Some(stream) = &mut self.registry.at(ix).stream {
            stream.control.push_back(subscribe_response::Message::DrainNotice(notice));
            self.wake(ix);
        }
    }

    /// A stream that has not caught up yet: the drain's ends do not wait behind its announcements.
    fn bring_forward(&mut self, ix: SubscriberIx, gateway: GatewayIx) {
        let Self { registry, lives, .. } = self;
        let Some(stream) = &mut registry.at(ix).stream else { return };
        if stream.phase == Phase::Live {
            return;
        }
        let of_gateway = |turn: &Turn| match turn.due {
            Due::End { life, .. } => lives.get(life).is_some_and(|held| held.gateway == gateway),
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
            |it: &&Closing| !it.quiet && it.shares.get(&ix).is_some_and(|share| share.stage == Stage::Ends);
        let waiting = self.closings.closings.iter().filter(waits);
        let waiting: Vec<_> = waiting.map(|it| (it.id, it.shares[&ix].due)).collect();
        for (id, due) in waiting {
            self.notice(ix, id, due, Duration::ZERO);
        }
    }

    /// An entry closed, or a start was cancelled: counts it where it is owed.
    pub(crate) fn count_in_closings(&mut self, ix: SubscriberIx, life: LifeRef, outcome: Option<Outcome>) {
        if self.closings.closings.is_empty() {
            return;
        }
        let held = self.lives.at(life.slot);
        let (gateway, decided, id) = (held.gateway, held.decided(), held.id.clone());
        let now = self.now.mono;
        let mut moved = Vec::new();
        for closing in &mut self.closings.closings {
            let started = closing.started;
            let Some(share) = closing.share_of(ix, gateway, decided) else { continue };
            if share.given_up.remove(&life) {
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
                let ms = (now - started).as_millis() as u32;
                share.report.slowest = Some(v1::SlowestEnd { session: id.to_string(), ms });
                closing.last_answer = Some(now);
            }
            moved.push(closing.id);
        }
        moved.into_iter().for_each(|id| self.move_on(id, ix));
        self.finish_closings();
    }

    /// A RETRY that does not fit into what is left is carried over at once.
    pub(crate) fn retry_in_closings(&mut self, ix: SubscriberIx, life: LifeRef, at: Duration) {
        let held = self.lives.at(life.slot);
        let (gateway, decided, now) = (held.gateway, held.decided(), self.now.mono);
        let mut moved = Vec::new();
        for closing in &mut self.closings.closings {
            let too_late = at > closing.deadline;
            let Some(share) = closing.share_of(ix, gateway, decided) else { continue };
            if too_late && share.given_up.insert(life) {
                share.due -= 1;
                share.report.retried += 1;
                moved.push(closing.id);
            }
            closing.last_answer = Some(now);
        }
        moved.into_iter().for_each(|id| self.move_on(id, ix));
        self.finish_closings();
    }

    /// The same, for what was answered RETRY before the drain began.
    fn give_up_late_retry(&mut self, ix: SubscriberIx, life: LifeRef) {
        let at = self.retries.iter().find(|(_, (_, retried))| *retried == life).map(|((at, _), _)| *at);
        if let Some(at) = at
            && self.lives.get(life).is_some()
        {
            self.retry_in_closings(ix, life, at);
        }
    }

    /// The gateway_stop was answered, whatever the answer.
    pub(crate) fn gateway_stop_answered(&mut self, ix: SubscriberIx, id: ClosingId) {
        let now = self.now.mono;
        let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id) else { return };
        if let Some(share) = closing.shares.get_mut(&ix).filter(|share| share.stage == Stage::Stop) {
            share.stage = Stage::Done;
            closing.last_answer = Some(now);
        }
        self.finish_closings();
    }

    /// A stream broke: its gateway_stop is not awaited any more. Its ends are: it may come back in time.
    pub(crate) fn stream_ended_in_closings(&mut self, ix: SubscriberIx) {
        for closing in &mut self.closings.closings {
            if let Some(share) = closing.shares.get_mut(&ix).filter(|share| share.stage == Stage::Stop) {
                share.stage = Stage::Done;
            }
        }
        self.finish_closings();
    }

    /// A subscriber is forgotten: nothing of it is awaited.
    pub(crate) fn forget_in_closings(&mut self, ix: SubscriberIx) {
        for closing in &mut self.closings.closings {
            if let Some(share) = closing.shares.get_mut(&ix) {
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
        let Some(share) = closing.shares.get_mut(&ix) else { return };
        if share.stage == Stage::Ends {
            let retried = retrying.min(share.due);
            share.report.retried += retried;
            let rest = share.due - retried;
            *(if connected { &mut share.report.timed_out } else { &mut share.report.unreachable }) += rest;
            share.due = 0;
            self.move_on(id, ix);
        }
        if let Some(closing) = self.closings.closings.iter_mut().find(|it| it.id == id)
            && let Some(share) = closing.shares.get_mut(&ix)
        {
            share.stage = Stage::Done;
        }
    }

    /// Lives that are owed in a closing and wait for their RETRY.
    fn retrying_of(&self, id: ClosingId, ix: SubscriberIx) -> u64 {
        let Some(closing) = self.closings.closings.iter().find(|it| it.id == id) else { return 0 };
        let Some(subscriber) = self.registry.get(ix) else { return 0 };
        let given_up = closing.shares.get(&ix).map(|share| &share.given_up);
        let owed = |life: &&LifeRef| {
            let held = self.lives.get(**life);
            held.is_some_and(|held| {
                held.gateway == closing.gateway && held.decided().is_some_and(|at| at <= closing.mark)
            }) && given_up.is_none_or(|given_up| !given_up.contains(*life))
        };
        subscriber.retrying.iter().filter(owed).count() as u64
    }

    /// Once a subscriber's ends are settled or given up: gateway_stop, then the summary.
    fn move_on(&mut self, id: ClosingId, ix: SubscriberIx) {
        let position = self.next_position();
        let Some(at) = self.closings.closings.iter().position(|it| it.id == id) else { return };
        let closing = &self.closings.closings[at];
        let Some(share) = closing.shares.get(&ix) else { return };
        if share.stage != Stage::Ends || share.due > 0 {
            return;
        }
        let gateway = closing.gateway;
        let told = closing.tells_stop
            && self
                .registry
                .get(ix)
                .is_some_and(|subscriber| subscriber.filter.wants_hook(hook::GATEWAY_STOP));
        let stop = told.then(|| self.stop_event(at));
        let closing = &mut self.closings.closings[at];
        let Some(share) = closing.shares.get_mut(&ix) else { return };
        let subscriber = self.registry.at(ix);
        share.stage = if stop.is_some() && subscriber.stream.is_some() { Stage::Stop } else { Stage::Done };
        let elapsed = self.now.mono - closing.started;
        let summary = summary(&share.report, &self.gateways.at(gateway).id, &closing.boot, elapsed);
        let quiet = closing.quiet;
        if !quiet {
            let shed = subscriber.queue.shed_gateway(gateway);
            subscriber.lose(v1::GapCause::Drain, shed);
        }
        subscriber.tell(id, position, stop, (!quiet).then_some(summary));
        self.wake(ix);
    }

    /// The gateway's own gateway_stop, or one in its place.
    fn stop_event(&mut self, at: usize) -> Bytes {
        if let Some(stop) = &self.closings.closings[at].stop {
            return stop.clone();
        }
        let closing = &self.closings.closings[at];
        let gateway = self.gateways.at(closing.gateway);
        let held = gateway.boot.stop.as_ref().filter(|_| gateway.boot.id == closing.boot);
        let synthetic = v1::GatewayStop { reason: closing.reason.into(), text: String::new() };
        let boot_digest = digest(&[&gateway.id, &closing.boot]);
        let (id, payload, time_unix_nano) = match held {
            Some(held) => {
                let id = EventId::Published { emitter: &held.emitter, publish_seq: held.publish_seq };
                (id, &held.payload, held.time_unix_nano)
            }
            None => (EventId::Stop { boot: &boot_digest }, &synthetic, self.now.unix_nano),
        };
        let event = self.encoder.encode(&Parts {
            id,
            hook: hook::GATEWAY_STOP,
            gateway: &gateway.id,
            boot: &closing.boot,
            session: None,
            session_seq: 0,
            time_unix_nano,
            traceparent: "",
            synthetic: held.is_none(),
            late: false,
            payload: Payload::GatewayStop(payload),
        });
        self.closings.closings[at].stop = Some(event.clone());
        event
    }

    fn finish_closings(&mut self) {
        let now = self.now.mono;
        for closing in &mut self.closings.closings {
            let given = closing.mark != u64::MAX;
            let done = closing.shares.values().all(|share| share.stage == Stage::Done);
            if closing.finished.is_none() && given && done {
                closing.finished = Some(now);
            }
        }
        self.report_finished();
    }

    /// Whoever waits for nothing but finished closings gets a report; a closing nobody waits for is dropped.
    fn report_finished(&mut self) {
        let Closings { closings, waiters, .. } = &mut self.closings;
        let finished = |id: &ClosingId| closings.iter().any(|it| it.id == *id && it.finished.is_some());
        let (done, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(waiters).into_iter().partition(|waiter| waiter.closings.iter().all(finished));
        *waiters = waiting;
        for waiter in done {
            let report = self.report(&waiter);
            self.effect(Effect::Drained(waiter.ticket, report));
        }
        let Closings { closings, waiters, .. } = &mut self.closings;
        closings.retain(|it| {
            it.finished.is_none() || waiters.iter().any(|waiter| waiter.closings.contains(&it.id))
        });
    }

    fn report(&self, waiter: &Waiter) -> v1::DrainReport {
        let mine = || self.closings.closings.iter().filter(|it| waiter.closings.contains(&it.id));
        let known = self.registry.by_id().map(|(_, subscriber)| subscriber.id.to_string());
        let mut rows: BTreeMap<String, v1::SubscriberReport> =
            known.map(|id| (id.clone(), v1::SubscriberReport { id, ..Default::default() })).collect();
        for share in mine().flat_map(|it| it.shares.values()) {
            let row = rows.entry(share.report.id.clone()).or_insert_with(|| v1::SubscriberReport {
                id: share.report.id.clone(),
                ..Default::default()
            });
            add(row, &share.report);
        }
        let started = mine().map(|it| it.started).min().unwrap_or(waiter.started);
        let finished = mine().filter_map(|it| it.finished).max().unwrap_or(started);
        let last_answer = mine().filter_map(|it| it.last_answer).max();
        v1::DrainReport {
            reason: waiter.reason.into(),
            scope: waiter.scope.clone(),
            durable: self.settings.durable,
            budget_ms: waiter.budget.as_millis() as u32,
            elapsed_ms: (finished - started).as_millis() as u32,
            last_ack_ms: last_answer.map(|at| (at - started).as_millis() as u32),
            sessions_ended: mine().map(|it| it.sessions_ended).sum(),
            subscribers: rows.into_values().collect(),
        }
    }
}

impl Subscriber {
    /// Queues what a closing has to say at its end.
    fn tell(&mut self, id: ClosingId, position: u64, stop: Option<Bytes>, summary: Option<v1::DrainSummary>) {
        let Some(stream) = &mut self.stream else { return };
        let kind = BatchKind::Live;
        let lane = if stream.phase == Phase::Live { &mut stream.live } else { &mut stream.first };
        let stop = stop.map(|event| Due::GatewayStop(id, event));
        let summary = summary.map(|it| Due::Control(subscribe_response::Message::DrainSummary(it)));
        lane.extend(stop.into_iter().chain(summary).map(|due| Turn { position, kind, due }));
    }
}

fn summary(report: &v1::SubscriberReport, gateway: &str, boot: &str, elapsed: Duration) -> v1::DrainSummary {
    v1::DrainSummary {
        gateway_id: gateway.to_owned(),
        boot_id: boot.to_owned(),
        owed: report.owed,
        acked: report.acked,
        accepted: report.accepted,
        rejected: report.rejected,
        timed_out: report.timed_out,
        unreachable: report.unreachable,
        retried: report.retried,
        carried_over: report.timed_out + report.unreachable + report.retried,
        elapsed_ms: elapsed.as_millis() as u32,
    }
}

fn add(row: &mut v1::SubscriberReport, other: &v1::SubscriberReport) {
    row.owed += other.owed;
    row.acked += other.acked;
    row.accepted += other.accepted;
    row.rejected += other.rejected;
    row.timed_out += other.timed_out;
    row.unreachable += other.unreachable;
    row.retried += other.retried;
    row.carried_over = row.timed_out + row.unreachable + row.retried;
    let slower = other.slowest.as_ref().map(|it| it.ms) >= row.slowest.as_ref().map(|it| it.ms);
    if slower && other.slowest.is_some() {
        row.slowest.clone_from(&other.slowest);
    }
}
