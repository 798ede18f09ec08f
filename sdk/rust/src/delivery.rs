//! What a handler gets.

use std::{sync::Arc, time::Duration};

use hookwire_protocol::v1::{BatchKind, Event, Session, SessionEnd, SessionStart, event::Payload};
use tokio::time::Instant;

/// What is true of everything on one stream.
#[derive(Debug)]
pub(crate) struct StreamFacts {
    pub(crate) ledger_id: String,
    pub(crate) stream_epoch: u64,
}

/// One event on its way to a handler. To make an effect happen once, key it on
/// ([`ledger_id`](Self::ledger_id), [`Session::incarnation`]) or on [`id`](Self::id): after a crash the
/// same event may come again.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(crate) event: Event,
    pub(crate) kind: BatchKind,
    pub(crate) facts: Arc<StreamFacts>,
    pub(crate) received: Instant,
    pub(crate) budget: Duration,
}

impl Delivery {
    /// The event as it came over the wire.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event, without a copy.
    pub fn into_event(self) -> Event {
        self.event
    }

    /// The event's id: the same whenever and however often it is delivered.
    pub fn id(&self) -> &str {
        &self.event.id
    }

    /// The hook's name, such as `session_start`.
    pub fn hook(&self) -> &str {
        &self.event.hook
    }

    /// The session it belongs to; `None` where the hook names none.
    pub fn session(&self) -> Option<&Session> {
        self.event.session.as_ref()
    }

    /// What a `session_start` says; `None` for any other hook.
    pub fn session_start(&self) -> Option<&SessionStart> {
        match &self.event.payload {
            Some(Payload::SessionStart(start)) => Some(start),
            _ => None,
        }
    }

    /// What a `session_end` says; `None` for any other hook.
    pub fn session_end(&self) -> Option<&SessionEnd> {
        match &self.event.payload {
            Some(Payload::SessionEnd(end)) => Some(end),
            _ => None,
        }
    }

    /// The hook's own fields, parsed.
    ///
    /// # Errors
    /// When they are no JSON; so for the four hooks that are typed, which carry none.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(self.json_bytes())
    }

    /// The hook's own fields, as the gateway wrote them; empty for the four hooks that are typed.
    pub fn json_bytes(&self) -> &[u8] {
        match &self.event.payload {
            Some(Payload::Json(bytes)) => bytes,
            _ => &[],
        }
    }

    /// Whether it just happened, was announced, or is delivered again.
    pub fn kind(&self) -> BatchKind {
        self.kind
    }

    /// The ledger in which [`Session::incarnation`] counts.
    pub fn ledger_id(&self) -> &str {
        &self.facts.ledger_id
    }

    /// Larger for every stream of this ledger: a fencing token to check in your own store.
    pub fn stream_epoch(&self) -> u64 {
        self.facts.stream_epoch
    }

    /// What is left of the time that the dispatcher gave for it, counted from receipt. Advice, not a fence: a
    /// later answer still counts.
    pub fn time_left(&self) -> Duration {
        self.budget.saturating_sub(self.received.elapsed())
    }

    /// Starts and ends: what the dispatcher owes, and delivers until it is settled.
    pub(crate) fn is_lifecycle(&self) -> bool {
        matches!(self.event.payload, Some(Payload::SessionStart(_) | Payload::SessionEnd(_)))
    }
}
