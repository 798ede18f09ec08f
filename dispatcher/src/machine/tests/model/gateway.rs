//! The gateway's side: boots, and which life an event belongs to.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use hookwire_protocol::v1::{SessionEndReason, StopReason};

use super::{BUDGET, GRACE, Model, Told};
use crate::machine::tests::schedule::{AGENTS, Fired, HOOKS, KEYS, Named, SESSIONS};

#[derive(Clone, Debug, Default)]
pub(in crate::machine::tests) struct Gateway {
    pub(in crate::machine::tests) boot: String,
    /// Nothing starts in it any more.
    pub(in crate::machine::tests) closed: bool,
    pub(in crate::machine::tests) attached: BTreeSet<usize>,
    pub(in crate::machine::tests) lost_at: Option<Duration>,
    /// The gateway_stop that is held: its number and reason.
    pub(super) stop: Option<(u64, StopReason)>,
    pub(super) stop_told: bool,
    /// What the gateway ended: the incarnations that a straggler may name.
    ended: BTreeMap<&'static str, Vec<u64>>,
    over: VecDeque<String>,
    /// The last publish_seq by emitter.
    pub(super) taken: BTreeMap<usize, u64>,
    /// The same, as it is journaled.
    pub(super) journaled: BTreeMap<usize, u64>,
    /// A list that is to be acted on.
    pub(super) listed: Option<Listed>,
}

/// What a gateway says is alive.
#[derive(Clone, Debug)]
pub(in crate::machine::tests) struct Listed {
    pub(in crate::machine::tests) emitter: usize,
    /// The publish_seq that it holds behind.
    pub(in crate::machine::tests) behind: u64,
    pub(in crate::machine::tests) sessions: Vec<Named>,
}

/// What came of a Publish.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::machine::tests) struct Receipt {
    pub(in crate::machine::tests) through: u64,
    pub(in crate::machine::tests) refused: Vec<u64>,
}

impl Model {
    /// What the Attach is answered, and the emitters whose older streams end by it.
    pub(in crate::machine::tests) fn attach(
        &mut self,
        gateway: usize,
        boot: &str,
        emitter: usize,
        listed: Option<Listed>,
    ) -> Result<(u64, BTreeSet<usize>), ()> {
        if self.stopping {
            return Err(());
        }
        let fresh = || Gateway { boot: boot.to_owned(), ..Gateway::default() };
        let mut displaced = BTreeSet::new();
        match self.gateways.get_mut(&gateway) {
            Some(held) if held.over.iter().any(|over| over == boot) => return Err(()),
            Some(held) if held.boot != boot => {
                displaced = std::mem::take(&mut held.attached);
                if !held.closed {
                    self.close_quietly(gateway);
                    self.over(gateway);
                }
                let held = self.gateways.get_mut(&gateway).unwrap();
                let over = std::mem::take(&mut held.over);
                *held = Gateway { over, ..fresh() };
            }
            Some(_) => {}
            None => drop(self.gateways.insert(gateway, fresh())),
        }
        let held = self.gateways.get_mut(&gateway).unwrap();
        held.lost_at = None;
        if !held.attached.insert(emitter) {
            displaced.insert(emitter);
        }
        let taken = held.taken.get(&emitter).copied().unwrap_or(0);
        let alone = held.attached.len() == 1;
        held.listed = listed.filter(|_| alone);
        self.reconcile(gateway, emitter, taken);
        Ok((taken, displaced))
    }

    /// Acts on the list that was waiting for this emitter to come so far.
    fn reconcile(&mut self, gateway: usize, emitter: usize, taken: u64) {
        let held = self.gateways.get_mut(&gateway).unwrap();
        let due = |listed: &mut Listed| listed.emitter == emitter && listed.behind <= taken;
        let Some(Listed { sessions, .. }) = held.listed.take_if(due) else { return };
        let ids: BTreeSet<_> = sessions.iter().map(|(session, ..)| SESSIONS[*session]).collect();
        let gone = self.alive().filter(|(_, life)| life.gateway == gateway && !ids.contains(life.id));
        let gone: Vec<_> = gone.map(|(life, _)| life).collect();
        gone.into_iter().for_each(|life| self.decide(life, SessionEndReason::Lost));
        for (session, key, agent) in sessions {
            let id = SESSIONS[session];
            if self.alive_by_id(gateway, id).is_none() && !self.gateways[&gateway].ended.contains_key(id) {
                self.begin_life(gateway, (id, KEYS[key], AGENTS[agent]), true);
            }
        }
    }

