//! An event as a line that `publish` reads back as the gateway's: the way there of what `publish::openclaw` says back. Pure.

use std::{
    str::{self, Utf8Error},
    time::{Duration, UNIX_EPOCH},
};

use hookwire_protocol::v1::{Event, Session, SessionEnd, SessionStart, event::Payload};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::cli::names;

/// Why an event has no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    /// A gateway may send any bytes.
    #[error("what it carries is no text: {0}")]
    Text(#[from] Utf8Error),
    /// Nor need it be JSON.
    #[error("what it carries is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// `publish` reads objects only.
    #[error("what it carries is no JSON object")]
    NoObject,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    hook: &'a str,
    /// Empty where there is none: what the event holds names none either.
    session: Named<'a>,
    event: Box<RawValue>,
    #[serde(skip_serializing_if = "str::is_empty")]
    traceparent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    boot: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    synthetic: bool,
    /// For whoever appends.
    id: &'a str,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Named<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    agent_id: &'a str,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The line, with its line feed.
///
/// # Errors
/// When the event carries something else than a JSON object.
pub(super) fn of(event: &Event) -> Result<String, Unwritable> {
    let line = Line {
        time: rfc3339(event.time_unix_nano),
        hook: &event.hook,
        session: event.session.as_ref().map(named).unwrap_or_default(),
        event: said(event.payload.as_ref())?,
        traceparent: &event.traceparent,
        boot: &event.boot_id,
        synthetic: event.synthetic,
        id: &event.id,
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

fn named(session: &Session) -> Named<'_> {
    Named { id: &session.id, key: &session.key, agent_id: &session.agent_id }
}

/// What the gateway said; what a dispatcher adds to it, it adds again.
fn said(payload: Option<&Payload>) -> Result<Box<RawValue>, Unwritable> {
    let typed = match payload {
        Some(Payload::Json(bytes)) if !bytes.is_empty() => return as_written(bytes),
        Some(Payload::Json(_)) | None => json!({}),
        Some(Payload::SessionStart(start)) => start_json(start),
        Some(Payload::SessionEnd(end)) => end_json(end),
        Some(Payload::GatewayStart(start)) => json!({ "port": start.port }),
        Some(Payload::GatewayStop(stop)) => {
            json!({ "reason": names::stop_reason(stop.reason), "text": stop.text })
        }
    };
    Ok(serde_json::value::to_raw_value(&typed)?)
}

/// Byte for byte, on one line: outside of texts a line feed is no more than a space, and within one JSON has none.
fn as_written(json: &[u8]) -> Result<Box<RawValue>, Unwritable> {
    let json = str::from_utf8(json)?.replace(['\n', '\r'], " ");
    let raw = RawValue::from_string(json)?;
    if raw.get().starts_with('{') { Ok(raw) } else { Err(Unwritable::NoObject) }
}

fn start_json(start: &SessionStart) -> Value {
    filled([("resumedFrom", &start.resumed_from), ("sessionFile", &start.session_file)])
}

fn end_json(end: &SessionEnd) -> Value {
    filled([
        ("reason", &names::end_reason(end.reason)),
        ("nextSessionId", &end.next_session_id),
        ("nextSessionKey", &end.next_session_key),
        ("sessionFile", &end.session_file),
    ])
}

fn filled<const N: usize>(fields: [(&str, &String); N]) -> Value {
    let filled = fields.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(filled.map(|(name, text)| (name.to_owned(), text.as_str().into())).collect::<Map<_, _>>())
}

/// To the nanosecond: it comes back as it was.
fn rfc3339(unix_nano: u64) -> Option<String> {
    let time = UNIX_EPOCH + Duration::from_nanos(unix_nano);
    (unix_nano > 0).then(|| humantime::format_rfc3339_nanos(time).to_string())
}

#[cfg(test)]
mod tests;
