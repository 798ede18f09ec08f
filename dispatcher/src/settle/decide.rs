//! A life begins, ends, and is let go of: the choke point that every start and every end goes through.

use hookwire_protocol::{
    hook,
    v1::{self, BatchKind, SessionEndReason},
};

use super::{
    journal::{Record, SubscriberNumber},
    lives::{End, Life, LifeRef, Slot},
};
use crate::{
    drain::{Closings, Outcome},
    emit::{
        boots::GatewayIx,
        encode::{EventId, Parts, Payload, Session, SessionParts, encode},
        given::Given,
    },
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Machine, Step},
    serve::stream::{Due, Phase, Turn},
};

/// What began a life: its own session_start, or any event that named it.
pub(crate) struct Beginning<'a> {
    pub(crate) event: &'a Given<'a>,
    pub(crate) synthetic: bool,
}

/// What ended a life.
pub(crate) struct Ending<'a> {
    pub(crate) reason: SessionEndReason,
    /// What the gateway said, where it did.
    pub(crate) said: v1::SessionEnd,
    pub(crate) time_unix_nano: u64,
    pub(crate) traceparent: &'a str,
    pub(crate) synthetic: bool,
}

impl Machine {
    /// A life begins: it is wanted by everybody whose filter says so, connected or away.
    pub(crate) fn begin_life(
        &mut self,
        ix: GatewayIx,
        beginning: &Beginning<'_>,
        mut payload: v1::SessionStart,
    ) -> Slot {
        let event = beginning.event;
        let session = event.session.unwrap_or_default();
        let id = session.id.unwrap_or_default();
        let (previous, reason) = self.previous_life(ix, id);
        payload.previous_incarnation = previous;
        payload.set_previous_reason(reason);
        let incarnation = self.next_incarnation();
        let position = self.next_position();
        let gateway = self.gateways.at(ix);
        let start = encode(&Parts {
            id: EventId::Start { ledger: &self.settings.ledger_id, incarnation },
            hook: hook::SESSION_START,
            origin: &gateway.boot.origin,
            session: Some(Session::Parts(SessionParts {
                id,
                key: session.key,
                agent: session.agent_id,
                incarnation,
            })),
            session_seq: 1,
            time_unix_nano: event.time_unix_nano,
            traceparent: event.traceparent,
            synthetic: beginning.synthetic,
            late: false,
            payload: Payload::SessionStart(&payload),
        });
        self.counters.sessions_started += 1;
        self.counters.sessions_started_synthetic += u64::from(beginning.synthetic);
        let life = Life::new(incarnation, ix, &start, event.time_unix_nano, position);
        debug_assert_eq!((life.id(), life.key(), life.agent()), (id, session.key, session.agent_id));
        let slot = self.lives.insert(life);
        let wanted = self.want_start(LifeRef { incarnation, slot }, position);
        let ran = self.ran();
        self.record(Record::Started { incarnation, gateway: ix, event: start, wanted, ran, position });
        slot
    }

    /// Where this id lived before, and how that ended.
    pub(crate) fn previous_life(&self, ix: GatewayIx, id: &str) -> (u64, SessionEndReason) {
        // What the gateway has ended in this boot has not lived since.
        if let Some(ended) = self.gateways.at(ix).boot.ended.get(id) {
            let reason = if ended.incarnation > 0 { ended.reason } else { SessionEndReason::Unspecified };
            return (ended.incarnation, reason);
        }
        let held = self.lives.last_ended(ix, id);
        held.and_then(|life| Some((life.incarnation(), life.end()?.reason)))
            .unwrap_or((0, SessionEndReason::Unspecified))
    }

    /// Says who wants it.
    fn want_start(&mut self, life: LifeRef, position: u64) -> Box<[SubscriberNumber]> {
        let Self { registry, lives, step, log, .. } = self;
        let held = lives.at(life.slot);
        let (agent, key, mut wanted, mut keeps) = (held.agent(), held.key(), Vec::new(), false);
        for (_, subscriber) in registry.iter_mut() {
            let filter = &subscriber.filter;
            if !filter.wants_lifecycle() || !filter.wants_session(agent, key) {
                continue;
            }
            subscriber.marks.want(life.slot);
            wanted.push(subscriber.number);
            keeps |= subscriber.keeps_all();
            if let Some(stream) = &mut subscriber.stream {
                stream.live.push_back(Turn { position, kind: BatchKind::Live, due: Due::Start(life) });
                step.wake(stream);
            }
        }
        if keeps {
            log.begins(life.incarnation, position);
        }
        lives.at_mut(life.slot).hold(wanted.len() as u16);
        wanted.into()
    }

