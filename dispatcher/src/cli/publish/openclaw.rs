//! OpenClaw's hooks on the wire: one JSON line in, one event out. Pure: no clock, no I/O.
//!
//! A line is `{"time","hook","event","ctx"}`. The four lifecycle hooks become typed messages; any other hook keeps
//! the very bytes of its `event`, with the harmless part of `ctx` spliced in.
//!
//! What `hookwire record` has written says more, since an event of any gateway has to come back as it was: `session` is the
//! session, whatever `event` and `ctx` hold, and `traceparent` stands for `ctx.trace`. `boot` names the boot, and `synthetic` marks what a
//! dispatcher made. Of any of them that cannot be read, the line says nothing.

use std::{collections::HashMap, time::SystemTime};

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{
        GatewayEvent, GatewayStart, GatewayStop, SessionEnd, SessionEndReason, SessionRef, SessionStart,
        StopReason, gateway_event::Payload,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What of `ctx` is passed on, and only where it is a string, a number or a boolean. `ctx` can hold the gateway's
/// whole configuration and its secrets, so a field that is not named here stays behind.
const CTX_FIELDS: [&str; 24] = [
    "agentId",
    "callId",
    "channel",
    "channelId",
    "chatId",
    "childSessionKey",
    "contextTokenBudget",
    "contextWindowSource",
    "conversationId",
    "jobId",
    "messageId",
    "messageProvider",
    "modelId",
    "modelProviderId",
    "port",
    "requesterSessionKey",
    "runId",
    "senderId",
    "sessionId",
    "sessionKey",
    "toolCallId",
    "toolName",
    "trigger",
    "workspaceDir",
];

/// A line that is no hook firing.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum BadLine {
    /// A list, a text, anything but an object: serde would take a list of four for a line.
    #[error("it is not a JSON object")]
    NoObject,
    /// Not JSON, or without a string `hook`.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// `hook` is the empty string.
    #[error("the hook has no name")]
    NoHook,
    /// `event` is something else than an object.
    #[error("the event is not an object: {0}")]
    Event(serde_json::Error),
}

/// The members of one JSON object, each as it was written.
type Members<'a> = HashMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    hook: String,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    ctx: Option<&'a RawValue>,
    #[serde(borrow)]
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
    #[serde(borrow)]
    boot: Option<&'a RawValue>,
    #[serde(borrow)]
    synthetic: Option<&'a RawValue>,
}

struct Named {
    id: Option<String>,
    key: String,
    agent_id: String,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Fired {
    pub(in crate::cli) event: GatewayEvent,
    /// The boot it was recorded in, where the line says it.
    pub(in crate::cli) boot: Option<String>,
    /// No gateway said it: a dispatcher made it of what a gateway did, and makes it again.
    pub(in crate::cli) synthetic: bool,
}

/// Reads one line. A `time` that is absent or unreadable becomes 0, "when it was taken in": an event with a doubtful
/// time is worth more than none. An absent `event` is an empty one; a `ctx` that is no object is ignored.
///
/// # Errors
/// When the line is not JSON, is no object, names no hook, or its `event` is no object.
pub(in crate::cli) fn read_line(line: &[u8]) -> Result<Fired, BadLine> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(BadLine::NoObject);
    }
    let line: Line<'_> = serde_json::from_slice(line)?;
    if line.hook.is_empty() {
        return Err(BadLine::NoHook);
    }
    let raw_event = line.event.map_or("{}", RawValue::get);
    let event: Members<'_> = serde_json::from_str(raw_event).map_err(BadLine::Event)?;
    let ctx: Members<'_> = line.ctx.and_then(read).unwrap_or_default();
    let synthetic = line.synthetic.and_then(read).unwrap_or(false);
    let payload = match line.hook.as_str() {
        hook::SESSION_START => Payload::SessionStart(session_start(&event)),
        hook::SESSION_END => Payload::SessionEnd(session_end(&event, synthetic)),
        hook::GATEWAY_START => Payload::GatewayStart(gateway_start(&event)),
        hook::GATEWAY_STOP => Payload::GatewayStop(gateway_stop(&event)),
        _ => Payload::Json(with_ctx(raw_event, &event, &ctx)),
    };
    let event = GatewayEvent {
        session: session(
            line.session.and_then(read).map_or_else(|| named(&event, &ctx), |said| said_to_be(&said)),
        ),
        time_unix_nano: line.time.and_then(unix_nanos).unwrap_or(0),
        traceparent: line.traceparent.and_then(read).or_else(|| traceparent(&ctx)).unwrap_or_default(),
        payload: Some(payload),
        hook: line.hook,
    };
    Ok(Fired { event, boot: line.boot.and_then(read), synthetic })
}

fn session_start(event: &Members<'_>) -> SessionStart {
    SessionStart {
        resumed_from: text(event, "resumedFrom"),
        session_file: text(event, "sessionFile"),
        ..SessionStart::default()
    }
}

