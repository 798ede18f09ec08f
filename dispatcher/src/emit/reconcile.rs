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
    machine::{Machine, Refused},
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
        self.drop_list(ix);
        let Some(list) = list else { return };
        let boot = &mut self.gateways.at_mut(ix).boot;
        if boot.sources.len() > 1 {
            // Another stream may have published what this list does not know of.
            self.counters.reconciliations_dropped += 1;
        } else if last >= behind {
            self.reconcile(ix, &list.sessions);
        } else {
            boot.listed = Some(Listed { behind, sessions: list.sessions.as_slice().into() });
        }
    }

    /// The list that waits, if any, will not be acted on.
    pub(crate) fn drop_list(&mut self, ix: GatewayIx) {
        let dropped = self.gateways.at_mut(ix).boot.listed.take();
        self.counters.reconciliations_dropped += u64::from(dropped.is_some());
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
