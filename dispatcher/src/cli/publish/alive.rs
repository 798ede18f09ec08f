//! Which sessions the gateway holds alive, by what it has told: what it lists once starts or ends had to go. Pure.

use std::collections::HashMap;

use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, LiveSessions, SessionRef},
};
use prost::Message;

use crate::emit::{check::check_session, given::Named, reconcile::MAX_LISTED};

/// The largest list, in bytes: every dispatcher takes a message of this size in.
const MAX_LIST_BYTES: usize = 1 << 20;

/// Sessions that are over and still known: what straggles behind an end begins nothing.
const MAX_OVER: usize = 100_000;

/// The sessions of one boot.
#[derive(Debug, Default)]
pub(super) struct Alive {
    by_id: HashMap<String, Session>,
    alive: usize,
}

#[derive(Debug, Default)]
struct Session {
    key: String,
    agent_id: String,
    alive: bool,
    /// The number of what began its latest life; 0 where there was none.
    began: u64,
    /// The number of its latest session_end; 0 where there was none.
    ended: u64,
}

impl Alive {
    /// Follows what the gateway tells under this number.
    pub(super) fn follow(&mut self, seq: u64, event: &GatewayEvent) {
        let Some(session) = event.session.as_ref().filter(|session| is_sound(session)) else { return };
        match event.hook.as_str() {
            hook::SESSION_START => self.begins(session, seq),
            hook::SESSION_END => self.ends(session, seq),
            _ if session.id.as_ref().is_some_and(|id| !self.by_id.contains_key(id)) => {
                self.begins(session, seq)
            }
            _ => {}
        }
    }

    /// Whether a start or an end that was told under this number is what keeps a live session apart from its earlier life.
    pub(super) fn leans_on(&self, seq: u64, event: &GatewayEvent) -> bool {
        let named = event.session.as_ref().and_then(|session| self.by_id.get(self.id_of(session)?));
        named.is_some_and(|session| session.alive && (session.began == seq || session.ended == seq))
    }

    /// All that are alive; `None` where they are too many to be listed.
    pub(super) fn list(&self) -> Option<LiveSessions> {
        if self.alive > MAX_LISTED {
            return None;
        }
        let alive = self.by_id.iter().filter(|(_, session)| session.alive);
        let named = |(id, session): (&String, &Session)| SessionRef {
            id: Some(id.clone()),
            key: session.key.clone(),
            agent_id: session.agent_id.clone(),
        };
        let list = LiveSessions { sessions: alive.map(named).collect() };
        (list.encoded_len() <= MAX_LIST_BYTES).then_some(list)
    }

    fn begins(&mut self, said: &SessionRef, seq: u64) {
        let Some(id) = &said.id else { return };
        let session = self.by_id.entry(id.clone()).or_default();
        if session.alive {
            return; // it goes on: the dispatcher drops a second start, too
        }
        let (key, agent_id) = (said.key.clone(), said.agent_id.clone());
        *session = Session { key, agent_id, alive: true, began: seq, ended: session.ended };
        self.alive += 1;
    }

    fn ends(&mut self, said: &SessionRef, seq: u64) {
        let Some(id) = self.id_of(said).map(str::to_owned) else { return };
        let session = self.by_id.entry(id).or_default();
        self.alive -= usize::from(session.alive);
        (session.alive, session.ended) = (false, seq);
        if self.by_id.len() - self.alive > MAX_OVER {
            self.by_id.retain(|_, session| session.alive);
        }
    }

    /// By id, or else the live session of that key that began last.
    fn id_of<'a>(&'a self, said: &'a SessionRef) -> Option<&'a str> {
        let keyed = |(_, session): &(&String, &Session)| {
            session.alive && !said.key.is_empty() && session.key == said.key
        };
        let by_key = || self.by_id.iter().filter(keyed).max_by_key(|(_, session)| session.began);
        said.id.as_deref().or_else(|| by_key().map(|(id, _)| id.as_str()))
    }
}

/// Whether the dispatcher takes such a name in.
fn is_sound(session: &SessionRef) -> bool {
    let named = Named { id: session.id.as_deref(), key: &session.key, agent_id: &session.agent_id };
    check_session(&named).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(hook: &str, id: &str, key: &str) -> GatewayEvent {
        let id = (!id.is_empty()).then(|| id.to_owned());
        let session = Some(SessionRef { id, key: key.to_owned(), agent_id: String::new() });
        GatewayEvent { hook: hook.to_owned(), session, ..GatewayEvent::default() }
    }

    fn told(events: &[GatewayEvent]) -> Alive {
        let mut alive = Alive::default();
        events.iter().zip(1..).for_each(|(event, seq)| alive.follow(seq, event));
        alive
    }

    fn listed(alive: &Alive) -> Vec<String> {
        let list = alive.list().expect("they are few");
        let mut ids: Vec<_> =
            list.sessions.into_iter().map(|session| session.id.unwrap_or_default()).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_started_and_did_not_end_is_alive() {
        let alive = told(&[
            event("session_start", "a", "k"),
            event("session_start", "b", "k"),
            event("llm_output", "goes on since before", ""),
            event("session_end", "", "k"),
            event("session_end", "never was", ""),
            event("llm_output", "b", "straggling"),
            event("llm_output", "", "k"),
            event("session_start", &"x".repeat(2000), ""),
            event("session_start", "", "k"),
        ]);
        assert_eq!(listed(&alive), ["a", "goes on since before"]);
    }

    #[test]
    fn a_reset_is_two_lives_and_the_later_one_leans_on_the_end_of_the_first() {
        let (start, end) = (event("session_start", "a", ""), event("session_end", "a", ""));
        let mut alive = told(&[start.clone(), end.clone(), start.clone(), start.clone()]);
        assert!(alive.leans_on(3, &start) && alive.leans_on(2, &end));
        assert!(!alive.leans_on(1, &start) && !alive.leans_on(4, &start));
        alive.follow(5, &end);
        assert!(!alive.leans_on(3, &start) && !alive.leans_on(5, &end), "it is over");
        assert_eq!(listed(&alive), [""; 0]);
    }

    #[test]
    fn who_has_too_many_lists_none_and_what_is_over_is_forgotten_in_time() {
        let mut alive = Alive::default();
        for number in 0..=MAX_OVER as u64 {
            alive.follow(number + 1, &event("session_end", &number.to_string(), ""));
        }
        assert!(alive.by_id.is_empty());
        for number in 0..=MAX_LISTED as u64 {
            alive.follow(number + 1, &event("session_start", &number.to_string(), ""));
        }
        assert_eq!(alive.list(), None);
        let mut alive = told(&[event("session_start", "a", "")]);
        (0..2000).for_each(|number| {
            alive.follow(2, &event("session_start", &number.to_string(), &"k".repeat(1000)))
        });
        assert_eq!(alive.list(), None, "nor one of more bytes than a message has");
    }
}
