//! A delivery as one JSON line, for machines. A field that does not apply is left out.

use std::{
    borrow::Cow,
    time::{Duration, UNIX_EPOCH},
};

use hookwire_protocol::v1::{
    BatchKind, Event, EventBatch, Expired, Filter, Retention, Session, SessionEnd, SessionStart,
    event::Payload,
    subscribe_response::{Goodbye, Message, Welcome},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::names;

/// One line for each event of a batch, and one for any other message, each with its line feed.
pub(super) fn lines(message: &Message) -> String {
    let value = match message {
        Message::Events(batch) => return event_lines(batch),
        Message::Welcome(welcome) => welcome_json(welcome),
        Message::CaughtUp(caught_up) => json!({
            "type": "caught_up",
            "replayed": caught_up.replayed,
            "announced": caught_up.announced,
        }),
        Message::Gap(gap) => json!({
            "type": "gap",
            "count": gap.count,
            "bytes": gap.bytes,
            "cause": names::gap_cause(gap.cause),
        }),
        Message::DrainNotice(notice) => json!({
            "type": "drain_notice",
            "gateway_id": notice.gateway_id,
            "boot_id": notice.boot_id,
            "reason": names::stop_reason(notice.reason),
            "budget_ms": notice.budget_ms,
            "ends_owed": notice.ends_owed,
            "restart_expected_ms": notice.restart_expected_ms,
        }),
        Message::DrainSummary(summary) => json!({
            "type": "drain_summary",
            "gateway_id": summary.gateway_id,
            "boot_id": summary.boot_id,
            "owed": summary.owed,
            "acked": summary.acked,
            "accepted": summary.accepted,
            "rejected": summary.rejected,
            "timed_out": summary.timed_out,
            "unreachable": summary.unreachable,
            "retried": summary.retried,
            "carried_over": summary.carried_over,
            "elapsed_ms": summary.elapsed_ms,
        }),
        Message::Goodbye(goodbye) => goodbye_json(goodbye),
    };
    format!("{value}\n")
}

fn goodbye_json(goodbye: &Goodbye) -> Value {
    json!({
        "type": "goodbye",
        "reason": names::goodbye_reason(goodbye.reason),
        "reconnect_after_ms": goodbye.reconnect_after_ms,
        "text": goodbye.text,
    })
}

fn welcome_json(welcome: &Welcome) -> Value {
    let expired = |expired: &Expired| json!({ "entries": expired.entries, "events": expired.events, "bytes": expired.bytes });
    let filter = |filter: &Filter| json!({ "agents": filter.agents, "keys": filter.keys });
    let retention = |retention: &Retention| {
        json!({
            "kind": names::retention_kind(retention.kind),
            "max_age_ms": retention.max_age_ms,
            "max_bytes": retention.max_bytes,
        })
    };
    let mut line = json!({
        "type": "welcome",
        "ledger_id": welcome.ledger_id,
        "dispatcher_epoch": welcome.dispatcher_epoch,
        "stream_epoch": welcome.stream_epoch,
        "known": welcome.known,
        "ends_owed": welcome.ends_owed,
        "starts_to_replay": welcome.starts_to_replay,
        "expired": welcome.expired.as_ref().map(expired),
        "granted_hooks": welcome.granted_hooks,
        "unknown_hooks": welcome.unknown_hooks,
        "filter": welcome.filter.as_ref().map(filter),
        "max_in_flight": welcome.max_in_flight,
        "when_full": names::when_full(welcome.when_full),
        "retention": welcome.retention.as_ref().map(retention),
        "ack_timeout_ms": welcome.ack_timeout_ms,
        "drain_budget_ms": welcome.drain_budget_ms,
        "max_message_bytes": welcome.max_message_bytes,
        "server_version": welcome.server_version,
    });
    if let Value::Object(fields) = &mut line {
        fields.retain(|_, value| !value.is_null());
    }
    line
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    kind: &'a str,
    hook: &'a str,
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionFields<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    session_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition: Option<String>,
    synthetic: bool,
    late: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    next_session_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    resumed_from: &'a str,
    budget_ms: u32,
    gateway: &'a str,
    boot: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

#[derive(Serialize)]
struct SessionFields<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    agent_id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    incarnation: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn event_lines(batch: &EventBatch) -> String {
    let kind = names::batch_kind(batch.kind);
    let mut text = String::new();
    for (seq, event) in super::numbered(batch) {
        text.push_str(&event_text(event_line(Some(seq), &kind, batch.budget_ms, event)));
    }
    text
}

/// One event as such a line, of whoever has no number for it.
pub(in crate::cli) fn event_json(kind: BatchKind, budget: Duration, event: &Event) -> String {
    let kind = names::batch_kind(kind.into());
    let budget_ms = u32::try_from(budget.as_millis()).unwrap_or(u32::MAX);
    event_text(event_line(None, &kind, budget_ms, event))
}

fn event_text(line: Line<'_>) -> String {
    let mut text = serde_json::to_string(&line).expect("numbers, strings and JSON always serialize");
    text.push('\n');
    text
}

fn event_line<'a>(seq: Option<u64>, kind: &'a str, budget_ms: u32, event: &'a Event) -> Line<'a> {
    let payload = event.payload.as_ref();
    Line {
        r#type: "event",
        seq,
        kind,
        hook: &event.hook,
        event_id: &event.id,
        session: event.session.as_ref().map(session_fields),
        session_seq: event.session_seq,
        reason: payload.and_then(reason),
        disposition: match payload {
            Some(Payload::SessionEnd(end)) => Some(names::disposition(end.disposition)),
            _ => None,
        },
        synthetic: event.synthetic,
        late: event.late,
        next_session_id: match payload {
            Some(Payload::SessionEnd(end)) => &end.next_session_id,
            _ => "",
        },
        resumed_from: match payload {
            Some(Payload::SessionStart(start)) => &start.resumed_from,
            _ => "",
        },
        budget_ms,
        gateway: &event.gateway_id,
        boot: &event.boot_id,
        time: rfc3339(event.time_unix_nano),
        payload: payload.and_then(payload_json),
    }
}

fn session_fields(session: &Session) -> SessionFields<'_> {
    SessionFields {
        id: &session.id,
        key: &session.key,
        agent_id: &session.agent_id,
        incarnation: session.incarnation,
    }
}

/// Why a session ended, or why a gateway stops.
pub(super) fn reason(payload: &Payload) -> Option<String> {
    match payload {
        Payload::SessionEnd(end) => Some(names::end_reason(end.reason)),
        Payload::GatewayStop(stop) => Some(names::stop_reason(stop.reason)),
        _ => None,
    }
}

/// Nanoseconds since the Unix epoch as UTC text, to the microsecond. None where nobody said when.
pub(super) fn rfc3339(unix_nano: u64) -> Option<String> {
    let time = UNIX_EPOCH + Duration::from_nanos(unix_nano);
    (unix_nano > 0).then(|| humantime::format_rfc3339_micros(time).to_string())
}

fn payload_json(payload: &Payload) -> Option<Value> {
    match payload {
        Payload::Json(bytes) if bytes.is_empty() => None,
        Payload::Json(bytes) => Some(
            serde_json::from_slice(bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned())),
        ),
        Payload::SessionStart(start) => Some(start_json(start)),
        Payload::SessionEnd(end) => Some(end_json(end)),
        Payload::GatewayStart(start) => Some(filled([("port", start.port.into())])),
        Payload::GatewayStop(stop) => Some(filled([
            ("reason", names::stop_reason(stop.reason).into()),
            ("text", stop.text.as_str().into()),
        ])),
    }
}