    /// Decides how a live life ended. Whoever was handed its start is due its end.
    pub(crate) fn decide(&mut self, slot: Slot, ending: Ending<'_>) {
        let position = self.next_position();
        let life = self.lives.at(slot);
        let (incarnation, gateway) = (life.incarnation(), self.gateways.at(life.gateway()));
        let mut payload = ending.said;
        payload.set_reason(ending.reason);
        payload.set_disposition(ending.reason.disposition());
        payload.last_session_seq = life.seq();
        payload.last_activity_unix_nano = life.last_activity();
        let event = encode(&Parts {
            id: EventId::End { ledger: &self.settings.ledger_id, incarnation },
            hook: hook::SESSION_END,
            origin: &gateway.boot.origin,
            session: Some(Session::Parts(SessionParts {
                id: life.id(),
                key: life.key(),
                agent: life.agent(),
                incarnation,
            })),
            session_seq: life.seq() + 1,
            time_unix_nano: ending.time_unix_nano,
            traceparent: ending.traceparent,
            synthetic: ending.synthetic,
            late: false,
            payload: Payload::SessionEnd(&payload),
        });
        let (reason, ran) = (ending.reason, self.ran());
        self.record(Record::Decided { incarnation, event: event.clone(), reason, ran, position });
        self.counters.sessions_ended += 1;
        self.lives.end(slot, End { event, reason, position, since: ran });
        let life = LifeRef { incarnation, slot };
        let Self { registry, lives, closings, step, retention_due, .. } = self;
        let (held, mut cancelled) = (lives.at(slot), Vec::new());
        let owed = held.owed();
        for (ix, subscriber) in registry.iter_mut() {
            subscriber.marks.decide(slot);
            if let Some(owed) = owed.filter(|_| subscriber.marks.holds(slot)) {
                *retention_due = (*retention_due).min(subscriber.owe(owed));
            }
            if subscriber.marks.is_settled(slot) {
                subscriber.end_is_due(life, held, closings, step);
            } else if subscriber.marks.wants(slot) && subscriber.stream.is_none() && !subscriber.keeps_all() {
                cancelled.push(ix);
            }
        }
        cancelled.into_iter().for_each(|ix| self.cancel_start(ix, slot));
        self.give_up_if_idle(slot);
    }

    /// The life has ended and this subscriber has settled its start: puts the end in its place.
    pub(crate) fn end_is_due(&mut self, ix: SubscriberIx, life: LifeRef) {
        let Self { registry, lives, closings, step, .. } = self;
        registry.at(ix).end_is_due(life, lives.at(life.slot), closings, step);
    }

    /// A start without an entry goes together with its end.
    pub(crate) fn cancel_start(&mut self, ix: SubscriberIx, slot: Slot) {
        self.counters.starts_cancelled += 1;
        self.record_closed(ix, slot);
        self.let_go(ix, slot, None);
    }

    /// An entry is closed: nothing more of this life is due to this subscriber.
    pub(crate) fn close_entry(&mut self, ix: SubscriberIx, slot: Slot, outcome: Outcome) {
        let incarnation = self.record_closed(ix, slot);
        if let Some(stream) = self.registry.at(ix).stream.as_mut().filter(|it| it.phase != Phase::Live) {
            stream.closed.insert(incarnation);
        }
        self.let_go(ix, slot, Some(outcome));
    }

    fn let_go(&mut self, ix: SubscriberIx, slot: Slot, outcome: Option<Outcome>) {
        let life = self.lives.at_mut(slot);
        life.let_go();
        let owed = life.owed();
        let life = LifeRef { incarnation: life.incarnation(), slot };
        self.count_in_closings(ix, life, outcome);
        self.forget_retry(ix, life);
        let subscriber = self.registry.at(ix);
        if let Some(owed) = owed.filter(|_| subscriber.marks.holds(slot)) {
            subscriber.account.settle(owed);
        }
        subscriber.marks.close(slot);
        subscriber.queue.release(life.incarnation);
        if let Some(stream) = &mut subscriber.stream {
            stream.start_is_replayed(life.incarnation);
            stream.end_is_replayed(life.incarnation);
        }
        self.unblock(ix, slot);
        self.give_up_if_idle(slot);
        self.wake(ix);
    }

    fn record_closed(&mut self, ix: SubscriberIx, slot: Slot) -> u64 {
        let (subscriber, incarnation) = (self.registry.at(ix).number, self.lives.at(slot).incarnation());
        self.record(Record::Closed { subscriber, incarnation });
        incarnation
    }

    /// A life that has ended, and that nobody is due anything of, is forgotten.
    pub(crate) fn give_up_if_idle(&mut self, slot: Slot) {
        if let Some(incarnation) = self.lives.give_up_if_idle(slot) {
            self.log.forget(incarnation);
            self.record(Record::Forgotten { incarnation });
        }
    }

    /// The end of this life is written, or never will be: starts that waited for it have their turn.
    pub(crate) fn unblock(&mut self, ix: SubscriberIx, slot: Slot) {
        let subscriber = self.registry.at(ix);
        if subscriber.waiting.is_empty() {
            return; // for every end: that is no reason to hash
        }
        let Some(waiting) = subscriber.waiting.remove(&slot) else { return };
        let Some(stream) = &mut subscriber.stream else { return };
        for life in waiting.into_iter().rev().filter(|life| self.lives.get(*life).is_some()) {
            if stream.replay_starts.contains(&life.incarnation) {
                stream.first.push_front(Turn::overdue(BatchKind::Redelivered, Due::Start(life)));
            } else {
                stream.live.push_front(Turn::overdue(BatchKind::Live, Due::Start(life)));
            }
        }
    }
}

impl Subscriber {
    /// Puts the end of a life, whose start it has settled, in its place.
    fn end_is_due(&mut self, life: LifeRef, held: &Life, closings: &Closings, step: &mut Step) {
        let keeps_all = self.keeps_all();
        let (Some(position), Some(stream)) = (held.decided(), &mut self.stream) else { return };
        let earlier = position <= stream.began && !stream.gone_live.contains(&life.incarnation);
        let kind = if earlier { BatchKind::Redelivered } else { BatchKind::Live };
        let turn = Turn { position, kind, due: Due::End { life, swept: false } };
        // A drain waits for it, or CaughtUp does: behind announcements it would come too late. Of a log, what is live
        // comes behind what is not.
        let hurries = !keeps_all && closings.drain(held);
        if stream.phase != Phase::Live && (earlier || hurries) {
            stream.first.push_back(turn);
        } else {
            stream.live.push_back(turn);
        }
        step.wake(stream);
    }
}