    pub(in crate::machine::tests) fn detach(&mut self, gateway: usize, emitter: usize) {
        let held = self.gateways.get_mut(&gateway).unwrap();
        held.attached.remove(&emitter);
        held.listed = None;
        if held.attached.is_empty() && !held.closed {
            held.lost_at = Some(self.now + GRACE);
        }
    }

    pub(super) fn lose_gateways(&mut self) {
        let lost = |held: &Gateway| held.lost_at.is_some_and(|at| at <= self.now);
        let lost: Vec<_> =
            self.gateways.iter().filter(|(_, held)| lost(held)).map(|(gateway, _)| *gateway).collect();
        for gateway in lost {
            self.gateways.get_mut(&gateway).unwrap().lost_at = None;
            self.close_quietly(gateway);
        }
    }

    fn close_quietly(&mut self, gateway: usize) {
        let (reason, stop) = match self.gateways[&gateway].stop {
            None => (SessionEndReason::Lost, StopReason::Shutdown),
            Some((_, StopReason::Restart)) => (SessionEndReason::Restart, StopReason::Restart),
            Some(_) => (SessionEndReason::Shutdown, StopReason::Shutdown),
        };
        self.close(gateway, reason, stop, BUDGET, None);
    }

    pub(super) fn over(&mut self, gateway: usize) {
        let held = self.gateways.get_mut(&gateway).unwrap();
        held.closed = true;
        held.listed = None;
        held.lost_at = None;
        if !held.over.contains(&held.boot) {
            held.over.push_back(held.boot.clone());
        }
        if held.over.len() > 16 {
            held.over.pop_front();
        }
    }

    /// `None` where the stream has no say.
    pub(in crate::machine::tests) fn publish(
        &mut self,
        gateway: usize,
        emitter: usize,
        first_seq: u64,
        events: &[(u64, Fired)],
    ) -> Option<Receipt> {
        if self.stopping || !self.gateways[&gateway].attached.contains(&emitter) {
            return None;
        }
        let (mut refused, effects) = (Vec::new(), self.effects);
        for (seq, (number, fired)) in (first_seq..).zip(events) {
            let last = self.gateways.get_mut(&gateway).unwrap().taken.entry(emitter).or_default();
            if seq <= *last {
                continue;
            }
            *last = seq;
            self.reconcile(gateway, emitter, seq - 1);
            if !self.take_in(gateway, *number, fired) {
                refused.push(seq);
            }
            self.reconcile(gateway, emitter, seq);
        }
        let held = self.gateways.get_mut(&gateway).unwrap();
        let through = held.taken.get(&emitter).copied().unwrap_or(0);
        if self.effects > effects {
            held.journaled.insert(emitter, through);
        }
        Some(Receipt { through, refused })
    }

    fn take_in(&mut self, gateway: usize, number: u64, fired: &Fired) -> bool {
        let at = self.tick_clock();
        let held = self.gateways.get_mut(&gateway).unwrap();
        match *fired {
            Fired::Start { session, key, agent } => {
                if held.closed {
                    return false;
                }
                let session = SESSIONS[session];
                if self.alive_by_id(gateway, session).is_none() {
                    self.begin_life(gateway, (session, KEYS[key], AGENTS[agent]), false);
                    self.gateways.get_mut(&gateway).unwrap().ended.remove(session);
                }
            }
            Fired::End { session, reason } => self.end(gateway, SESSIONS[session], reason),
            Fired::EndOfKey { key } => {
                if let Some(life) = self.alive_by_key(gateway, KEYS[key]) {
                    self.end(gateway, self.lives[&life].id, SessionEndReason::Idle);
                }
            }
            Fired::GatewayStop { restart } => {
                let reason = if restart { StopReason::Restart } else { StopReason::Shutdown };
                self.effects += 1;
                let (number, reason) = *held.stop.get_or_insert((number, reason));
                if held.stop_told {
                    self.said_late(gateway, number, reason);
                }
            }
            Fired::Event { session, key, hook } => {
                let (id, key) = (SESSIONS[session], KEYS[key]);
                let life = self.belongs(gateway, id, key);
                self.tell(gateway, number, HOOKS[hook], Some((id, key)), life, at);
            }
            Fired::OfKey { key, hook } => {
                let life = self.alive_by_key(gateway, KEYS[key]).ok_or(vec![]);
                self.tell(gateway, number, HOOKS[hook], Some(("", KEYS[key])), life, at);
            }
            Fired::GatewayStart => self.tell(gateway, number, "gateway_start", None, Err(vec![]), at),
        }
        true
    }

