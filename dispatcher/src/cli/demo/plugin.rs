//! The three plugins: how each is started, and what one has seen so far. Pure.

use std::collections::{BTreeMap, HashSet};

use hookwire_protocol::hook;
use serde::Deserialize;

use super::score::Score;

/// A plugin of the demo, which is a `hookwire tail` of its own.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) name: &'static str,
    /// What it is like, for a person.
    pub(super) about: &'static str,
    /// How its `hookwire tail` is told to be like that.
    pub(super) args: &'static [&'static str],
}

/// Takes every hook, and has no other work.
pub(super) const PROMPT: usize = 0;
/// Joins amid the recording.
pub(super) const LATE: usize = 2;

/// All of them, in the order of their columns.
pub(super) const PLUGINS: [Plugin; 3] = [
    Plugin { name: "prompt", about: "takes every hook, and answers at once", args: &[] },
    Plugin {
        name: "slow",
        about: "takes starts and ends, and works 300 ms on each",
        args: &["--hook", "session_*", "--ack", "delay:300ms"],
    },
    Plugin {
        name: "late",
        about: "joins in the middle, and asks for the sessions that are live then",
        args: &["--hook", "session_*", "--hook", "gateway_*", "--announce"],
    },
];

/// A line that a plugin prints, as far as it matters here.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    Event(Event),
    CaughtUp {
        announced: u64,
    },
    Gap {
        count: u64,
    },
    DrainNotice {
        boot_id: String,
        reason: String,
    },
    #[serde(other)]
    Other,
}

/// A hook that was delivered.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) kind: String,
    pub(super) hook: String,
    pub(super) event_id: String,
    pub(super) session: Option<Session>,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) synthetic: bool,
}

/// The session, and which of its lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) incarnation: u64,
}

/// What one plugin has seen so far. Whatever comes twice under one event id counts once.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What was replayed and announced is behind it.
    pub(super) caught_up: bool,
    /// Hooks that the dispatcher could not keep for it.
    pub(super) lost: u64,
    /// What breaks the promise beside a ghost: an end without its start, a second start or end.
    pub(super) faults: Vec<String>,
    /// A boot of the gateway has started, and has not stopped.
    pub(super) gateway_is_up: bool,
    events: HashSet<String>,
    /// The reason of its end, for each life that is over.
    lives: BTreeMap<(String, u64), Option<String>>,
}

impl Seen {
    /// Takes a line into account.
    pub(super) fn take(&mut self, line: &Line) {
        match line {
            Line::Event(event) if self.events.insert(event.event_id.clone()) => self.hook(event),
            Line::Gap { count } => self.lost += count,
            Line::CaughtUp { .. } => self.caught_up = true,
            Line::Event(_) | Line::DrainNotice { .. } | Line::Other => {}
        }
    }

    fn hook(&mut self, event: &Event) {
        match event.hook.as_str() {
            hook::GATEWAY_START => self.gateway_is_up = true,
            hook::GATEWAY_STOP => self.gateway_is_up = false,
            _ => self.session_hook(event),
        }
    }

    fn session_hook(&mut self, event: &Event) {
        let Some(session) = &event.session else { return };
        let life = (session.id.clone(), session.incarnation);
        let is_known = self.lives.contains_key(&life);
        match event.hook.as_str() {
            hook::SESSION_START if is_known => self.fault("another start", session),
            hook::SESSION_START => {
                self.lives.insert(life, None);
            }
            hook::SESSION_END => match self.lives.get_mut(&life) {
                Some(end @ None) => *end = Some(event.reason.clone()),
                Some(Some(_)) => self.fault("another end", session),
                None => self.fault("an end without its start", session),
            },
            _ => {}
        }
    }

    fn fault(&mut self, what: &str, Session { id, incarnation, .. }: &Session) {
        self.faults.push(format!("{what}: session {id}, incarnation {incarnation}"));
    }

    /// How many lives it saw start.
    pub(super) fn started(&self) -> u64 {
        self.lives.len() as u64
    }

    /// How many of them it did not see end yet.
    pub(super) fn open(&self) -> u64 {
        self.lives.values().filter(|end| end.is_none()).count() as u64
    }

