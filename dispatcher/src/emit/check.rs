//! Whether an event can be taken in at all.

use hookwire_protocol::{hook, v1::RefusalCode};

use super::given::{Given, Named, Payload};

/// The longest name of a hook, in bytes.
const MAX_HOOK_BYTES: usize = 256;

/// The longest session id, key or agent id, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// Says what is wrong with an event, for machines and for people.
pub(crate) fn check(event: &Given<'_>, max_event_bytes: u32) -> Result<(), (RefusalCode, String)> {
    check_size(event.size, max_event_bytes)?;
    names(event).and_then(|()| payload(event)).map_err(|text| (RefusalCode::Invalid, text))
}

/// Says whether an event is too large, whatever it says.
pub(crate) fn check_size(size: usize, max_event_bytes: u32) -> Result<(), (RefusalCode, String)> {
    if size > max_event_bytes as usize {
        let text = format!("the event has {size} bytes, {max_event_bytes} are the most");
        return Err((RefusalCode::TooLarge, text));
    }
    Ok(())
}

fn names(event: &Given<'_>) -> Result<(), String> {
    if event.hook.is_empty() || event.hook.len() > MAX_HOOK_BYTES {
        let size = event.hook.len();
        return Err(format!("hook: a name has 1 to {MAX_HOOK_BYTES} bytes, not {size}"));
    }
    event.session.as_ref().map_or(Ok(()), check_session)
}

/// Says what is wrong with how a session is named.
pub(crate) fn check_session(session: &Named<'_>) -> Result<(), String> {
    if session.id == Some("") {
        return Err("session.id: it is empty; leave it out where only the key is known".to_owned());
    }
    let id = session.id.unwrap_or_default();
    for (field, text) in [("id", id), ("key", session.key), ("agent_id", session.agent_id)] {
        if text.len() > MAX_NAME_BYTES {
            let size = text.len();
            return Err(format!("session.{field}: it has {size} bytes, {MAX_NAME_BYTES} are the most"));
        }
    }
    Ok(())
}

fn payload(event: &Given<'_>) -> Result<(), String> {
    let carried = event.payload.as_ref().map(|payload| match payload {
        Payload::Json(_) => "json",
        Payload::SessionStart(_) => hook::SESSION_START,
        Payload::SessionEnd(_) => hook::SESSION_END,
        Payload::GatewayStart(_) => hook::GATEWAY_START,
        Payload::GatewayStop(_) => hook::GATEWAY_STOP,
    });
    let own = match event.hook {
        name @ (hook::SESSION_START | hook::SESSION_END | hook::GATEWAY_START | hook::GATEWAY_STOP) => name,
        _ => "json",
    };
    if carried.is_some_and(|carried| carried != own) {
        // Without the hook's name: it may be long, and a receipt may hold thousands of these.
        return Err(format!("payload: this hook carries {own}, not {}", carried.unwrap_or_default()));
    }
    let named = event.session.as_ref().is_some_and(|session| session.id.is_some());
    if event.hook == hook::SESSION_START && !named {
        return Err("session.id: a session_start needs one".to_owned());
    }
    if event.hook == hook::SESSION_END && event.session.is_none() {
        return Err("session: a session_end needs one".to_owned());
    }
    Ok(())
}
