//! What both plays show together, and whether Hookwire has kept its promise. Pure.

use std::time::Duration;

use super::{
    plugin::{PLUGINS, Seen},
    recording::{self, Recording},
    score::{self, Score},
};
use crate::cli::{Exit, Failure, term};

/// Who the table compares the plugins with.
const ALONE: &str = "gateway alone";

/// What the table counts.
const CAPTION: &str = "Lives of sessions: seen to start, their ends by reason, and ghosts (never ended)";

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    recordings: Vec<Found>,
}

/// What was found in one recording.
#[derive(Debug)]
struct Found {
    recording: &'static str,
    /// What the gateway leaves on its own, and then each plugin's.
    scores: Vec<(&'static str, Score)>,
    /// Broken promises beside the ghosts.
    faults: Vec<String>,
    /// What is no fault, but should be known.
    remarks: Vec<String>,
}

impl Findings {
    /// Adds what the plugins saw of a recording, and what the gateway leaves on its own.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub(super) fn add(&mut self, recording: &Recording, seen: &[Seen]) -> Result<(), Failure> {
        let alone = recording::on_its_own(recording.lines)
            .map_err(|error| Exit::Fault.because(format_args!("{}: {error}", recording.name)))?;
        let name = recording.name;
        let mut found =
            Found { recording: name, scores: vec![(ALONE, alone)], faults: vec![], remarks: vec![] };
        for (plugin, seen) in PLUGINS.iter().zip(seen) {
            found.add(plugin.name, seen);
        }
        self.recordings.push(found);
        Ok(())
    }

    /// All scores, with room around them.
    pub(super) fn table(&self) -> String {
        let mut text = format!("\n{CAPTION}\n\n");
        for Found { recording, scores, remarks, .. } in &self.recordings {
            text = format!("{text}{}\n{}\n", score::table(recording, scores), lines(remarks));
        }
        text.trim_end_matches('\n').to_owned() + "\n"
    }

    /// Whether every session that a plugin saw start, it saw end, once.
    ///
    /// # Errors
    /// When not.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        let ghosts = self.ghosts(|who| who != ALONE);
        let faults: String = self.recordings.iter().map(|found| lines(&found.faults)).collect();
        match (ghosts, faults.as_str()) {
            (0, "") => Ok(()),
            _ => Err(Exit::Fault.because(format!("Hookwire left {}\n{faults}", counted(ghosts)).trim_end())),
        }
    }

    /// The last line, where all is well.
    pub(super) fn praise(&self, took: Duration) -> String {
        let alone = counted(self.ghosts(|who| who == ALONE));
        let text = "0 ghosts: every session that a plugin saw start, it saw end.";
        let text = term::paint(term::GOOD, text);
        let took = term::paint(term::DIM, format_args!("({:.1} s)", took.as_secs_f64()));
        format!("{text} The gateway alone leaves {alone}. {took}")
    }

    fn ghosts(&self, whose: impl Fn(&str) -> bool) -> u64 {
        let scores = self.recordings.iter().flat_map(|found| &found.scores);
        scores.filter(|(who, _)| whose(who)).map(|(_, score)| score.ghosts).sum()
    }
}

impl Found {
    fn add(&mut self, who: &'static str, seen: &Seen) {
        self.scores.push((who, seen.score()));
        self.faults.extend(seen.faults.iter().map(|fault| format!("{}: {who}: {fault}", self.recording)));
        if seen.lost > 0 {
            self.remarks.push(format!("{who} missed {} hooks: its queue was full, or cut short", seen.lost));
        }
    }
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{text}\n")).collect()
}

fn counted(ghosts: u64) -> String {
    if ghosts == 1 { "1 ghost".to_owned() } else { format!("{ghosts} ghosts") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::{plugin::Line, recording::RECORDINGS};

    fn seen(hooks: &[&str]) -> Seen {
        let mut seen = Seen::default();
        for (id, hook) in hooks.iter().enumerate() {
            let line = format!(
                r#"{{"type":"event","hook":"{hook}","event_id":"{id}","session":{{"id":"s","incarnation":1}}}}"#
            );
            seen.take(&serde_json::from_str::<Line>(&line).unwrap());
        }
        seen
    }

    fn judged(hooks: &[&str]) -> Result<(), String> {
        let mut findings = Findings::default();
        findings.add(&RECORDINGS[1], &[seen(hooks)]).unwrap();
        findings.judge().map_err(|failure| failure.text)
    }

    #[test]
    fn an_end_for_each_start_is_what_was_promised() {
        assert_eq!(judged(&["session_start", "session_end"]), Ok(()));
        assert_eq!(judged(&[]), Ok(()));
    }

    #[test]
    fn a_ghost_is_a_failure() {
        assert_eq!(judged(&["session_start"]), Err("Hookwire left 1 ghost".to_owned()));
    }

    #[test]
    fn so_is_an_end_from_nowhere() {
        let text =
            "Hookwire left 0 ghosts\nkilled: prompt: an end without its start: session s, incarnation 1";
        assert_eq!(judged(&["session_end"]), Err(text.to_owned()));
    }

    #[test]
    fn the_last_line_says_what_the_gateway_alone_leaves() {
        let mut findings = Findings::default();
        for recording in &RECORDINGS {
            findings.add(recording, &[]).unwrap();
        }
        let praise = findings.praise(Duration::from_millis(2_570));
        let praise = anstream::adapter::strip_str(&praise).to_string();
        assert!(praise.ends_with("The gateway alone leaves 4 ghosts. (2.6 s)"), "{praise}");
    }
}
