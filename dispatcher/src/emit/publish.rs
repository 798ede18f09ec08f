//! What a gateway publishes is taken in: it starts and ends lives, or is fanned out.

use hookwire_protocol::{
    hook,
    v1::{self, RefusalCode, SessionEndReason, StopReason},
};

use super::{
    boots::{GatewayIx, HeldStop, SourceId},
    check::{check, check_size},
    emitter::Emitted,
    encode::{self, EventId, Parts, Session, SessionParts},
    given::{Given, Malformed, Named, Payload, Published, Unread},
};
use crate::{
    fanout::catalogue::MAX_HOOKS,
    machine::{Machine, Now},
    queue::run::Item,
    settle::{
        decide::{Beginning, Ending},
        journal::Record,
        lives::{Life, LifeRef, Slot},
    },
};

/// What one emitter publishes at once.
#[derive(Debug)]
pub(crate) enum Publication {
    /// As it came over the wire.
    Wire(Published),
    /// From an embedded emitter.
    #[expect(clippy::vec_box, reason = "they come in boxes, and are large to move out of them")]
    Embedded { first_publish_seq: u64, events: Vec<Box<Emitted>> },
}

/// Who publishes.
struct Publisher<'a> {
    gateway: GatewayIx,
    /// Of the emitter.
    digest: &'a str,
}

