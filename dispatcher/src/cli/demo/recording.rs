//! The two recordings of a real gateway, and what they say by themselves: which lives of sessions there were, and
//! which of them nobody ended. Pure.

use std::collections::HashSet;

use hookwire_protocol::hook;
use serde::Deserialize;

use super::score::Score;

/// A gateway's hooks, as they were recorded, and how they are played.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) name: &'static str,
    /// What happens in it, for a person.
    pub(super) about: &'static str,
    /// One hook a line.
    pub(super) lines: &'static str,
    /// After how many lines the late plugin joins.
    pub(super) late_joins_after: usize,
    pub(super) ending: Ending,
}

/// How the gateway's process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stops as its last lines say, and drains.
    Stops,
    /// It is killed with SIGKILL: nobody says anything.
    Killed,
}

/// What is played, in this order.
pub(super) const RECORDINGS: [Recording; 2] = [
    Recording {
        name: "restart-then-stop",
        about: "chats, a reset, two deletions, a restart, a stop",
        lines: include_str!("../../../../tests/data/openclaw/restart-then-stop.jsonl"),
        late_joins_after: 97, // both deletions are behind it, the restart is ahead
        ending: Ending::Stops,
    },
    Recording {
        name: "killed",
        about: "chats, then SIGKILL",
        lines: include_str!("../../../../tests/data/openclaw/killed.jsonl"),
        late_joins_after: 33, // before the last session is opened
        ending: Ending::Killed,
    },
];

impl Recording {
    /// How many hooks fired.
    pub(super) fn hooks(&self) -> usize {
        self.lines.lines().count()
    }

    /// The lines before the late plugin joins, and those behind.
    pub(super) fn halves(&self) -> (&'static str, &'static str) {
        let before: usize = self.lines.split_inclusive('\n').take(self.late_joins_after).map(str::len).sum();
        self.lines.split_at(before)
    }
}

/// What of a line matters here.
#[derive(Deserialize)]
struct Line {
    hook: String,
    #[serde(default)]
    event: Named,
    #[serde(default)]
    ctx: Named,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    session_id: Option<String>,
    reason: Option<String>,
}

/// The sessions of the gateway that fired these hooks, had it been on its own.
///
/// A life begins when a session's id shows itself in any event, and is over at its `session_end`. After that only a
/// `session_start` (a reset keeps the id) or another boot of the gateway brings the id to life again; a straggler
/// does not. What is never over is a ghost.
///
/// # Errors
/// When a line is not a recorded hook.
pub(super) fn on_its_own(lines: &str) -> serde_json::Result<Score> {
    let mut alive = HashSet::new();
    let mut over = HashSet::new(); // in this boot
    let mut score = Score::default();
    for line in lines.lines() {
        let Line { hook, event, ctx } = serde_json::from_str(line)?;
        if hook == hook::GATEWAY_START {
            over.clear();
        }
        let Some(id) = event.session_id.or(ctx.session_id) else { continue };
        if hook == hook::SESSION_END {
            if alive.remove(&id) {
                score.end(event.reason.unwrap_or_default());
            }
            over.insert(id);
        } else if (hook == hook::SESSION_START || !over.contains(&id)) && alive.insert(id) {
            score.started += 1;
        }
    }
    score.ghosts = alive.len() as u64;
    Ok(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(lines: &[&str]) -> Score {
        on_its_own(&lines.join("\n")).unwrap()
    }

    const BOOT: &str = r#"{"hook":"gateway_start","event":{"port":1},"ctx":{}}"#;
    const START: &str = r#"{"hook":"session_start","event":{"sessionId":"s"},"ctx":{}}"#;
    const CHAT: &str = r#"{"hook":"llm_input","event":{},"ctx":{"sessionId":"s"}}"#;
    const RESET: &str = r#"{"hook":"session_end","event":{"sessionId":"s","reason":"reset"}}"#;

    #[test]
    fn the_recordings_leave_one_ghost_and_three() {
        let [stops, killed] = RECORDINGS.map(|recording| on_its_own(recording.lines).unwrap());
        assert_eq!((stops.started, stops.ghosts), (11, 1));
        let ended = [("deleted", 2), ("new", 1), ("reset", 1), ("restart", 5), ("shutdown", 1)];
        assert_eq!(stops.ended, ended.map(|(reason, count)| (reason.to_owned(), count)).into());
        assert_eq!((killed.started, killed.ghosts), (3, 3));
        assert!(killed.ended.is_empty());
    }

    #[test]
    fn the_late_one_joins_between_two_hooks() {
        for recording in RECORDINGS {
            let (before, behind) = recording.halves();
            assert_eq!(before.lines().count(), recording.late_joins_after);
            assert_eq!(before.lines().count() + behind.lines().count(), recording.hooks());
            assert!(before.ends_with('\n') && behind.starts_with('{'));
        }
    }

    #[test]
    fn a_reset_begins_another_life() {
        let score = score(&[BOOT, START, CHAT, RESET, START, CHAT]);
        assert_eq!((score.started, score.ended["reset"], score.ghosts), (2, 1, 1));
    }

    #[test]
    fn any_event_shows_a_life_but_a_straggler_does_not() {
        assert_eq!((score(&[BOOT, CHAT]).started, score(&[BOOT, CHAT]).ghosts), (1, 1));
        let straggler = score(&[BOOT, START, RESET, CHAT]);
        assert_eq!((straggler.started, straggler.ghosts), (1, 0));
    }

    #[test]
    fn a_session_continued_in_the_next_boot_lives_again() {
        let score = score(&[BOOT, START, RESET, BOOT, CHAT]);
        assert_eq!((score.started, score.ghosts), (2, 1));
    }

    #[test]
    fn a_life_spans_boots_and_an_end_without_a_life_is_none() {
        assert_eq!(score(&[BOOT, START, BOOT, CHAT]).started, 1);
        assert_eq!(score(&[BOOT, RESET]), Score::default());
    }

    #[test]
    fn what_is_no_hook_is_an_error() {
        assert!(on_its_own("{}").is_err() && on_its_own("x").is_err());
    }
}
