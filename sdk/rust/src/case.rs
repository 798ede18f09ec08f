//! What is known of an event in hand while its handler has the event itself: who it is, where it belongs, how it went.

use std::sync::Arc;

use hookwire_protocol::{hook, v1 as wire};
use tracing::warn;

use crate::{event::Event, lanes::After, outcome::Outcome};

/// An event in hand: its handler takes the event itself.
pub(crate) struct Case {
    pub(crate) id: Arc<str>,
    pub(crate) hook: Box<str>,
    pub(crate) is_lifecycle: bool,
}

impl Case {
    /// What is known of this one.
    pub(crate) fn of(event: &Event) -> Self {
        Self { id: event.id().into(), hook: event.hook().into(), is_lifecycle: event.is_lifecycle() }
    }
}

/// Which event is being begun. Written over each time, and so for free.
#[derive(Default)]
pub(crate) struct Name {
    pub(crate) id: String,
    pub(crate) hook: String,
    pub(crate) session: String,
}

impl Name {
    /// The next one.
    pub(crate) fn note(&mut self, event: &Event, session: &str) {
        let now = [(&mut self.id, event.id()), (&mut self.hook, event.hook()), (&mut self.session, session)];
        for (noted, now) in now {
            noted.clear();
            noted.push_str(now);
        }
    }
}

/// Where an event belongs. Events without a session keep their order among themselves. A gateway's stop comes
/// after all that came before it: handlers close databases there.
pub(crate) fn place(event: &wire::Event) -> (&str, After) {
    let lane = event.session.as_ref().map_or("", |s| if s.id.is_empty() { &s.key } else { &s.id });
    let after = if event.hook == hook::GATEWAY_STOP { After::All } else { After::Lane };
    (lane, after)
}

/// Says what was not done.
pub(crate) fn report(event: &str, hook: &str, session: &str, outcome: &Outcome) {
    let (Outcome::Retry { text, .. } | Outcome::Reject { text, .. } | Outcome::Failed { text }) = outcome
    else {
        return;
    };
    let rejected = matches!(outcome, Outcome::Reject { .. });
    warn!(event, hook, session, rejected, reason = text, "not done");
}
