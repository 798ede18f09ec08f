//! What the processes have said so far, read and put in its place. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    plugin::{Line, PLUGINS, Seen},
    timeline::Timeline,
};
use crate::cli::process::Complaints;

/// Who a process is. The plugins are numbered as in [`PLUGINS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Dispatcher,
    Gateway,
    Plugin(usize),
}

impl Role {
    /// Its name for a person.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Gateway => "gateway",
            Self::Plugin(plugin) => PLUGINS[plugin].name,
        }
    }
}

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Scene {
    /// The moment that the timeline counts from.
    zero: Instant,
    pub(super) timeline: Timeline,
    pub(super) seen: [Seen; PLUGINS.len()],
    /// What the dispatcher and the gateway printed: of each the last line.
    last: BTreeMap<Role, String>,
    pub(super) complaints: Complaints<Role>,
    pub(super) gone: BTreeSet<Role>,
}

/// The gateway's only line.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Tally {
    pub(super) published: usize,
    pub(super) rejected: usize,
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
    /// Nothing was heard yet.
    pub(super) fn new() -> Self {
        Self {
            zero: Instant::now(),
            timeline: Timeline::default(),
            seen: Default::default(),
            last: BTreeMap::new(),
            complaints: Complaints::new(),
            gone: BTreeSet::new(),
        }
    }

    /// The timeline begins now.
    pub(super) fn begin(&mut self) {
        self.zero = Instant::now();
    }

    /// A plugin has printed a line.
    ///
    /// # Errors
    /// When it is none of a tail's.
    pub(super) fn plugin(&mut self, plugin: usize, at: Instant, text: &str) -> serde_json::Result<()> {
        let line = serde_json::from_str(text)?;
        let at = at.saturating_duration_since(self.zero);
        match &line {
            Line::Event(event) => self.timeline.event(plugin, at, event),
            Line::DrainNotice { boot_id, reason } => self.timeline.drain(plugin, at, boot_id, reason),
            Line::CaughtUp { .. } | Line::Gap { .. } | Line::Other => {}
        }
        self.seen[plugin].take(&line);
        Ok(())
    }

    /// The dispatcher or the gateway has printed a line.
    pub(super) fn printed(&mut self, role: Role, text: String) {
        self.last.insert(role, text);
    }

    /// Whether it has.
    pub(super) fn has_printed(&self, role: Role) -> bool {
        self.last.contains_key(&role)
    }

    /// The last line that it printed, read.
    ///
    /// # Errors
    /// When that is something else, or nothing.
    pub(super) fn last<T: DeserializeOwned>(&self, role: Role) -> serde_json::Result<T> {
        serde_json::from_str(self.last.get(&role).map_or("", String::as_str))
    }

    /// Something happened outside of the plugins.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.timeline.note(self.zero.elapsed(), text);
    }

    /// Where each plugin stands, for the one who waited in vain.
    pub(super) fn standing(&self) -> String {
        let plugins = PLUGINS.iter().zip(&self.seen);
        let each = plugins.map(|(plugin, seen)| {
            format!("{} saw {} lives, {} still open", plugin.name, seen.started(), seen.open())
        });
        each.collect::<Vec<_>>().join("; ")
    }
}