    /// The count, if nothing more comes.
    pub(super) fn score(&self) -> Score {
        let mut score = Score { started: self.started(), ghosts: self.open(), ..Score::default() };
        self.lives.values().flatten().for_each(|reason| score.end(reason.clone()));
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, hook: &str, incarnation: u64) -> Line {
        let session = Session { id: "s".into(), key: "k".into(), incarnation };
        Line::Event(Event {
            hook: hook.into(),
            event_id: id.into(),
            session: Some(session),
            reason: if hook == hook::SESSION_END { "reset".into() } else { String::new() },
            ..Event::default()
        })
    }

    fn seen(lines: &[Line]) -> Seen {
        let mut seen = Seen::default();
        lines.iter().for_each(|line| seen.take(line));
        seen
    }

    #[test]
    fn one_id_lives_many_times() {
        let seen = seen(&[
            event("a", "session_start", 1),
            event("b", "llm_input", 1),
            event("c", "session_end", 1),
            event("d", "session_start", 2),
        ]);
        let score = seen.score();
        assert_eq!((score.started, score.ended["reset"], score.ghosts), (2, 1, 1));
        assert!(seen.faults.is_empty());
    }

    #[test]
    fn what_comes_twice_counts_once() {
        let start = || event("a", "session_start", 1);
        let end = || event("b", "session_end", 1);
        let seen = seen(&[start(), start(), end(), end()]);
        assert_eq!((seen.started(), seen.open()), (1, 0));
        assert!(seen.faults.is_empty());
    }

    #[test]
    fn an_orphan_and_a_second_decision_are_faults() {
        let faults = |lines: &[Line]| seen(lines).faults;
        assert_eq!(
            faults(&[event("a", "session_end", 7)]),
            ["an end without its start: session s, incarnation 7"]
        );
        let twice =
            [event("a", "session_start", 1), event("b", "session_end", 1), event("c", "session_end", 1)];
        assert_eq!(faults(&twice), ["another end: session s, incarnation 1"]);
        let again = [event("a", "session_start", 1), event("b", "session_start", 1)];
        assert_eq!(faults(&again), ["another start: session s, incarnation 1"]);
    }

    #[test]
    fn the_gateway_is_up_from_its_start_to_its_stop() {
        let boot =
            |hook: &str| Line::Event(Event { hook: hook.into(), event_id: hook.into(), ..Event::default() });
        assert!(seen(&[boot("gateway_start")]).gateway_is_up);
        assert!(!seen(&[boot("gateway_start"), boot("gateway_stop")]).gateway_is_up);
    }

    #[test]
    fn gaps_and_the_catching_up_are_kept() {
        let seen = seen(&[Line::Gap { count: 2 }, Line::CaughtUp { announced: 0 }, Line::Gap { count: 1 }]);
        assert_eq!((seen.lost, seen.caught_up), (3, true));
    }

    #[test]
    fn lines_of_a_tail_are_read() {
        let read = |line: &str| serde_json::from_str::<Line>(line).unwrap();
        let end = read(concat!(
            r#"{"type":"event","seq":3,"kind":"live","hook":"session_end","event_id":"e","session":{"id":"s","#,
            r#""key":"k","agent_id":"main","incarnation":4},"session_seq":9,"reason":"lost","#,
            r#""disposition":"unknown","synthetic":true,"late":false,"budget_ms":5,"gateway":"g","boot":"b"}"#,
        ));
        let session = Session { id: "s".into(), key: "k".into(), incarnation: 4 };
        let expected = Event {
            kind: "live".into(),
            hook: "session_end".into(),
            event_id: "e".into(),
            session: Some(session),
            reason: "lost".into(),
            synthetic: true,
        };
        assert_eq!(end, Line::Event(expected));
        assert_eq!(
            read(r#"{"type":"caught_up","replayed":0,"announced":5}"#),
            Line::CaughtUp { announced: 5 }
        );
        assert_eq!(read(r#"{"type":"goodbye","reason":"stopping"}"#), Line::Other);
    }
}
