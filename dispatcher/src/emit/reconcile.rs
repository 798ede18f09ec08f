//! A gateway says which of its sessions are alive: what the ledger holds beyond them ends as LOST, what it lacks begins.
//!
//! A list holds behind what its emitter published before it, so it is kept until that has been taken in, and given up
//! where that never comes on this stream. It speaks for the whole boot, so nobody else may publish meanwhile.

use std::collections::HashSet;

use hookwire_protocol::v1::{self, SessionEndReason, SessionRef, attach_request};

use super::{
    boots::{Boot, GatewayIx},
    check::check_session,
    given::{Given, Named},
};
use crate::{
    machine::{Effect, Machine, Refused},
    settle::decide::{Beginning, Ending},
};

/// Sessions in one list.
pub(crate) const MAX_LISTED: usize = 100_000;

/// A list that waits for what its emitter published before it. Its stream is the only one of the boot.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The last publish_seq that it holds behind.
    behind: u64,
    sessions: Box<[SessionRef]>,
}

/// Says what is wrong with the sessions that a Hello lists.
pub(super) fn check_list(hello: &attach_request::Hello) -> Result<(), Refused> {
    let Some(list) = &hello.live_sessions else { return Ok(()) };
    let listed = list.sessions.len();
    if listed > MAX_LISTED {
        return Err(Refused::Invalid(format!(
            "live_sessions: it lists {listed} sessions, {MAX_LISTED} are the most"
        )));
    }
    for (at, session) in list.sessions.iter().enumerate() {
        let checked = match session.id {
            Some(_) => check_session(&named(session)),
            None => Err("session.id: a list names its sessions by id".to_owned()),
        };
        checked.map_err(|text| Refused::Invalid(format!("live_sessions, sessions[{at}]: {text}")))?;
    }
    Ok(())
}

impl Machine {
    /// A stream has been attached: it brings a list, or is in the way of the one that waits.
    pub(super) fn take_list(
        &mut self,
        ix: GatewayIx,
        list: Option<&v1::LiveSessions>,
        behind: u64,
        last: u64,
    ) {
        self.drop_list(ix, "another stream of its boot came before the resend was done");
        let Some(list) = list else { return };
        let boot = &mut self.gateways.at_mut(ix).boot;
        if boot.sources.len() > 1 {
            // Another stream may have published what this list does not know of.
            self.list_is_dropped(ix, "another stream of its boot is attached");
        } else if last >= behind {
            self.reconcile(ix, &list.sessions);
        } else {
            boot.listed = Some(Listed { behind, sessions: list.sessions.as_slice().into() });
        }
    }

    /// The list that waits, if any, will not be acted on.
    pub(super) fn drop_list(&mut self, ix: GatewayIx, why: &'static str) {
        if self.gateways.at_mut(ix).boot.listed.take().is_some() {
            self.list_is_dropped(ix, why);
        }
    }

    /// The wire has no word for it: whoever runs the gateway finds it here.
    fn list_is_dropped(&mut self, ix: GatewayIx, why: &'static str) {
        self.counters.reconciliations_dropped += 1;
        let gateway = self.gateways.at(ix).id.to_string();
        self.effect(Effect::ListDropped { gateway, why });
    }

    /// All of the boot's that was published up to here has been taken in.
    pub(super) fn reconcile_through(&mut self, ix: GatewayIx, last: u64) {
        if let Some(listed) = self.gateways.at_mut(ix).boot.listed.take_if(|listed| listed.behind <= last) {
            self.reconcile(ix, &listed.sessions);
        }
    }

    /// First the ends: what begins may have the key of what ends.
    fn reconcile(&mut self, ix: GatewayIx, sessions: &[SessionRef]) {
        self.end_unlisted(ix, sessions);
        self.begin_listed(ix, sessions);
    }

    fn end_unlisted(&mut self, ix: GatewayIx, sessions: &[SessionRef]) {
        let listed: HashSet<_> = sessions.iter().map(SessionRef::id).collect();
        let (reason, time_unix_nano) = (SessionEndReason::Lost, self.now.unix_nano);
        for slot in self.lives.alive_of(ix) {
            if !listed.contains(self.lives.at(slot).id()) {
                // By the dispatcher: it may begin again by any event.
                let said = v1::SessionEnd::default();
                self.decide(slot, Ending { reason, said, time_unix_nano, traceparent: "", synthetic: true });
                self.counters.sessions_ended_by_reconciling += 1;
            }
        }
    }

    /// What is listed twice begins once, by its first names.
    fn begin_listed(&mut self, ix: GatewayIx, sessions: &[SessionRef]) {
        for session in sessions {
            let id = session.id();
            // A list is no session_start: what the gateway ended in this boot needs one.
            if self.lives.alive_by_id(ix, id).is_some() || self.gateways.at(ix).boot.ended.get(id).is_some() {
                continue;
            }
            let (session, time_unix_nano) = (Some(named(session)), self.now.unix_nano);
            let event = Given { session, time_unix_nano, ..Given::default() };
            self.begin_life(ix, &Beginning { event: &event, synthetic: true }, v1::SessionStart::default());
            self.counters.sessions_started_by_reconciling += 1;
        }
    }
}

impl Boot {
    /// The publish_seq behind which a list waits to be acted on.
    pub(super) fn listed_behind(&self) -> Option<u64> {
        self.listed.as_ref().map(|listed| listed.behind)
    }
}

fn named(session: &SessionRef) -> Named<'_> {
    Named { id: session.id.as_deref(), key: &session.key, agent_id: &session.agent_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, dispatcher::settings, emit::boots::SourceId, machine::Now};

    /// Attaches an emitter that lists nothing as alive, behind this number; why a list was dropped by that.
    fn attach(machine: &mut Machine, emitter: u64, resend_through: u64) -> Vec<&'static str> {
        let hello = attach_request::Hello {
            gateway_id: "gw".to_owned(),
            boot_id: "boot".to_owned(),
            emitter_id: format!("emitter-{emitter}"),
            live_sessions: Some(v1::LiveSessions::default()),
            resend_through,
            ..Default::default()
        };
        machine.attach(Now::default(), SourceId(emitter), &hello).expect("a new emitter");
        dropped(machine)
    }

    fn dropped(machine: &mut Machine) -> Vec<&'static str> {
        let effects = machine.take_step().effects.into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::ListDropped { gateway, why } => (gateway == "gw").then_some(why),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_list_that_is_dropped_is_told_as_often_as_it_is_counted() {
        let mut machine = Machine::new(settings(&Config::default()));
        assert!(attach(&mut machine, 1, 0).is_empty(), "it was acted on");
        machine.detach(Now::default(), SourceId(1));
        assert!(dropped(&mut machine).is_empty());
        assert!(attach(&mut machine, 2, 7).is_empty(), "it waits");
        let [first, second] = attach(&mut machine, 3, 7)[..] else { panic!("both lists are dropped") };
        assert!(first.contains("came before") && second.contains("is attached"), "{first}, {second}");
        machine.detach(Now::default(), SourceId(2));
        machine.detach(Now::default(), SourceId(3));
        assert!(attach(&mut machine, 4, 7).is_empty(), "it waits");
        machine.detach(Now::default(), SourceId(4));
        assert_eq!(dropped(&mut machine).len(), 1);
        assert_eq!(machine.counters.reconciliations_dropped, 3);
    }
}
