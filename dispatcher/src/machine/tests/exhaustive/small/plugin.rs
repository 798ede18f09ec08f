//! A plugin: its own store, its stream, and the ledger's account for it.

use std::collections::VecDeque;

use super::{Broken, Ledger, Set, Written};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct Plugin {
    /// It may still die, or be taken over.
    pub(super) trouble: bool,
    pub(in super::super) stream: Option<Stream>,
    /// Lives whose start it is to be handed.
    pub(in super::super) wanted: Set,
    pub(in super::super) entries: Entries,
    /// The same, as they are journaled.
    pub(super) durable: Entries,
    /// What it has applied: its own store, which survives it.
    pub(super) starts: Set,
    pub(super) ends: Set,
}

/// Lives that it was handed the start of, and has not settled the end of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct Entries {
    pub(in super::super) open: Set,
    /// Those whose start it has settled.
    pub(in super::super) settled: Set,
}

/// What was written on its present stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct Stream {
    /// What was over before it began, and whose end is to be replayed.
    pub(super) replayed: Set,
    /// What was over when a drain began: that does not wait for the replay.
    pub(super) drained: Set,
    pub(super) starts: Set,
    pub(super) ends: Set,
    pub(in super::super) unanswered: VecDeque<Written>,
}

impl Plugin {
    pub(super) fn new() -> Self {
        Self {
            trouble: true,
            stream: Some(Stream::default()),
            wanted: Set::default(),
            entries: Entries::default(),
            durable: Entries::default(),
            starts: Set::default(),
            ends: Set::default(),
        }
    }

    /// All that is to be written on its stream now, in this order.
    pub(in super::super) fn due(&self, ledger: &Ledger) -> Vec<Written> {
        let mut due = Vec::new();
        let Some(stream) = &self.stream else { return due };
        let (Entries { open, settled }, decided) = (self.entries, ledger.decided());
        let mut ends = stream.ends;
        for life in ledger.lives() {
            let caught_up = stream.replayed.and(open).without(ends).is_empty();
            let again = open.without(settled).without(stream.starts).has(life);
            // The ends of all earlier lives that it is due go first.
            let earlier = decided.and(open.or(self.wanted)).without(ends);
            let waits = !caught_up || (0..life).any(|life| earlier.has(life));
            if again || (self.wanted.has(life) && !waits) {
                due.push(Written::Start(life));
            }
            let ready = decided.and(settled).without(ends).has(life);
            if ready && (caught_up || stream.replayed.or(stream.drained).has(life)) {
                ends.insert(life);
                due.push(Written::End(life));
            }
        }
        due
    }

    /// Says whether an entry was made.
    pub(super) fn write(&mut self, due: &[Written]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let before = self.entries;
        for written in due {
            match *written {
                Written::Start(life) => {
                    stream.starts.insert(life);
                    self.wanted.remove(life);
                    self.entries.open.insert(life);
                }
                Written::End(life) => stream.ends.insert(life),
            }
        }
        stream.unanswered.extend(due);
        self.entries != before
    }

    /// Judges what leaves, against what is durable then.
    pub(super) fn may_leave(&self, written: Written) -> Result<(), Broken> {
        let may = match written {
            Written::Start(life) => self.durable.open.has(life) && !self.durable.settled.has(life),
            Written::End(life) => self.durable.open.has(life) && self.entries.settled.has(life),
        };
        may.then_some(()).ok_or_else(|| format!("{written:?} leaves, and durable is {:?}", self.durable))
    }

    /// It takes in what it was written.
    pub(super) fn apply(&mut self, written: Written) -> Result<(), Broken> {
        match written {
            Written::Start(life) => self.starts.insert(life),
            Written::End(life) if self.starts.has(life) => self.ends.insert(life),
            Written::End(life) => return Err(format!("an orphan end of {life}")),
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, count: u8) {
        let Some(stream) = &mut self.stream else { return };
        for written in stream.unanswered.drain(..usize::from(count)) {
            match written {
                Written::Start(life) if self.entries.open.has(life) => self.entries.settled.insert(life),
                Written::Start(_) => {}
                Written::End(life) => {
                    self.entries.open.remove(life);
                    self.entries.settled.remove(life);
                }
            }
        }
    }

    pub(super) fn subscribe(&mut self, decided: Set) {
        self.stream = Some(Stream { replayed: decided.and(self.entries.open), ..Stream::default() });
    }

    pub(super) fn end_stream(&mut self, decided: Set) {
        self.stream = None;
        self.cancel(decided);
    }

    /// A start that it was not handed cancels out with its end.
    pub(super) fn cancel(&mut self, decided: Set) {
        self.wanted = self.wanted.without(decided);
    }

    pub(super) fn commit(&mut self) {
        self.durable = self.entries;
    }

    /// Whether a crash may lose something of it.
    pub(super) fn may_lose(&self) -> bool {
        self.durable != self.entries
    }

    /// The dispatcher has died; what was settled last was durable or not.
    pub(super) fn recover(&mut self, kept: bool) {
        if kept {
            self.commit();
        }
        self.entries = self.durable;
    }

    /// Of what it has seen start and not end, there is a durable entry.
    pub(super) fn remembers_what_it_saw(&self) -> Result<(), Broken> {
        let unknown = self.starts.without(self.ends).without(self.durable.open);
        unknown.is_empty().then_some(()).ok_or_else(|| format!("nobody remembers a start of {self:?}"))
    }

    /// Once it has come back and has answered all, it has seen the end of all that has ended.
    pub(super) fn misses_nothing(&self, ledger: &Ledger) -> Result<(), Broken> {
        let mut plugin = self.clone();
        if plugin.stream.is_none() {
            plugin.subscribe(ledger.decided());
        }
        loop {
            let due = plugin.due(ledger);
            plugin.write(&due);
            due.iter().try_for_each(|written| plugin.apply(*written))?;
            let unanswered = plugin.stream.as_ref().map_or(0, |stream| stream.unanswered.len());
            if unanswered == 0 {
                break;
            }
            plugin.answer(unanswered as u8);
        }
        let due = plugin.entries.open.or(plugin.wanted).or(plugin.starts.without(plugin.ends));
        let missed = due.and(ledger.decided());
        missed.is_empty().then_some(()).ok_or_else(|| format!("a ghost: {missed:?} of {plugin:?}"))
    }
}
