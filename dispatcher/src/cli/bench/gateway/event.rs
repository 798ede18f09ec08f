//! The events that a bench publishes. Pure.

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, SessionRef, SessionStart, gateway_event::Payload},
};
use prost::Message as _;
use uuid::Uuid;

/// The hook that is fired: any that is no lifecycle hook.
const HOOK: &str = "message";

/// What an object with one text has beside that text.
const FRAME: usize = r#"{"text":""}"#.len();

/// The gateway's sessions, and what is said in them.
#[derive(Debug)]
pub(super) struct Events {
    sessions: Vec<SessionRef>,
    payload: Payload,
}

impl Events {
    /// So many sessions, with ids of 36 characters and keys of three (more beyond 46656 of them), and JSON of so many
    /// bytes in each event.
    pub(super) fn new(sessions: u32, payload: u32) -> Self {
        let session = |n| {
            let id = Some(Uuid::new_v4().to_string());
            SessionRef { id, key: key(n), agent_id: String::new() }
        };
        Self {
            sessions: (0..sessions).map(session).collect(),
            payload: Payload::Json(json(payload as usize)),
        }
    }

    /// The start of a session.
    pub(super) fn start(&self, n: u64, time_unix_nano: u64) -> GatewayEvent {
        let start = Payload::SessionStart(SessionStart::default());
        self.fire(hook::SESSION_START, n, time_unix_nano, start)
    }

    /// An event of the session whose turn it is.
    pub(super) fn event(&self, n: u64, time_unix_nano: u64) -> GatewayEvent {
        self.fire(HOOK, n, time_unix_nano, self.payload.clone())
    }

    /// The size of an event, in bytes.
    pub(super) fn event_bytes(&self) -> usize {
        self.event(0, 1).encoded_len()
    }

    fn fire(&self, hook: &str, n: u64, time_unix_nano: u64, payload: Payload) -> GatewayEvent {
        let turn = n % self.sessions.len() as u64;
        GatewayEvent {
            hook: hook.to_owned(),
            session: Some(self.sessions[turn as usize].clone()),
            time_unix_nano,
            traceparent: String::new(),
            payload: Some(payload),
        }
    }
}

/// A session's own key, as short as there are sessions.
fn key(n: u32) -> String {
    let digits = [46_656, 1_296, 36, 1].map(|place| n / place % 36);
    let used = if digits[0] == 0 { &digits[1..] } else { &digits[..] };
    let more = n / 36_u32.pow(4);
    let short: String = used.iter().filter_map(|digit| char::from_digit(*digit, 36)).collect();
    if more == 0 { short } else { format!("{more}:{n}") }
}

/// A JSON object of so many bytes, at least two.
fn json(bytes: usize) -> Bytes {
    match bytes.checked_sub(FRAME) {
        Some(text) => format!(r#"{{"text":"{}"}}"#, "x".repeat(text)),
        None => format!("{{{}}}", " ".repeat(bytes.saturating_sub(2))),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_event_has_246_bytes() {
        let events = Events::new(2_000, 180);
        assert_eq!(events.event_bytes(), 246);
        assert_eq!(events.event(1_999, u64::MAX).encoded_len(), 246);
    }

    #[test]
    fn a_payload_is_a_json_object_of_its_size() {
        for size in [2, 3, 10, 11, 12, 180] {
            let json = json(size);
            assert_eq!(json.len(), size);
            assert!(serde_json::from_slice::<serde_json::Value>(&json).unwrap().is_object());
        }
    }

    #[test]
    fn events_are_spread_over_the_sessions() {
        let events = Events::new(3, 180);
        let sessions: HashSet<_> = (0..7).map(|n| events.event(n, 1).session.unwrap().id).collect();
        assert_eq!(sessions.len(), 3);
        assert_eq!(events.start(4, 1).session, events.event(1, 1).session);
    }

    #[test]
    fn keys_are_unique() {
        let keys: HashSet<_> = (0..60_000).chain(1_679_000..1_680_000).map(key).collect();
        assert_eq!(keys.len(), 61_000);
    }
}
