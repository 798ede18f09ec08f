//! The plugin author's code, and which of it gets an event.

use std::{future::Future, sync::Arc};

use hashbrown::HashMap;
use hookwire_protocol::v1::DrainNotice;
use wildmatch::WildMatch;

use crate::{begin::Answer, event::Event, outcome::IntoOutcome, sweep::Sweep};

/// How many hooks' names are remembered: gateways have tens, but what they send is no bound.
const NAMES: usize = 1_024;

/// The author's code for one kind of input.
pub(crate) type Handler<I> = Arc<dyn Fn(I) -> Answer + Send + Sync>;

/// All of the author's code.
#[derive(Default)]
pub(crate) struct Routes {
    hooks: Vec<(WildMatch, Handler<Event>)>,
    /// By a hook's name: which of `hooks` gets it.
    known: HashMap<Box<str>, Option<usize>>,
    pub(crate) drain: Option<Handler<DrainNotice>>,
    pub(crate) sweep: Option<Handler<Sweep>>,
}

impl Routes {
    /// One more glob, behind those that are there.
    pub(crate) fn add(&mut self, glob: &str, handler: Handler<Event>) {
        self.hooks.push((WildMatch::new(glob), handler));
    }

    /// The first handler whose glob matches the hook. A name is matched once, and then known.
    pub(crate) fn find(&mut self, hook: &str) -> Option<&Handler<Event>> {
        let at = match self.known.get(hook) {
            Some(at) => *at,
            None => {
                let at = self.hooks.iter().position(|(glob, _)| glob.matches(hook));
                if self.known.len() < NAMES {
                    self.known.insert(hook.into(), at);
                }
                at
            }
        };
        at.map(|at| &self.hooks[at].1)
    }
}

/// Makes one shape of every author's function.
pub(crate) fn handler<I, F, R>(author: impl Fn(I) -> F + Send + Sync + 'static) -> Handler<I>
where
    F: Future<Output = R> + Send + 'static,
    R: IntoOutcome,
{
    Arc::new(move |input| Box::pin(author(input)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_names_than_are_remembered_still_find_their_handler() {
        let mut routes = Routes::default();
        routes.add("message_*", handler(|_| std::future::ready(())));
        for round in 0..2 {
            for n in 0..=NAMES {
                assert!(routes.find(&format!("message_{n}")).is_some(), "{round} {n}");
                assert!(routes.find(&format!("tool_{n}")).is_none(), "{round} {n}");
            }
        }
        assert_eq!(routes.known.len(), NAMES);
    }
}
