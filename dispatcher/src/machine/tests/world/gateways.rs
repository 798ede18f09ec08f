//! Gateways: they attach, publish and go.

use std::collections::BTreeMap;

use hookwire_protocol::v1::{
    self, GatewayEvent, GoodbyeReason, LiveSessions, SessionRef, attach_request, gateway_event::Payload,
};

use prost::Message as _;

use super::{Expected, World, reason};
use crate::{
    emit::{boots::SourceId, given::Published, publish::Publication},
    machine::tests::{
        Checked,
        journal::Output,
        model::Listed,
        rule,
        schedule::{AGENTS, Fired, GATEWAYS, HOOKS, KEYS, List, Named, SESSIONS},
    },
};

const EMITTERS: [&str; 2] = ["e0", "e1"];

impl World {
    pub(super) fn attach(
        &mut self,
        gateway: usize,
        boot: u64,
        emitter: usize,
        list: Option<&List>,
    ) -> Checked {
        let published = self.published.get(&(gateway, boot, emitter)).map_or(0, Vec::len) as u64;
        let behind = list.map_or(0, |list| published + list.ahead);
        let source = SourceId(self.number());
        let (number, boot) = (boot, format!("b{boot}"));
        let hello = attach_request::Hello {
            gateway_id: GATEWAYS[gateway].to_owned(),
            boot_id: boot.clone(),
            emitter_id: EMITTERS[emitter].to_owned(),
            live_sessions: list.map(live_sessions),
            resend_through: behind,
            ..Default::default()
        };
        let welcome = self.machine.attach(self.time(), source, &hello);
        let listed = list.map(|list| Listed { emitter, behind, sessions: list.sessions.clone() });
        let expected = self.model.attach(gateway, &boot, emitter, listed);
        let (welcome, (resume_after, displaced)) = match (welcome, expected) {
            (Ok(welcome), Ok(expected)) => (welcome, expected),
            (Err(_), Err(())) => return self.compare(vec![], Expected::default()),
            (welcome, expected) => return Err(format!("{welcome:?}, the model says {expected:?}")),
        };
        rule!(welcome.resume_after == resume_after, "resume after {resume_after}, not {welcome:?}");
        let mut ended = BTreeMap::new();
        for emitter in displaced {
            let source = self.sources.remove(&(gateway, emitter)).unwrap();
            self.gone.push(source);
            ended.insert(source, GoodbyeReason::Displaced);
        }
        self.sources.insert((gateway, emitter), source);
        let attached = Output::Attached { gateway: GATEWAYS[gateway], boot };
        self.compare(vec![attached], Expected { ended, dismissed: None })?;
        let published = self.published.get(&(gateway, number, emitter)).map_or(0, Vec::len);
        // A crash has forgotten some of it.
        if (resume_after as usize) < published && number == self.boots[gateway] {
            self.send(gateway, emitter, resume_after as usize + 1)?;
        }
        Ok(())
    }

    /// A boot before the present one is refused for good.
    pub(super) fn attach_old_boot(&mut self, gateway: usize) -> Checked {
        match self.boots[gateway] {
            0 | 1 => Ok(()),
            present => {
                self.attach(gateway, present - 1, 0, None)?;
                self.detach(gateway, 0) // where a crash has forgotten the present one
            }
        }
    }

    pub(super) fn detach(&mut self, gateway: usize, emitter: usize) -> Checked {
        let Some(source) = self.sources.remove(&(gateway, emitter)) else { return Ok(()) };
        self.machine.detach(self.time(), source);
        self.model.detach(gateway, emitter);
        self.gone.push(source);
        self.compare(vec![], Expected::default())
    }

    /// Attaches first, where it must.
    pub(super) fn publish(&mut self, gateway: usize, emitter: usize, events: &[Fired]) -> Checked {
        if !self.sources.contains_key(&(gateway, emitter)) {
            self.boots[gateway] = self.boots[gateway].max(1);
            self.attach(gateway, self.boots[gateway], emitter, None)?;
        }
        let first = self.fire(gateway, emitter, events);
        self.send(gateway, emitter, first)?;
        self.publish_where_it_has_no_say()
    }

    /// Gives events their numbers; says the first.
    pub(super) fn fire(&mut self, gateway: usize, emitter: usize, events: &[Fired]) -> usize {
        let events: Vec<_> = events.iter().map(|fired| (self.number(), fired.clone())).collect();
        let key = (gateway, self.boots[gateway], emitter);
        let published = self.published.entry(key).or_default();
        let first = published.len() + 1;
        published.extend(events);
        first
    }

