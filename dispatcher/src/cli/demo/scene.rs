//! What the processes have said so far, read and put in its place. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use serde::Deserialize;

use super::{
    plugin::{Line, PLUGINS, Seen},
    process::Role,
    timeline::Timeline,
};
use crate::cli::{Exit, Failure};

/// How much of what a process complained about is shown when it failed.
const COMPLAINTS: usize = 5;

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Scene {
    /// The moment that the timeline counts from.
    zero: Instant,
    pub(super) timeline: Timeline,
    pub(super) seen: [Seen; PLUGINS.len()],
    /// What the dispatcher and the gateway printed, each its last line; their first are read before another comes.
    last: BTreeMap<Role, String>,
    complaints: BTreeMap<Role, VecDeque<String>>,
    gone: BTreeSet<Role>,
}

/// The dispatcher's first line.
#[derive(Deserialize)]
struct Listening {
    listening: Vec<String>,
}

/// The gateway's only line.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Tally {
    published: usize,
    rejected: usize,
}

/// The dispatcher's last line, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) elapsed_ms: u64,
    pub(super) subscribers: Vec<Account>,
}

/// What became of the ends that were due to one subscriber.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) owed: u64,
    pub(super) carried_over: u64,
}

impl Scene {
    fn hear_plugin(&mut self, plugin: usize, at: Instant, text: &str) -> Result<(), Failure> {
        let name = PLUGINS[plugin].name;
        let line = serde_json::from_str(text).map_err(|error| {
            Exit::Fault.because(format_args!("{name}: not what it should print: {text:?} ({error})"))
        })?;
        let at = at.saturating_duration_since(self.zero);
        match &line {
            Line::Event(event) => self.timeline.event(plugin, at, event),
            Line::DrainNotice { boot_id, reason } => self.timeline.drain(plugin, at, boot_id, reason),
            _ => {}
        }
        self.seen[plugin].take(&line);
        Ok(())
    }

    fn note(&mut self, text: impl Into<String>) {
        self.timeline.note(self.zero.elapsed(), text);
    }

    fn complain(&mut self, role: Role, text: String) {
        let complaints = self.complaints.entry(role).or_default();
        if complaints.len() == COMPLAINTS {
            complaints.pop_front();
        }
        complaints.push_back(text);
    }

    fn overdue(&self, what: &str) -> Failure {
        let counts = PLUGINS.iter().zip(&self.seen);
        let counts: Vec<_> = counts
            .map(|(plugin, seen)| {
                format!("{} saw {} start, {} not end", plugin.name, seen.started(), seen.open())
            })
            .collect();
        Exit::Fault.because(format_args!("waited {PATIENCE:?} until {what}: {}", counts.join("; ")))
    }
}
