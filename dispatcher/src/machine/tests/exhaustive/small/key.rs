//! What of a state makes a difference from here on. States that differ in nothing else are one.

use super::{
    Life, Small, Trouble, Written,
    plugin::{Entries, Plugin, Stream},
    set::Set,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Key {
    trouble: Trouble,
    attached: bool,
    /// As far as the gateway knows. What it has published does nothing for a second time.
    session_lives: bool,
    closed: bool,
    lives_to_come: usize,
    /// Of those that anybody is due anything of: which are over. How they ended nobody asks again.
    over: Vec<bool>,
    /// In any order: they are alike.
    plugins: [Plugin; 2],
}

impl Small {
    pub(in super::super) fn key(&self) -> Key {
        let Self { gateway, ledger, plugins, trouble } = self;
        let decided = ledger.decided();
        let due = plugins.iter().fold(Set::default(), |due, plugin| due.or(plugin.due_of()));
        let lives: Vec<_> = ledger.lives().filter(|life| !decided.has(*life) || due.has(*life)).collect();
        let mut plugins = [0, 1].map(|ix: usize| plugins[ix].named_by(&lives));
        plugins.sort_unstable();
        Key {
            trouble: trouble.clone(),
            attached: gateway.attached,
            session_lives: gateway.session_lives(),
            closed: ledger.closed,
            lives_to_come: usize::from(super::LIVES) - ledger.lives.len(),
            over: lives.iter().map(|life| decided.has(*life)).collect(),
            plugins,
        }
    }
}

impl Plugin {
    /// Lives that it is due anything of, or would be after a crash.
    fn due_of(&self) -> Set {
        self.wanted.or(self.entries.open).or(self.durable.open).or(self.starts.without(self.ends))
    }

    /// The same, with lives that are named by their places among these.
    fn named_by(&self, lives: &[Life]) -> Self {
        let due = self.due_of();
        let set = |set: Set| {
            let named = (0..).zip(lives).filter(|(_, life)| set.and(due).has(**life));
            named.map(|(place, _)| place).collect::<Set>()
        };
        // What is not answered, an entry is open for.
        let place = |life| lives.iter().position(|other| *other == life).unwrap_or(usize::MAX) as Life;
        let entries = |it: Entries| Entries { open: set(it.open), settled: set(it.settled) };
        let open = self.entries.open;
        // Of a life without an entry, nobody asks what was written.
        let stream = |stream: &Stream| Stream {
            replayed: set(stream.replayed.and(open)),
            drained: set(stream.drained.and(open)),
            starts: set(stream.starts.and(open)),
            ends: set(stream.ends.and(open)),
            unanswered: stream.unanswered.iter().map(|it| it.named(place)).collect(),
        };
        Self {
            trouble: self.trouble,
            stream: self.stream.as_ref().map(stream),
            wanted: set(self.wanted),
            entries: entries(self.entries),
            durable: entries(self.durable),
            starts: set(self.starts),
            ends: set(self.ends),
        }
    }
}

impl Written {
    fn named(self, name: impl Fn(Life) -> Life) -> Self {
        match self {
            Self::Start(life) => Self::Start(name(life)),
            Self::End(life) => Self::End(name(life)),
        }
    }
}