fn session_end(event: &Members<'_>, synthetic: bool) -> SessionEnd {
    let reason = match text(event, "reason").as_str() {
        LOST if synthetic => SessionEndReason::Lost,
        word => end_reason(word),
    };
    SessionEnd {
        reason: reason.into(),
        next_session_id: text(event, "nextSessionId"),
        next_session_key: text(event, "nextSessionKey"),
        session_file: text(event, "sessionFile"),
        ..SessionEnd::default()
    }
}

/// How a session ends whose gateway has vanished.
const LOST: &str = "lost";

/// What is not listed is UNKNOWN. So is "lost": only the dispatcher can say that a gateway vanished.
pub(in crate::cli) fn end_reason(word: &str) -> SessionEndReason {
    match word {
        "new" => SessionEndReason::New,
        "reset" => SessionEndReason::Reset,
        "idle" => SessionEndReason::Idle,
        "daily" => SessionEndReason::Daily,
        "deleted" => SessionEndReason::Deleted,
        "compaction" => SessionEndReason::Compaction,
        "shutdown" => SessionEndReason::Shutdown,
        "restart" => SessionEndReason::Restart,
        _ => SessionEndReason::Unknown,
    }
}

fn gateway_start(event: &Members<'_>) -> GatewayStart {
    GatewayStart { port: event.get("port").copied().and_then(read).unwrap_or(0) }
}

/// Its reason are the gateway's own words, or a word, with those words beside it as the wire has them.
fn gateway_stop(event: &Members<'_>) -> GatewayStop {
    let said = text(event, "reason");
    let reason = if said.contains("restart") { StopReason::Restart } else { StopReason::Shutdown };
    GatewayStop { reason: reason.into(), text: string(event, "text").unwrap_or(said) }
}

/// The session that `event` names, or else `ctx`.
fn named(event: &Members<'_>, ctx: &Members<'_>) -> Named {
    let named = |field| [event, ctx].into_iter().find_map(|members| string(members, field));
    let known = |field| named(field).unwrap_or_default();
    Named { id: named("sessionId"), key: known("sessionKey"), agent_id: known("agentId") }
}

/// The session that the line names.
fn said_to_be(session: &Members<'_>) -> Named {
    Named { id: string(session, "id"), key: text(session, "key"), agent_id: text(session, "agentId") }
}

/// An agent alone names none. An id that is there and empty is kept: it is for the dispatcher to refuse.
fn session(Named { id, key, agent_id }: Named) -> Option<SessionRef> {
    (id.is_some() || !key.is_empty()).then_some(SessionRef { id, key, agent_id })
}

/// The event as it was written, with a member `ctx` added, unless it has its own or there is nothing to add.
fn with_ctx(raw_event: &str, event: &Members<'_>, ctx: &Members<'_>) -> Bytes {
    let fields = allowed(ctx);
    let Some(open) = raw_event.strip_suffix('}').filter(|_| !fields.is_empty() && !event.contains_key("ctx"))
    else {
        return Bytes::copy_from_slice(raw_event.as_bytes());
    };
    let comma = if event.is_empty() { "" } else { "," };
    format!("{open}{comma}\"ctx\":{{{}}}}}", fields.join(",")).into()
}

/// The members of `ctx` that may leave, written as JSON.
fn allowed(ctx: &Members<'_>) -> Vec<String> {
    let scalar = |raw: &str| !raw.starts_with(['{', '[', 'n']); // n is null
    CTX_FIELDS
        .iter()
        .filter_map(|name| Some((name, ctx.get(*name)?.get())))
        .filter(|(_, raw)| scalar(raw))
        .map(|(name, raw)| format!("\"{name}\":{raw}"))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    trace_id: String,
    span_id: String,
    trace_flags: String,
}

/// W3C's header from OpenClaw's `ctx.trace`, or nothing where a part is missing or malformed.
fn traceparent(ctx: &Members<'_>) -> Option<String> {
    let Trace { trace_id, span_id, trace_flags } = read(ctx.get("trace").copied()?)?;
    let hex =
        |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = |text: &str, len| hex(text, len) && text.bytes().any(|b| b != b'0');
    (id(&trace_id, 32) && id(&span_id, 16) && hex(&trace_flags, 2))
        .then(|| format!("00-{trace_id}-{span_id}-{trace_flags}"))
}

/// RFC 3339 in UTC. Nothing before 1970, nor after what 64 bits of nanoseconds hold.
fn unix_nanos(time: &RawValue) -> Option<u64> {
    let time = humantime::parse_rfc3339(&read::<String>(time)?).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos().try_into().ok()
}

fn text(members: &Members<'_>, field: &str) -> String {
    string(members, field).unwrap_or_default()
}

fn string(members: &Members<'_>, field: &str) -> Option<String> {
    read(members.get(field).copied()?)
}

/// Nothing where the value is of another type: a field that cannot be read is one that is not there.
fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests;
