//! What both plays show together, and whether Hookwire has kept its promise. Pure.

use std::time::Duration;

use super::{
    plugin::{PLUGINS, Seen},
    recording::{self, Recording},
    scene::Scene,
    score::{self, Entry},
};
use crate::cli::{Exit, Failure, term};

/// Who the table compares the plugins with.
const ALONE: &str = "gateway alone";

/// The scores so far: of each recording the gateway's own first, then those of the plugins.
#[derive(Debug, Default)]
pub(super) struct Findings {
    entries: Vec<Entry>,
    /// Broken promises beside the ghosts.
    faults: Vec<String>,
    /// What is no fault, but should be known.
    remarks: Vec<String>,
}

impl Findings {
    /// Adds what was seen of a recording, and what it leaves on its own.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub(super) fn add(&mut self, recording: &Recording, scene: &Scene) -> Result<(), Failure> {
        let alone = recording::on_its_own(recording.lines)
            .map_err(|error| Exit::Fault.because(format_args!("{}: {error}", recording.name)))?;
        self.entries.push(Entry { recording: recording.name, who: ALONE, score: alone });
        for (plugin, seen) in PLUGINS.iter().zip(&scene.seen) {
            self.add_plugin(recording.name, plugin.name, seen);
        }
        Ok(())
    }

    fn add_plugin(&mut self, recording: &'static str, who: &'static str, seen: &Seen) {
        self.entries.push(Entry { recording, who, score: seen.score() });
        self.faults.extend(seen.faults.iter().map(|fault| format!("{recording}: {who}: {fault}")));
        if seen.lost > 0 {
            self.remarks.push(format!("{recording}: {who}: {} hooks were lost to a full queue", seen.lost));
        }
    }

    /// The scores, with room above and below.
    pub(super) fn table(&self) -> String {
        let remarks: String = self.remarks.iter().map(|remark| format!("{remark}\n")).collect();
        format!("\n{}\n{remarks}", score::table(&self.entries))
    }

    /// Whether every session that a plugin saw start, it saw end, once.
    ///
    /// # Errors
    /// When not.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        let ghosts = self.ghosts(|who| who != ALONE);
        if ghosts == 0 && self.faults.is_empty() {
            return Ok(());
        }
        let faults: String = self.faults.iter().map(|fault| format!("\n  {fault}")).collect();
        Err(Exit::Fault.because(format_args!("Hookwire left {}{faults}", counted(ghosts))))
    }

    /// The last line, where all is well.
    pub(super) fn praise(&self, took: Duration) -> String {
        let alone = counted(self.ghosts(|who| who == ALONE));
        let text = format!(
            "0 ghosts: every session that a plugin saw start, it saw end. The gateway alone leaves {alone}."
        );
        format!(
            "{} {}",
            term::paint(term::GOOD, text),
            term::paint(term::DIM, format_args!("({:.1} s)", took.as_secs_f64()))
        )
    }

    fn ghosts(&self, whose: impl Fn(&str) -> bool) -> u64 {
        self.entries.iter().filter(|entry| whose(entry.who)).map(|entry| entry.score.ghosts).sum()
    }
}

fn counted(ghosts: u64) -> String {
    if ghosts == 1 { "1 ghost".to_owned() } else { format!("{ghosts} ghosts") }
}
