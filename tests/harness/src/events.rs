//! What gateways say, in short.

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{
        GatewayEvent, GatewayStop, SessionEnd, SessionEndReason, SessionRef, SessionStart, StopReason,
        gateway_event::Payload,
    },
};

/// A session by its id.
pub fn session(id: &str) -> SessionRef {
    SessionRef { id: Some(id.to_owned()), ..Default::default() }
}

/// A session with its key.
pub fn keyed(id: &str, key: &str) -> SessionRef {
    SessionRef { key: key.to_owned(), ..session(id) }
}

/// Whatever session lives under this key.
pub fn by_key(key: &str) -> SessionRef {
    SessionRef { key: key.to_owned(), ..Default::default() }
}

/// A session_start.
pub fn start(session: SessionRef) -> GatewayEvent {
    event(hook::SESSION_START, Some(session), Payload::SessionStart(SessionStart::default()))
}

/// A session_end.
pub fn end(session: SessionRef, reason: SessionEndReason) -> GatewayEvent {
    let end = SessionEnd { reason: reason.into(), ..Default::default() };
    event(hook::SESSION_END, Some(session), Payload::SessionEnd(end))
}

/// A message_received that carries this text.
pub fn message(session: SessionRef, text: &str) -> GatewayEvent {
    hooked("message_received", Some(session), text)
}

/// Any hook with a JSON payload that carries this text.
pub fn hooked(hook: &str, session: Option<SessionRef>, text: &str) -> GatewayEvent {
    event(hook, session, Payload::Json(Bytes::from(format!(r#"{{"text":"{text}"}}"#))))
}

/// A gateway_stop.
pub fn gateway_stop(reason: StopReason) -> GatewayEvent {
    let stop = GatewayStop { reason: reason.into(), text: "so long".to_owned() };
    event(hook::GATEWAY_STOP, None, Payload::GatewayStop(stop))
}

fn event(hook: &str, session: Option<SessionRef>, payload: Payload) -> GatewayEvent {
    GatewayEvent { hook: hook.to_owned(), session, payload: Some(payload), ..Default::default() }
}