/// What is fanned out.
struct Observed<'a> {
    hook: u32,
    /// How the gateway names the session; `None` where it names none, or says what is known of it.
    said: Option<Named<'a>>,
    time_unix_nano: u64,
    traceparent: &'a str,
    payload: encode::Payload<'a>,
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
        publication: &Publication,
    ) -> Option<v1::Receipt> {
        self.now = now;
        match publication {
            Publication::Wire(wire) => {
                self.take_all_in(source, wire.first_publish_seq, wire.events(), Self::take_in_unread)
            }
            Publication::Embedded { first_publish_seq, events } => {
                let events = events.iter().map(|emitted| emitted.given());
                self.take_all_in(source, *first_publish_seq, events, Self::take_in)
            }
        }
    }

    fn take_all_in<E>(
        &mut self,
        source: SourceId,
        first_publish_seq: u64,
        events: impl Iterator<Item = E>,
        take_in: impl Fn(&mut Self, &Publisher<'_>, u64, E) -> Result<(), (RefusalCode, String)>,
    ) -> Option<v1::Receipt> {
        if self.stopping {
            return None;
        }
        let (gateway, emitter_id) = self.sources.get(&source)?.clone();
        let emitter = self.gateways.at(gateway).boot.emitters.get(&emitter_id)?;
        let (digest, mut last) = (emitter.digest.clone(), emitter.last);
        let publisher = Publisher { gateway, digest: &digest };
        let (records, mut refused) = (self.step.records.len(), Vec::new());
        let mut listed_behind = self.gateways.at(gateway).boot.listed_behind();
        self.lot.to_come = events.size_hint().0;
        for (after, event) in (0..).zip(events) {
            self.lot.to_come = self.lot.to_come.saturating_sub(1);
            let number = first_publish_seq.checked_add(after).filter(|number| *number > 0);
            let Some(publish_seq) = number else {
                self.counters.events_refused += 1;
                refused.push(no_number(after));
                continue;
            };
            if publish_seq <= last {
                self.counters.events_resent += 1;
                continue;
            }
            if listed_behind.take_if(|behind| *behind < publish_seq).is_some() {
                self.reconcile_through(gateway, publish_seq - 1); // what is in between never comes
            }
            last = publish_seq;
            match take_in(self, &publisher, publish_seq, event) {
                Ok(()) => self.counters.events_taken_in += 1,
                Err((code, text)) => {
                    self.counters.events_refused += 1;
                    refused.push(v1::Refusal { publish_seq, code: code.into(), text });
                }
            }
            if self.lot.is_full() {
                self.fan_out();
            }
        }
        self.reconcile_through(gateway, last);
        if let Some(emitter) = self.gateways.at_mut(gateway).boot.emitters.get_mut(&emitter_id) {
            emitter.last = last;
        }
        self.fan_out();
        if self.step.records.len() > records {
            self.record(Record::Published { gateway, emitter: emitter_id, publish_seq: last });
        }
        Some(v1::Receipt { through_publish_seq: last, refused })
    }

    /// An event of a known hook and of a session that is known to be alive needs no reading.
    fn take_in_unread(
        &mut self,
        publisher: &Publisher<'_>,
        publish_seq: u64,
        event: &[u8],
    ) -> Result<(), (RefusalCode, String)> {
        check_size(event.len(), self.settings.max_event_bytes)?; // first: what is too large is not even looked into
        let event = Unread::decode(event).map_err(no_event)?;
        let known = self.known(publisher.gateway, &event);
        let Some((hook, slot)) = known else {
            return self.take_in(publisher, publish_seq, event.read().map_err(no_event)?);
        };
        let belongs = slot.map_or(Belongs::Nothing, Belongs::To);
        let traceparent = event.traceparent().map_err(no_event)?;
        let payload = event.payload.as_ref().into();
        let observed =
            Observed { hook, said: None, time_unix_nano: event.time_unix_nano, traceparent, payload };
        self.observe(publisher, publish_seq, &belongs, observed);
        Ok(())
    }

    /// The hook, where it is none of those with a message of their own, and the session that the event belongs to.
    fn known(&self, gateway: GatewayIx, event: &Unread<'_>) -> Option<(u32, Option<Slot>)> {
        let hook = self.hooks.find(event.hook).filter(|hook| !self.hooks.is_typed(*hook))?;
        if !matches!(event.payload, None | Some(Payload::Json(_))) {
            return None;
        }
        match &event.session {
            None => Some((hook, None)),
            Some(said) => Some((hook, Some(self.lives.alive_by_ref(gateway, said)?))),
        }
    }

    fn take_in(
        &mut self,
        publisher: &Publisher<'_>,
        publish_seq: u64,
        mut event: Given<'_>,
    ) -> Result<(), (RefusalCode, String)> {
        let ix = publisher.gateway;
        check(&event, self.settings.max_event_bytes)?;
        if event.time_unix_nano == 0 {
            event.time_unix_nano = self.now.unix_nano;
        }
        match event.hook {
            hook::SESSION_START => return self.session_starts(ix, &event),
            hook::SESSION_END => self.session_ends(ix, &event),
            hook::GATEWAY_STOP => self.hold_gateway_stop(publisher, publish_seq, &event),
            _ => {
                let hook = self.hook_index(event.hook)?;
                let belongs = self.belongs(ix, &event);
                let Given { session: said, time_unix_nano, traceparent, .. } = event;
                let payload = event.payload.as_ref().into();
                let observed = Observed { hook, said, time_unix_nano, traceparent, payload };
                self.observe(publisher, publish_seq, &belongs, observed);
            }
        }
        Ok(())
    }

    fn session_starts(&mut self, ix: GatewayIx, event: &Given<'_>) -> Result<(), (RefusalCode, String)> {
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
            Some(Payload::SessionStart(start)) => start.clone().into_owned(),
            _ => v1::SessionStart::default(),
        };
        self.begin_life(ix, &Beginning { event, synthetic: false }, start);
        if self.gateways.at_mut(ix).boot.ended.remove(id).is_some() {
            self.record(Record::EndedForgotten { gateway: ix, session: id.into() });
        }
        Ok(())
    }

    fn session_ends(&mut self, ix: GatewayIx, event: &Given<'_>) {
        let said = match &event.payload {
            Some(Payload::SessionEnd(end)) => end.clone().into_owned(),
            _ => v1::SessionEnd::default(),
        };
        let reason = match said.reason() {
            // LOST is the dispatcher's own word: a gateway that can still say it has not vanished.
            SessionEndReason::Unspecified | SessionEndReason::Lost => SessionEndReason::Unknown,
            reason => reason,
        };
        let session = event.session.unwrap_or_default();
        let alive = match session.id {
            Some(id) => self.lives.alive_by_id(ix, id),
            None => self.lives.alive_by_key(ix, session.key),
        };
        let Some(slot) = alive else {
            self.counters.ends_without_life += 1;
            if let Some(id) = session.id {
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
            Ending { reason, said, time_unix_nano, traceparent: event.traceparent, synthetic: false },
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
        let oldest = self.gateways.at_mut(ix).boot.ended.insert(id, incarnation, reason);
        self.record(Record::Ended { gateway: ix, session: id.into(), incarnation, reason });
        if let Some(session) = oldest {
            self.record(Record::EndedForgotten { gateway: ix, session });
        }
    }

    fn hold_gateway_stop(&mut self, publisher: &Publisher<'_>, publish_seq: u64, event: &Given<'_>) {
        let mut payload = match &event.payload {
            Some(Payload::GatewayStop(stop)) => stop.clone().into_owned(),
            _ => v1::GatewayStop::default(),
        };
        if payload.reason() == StopReason::Unspecified {
            payload.set_reason(StopReason::Shutdown);
        }
        let said = HeldStop {
            payload,
            time_unix_nano: event.time_unix_nano,
            traceparent: event.traceparent.to_owned(),
            emitter: publisher.digest.into(),
            publish_seq,
        };
        let boot = &mut self.gateways.at_mut(publisher.gateway).boot;
        // Kept where it was told before, too: a boot that was lost and came back ends as it says.
        let held = boot.stop.get_or_insert(said);
        if boot.stop_told {
            self.closings.said_late(boot.number, held.clone()); // the drain may still have nobody told
        }
        self.record_gateway_stop(publisher.gateway);
    }

    pub(crate) fn record_gateway_stop(&mut self, ix: GatewayIx) {
        let boot = &self.gateways.at(ix).boot;
        let (said, told) = (boot.stop.clone(), boot.stop_told);
        self.record(Record::GatewayStop { gateway: ix, said, told });
    }

    /// Any hook but the lifecycle's own: it is fanned out with its lot.
    fn observe(
        &mut self,
        publisher: &Publisher<'_>,
        publish_seq: u64,
        belongs: &Belongs,
        observed: Observed<'_>,
    ) {
        let time_unix_nano =
            if observed.time_unix_nano == 0 { self.now.unix_nano } else { observed.time_unix_nano };
        let position = self.next_position();
        let (life, session_seq) = self.number(belongs, position, time_unix_nano);
        let late = matches!(belongs, Belongs::Late(_));
        self.counters.events_late += u64::from(late);
        let Self { gateways, lives, hooks, lot, .. } = self;
        let boot = &gateways.at(publisher.gateway).boot;
        let known = matches!(belongs, Belongs::To(_)).then(|| lives.at(life.slot));
        let nothing_new =
            |life: &&Life| observed.said.is_none_or(|said| life.is_called(said.key, said.agent_id));
        let session = match (known.filter(nothing_new), observed.said) {
            (Some(known), _) => Some(Session::Field(known.session_field())),
            (None, said) => said.map(|said| Session::Parts(session(&said, known, life.incarnation))),
        };
        let parts = Parts {
            id: EventId::Published { emitter: publisher.digest, publish_seq },
            hook: hooks.name(observed.hook),
            origin: &boot.origin,
            session,
            session_seq,
            time_unix_nano,
            traceparent: observed.traceparent,
            synthetic: false,
            late,
            payload: observed.payload,
        };
        if lot.items.is_empty() {
            lot.make_room();
        }
        let start = lot.elements.len() as u32;
        lot.elements.append(&parts);
        let end = lot.elements.len() as u32;
        lot.items.push(Item { position, life, boot: boot.number, hook: observed.hook, start, end });
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
    fn belongs(&mut self, ix: GatewayIx, event: &Given<'_>) -> Belongs {
        let Some(session) = &event.session else { return Belongs::Nothing };
        let Some(id) = &session.id else {
            return self.lives.alive_by_key(ix, session.key).map_or(Belongs::Nothing, Belongs::To);
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

    fn hook_index(&mut self, name: &str) -> Result<u32, (RefusalCode, String)> {
        self.hooks.number(name).ok_or_else(|| {
            let text = format!("hook: {MAX_HOOKS} different hooks were seen: no room for another");
            (RefusalCode::Invalid, text)
        })
    }
}

fn no_event(malformed: Malformed) -> (RefusalCode, String) {
    (RefusalCode::Invalid, format!("not a GatewayEvent: {malformed}"))
}

/// Why an event has no number: the first of all is 1, and none comes behind the largest.
fn no_number(after: u64) -> v1::Refusal {
    let publish_seq = if after == 0 { 0 } else { u64::MAX };
    let text = "first_publish_seq: events are numbered from 1 up, and no further than 64 bits".to_owned();
    v1::Refusal { publish_seq, code: RefusalCode::Invalid.into(), text }
}

fn session_id<'a>(event: &Given<'a>) -> &'a str {
    event.session.and_then(|session| session.id).unwrap_or_default()
}

/// The session as the gateway named it here, completed from what its life is known by.
fn session<'a>(said: &Named<'a>, known: Option<&'a Life>, incarnation: u64) -> SessionParts<'a> {
    let or =
        |said: &'a str, known: Option<&'a str>| if said.is_empty() { known.unwrap_or(said) } else { said };
    SessionParts {
        id: or(said.id.unwrap_or_default(), known.map(Life::id)),
        key: or(said.key, known.map(Life::key)),
        agent: or(said.agent_id, known.map(Life::agent)),
        incarnation,
    }
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::{GatewayEvent, attach_request, subscribe_request};
    use prost::Message as _;

    use super::{super::lot::LOT_BYTES, *};
    use crate::{config::Config, dispatcher::settings, serve::stream::StreamId};

    /// A machine with a gateway and a plugin.
    fn machine() -> Machine {
        let (mut machine, now) = (Machine::new(settings(&Config::default())), Now::default());
        let name = || "name".to_owned();
        let hello = subscribe_request::Hello { subscriber_id: name(), ..Default::default() };
        machine.subscribe(now, StreamId(1), &hello).expect("a plugin");
        let (gateway_id, boot_id, emitter_id) = (name(), name(), name());
        let hello = attach_request::Hello { gateway_id, boot_id, emitter_id, ..Default::default() };
        machine.attach(now, SourceId(1), &hello).expect("a gateway");
        machine
    }

    #[test]
    fn an_event_that_cannot_be_read_is_refused_and_those_beside_it_are_not() {
        let tick = GatewayEvent { hook: "tick".to_owned(), ..Default::default() };
        let mut bytes = v1::Publish { first_publish_seq: 1, events: vec![tick.clone()] }.encode_to_vec();
        bytes.extend(b"\x12\x04\x0a\x02\xff\xfe"); // an event whose hook is no UTF-8
        bytes.extend(b"\x12\x02\x0a\x09"); // one whose hook breaks off
        bytes.extend(v1::Publish { first_publish_seq: 1, events: vec![tick] }.encode_to_vec());
        let publication = Publication::Wire(Published::read(bytes.into()).expect("a Publish"));
        let receipt = machine().publish(Now::default(), SourceId(1), &publication).expect("a receipt");
        let refused = |publish_seq, text: &str| {
            let text = format!("not a GatewayEvent: {text}");
            v1::Refusal { publish_seq, code: RefusalCode::Invalid.into(), text }
        };
        let said = [refused(2, "a text is not UTF-8"), refused(3, "a length points beyond the end")];
        assert_eq!((receipt.through_publish_seq, receipt.refused), (4, said.to_vec()));
    }

    #[test]
    fn a_large_message_of_small_events_is_several_lots() {
        let (mut machine, now) = (machine(), Now::default());
        let event = GatewayEvent { hook: "tick".to_owned(), ..Default::default() };
        let publish = v1::Publish { first_publish_seq: 1, events: vec![event; 5000] };
        machine.publish(now, SourceId(1), &publish.into()).expect("a receipt");

        let (_, subscriber) = machine.registry.iter_mut().next().expect("the plugin");
        let mut positions = Vec::new();
        while let Some(run) = subscriber.queue.pop(usize::MAX) {
            assert!(run.range().0.len() < 2 * LOT_BYTES);
            positions.extend(run.span.items().iter().map(|item| item.position));
        }
        assert!(positions.len() == 5000 && positions.is_sorted());
    }
}
