//! What a gateway publishes is taken in: it starts and ends lives, or is fanned out.

use hookwire_protocol::{
    hook,
    v1::{self, GatewayEvent, RefusalCode, SessionEndReason, SessionRef, StopReason, gateway_event},
};

use super::{
    boots::{GatewayIx, HeldStop, SourceId},
    check::check,
    encode::{EventId, Parts, Payload, SessionParts},
};
use crate::{
    fanout::catalogue::MAX_HOOKS,
    machine::{Machine, Now},
    settle::{
        decide::{Beginning, Ending},
        journal::Record,
        lives::{Life, LifeRef, Slot},
    },
};

/// A chunk that has come to this size is fanned out before the rest of its batch: what a slow reader holds, it holds
/// by the chunk, and a few bytes from a gateway can make an event of kilobytes.
const CHUNK_BYTES: usize = 64 << 10;

/// One event of the batch that is being taken in: where its bytes are, and what a filter asks about.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) position: u64,
    /// The number of the boot it was published in.
    pub(crate) boot: u32,
    /// The hook's number.
    pub(crate) hook: usize,
    /// Incarnation 0 where it belongs to none.
    pub(crate) life: LifeRef,
    /// The agent and key of its session, where it names one.
    pub(crate) session: Option<(Box<str>, Box<str>)>,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Item {
    /// Its own part of the chunk.
    pub(crate) fn bytes<'a>(&self, chunk: &'a [u8]) -> &'a [u8] {
        &chunk[self.start as usize..self.end as usize]
    }
}

/// Which life an event belongs to.
enum Belongs {
    /// To a live one.
    To(Slot),
    /// To one that has ended; incarnation 0 where there was none.
    Late(LifeRef),
    /// To none.
    Nothing,
}

impl Machine {
    /// Takes events in. `None` where the stream has lost its place, or the dispatcher stops: nothing was taken in.
    pub(crate) fn publish(
        &mut self,
        now: Now,
        source: SourceId,
        publish: v1::Publish,
    ) -> Option<v1::Receipt> {
        self.now = now;
        if self.stopping {
            return None;
        }
        let (gateway, emitter_id) = self.sources.get(&source)?.clone();
        let emitter = self.gateways.at(gateway).boot.emitters.get(&emitter_id)?;
        let (digest, mut last) = (emitter.digest.clone(), emitter.last);
        let (records, mut refused) = (self.step.records.len(), Vec::new());
        for (after, event) in (0..).zip(publish.events) {
            let number = publish.first_publish_seq.checked_add(after).filter(|number| *number > 0);
            let Some(publish_seq) = number else {
                self.counters.events_refused += 1;
                refused.push(no_number(after));
                continue;
            };
            if publish_seq <= last {
                self.counters.events_resent += 1;
                continue;
            }
            last = publish_seq;
            match self.take_in(gateway, &digest, publish_seq, event) {
                Ok(()) => self.counters.events_taken_in += 1,
                Err((code, text)) => {
                    self.counters.events_refused += 1;
                    refused.push(v1::Refusal { publish_seq, code: code.into(), text });
                }
            }
            if self.chunk.len() >= CHUNK_BYTES {
                self.fan_out();
            }
        }
        let id = self.gateways.at(gateway).id.clone();
        if let Some(emitter) = self.gateways.at_mut(gateway).boot.emitters.get_mut(&emitter_id) {
            emitter.last = last;
        }
        if self.step.records.len() > records {
            self.record(Record::Published { gateway: id, emitter: emitter_id, publish_seq: last });
        }
        self.fan_out();
        Some(v1::Receipt { through_publish_seq: last, refused })
    }

    fn take_in(
        &mut self,
        ix: GatewayIx,
        emitter: &str,
        publish_seq: u64,
        mut event: GatewayEvent,
    ) -> Result<(), (RefusalCode, String)> {
        check(&event, self.settings.max_event_bytes)?;
        if event.time_unix_nano == 0 {
            event.time_unix_nano = self.now.unix_nano;
        }
        match event.hook.as_str() {
            hook::SESSION_START => return self.session_starts(ix, &event),
            hook::SESSION_END => self.session_ends(ix, &event),
            hook::GATEWAY_STOP => self.hold_gateway_stop(ix, emitter, publish_seq, &event),
            _ => return self.observe(ix, emitter, publish_seq, event),
        }
        Ok(())
    }