    /// What the gateway ended stays ended until its own start.
    fn end(&mut self, gateway: usize, id: &'static str, reason: SessionEndReason) {
        self.effects += 1;
        let reason = if reason == SessionEndReason::Unspecified { SessionEndReason::Unknown } else { reason };
        let mut may_name = vec![0];
        may_name.extend(self.last_ended(gateway, id));
        if let Some(life) = self.alive_by_id(gateway, id) {
            self.decide(life, reason);
            self.ended_by_gateway(gateway, id, vec![life]);
        } else {
            let ended = &mut self.gateways.get_mut(&gateway).unwrap().ended;
            ended.entry(id).or_insert(may_name);
        }
    }

    pub(super) fn ended_by_gateway(&mut self, gateway: usize, id: &'static str, may_name: Vec<u64>) {
        self.gateways.get_mut(&gateway).unwrap().ended.insert(id, may_name);
    }

    /// The life that an event of this id belongs to, or else those that it may name as a straggler.
    fn belongs(&mut self, gateway: usize, id: &'static str, key: &'static str) -> Result<u64, Vec<u64>> {
        if let Some(life) = self.alive_by_id(gateway, id) {
            return Ok(life);
        }
        let held = &self.gateways[&gateway];
        if let Some(ended) = held.ended.get(id) {
            return Err(ended.clone());
        }
        if held.closed {
            return Err([0].into_iter().chain(self.last_ended(gateway, id)).collect());
        }
        Ok(self.begin_life(gateway, (id, key, ""), true))
    }

    fn tell(
        &mut self,
        gateway: usize,
        number: u64,
        hook: &'static str,
        said: Option<(&'static str, &'static str)>,
        life: Result<u64, Vec<u64>>,
        at: u64,
    ) {
        let held = life.as_ref().ok().map(|number| self.lives.get_mut(number).unwrap());
        let mut session = said.map(|(id, key)| (id, key, ""));
        let mut seq = 0;
        if let (Some(held), Some((id, key, agent))) = (held, &mut session) {
            held.seq += 1;
            (seq, *id, *agent) = (held.seq, held.id, held.agent);
            if key.is_empty() {
                *key = held.key;
            }
        }
        let late = life.as_ref().is_err_and(|may_name| !may_name.is_empty());
        let incarnations = match life {
            Ok(life) => vec![life],
            Err(may_name) if may_name.is_empty() => vec![0],
            Err(may_name) => may_name,
        };
        let before = self.told.remove(&number);
        for plugin in self.plugins.values_mut() {
            if before.is_some() {
                plugin.had.remove(&number); // published again, behind a crash: it may come again
            }
            let wanted = session.is_none_or(|(_, key, agent)| plugin.wants.session(key, agent));
            plugin.outstanding += u64::from(wanted && plugin.wants.hook(hook));
        }
        let boot = self.gateways[&gateway].boot.clone();
        let id = before.and_then(|before| Some(before.seen?.id).or(before.id));
        let told = Told { gateway, boot, hook, session, incarnations, late, seq, at, seen: None, id };
        self.told.insert(number, told);
    }

    fn alive_by_id(&self, gateway: usize, id: &str) -> Option<u64> {
        self.alive().find(|(_, life)| life.gateway == gateway && life.id == id).map(|(life, _)| life)
    }

    fn alive_by_key(&self, gateway: usize, key: &str) -> Option<u64> {
        let named = |life: &super::Life| life.gateway == gateway && !key.is_empty() && life.key == key;
        self.alive().filter(|(_, life)| named(life)).map(|(life, _)| life).max()
    }

    fn last_ended(&self, gateway: usize, id: &str) -> Vec<u64> {
        let ended = self.lives.iter().filter(|(_, life)| life.gateway == gateway && life.id == id);
        ended.filter(|(_, life)| life.end.is_some()).map(|(life, _)| *life).collect()
    }
}
