//! Retention: how long, and how much of what is owed to a plugin is kept; and plugins that are forgotten.

use std::time::Duration;

use super::{FORGET_AFTER, Model, RETENTION_AGE, RETENTION_BYTES, closing::Outcome};
use crate::machine::tests::Checked;

/// What is kept for a plugin, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine::tests) struct Kept {
    pub(in crate::machine::tests) seconds: u64,
    pub(in crate::machine::tests) bytes: u64,
}

impl Kept {
    /// As much as is asked for, but no more than the dispatcher keeps; 0 asks for that.
    pub(super) fn granted(ms: u64, bytes: u64) -> Self {
        let asked = |asked: u64| if asked == 0 { u64::MAX } else { asked };
        Self {
            seconds: asked(ms).div_ceil(1000).min(RETENTION_AGE),
            bytes: asked(bytes).min(RETENTION_BYTES),
        }
    }
}

impl Model {
    /// The whole seconds that dispatchers have run: only those count.
    pub(super) fn seconds(&self) -> u64 {
        self.ran_before + self.now.as_secs()
    }

    /// Lives whose end is decided and due to a plugin, its start perhaps too, the first decision first: the life, when that
    /// was, and the size of both events.
    fn owed(&self, ix: usize) -> Vec<(u64, u64, u64)> {
        let due = self.plugins[&ix].entries.keys().chain(&self.plugins[&ix].wanted);
        let ended = due.filter_map(|life| Some((*life, self.lives[life].end.as_ref()?.since)));
        let mut owed: Vec<_> = ended.collect();
        owed.sort_by_key(|(life, _)| self.end_sizes[life].0);
        let size = |life| self.start_sizes[&life] + self.end_sizes[&life].1;
        owed.into_iter().map(|(life, since)| (life, since, size(life))).collect()
    }

    /// The size of all that is owed to a plugin.
    pub(in crate::machine::tests) fn owed_bytes(&self, ix: usize) -> u64 {
        self.owed(ix).into_iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// When something is next to be let go of.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        let of_plugin = |ix: &usize| {
            let plugin = &self.plugins[ix];
            let forgotten = plugin.away_since.map(|since| since + FORGET_AFTER);
            let oldest = self.owed(*ix).first().map(|(_, since, _)| since + plugin.kept.seconds);
            let full = (self.owed_bytes(*ix) > plugin.kept.bytes).then(|| self.seconds());
            forgotten.into_iter().chain(oldest).chain(full).min()
        };
        let next = self.plugins.keys().filter_map(of_plugin).min()?;
        Some(Duration::from_secs(next.saturating_sub(self.ran_before)))
    }

    /// Lets go of what is too old or too much.
    pub(super) fn keep_to_retention(&mut self) {
        for ix in self.plugins.keys().copied().collect::<Vec<_>>() {
            let plugin = &self.plugins[&ix];
            let (kept, now) = (plugin.kept, self.seconds());
            if plugin.away_since.is_some_and(|since| since + FORGET_AFTER <= now) {
                self.release(ix);
                continue;
            }
            let (mut entries, mut events) = plugin.untold;
            while let Some((life, since, _)) = self.owed(ix).first().copied()
                && (since + kept.seconds <= now || self.owed_bytes(ix) > kept.bytes)
            {
                if self.plugins[&ix].wanted.contains(&life) {
                    self.cancel(ix, life); // it was not handed the start: that is lost, and the end
                    events += 2;
                } else {
                    self.close_entry(ix, life, Outcome::Rejected);
                    self.plugins.get_mut(&ix).unwrap().expired.insert(life);
                    self.expired += 1;
                    entries += 1;
                }
            }
            self.count_untold(ix, (entries, events));
        }
    }

    /// So many entries and other events expired that the plugin was not told of.
    pub(in crate::machine::tests) fn count_untold(&mut self, ix: usize, untold: (u64, u64)) {
        let was = std::mem::replace(&mut self.plugins.get_mut(&ix).unwrap().untold, untold);
        if was != untold {
            self.counts.push((ix, was));
        }
    }

    /// The dispatcher has died: of these, the newest count, or the time of the last stream's end, was not durable.
    pub(in crate::machine::tests) fn crash_of_retention(
        &mut self,
        ran: u64,
        unleft: &[usize],
        uncounted: &[usize],
    ) -> Checked {
        self.ran_before = ran;
        for ix in uncounted {
            let newest = self.counts.iter().rposition(|(of, _)| of == ix).ok_or("a count that never was")?;
            let (_, was) = self.counts.remove(newest);
            self.plugins.get_mut(ix).unwrap().untold = was;
        }
        for (ix, plugin) in &mut self.plugins {
            let known = plugin.away_since.filter(|_| !unleft.contains(ix));
            plugin.away_since = Some(known.unwrap_or(ran));
        }
        Ok(())
    }

    /// An operator forgets a plugin: the open entries, and the owed ones among them.
    pub(in crate::machine::tests) fn forget(&mut self, ix: usize) -> Result<(u64, u64), ()> {
        let known = self.plugins.get(&ix).filter(|plugin| plugin.stream.is_none() && !self.stopping);
        let entries = known.ok_or(())?.entries.len() as u64;
        let owed =
            self.plugins[&ix].entries.keys().filter(|life| self.lives[life].end.is_some()).count() as u64;
        self.release(ix);
        Ok((entries, owed))
    }

    /// Lets go of all that is due to a plugin, and of the plugin.
    pub(super) fn release(&mut self, ix: usize) {
        let plugin = self.plugins.get_mut(&ix).unwrap();
        let entries: Vec<_> = plugin.entries.keys().copied().collect();
        let wanted = std::mem::take(&mut plugin.wanted);
        // All at once: what a drain has given up is let go of like the rest.
        let (given_up, rest): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|life| self.has_given_up(ix, *life));
        given_up.into_iter().chain(rest).for_each(|life| self.close_entry(ix, life, Outcome::Rejected));
        wanted.into_iter().for_each(|life| self.cancelled(ix, life));
        self.forget_in_closings(ix);
        self.plugins.remove(&ix);
        self.forgotten += 1;
    }
}