fn start_json(start: &SessionStart) -> Value {
    // Without a previous life there is no reason it ended for.
    let previous_reason = match start.previous_incarnation {
        0 => Cow::Borrowed(""),
        _ => Cow::Owned(names::end_reason(start.previous_reason)),
    };
    filled([
        ("resumed_from", start.resumed_from.as_str().into()),
        ("previous_incarnation", start.previous_incarnation.into()),
        ("previous_reason", previous_reason.into()),
        ("session_file", start.session_file.as_str().into()),
    ])
}

fn end_json(end: &SessionEnd) -> Value {
    filled([
        ("reason", names::end_reason(end.reason).into()),
        ("disposition", names::disposition(end.disposition).into()),
        ("next_session_id", end.next_session_id.as_str().into()),
        ("next_session_key", end.next_session_key.as_str().into()),
        ("last_session_seq", end.last_session_seq.into()),
        ("last_activity_unix_nano", end.last_activity_unix_nano.into()),
        ("session_file", end.session_file.as_str().into()),
    ])
}

/// An object of the fields that are not empty.
fn filled<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let is_filled = |value: &Value| value.as_u64() != Some(0) && value.as_str() != Some("");
    let kept = fields.into_iter().filter(|(_, value)| is_filled(value));
    Value::Object(kept.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