    pub(super) fn resend(&mut self, gateway: usize, emitter: usize, back: usize) -> Checked {
        let key = (gateway, self.boots[gateway], emitter);
        let first = self.published.get(&key).map_or(0, Vec::len).saturating_sub(back) + 1;
        self.send(gateway, emitter, first)
    }

    /// Sends what was published from this number on.
    fn send(&mut self, gateway: usize, emitter: usize, first: usize) -> Checked {
        let Some(source) = self.sources.get(&(gateway, emitter)).copied() else { return Ok(()) };
        let key = (gateway, self.boots[gateway], emitter);
        let Some(events) = self.published.get(&key).map(|published| published[first - 1..].to_vec()) else {
            return Ok(());
        };
        let first_publish_seq = first as u64;
        let expected = self.model.publish(gateway, emitter, first_publish_seq, &events);
        let events = events.iter().map(|(number, fired)| event(*number, fired)).collect();
        let receipt = self.publication(source, v1::Publish { first_publish_seq, events });
        let told = receipt.as_ref().map(|receipt| {
            let refused: Vec<_> = receipt.refused.iter().map(|refusal| refusal.publish_seq).collect();
            (receipt.through_publish_seq, refused)
        });
        let expected = expected.map(|receipt| (receipt.through, receipt.refused));
        rule!(told == expected, "{receipt:?}, not {expected:?}");
        let output = told.map(|(through, _)| Output::Receipt {
            gateway: GATEWAYS[gateway],
            emitter: EMITTERS[emitter],
            through,
        });
        self.compare(output.into_iter().collect(), Expected::default())
    }

    /// Over the wire or from an embedded emitter: it makes no difference.
    fn publication(&mut self, source: SourceId, publish: v1::Publish) -> Option<v1::Receipt> {
        let publication = if source.0.is_multiple_of(2) {
            Publication::Wire(Published::read(publish.encode_to_vec().into()).unwrap())
        } else {
            publish.into()
        };
        self.machine.publish(self.time(), source, &publication)
    }

    /// A stream that has lost its place changes nothing.
    fn publish_where_it_has_no_say(&mut self) -> Checked {
        let Some(source) = self.gone.last().copied() else { return Ok(()) };
        let event = event(0, &Fired::End { session: 0, reason: v1::SessionEndReason::Deleted });
        let publish = v1::Publish { first_publish_seq: 1000, events: vec![event] };
        let receipt = self.publication(source, publish);
        rule!(receipt.is_none(), "a receipt where nothing is taken in");
        self.compare(vec![], Expected::default())
    }
}

fn live_sessions(list: &List) -> LiveSessions {
    let session = |&(id, key, agent): &Named| SessionRef {
        id: Some(SESSIONS[id].to_owned()),
        key: KEYS[key].to_owned(),
        agent_id: AGENTS[agent].to_owned(),
    };
    LiveSessions { sessions: list.sessions.iter().map(session).collect() }
}

/// What the gateway sends: the number is in the payload, wherever there is room for one.
fn event(number: u64, fired: &Fired) -> GatewayEvent {
    let session = |id: &str, key: &str, agent: &str| {
        let id = (!id.is_empty()).then(|| id.to_owned());
        Some(SessionRef { id, key: key.to_owned(), agent_id: agent.to_owned() })
    };
    let json = || Some(Payload::Json(number.to_string().into()));
    let (hook, session, payload) = match *fired {
        Fired::Start { session: id, key, agent } => {
            ("session_start", session(SESSIONS[id], KEYS[key], AGENTS[agent]), None)
        }
        Fired::End { session: id, reason } => {
            let end = v1::SessionEnd { reason: reason.into(), ..Default::default() };
            ("session_end", session(SESSIONS[id], "", ""), Some(Payload::SessionEnd(end)))
        }
        Fired::EndOfKey { key } => {
            let end = v1::SessionEnd { reason: v1::SessionEndReason::Idle.into(), ..Default::default() };
            ("session_end", session("", KEYS[key], ""), Some(Payload::SessionEnd(end)))
        }
        Fired::Event { session: id, key, hook } => {
            (HOOKS[hook], session(SESSIONS[id], KEYS[key], ""), json())
        }
        Fired::OfKey { key, hook } => (HOOKS[hook], session("", KEYS[key], ""), json()),
        Fired::GatewayStart => {
            let start = v1::GatewayStart { port: number as u32 };
            ("gateway_start", None, Some(Payload::GatewayStart(start)))
        }
        Fired::GatewayStop { restart } => {
            let stop = v1::GatewayStop { reason: reason(restart).into(), text: number.to_string() };
            ("gateway_stop", None, Some(Payload::GatewayStop(stop)))
        }
    };
    GatewayEvent { hook: hook.to_owned(), session, payload, time_unix_nano: number, ..Default::default() }
}
