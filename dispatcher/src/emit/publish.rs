//! A gateway attaches, publishes, goes.

use hookwire_protocol::{
    hook,
    v1::{
        self, GatewayEvent, GoodbyeReason, RefusalCode, SessionEndReason, SessionRef, StopReason,
        attach_request, attach_response, gateway_event,
    },
};

use super::{
    boots::{Boot, Emitter, Gateway, GatewayIx, HeldStop, SourceId, digest},
    check::check,
    encode::{EventId, Parts, Payload, SessionParts},
};
use crate::{
    machine::{Effect, Machine, Now, Refused},
    settle::{
        decide::{Beginning, Ending},
        journal::Record,
        lives::{LifeRef, Slot},
    },
};

/// The longest gateway_id, boot_id or emitter_id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Gateways that one dispatcher knows.
const MAX_GATEWAYS: usize = 1024;

/// Publishing keys in one boot.
const MAX_EMITTERS: usize = 1024;

/// Different hooks that one dispatcher has seen.
const MAX_HOOKS: usize = 4096;

/// One event of the batch that is being taken in: where its bytes are, and what a filter asks about.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) position: u64,
    /// The number of the boot it was published in.
    pub(crate) boot: u32,
    /// The hook's index in the machine.
    pub(crate) hook: usize,
    pub(crate) slot: Slot,
    /// 0 where it belongs to no life.
    pub(crate) incarnation: u64,
    pub(crate) session: Option<SessionRef>,
    pub(crate) start: u32,
    pub(crate) end: u32,
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
    /// A gateway's stream says Hello.
    ///
    /// # Errors
    /// A malformed Hello, a boot that is over, or too many gateways or emitters.
    pub(crate) fn attach(
        &mut self,
        now: Now,
        source: SourceId,
        hello: &attach_request::Hello,
    ) -> Result<attach_response::Welcome, Refused> {
        self.now = now;
        if self.stopping {
            return Err(Refused::Stopping);
        }
        for (field, id) in [
            ("gateway_id", &hello.gateway_id),
            ("boot_id", &hello.boot_id),
            ("emitter_id", &hello.emitter_id),
        ] {
            check_id(field, id)?;
        }
        let gateway = self.boot_of(hello)?;
        let resume_after = self.take_source(gateway, source, &hello.emitter_id)?;
        Ok(attach_response::Welcome {
            ledger_id: self.settings.ledger_id.clone(),
            resume_after,
            max_event_bytes: self.settings.max_event_bytes,
            drain_budget_ms: self.settings.drain_budget.as_millis() as u32,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// A gateway's stream is gone.
    pub(crate) fn detach(&mut self, now: Now, source: SourceId) {
        self.now = now;
        let Some((gateway, _)) = self.sources.remove(&source) else { return };
        let boot = &mut self.gateways.at_mut(gateway).boot;
        boot.sources.remove(&source);
        if boot.sources.is_empty() && !boot.closed {
            boot.lost_at = Some(now.mono + self.settings.gateway_grace);
        }
    }

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
        for (event, publish_seq) in publish.events.into_iter().zip(publish.first_publish_seq..) {
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

    /// The gateways that have not come back in time are lost.
    pub(crate) fn lose_gateways(&mut self) {
        for gateway in self.gateways.lost(self.now.mono) {
            self.counters.gateways_lost += 1;
            let boot = &mut self.gateways.at_mut(gateway).boot;
            boot.lost_at = None;
            let reason = boot.reason_without_drain();
            let id = self.gateways.at(gateway).id.to_string();
            self.effect(Effect::GatewayLost(id));
            self.close_boot_quietly(gateway, reason);
        }
    }

    /// The gateway, in the boot that the Hello names; a boot that was not seen before ends the one before it.
    fn boot_of(&mut self, hello: &attach_request::Hello) -> Result<GatewayIx, Refused> {
        let Some(ix) = self.gateways.find(&hello.gateway_id) else {
            if self.gateways.len() >= MAX_GATEWAYS {
                return Err(Refused::Exhausted(format!(
                    "{MAX_GATEWAYS} gateways are known: no room for another"
                )));
            }
            self.boots += 1;
            let gateway = Gateway::new(&hello.gateway_id, Boot::new(&hello.boot_id, self.boots));
            self.record_boot(hello);
            return Ok(self.gateways.insert(gateway));
        };
        let gateway = self.gateways.at(ix);
        if gateway.is_over(&hello.boot_id) {
            let (gateway, boot) = (hello.gateway_id.clone(), hello.boot_id.clone());
            return Err(Refused::BootOver { gateway, boot });
        }
        if *gateway.boot.id != *hello.boot_id {
            self.end_boot(ix);
            self.boots += 1;
            self.gateways.at_mut(ix).boot = Boot::new(&hello.boot_id, self.boots);
            self.record_boot(hello);
        }
        Ok(ix)
    }

    fn record_boot(&mut self, hello: &attach_request::Hello) {
        let (gateway, boot) = (hello.gateway_id.as_str().into(), hello.boot_id.as_str().into());
        self.record(Record::Boot { gateway, boot });
    }

    /// A newer boot has come: this one's streams lose their place, its sessions are decided.
    fn end_boot(&mut self, ix: GatewayIx) {
        let sources = std::mem::take(&mut self.gateways.at_mut(ix).boot.sources);
        for source in sources {
            self.sources.remove(&source);
            self.effect(Effect::EndSource(source, GoodbyeReason::Displaced));
        }
        let boot = &self.gateways.at(ix).boot;
        if !boot.closed {
            let reason = boot.reason_without_drain();
            self.close_boot_quietly(ix, reason);
            self.boot_is_over(ix);
        }
    }

    /// From now on nothing starts in this boot, and once its streams are gone it does not come back.
    pub(crate) fn boot_is_over(&mut self, ix: GatewayIx) {
        let gateway = self.gateways.at_mut(ix);
        gateway.boot.closed = true;
        gateway.boot.lost_at = None;
        gateway.boot_is_over();
        let (gateway, boot) = (gateway.id.clone(), gateway.boot.id.clone());
        self.record(Record::BootOver { gateway, boot });
    }

    /// Ties a stream to its publishing key; says where to resume.
    fn take_source(&mut self, ix: GatewayIx, source: SourceId, emitter_id: &str) -> Result<u64, Refused> {
        let gateway = self.gateways.at_mut(ix);
        let known = gateway.boot.emitters.len();
        let (last, older) = match gateway.boot.emitters.get_mut(emitter_id) {
            Some(emitter) => (emitter.last, Some(std::mem::replace(&mut emitter.source, source))),
            None if known >= MAX_EMITTERS => {
                let text = format!("{MAX_EMITTERS} emitters are known in this boot: no room for another");
                return Err(Refused::Exhausted(text));
            }
            None => {
                let digest = digest(&[&gateway.id, &gateway.boot.id, emitter_id]);
                gateway.boot.emitters.insert(emitter_id.into(), Emitter { last: 0, digest, source });
                (0, None)
            }
        };
        gateway.boot.sources.insert(source);
        gateway.boot.lost_at = None;
        self.sources.insert(source, (ix, emitter_id.into()));
        // The key came back on a new stream before the old one was seen to break.
        if let Some(older) = older
            && self.sources.remove(&older).is_some()
        {
            self.gateways.at_mut(ix).boot.sources.remove(&older);
            self.effect(Effect::EndSource(older, GoodbyeReason::Displaced));
        }
        Ok(last)
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
            SessionEndReason::Unspecified => SessionEndReason::Unknown,
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
                let before = self.gateways.at(ix).boot.ended.get(id).map(|ended| ended.incarnation);
                let held = || self.lives.last_ended(ix, id).map(|life| life.incarnation);
                let incarnation = before.or_else(held).unwrap_or(0);
                self.gateway_ended(ix, id, incarnation, reason);
            }
            return;
        };
        let life = self.lives.at(slot);
        let (id, incarnation) = (life.id.clone(), life.incarnation);
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
        let boot = &mut self.gateways.at_mut(ix).boot;
        if boot.stop.is_some() || boot.stop_told {
            return;
        }
        let mut payload = match &event.payload {
            Some(gateway_event::Payload::GatewayStop(stop)) => stop.clone(),
            _ => v1::GatewayStop::default(),
        };
        if payload.reason() == StopReason::Unspecified {
            payload.set_reason(StopReason::Shutdown);
        }
        let time_unix_nano = event.time_unix_nano;
        boot.stop = Some(HeldStop { payload, time_unix_nano, emitter: emitter.into(), publish_seq });
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
        let (slot, incarnation, session_seq) = match belongs {
            Belongs::To(slot) => {
                let life = self.lives.at_mut(slot);
                life.seq += 1;
                life.last_position = position;
                life.last_activity = event.time_unix_nano;
                (slot, life.incarnation, life.seq)
            }
            Belongs::Late(life) => (life.slot, life.incarnation, 0),
            Belongs::Nothing => (0, 0, 0),
        };
        let late = matches!(belongs, Belongs::Late(_));
        self.counters.events_late += u64::from(late);
        let start = self.chunk.len() as u32;
        let gateway = self.gateways.at(ix);
        let boot = gateway.boot.number;
        let life = matches!(belongs, Belongs::To(_)).then(|| self.lives.at(slot));
        let session = event.session.as_ref().map(|said| SessionParts {
            id: said.id.as_deref().or(life.map(|life| &*life.id)).unwrap_or_default(),
            key: life.map(|life| &*life.key).filter(|_| said.key.is_empty()).unwrap_or(&said.key),
            agent: life
                .map(|life| &*life.agent)
                .filter(|_| said.agent_id.is_empty())
                .unwrap_or(&said.agent_id),
            incarnation,
        });
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
        let length = self.encoder.append(&parts, &mut self.chunk);
        let session = session.map(|parts| SessionRef {
            id: None,
            key: parts.key.to_owned(),
            agent_id: parts.agent.to_owned(),
        });
        self.items.push(Item {
            position,
            boot,
            hook,
            slot,
            incarnation,
            session,
            start,
            end: start + length,
        });
        Ok(())
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
        if let Some(at) = self.hooks.iter().position(|seen| **seen == *name) {
            return Ok(at);
        }
        if self.hooks.len() >= MAX_HOOKS {
            let text = format!("hook: {MAX_HOOKS} different hooks were seen: no room for another");
            return Err((RefusalCode::Invalid, text));
        }
        self.hooks.push(name.into());
        Ok(self.hooks.len() - 1)
    }
}

fn session_id(event: &GatewayEvent) -> &str {
    event.session.as_ref().and_then(|session| session.id.as_deref()).unwrap_or_default()
}

fn check_id(field: &str, id: &str) -> Result<(), Refused> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        let size = id.len();
        return Err(Refused::Invalid(format!("{field}: it has 1 to {MAX_ID_BYTES} bytes, not {size}")));
    }
    Ok(())
}