    fn session_starts(&mut self, ix: GatewayIx, event: &GatewayEvent) -> Result<(), (RefusalCode, String)> {
        let gateway = self.gateways.at(ix);
        if gateway.boot.closed {
            let text = format!("boot {:?} is over: nothing starts in it", gateway.boot.id);
            return Err((RefusalCode::BootOver, text));
        }
        let id = session_id(event);
        if self.lives.alive_by_id(ix, id).is_some() {
            self.counters.starts_while_alive += 1;
            return Ok(());
        }
        let start = match &event.payload {
            Some(gateway_event::Payload::SessionStart(start)) => start.clone(),
            _ => v1::SessionStart::default(),
        };
        self.begin_life(ix, &Beginning { event, synthetic: false }, start);
        self.gateways.at_mut(ix).boot.ended.remove(id);
        Ok(())
    }

    fn session_ends(&mut self, ix: GatewayIx, event: &GatewayEvent) {
        let said = match &event.payload {
            Some(gateway_event::Payload::SessionEnd(end)) => end.clone(),
            _ => v1::SessionEnd::default(),
        };
        let reason = match said.reason() {
            // LOST is the dispatcher's own word: a gateway that can still say it has not vanished.
            SessionEndReason::Unspecified | SessionEndReason::Lost => SessionEndReason::Unknown,
            reason => reason,
        };
        let session = event.session.clone().unwrap_or_default();
        let alive = match &session.id {
            Some(id) => self.lives.alive_by_id(ix, id),
            None => self.lives.alive_by_key(ix, &session.key),
        };
        let Some(slot) = alive else {
            self.counters.ends_without_life += 1;
            if let Some(id) = &session.id {
                // The first end decided wins: what is said now counts only where nothing is known.
                let (incarnation, known) = self.previous_life(ix, id);
                let reason = if incarnation > 0 { known } else { reason };
                self.gateway_ended(ix, id, incarnation, reason);
            }
            return;
        };
        let life = self.lives.at(slot);
        let (id, incarnation) = (life.id().to_owned(), life.incarnation());
        let time_unix_nano = event.time_unix_nano;
        self.decide(
            slot,
            Ending { reason, said, time_unix_nano, traceparent: &event.traceparent, synthetic: false },
        );
        self.gateway_ended(ix, &id, incarnation, reason);
    }

    /// What the gateway ended stays ended until its own session_start.
    pub(crate) fn gateway_ended(
        &mut self,
        ix: GatewayIx,
        id: &str,
        incarnation: u64,
        reason: SessionEndReason,
    ) {
        let gateway = self.gateways.at_mut(ix);
        gateway.boot.ended.insert(id, incarnation, reason);
        let gateway = gateway.id.clone();
        self.record(Record::Ended { gateway, session: id.into(), incarnation });
    }

    fn hold_gateway_stop(&mut self, ix: GatewayIx, emitter: &str, publish_seq: u64, event: &GatewayEvent) {
        let mut payload = match &event.payload {
            Some(gateway_event::Payload::GatewayStop(stop)) => stop.clone(),
            _ => v1::GatewayStop::default(),
        };
        if payload.reason() == StopReason::Unspecified {
            payload.set_reason(StopReason::Shutdown);
        }
        let said = HeldStop {
            payload,
            time_unix_nano: event.time_unix_nano,
            traceparent: event.traceparent.clone(),
            emitter: emitter.into(),
            publish_seq,
        };
        let boot = &mut self.gateways.at_mut(ix).boot;
        // Kept where it was told before, too: a boot that was lost and came back ends as it says.
        let held = boot.stop.get_or_insert(said);
        if boot.stop_told {
            self.closings.said_late(boot.number, held.clone()); // the drain may still have nobody told
        }
    }

    /// Any hook but the lifecycle's own: it is fanned out with its batch.
    fn observe(
        &mut self,
        ix: GatewayIx,
        emitter: &str,
        publish_seq: u64,
        event: GatewayEvent,
    ) -> Result<(), (RefusalCode, String)> {
        let hook = self.hook_index(&event.hook)?;
        let belongs = self.belongs(ix, &event);
        let position = self.next_position();
        let (life, session_seq) = self.number(&belongs, position, event.time_unix_nano);
        let late = matches!(belongs, Belongs::Late(_));
        self.counters.events_late += u64::from(late);
        let Self { gateways, lives, encoder, chunk, items, .. } = self;
        let gateway = gateways.at(ix);
        let known = matches!(belongs, Belongs::To(_)).then(|| lives.at(life.slot));
        let session = event.session.as_ref().map(|said| session(said, known, life.incarnation));
        let start = chunk.len() as u32;
        let parts = Parts {
            id: EventId::Published { emitter, publish_seq },
            hook: &event.hook,
            gateway: &gateway.id,
            boot: &gateway.boot.id,
            session,
            session_seq,
            time_unix_nano: event.time_unix_nano,
            traceparent: &event.traceparent,
            synthetic: false,
            late,
            payload: match &event.payload {
                Some(gateway_event::Payload::Json(json)) => Payload::Json(json),
                Some(gateway_event::Payload::GatewayStart(start)) => Payload::GatewayStart(start),
                _ => Payload::None, // the check let nothing else through
            },
        };
        let boot = gateway.boot.number;
        let session = session.map(|parts| (parts.agent.into(), parts.key.into()));
        let end = start + encoder.append(&parts, chunk);
        items.push(Item { position, boot, hook, life, session, start, end });
        Ok(())
    }

