//! The moment at which a plugin knows what it is owed.

use std::{collections::HashSet, sync::Arc};

use crate::event::StreamFacts;

/// Everything from before this stream has been handled. What the plugin's own store holds open and is
/// [owed](Self::is_owed) no end is a ghost: close it now.
#[derive(Clone, Debug)]
pub struct Sweep {
    pub(crate) facts: Arc<StreamFacts>,
    pub(crate) known: bool,
    pub(crate) announced: bool,
    pub(crate) named: HashSet<u64>,
}

impl Sweep {
    /// The ledger that this stream belongs to.
    pub fn ledger_id(&self) -> &str {
        &self.facts.ledger_id
    }

    /// Whether the dispatcher remembers this plugin. If not, only what this stream named is owed an end.
    pub fn known(&self) -> bool {
        self.known
    }

    /// Whether the end of this life is still to come, or came on this stream. Exact with
    /// [`announce`](crate::PluginBuilder::announce); without it, a life that a dispatcher which remembers this
    /// plugin did not name counts as owed.
    pub fn is_owed(&self, ledger_id: &str, incarnation: u64) -> bool {
        ledger_id == self.ledger_id()
            && (self.named.contains(&incarnation) || (self.known && !self.announced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(known: bool, announced: bool) -> Sweep {
        let facts = Arc::new(StreamFacts { ledger_id: "here".to_owned(), ..Default::default() });
        Sweep { facts, known, announced, named: HashSet::from([7]) }
    }

    #[test]
    fn owed_is_what_was_named_in_this_ledger() {
        for (known, announced, unnamed) in
            [(true, true, false), (false, true, false), (false, false, false), (true, false, true)]
        {
            let sweep = sweep(known, announced);
            assert!(sweep.is_owed("here", 7));
            assert!(!sweep.is_owed("elsewhere", 7));
            assert_eq!(sweep.is_owed("here", 8), unnamed, "{known} {announced}");
        }
    }
}
