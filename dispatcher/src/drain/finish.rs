//! How a closing ends: gateway_stop and a summary to each subscriber, a report to whoever waits.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{self, BatchKind, subscribe_response},
};

use super::closing::{ClosingId, Closings, Stage, Waiter};
use crate::{
    emit::{
        boots::digest,
        encode::{EventId, Parts, Payload, encode, origin},
    },
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Effect, Machine},
    serve::stream::{Due, Phase, Turn},
};

impl Machine {
    /// Once a subscriber's ends are settled or given up: gateway_stop, then the summary.
    pub(super) fn move_on(&mut self, id: ClosingId, ix: SubscriberIx) {
        let position = self.next_position();
        let Some(at) = self.closings.closings.iter().position(|it| it.id == id) else { return };
        let closing = &self.closings.closings[at];
        let Some(share) = closing.shares.get(ix) else { return };
        if share.stage != Stage::Ends || share.due > 0 {
            return;
        }
        let gateway = closing.gateway;
        let listens = |it: &Subscriber| it.stream.is_some() && it.filter.wants_hook(hook::GATEWAY_STOP);
        let told = closing.tells_stop && self.registry.get(ix).is_some_and(listens);
        let stop = told.then(|| self.stop_event(at));
        let closing = &mut self.closings.closings[at];
        let Some(share) = closing.shares.get_mut(ix) else { return };
        let subscriber = self.registry.at(ix);
        share.stage = if stop.is_some() { Stage::Stop } else { Stage::Done };
        let elapsed = self.now.mono - closing.started;
        let summary = summary(&share.report, &self.gateways.at(gateway).id, &closing.boot, elapsed);
        let (quiet, boot_number) = (closing.quiet, closing.boot_number);
        if !quiet && !subscriber.keeps_all() {
            let shed = subscriber.queue.shed_boot(boot_number);
            subscriber.lose(v1::GapCause::Drain, shed, &mut self.counters);
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
        let synthetic = v1::GatewayStop { reason: closing.reason.into(), text: String::new() };
        let boot_digest = digest(&[&gateway.id, &closing.boot]);
        let (id, payload, time_unix_nano, traceparent) = match &closing.said {
            Some(said) => {
                let id = EventId::Published { emitter: &said.emitter, publish_seq: said.publish_seq };
                (id, &said.payload, said.time_unix_nano, said.traceparent.as_str())
            }
            None => (EventId::Stop { boot: &boot_digest }, &synthetic, self.now.unix_nano, ""),
        };
        let event = encode(&Parts {
            id,
            hook: hook::GATEWAY_STOP,
            origin: &origin(&gateway.id, &closing.boot),
            session: None,
            session_seq: 0,
            time_unix_nano,
            traceparent,
            synthetic: closing.said.is_none(),
            late: false,
            payload: Payload::GatewayStop(payload),
        });
        self.closings.closings[at].stop = Some(event.clone());
        event
    }

    pub(super) fn finish_closings(&mut self) {
        let now = self.now.mono;
        for closing in &mut self.closings.closings {
            let given = closing.mark != u64::MAX;
            let done = closing.shares.iter().all(|(_, share)| share.stage == Stage::Done);
            if closing.finished.is_none() && given && done {
                closing.finished = Some(now);
            }
        }
        self.report_finished();
    }

    /// Whoever waits for nothing but finished closings gets a report; a closing nobody waits for is dropped.
    pub(super) fn report_finished(&mut self) {
        if self.closings.gathering {
            return;
        }
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
        for (_, share) in mine().flat_map(|it| it.shares.iter()) {
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
        let stop = stop.map(|event| Due::GatewayStop(id, Box::new(event)));
        let summary = summary.map(|it| Due::Control(Box::new(subscribe_response::Message::DrainSummary(it))));
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
