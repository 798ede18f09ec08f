//! What a handler gets.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hookwire_protocol::v1::{self as wire, BatchKind, Session, SessionEnd, SessionStart, event::Payload};
use tokio::time::Instant;

use crate::drains::Drains;

/// What is true of everything on one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamFacts {
    pub(crate) ledger_id: String,
    pub(crate) stream_epoch: u64,
    /// Which gateways are stopping: what is in hand sees a notice that came after it.
    pub(crate) drains: Drains,
}

/// One event on its way to a handler. To make an effect happen once, key it on
/// ([`ledger_id`](Self::ledger_id), [`Session::incarnation`]) or on [`id`](Self::id): after a crash the
/// same event may come again.
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) wire: wire::Event,
    pub(crate) kind: BatchKind,
    pub(crate) facts: Arc<StreamFacts>,
    pub(crate) received: Instant,
    pub(crate) budget: Duration,
}

impl Event {
    /// The event as it came over the wire.
    pub fn wire(&self) -> &wire::Event {
        &self.wire
    }

    /// The same, without a copy.
    pub fn into_wire(self) -> wire::Event {
        self.wire
    }

    /// Its id: the same whenever and however often it is delivered.
    pub fn id(&self) -> &str {
        &self.wire.id
    }

    /// The hook's name, such as `session_start`.
    pub fn hook(&self) -> &str {
        &self.wire.hook
    }

    /// The session it belongs to; `None` where the hook names none.
    pub fn session(&self) -> Option<&Session> {
        self.wire.session.as_ref()
    }

    /// What a `session_start` says; `None` for any other hook.
    pub fn session_start(&self) -> Option<&SessionStart> {
        match &self.wire.payload {
            Some(Payload::SessionStart(start)) => Some(start),
            _ => None,
        }
    }

    /// What a `session_end` says; `None` for any other hook.
    pub fn session_end(&self) -> Option<&SessionEnd> {
        match &self.wire.payload {
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
        match &self.wire.payload {
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

    /// Increases within one life of a session; 0 where there is none.
    pub fn session_seq(&self) -> u64 {
        self.wire.session_seq
    }

    /// When it fired, by the gateway's clock.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.wire.time_unix_nano)
    }

    /// Whether the dispatcher made it; otherwise the gateway fired it.
    pub fn synthetic(&self) -> bool {
        self.wire.synthetic
    }

    /// Whether it came after its session's end.
    pub fn late(&self) -> bool {
        self.wire.late
    }

    /// The durable name of the gateway.
    pub fn gateway_id(&self) -> &str {
        &self.wire.gateway_id
    }

    /// The gateway's process.
    pub fn boot_id(&self) -> &str {
        &self.wire.boot_id
    }

    /// W3C trace context, empty where the gateway gave none.
    pub fn traceparent(&self) -> &str {
        &self.wire.traceparent
    }

    /// What is left of the time that the dispatcher gave for it, counted from receipt: no more than what its gateway's
    /// drain leaves, if there is one. Advice, not a fence: a later answer still counts.
    pub fn time_left(&self) -> Duration {
        let left = self.budget.saturating_sub(self.received.elapsed());
        let drained_by = self.facts.drains.deadline(&self.wire.gateway_id);
        drained_by.map_or(left, |at| left.min(at.saturating_duration_since(Instant::now())))
    }

    /// Whether its gateway is stopping: a drain notice came, before the event or since, and its summary did not.
    pub fn draining(&self) -> bool {
        self.facts.drains.deadline(&self.wire.gateway_id).is_some()
    }

    /// Starts and ends: what the dispatcher owes, and delivers until it is settled.
    pub(crate) fn is_lifecycle(&self) -> bool {
        matches!(self.wire.payload, Some(Payload::SessionStart(_) | Payload::SessionEnd(_)))
    }
}