    /// Counts an event in its life. What is late has no number, and what has no life neither.
    fn number(&mut self, belongs: &Belongs, position: u64, time_unix_nano: u64) -> (LifeRef, u64) {
        match belongs {
            Belongs::To(slot) => {
                let life = self.lives.at_mut(*slot);
                let seq = life.observe(position, time_unix_nano);
                (LifeRef { incarnation: life.incarnation(), slot: *slot }, seq)
            }
            Belongs::Late(life) => (*life, 0),
            Belongs::Nothing => (LifeRef { incarnation: 0, slot: 0 }, 0),
        }
    }

    /// Finds the life that an event belongs to; one that the ledger does not hold as alive begins.
    fn belongs(&mut self, ix: GatewayIx, event: &GatewayEvent) -> Belongs {
        let Some(session) = &event.session else { return Belongs::Nothing };
        let Some(id) = &session.id else {
            return self.lives.alive_by_key(ix, &session.key).map_or(Belongs::Nothing, Belongs::To);
        };
        if let Some(slot) = self.lives.alive_by_id(ix, id) {
            return Belongs::To(slot);
        }
        let boot = &self.gateways.at(ix).boot;
        if let Some(ended) = boot.ended.get(id) {
            return Belongs::Late(self.lives.ended_ref(ix, id, Some(ended.incarnation)));
        }
        if boot.closed {
            return Belongs::Late(self.lives.ended_ref(ix, id, None));
        }
        Belongs::To(self.begin_life(ix, &Beginning { event, synthetic: true }, v1::SessionStart::default()))
    }

    fn hook_index(&mut self, name: &str) -> Result<usize, (RefusalCode, String)> {
        self.hooks.number(name).ok_or_else(|| {
            let text = format!("hook: {MAX_HOOKS} different hooks were seen: no room for another");
            (RefusalCode::Invalid, text)
        })
    }
}

/// Why an event has no number: the first of all is 1, and none comes behind the largest.
fn no_number(after: u64) -> v1::Refusal {
    let publish_seq = if after == 0 { 0 } else { u64::MAX };
    let text = "first_publish_seq: events are numbered from 1 up, and no further than 64 bits".to_owned();
    v1::Refusal { publish_seq, code: RefusalCode::Invalid.into(), text }
}

fn session_id(event: &GatewayEvent) -> &str {
    event.session.as_ref().and_then(|session| session.id.as_deref()).unwrap_or_default()
}

/// The session as the gateway named it here, completed from what its life is known by.
fn session<'a>(said: &'a SessionRef, known: Option<&'a Life>, incarnation: u64) -> SessionParts<'a> {
    let or =
        |said: &'a str, known: Option<&'a str>| if said.is_empty() { known.unwrap_or(said) } else { said };
    SessionParts {
        id: or(said.id.as_deref().unwrap_or_default(), known.map(Life::id)),
        key: or(&said.key, known.map(Life::key)),
        agent: or(&said.agent_id, known.map(Life::agent)),
        incarnation,
    }
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::{attach_request, subscribe_request};

    use super::*;
    use crate::{config::Config, dispatcher::settings, serve::stream::StreamId};

    #[test]
    fn a_large_message_of_small_events_is_several_chunks() {
        let (mut machine, now) = (Machine::new(settings(&Config::default())), Now::default());
        let name = || "name".to_owned();
        let hello = subscribe_request::Hello { subscriber_id: name(), ..Default::default() };
        machine.subscribe(now, StreamId(1), &hello).expect("a plugin");
        let (gateway_id, boot_id, emitter_id) = (name(), name(), name());
        let hello = attach_request::Hello { gateway_id, boot_id, emitter_id, ..Default::default() };
        machine.attach(now, SourceId(1), &hello).expect("a gateway");
        let event = GatewayEvent { hook: "tick".to_owned(), ..Default::default() };
        let publish = v1::Publish { first_publish_seq: 1, events: vec![event; 5000] };
        machine.publish(now, SourceId(1), publish).expect("a receipt");

        let (_, subscriber) = machine.registry.iter_mut().next().expect("the plugin");
        let mut positions = Vec::new();
        while let Some(queued) = subscriber.queue.pop() {
            assert!(queued.chunk.len() < 2 * CHUNK_BYTES);
            positions.push(queued.position);
        }
        assert!(positions.len() == 5000 && positions.is_sorted());
    }
}
