//! OpenClaw's hooks on the wire: one JSON line in, one event out. Pure: no clock, no I/O.
//!
//! A line is `{"time","hook","event","ctx"}`. The four lifecycle hooks become typed messages; any other hook keeps
//! the very bytes of its `event`, with the harmless part of `ctx` spliced in.

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
pub(super) enum BadLine {
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
}

/// Reads one line. A `time` that is absent or unreadable becomes 0, "when it was taken in": an event with a doubtful
/// time is worth more than none. An absent `event` is an empty one; a `ctx` that is no object is ignored.
///
/// # Errors
/// When the line is not JSON, is no object, names no hook, or its `event` is no object.
pub(super) fn read_line(line: &[u8]) -> Result<GatewayEvent, BadLine> {
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
    let payload = match line.hook.as_str() {
        hook::SESSION_START => Payload::SessionStart(session_start(&event)),
        hook::SESSION_END => Payload::SessionEnd(session_end(&event)),
        hook::GATEWAY_START => Payload::GatewayStart(gateway_start(&event)),
        hook::GATEWAY_STOP => Payload::GatewayStop(gateway_stop(&event)),
        _ => Payload::Json(with_ctx(raw_event, &event, &ctx)),
    };
    Ok(GatewayEvent {
        session: session(&event, &ctx),
        time_unix_nano: line.time.and_then(unix_nanos).unwrap_or(0),
        traceparent: traceparent(&ctx).unwrap_or_default(),
        payload: Some(payload),
        hook: line.hook,
    })
}

fn session_start(event: &Members<'_>) -> SessionStart {
    SessionStart {
        resumed_from: text(event, "resumedFrom"),
        session_file: text(event, "sessionFile"),
        ..SessionStart::default()
    }
}

fn session_end(event: &Members<'_>) -> SessionEnd {
    SessionEnd {
        reason: end_reason(&text(event, "reason")).into(),
        next_session_id: text(event, "nextSessionId"),
        next_session_key: text(event, "nextSessionKey"),
        session_file: text(event, "sessionFile"),
        ..SessionEnd::default()
    }
}

/// What is not listed is UNKNOWN. So is "lost": only the dispatcher can say that a gateway vanished.
fn end_reason(word: &str) -> SessionEndReason {
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

fn gateway_stop(event: &Members<'_>) -> GatewayStop {
    let text = text(event, "reason");
    let reason = if text.contains("restart") { StopReason::Restart } else { StopReason::Shutdown };
    GatewayStop { reason: reason.into(), text }
}

/// The session that `event` names, or else `ctx`. An agent alone names none. An id that is there and empty is kept:
/// it is for the dispatcher to refuse.
fn session(event: &Members<'_>, ctx: &Members<'_>) -> Option<SessionRef> {
    let named = |field| [event, ctx].into_iter().find_map(|members| string(members, field));
    let known = |field| named(field).unwrap_or_default();
    let session = SessionRef { id: named("sessionId"), key: known("sessionKey"), agent_id: known("agentId") };
    (session.id.is_some() || !session.key.is_empty()).then_some(session)
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(line: Value) -> GatewayEvent {
        read_line(line.to_string().as_bytes()).unwrap()
    }

    fn json_of(event: &GatewayEvent) -> &str {
        match &event.payload {
            Some(Payload::Json(json)) => std::str::from_utf8(json).unwrap(),
            other => panic!("not JSON: {other:?}"),
        }
    }

    #[test]
    fn a_start_is_typed() {
        let start = event(json!({
            "time": "1970-01-01T00:00:01.5Z", "hook": "session_start",
            "event": {"sessionId": "s", "sessionKey": "k", "resumedFrom": "r", "sessionFile": "f"},
            "ctx": {"sessionId": "other", "sessionKey": "other", "agentId": "main"},
        }));
        let session = SessionRef { id: Some("s".into()), key: "k".into(), agent_id: "main".into() };
        assert_eq!(start.session, Some(session));
        assert_eq!(start.time_unix_nano, 1_500_000_000);
        let typed =
            SessionStart { resumed_from: "r".into(), session_file: "f".into(), ..SessionStart::default() };
        assert_eq!(start.payload, Some(Payload::SessionStart(typed)));
    }

    #[test]
    fn an_end_says_why_and_what_follows() {
        let end = event(json!({
            "hook": "session_end",
            "event": {"sessionId": "s", "reason": "reset", "nextSessionId": "n", "nextSessionKey": "nk"},
        }));
        let typed = SessionEnd {
            reason: SessionEndReason::Reset.into(),
            next_session_id: "n".into(),
            next_session_key: "nk".into(),
            ..SessionEnd::default()
        };
        assert_eq!(end.payload, Some(Payload::SessionEnd(typed)));
        assert_eq!(end.time_unix_nano, 0);
    }

    #[test]
    fn every_reason_has_its_word_and_others_are_unknown() {
        use SessionEndReason as Reason;
        let known = [
            Reason::New,
            Reason::Reset,
            Reason::Idle,
            Reason::Daily,
            Reason::Deleted,
            Reason::Compaction,
            Reason::Shutdown,
            Reason::Restart,
        ];
        for reason in known {
            let name = reason.as_str_name().trim_start_matches("SESSION_END_REASON_").to_lowercase();
            assert_eq!(end_reason(&name), reason);
        }
        for word in ["", "lost", "RESET", "unknown", "on a whim"] {
            assert_eq!(end_reason(word), Reason::Unknown, "{word}");
        }
    }

    #[test]
    fn a_stop_says_whether_it_is_a_restart() {
        for (text, reason) in [
            ("gateway restarting", StopReason::Restart),
            ("gateway stopping", StopReason::Shutdown),
            ("", StopReason::Shutdown),
        ] {
            let stop = event(json!({"hook": "gateway_stop", "event": {"reason": text}, "ctx": {"port": 1}}));
            let typed = GatewayStop { reason: reason.into(), text: text.into() };
            assert_eq!(stop.payload, Some(Payload::GatewayStop(typed)));
            assert_eq!(stop.session, None);
        }
    }

    #[test]
    fn a_gateway_start_says_its_port() {
        for (port, read) in [(json!(18999), 18999), (json!("x"), 0), (json!(-1), 0), (json!(null), 0)] {
            let start = event(json!({"hook": "gateway_start", "event": {"port": port}}));
            assert_eq!(start.payload, Some(Payload::GatewayStart(GatewayStart { port: read })));
        }
    }

    #[test]
    fn another_hook_keeps_its_bytes() {
        let raw = r#"{ "n":12345678901234567890123, "f":1.10, "a":1,"a":2, "u":"\u00e9" }"#;
        let line = format!(r#"{{"hook":"x","event":{raw}}}"#);
        assert_eq!(json_of(&read_line(line.as_bytes()).unwrap()), raw);
    }

    #[test]
    fn of_ctx_only_named_scalars_leave() {
        let heard = event(json!({
            "hook": "llm_input", "event": {"a": 1},
            "ctx": {
                "config": {"token": "secret"}, "getCron": "[fn]", "runId": "r", "port": 1, "jobId": null,
                "channel": {"x": 1}, "trigger": ["y"], "chatId": true,
            },
        }));
        assert_eq!(json_of(&heard), r#"{"a":1,"ctx":{"chatId":true,"port":1,"runId":"r"}}"#);
    }

    #[test]
    fn ctx_is_added_to_an_empty_event_but_never_over_its_own() {
        let empty = event(json!({"hook": "x", "ctx": {"runId": "r"}}));
        assert_eq!(json_of(&empty), r#"{"ctx":{"runId":"r"}}"#);
        let own = event(json!({"hook": "x", "event": {"ctx": 1}, "ctx": {"runId": "r"}}));
        assert_eq!(json_of(&own), r#"{"ctx":1}"#);
        let nothing_left = event(json!({"hook": "x", "event": {}, "ctx": {"config": "secret"}}));
        assert_eq!(json_of(&nothing_left), "{}");
        let no_object = event(json!({"hook": "x", "event": {}, "ctx": ["runId"]}));
        assert_eq!(json_of(&no_object), "{}");
    }

    #[test]
    fn an_empty_id_is_conveyed_and_a_key_alone_too() {
        let empty_id = event(json!({"hook": "x", "event": {"sessionId": ""}, "ctx": {"sessionId": "s"}}));
        assert_eq!(empty_id.session.unwrap().id.as_deref(), Some(""));
        let key_alone = event(json!({"hook": "x", "ctx": {"sessionKey": "k"}})).session.unwrap();
        assert_eq!((key_alone.id, key_alone.key.as_str()), (None, "k"));
        let null_id = event(json!({"hook": "x", "event": {"sessionId": null}, "ctx": {"sessionId": "s"}}));
        assert_eq!(null_id.session.unwrap().id.as_deref(), Some("s"));
    }

    #[test]
    fn an_agent_or_a_child_alone_is_no_session() {
        for ctx in [json!({"agentId": "main"}), json!({"childSessionKey": "k"})] {
            assert_eq!(
                event(json!({"hook": "x", "event": {"targetSessionKey": "k"}, "ctx": ctx})).session,
                None
            );
        }
    }

    #[test]
    fn a_trace_is_passed_on_when_it_is_well_formed() {
        let (trace, span) = ("25066da7d1bfcd66baad101be018d35f", "8cc5759d2e75d1d1");
        let of = |trace: Value| event(json!({"hook": "x", "ctx": {"trace": trace}})).traceparent;
        let good = of(json!({"traceId": trace, "spanId": span, "traceFlags": "01", "parentSpanId": "x"}));
        assert_eq!(good, format!("00-{trace}-{span}-01"));
        for bad in [
            json!({"traceId": trace, "spanId": span}),
            json!({"traceId": trace.to_uppercase(), "spanId": span, "traceFlags": "01"}),
            json!({"traceId": trace, "spanId": "0000000000000000", "traceFlags": "01"}),
            json!({"traceId": trace, "spanId": span, "traceFlags": 1}),
            json!("x"),
        ] {
            assert_eq!(of(bad.clone()), "", "{bad}");
        }
    }

    #[test]
    fn a_doubtful_time_is_the_time_of_intake() {
        for time in [
            json!("yesterday"),
            json!(5),
            json!("1969-12-31T23:59:59Z"),
            json!(null),
            json!("9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(event(json!({"hook": "x", "time": time})).time_unix_nano, 0, "{time}");
        }
    }

    #[test]
    fn a_bad_line_is_told_apart() {
        for bad in [
            &b"not json"[..],
            b"",
            b"[]",
            br#"[null,"x",{},{}]"#,
            b"null",
            b"{}",
            br#"{"hook":1}"#,
            br#"{"hook":""}"#,
            br#"{"hook":"x","event":[]}"#,
            br#"{"hook":"x","event":"y"}"#,
            b"{\"hook\":\"\xff\"}",
            br#"{"hook":"x"} {}"#,
        ] {
            assert!(read_line(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn every_recorded_line_is_a_hook() {
        let recordings = [
            (&include_bytes!("../../../../tests/data/openclaw/restart-then-stop.jsonl")[..], 168),
            (&include_bytes!("../../../../tests/data/openclaw/killed.jsonl")[..], 49),
        ];
        for (recording, hooks) in recordings {
            let lines: Vec<_> =
                recording.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            assert_eq!(lines.len(), hooks);
            for line in lines {
                let event = read_line(line).unwrap();
                assert_ne!(event.time_unix_nano, 0);
                if let Some(Payload::Json(json)) = &event.payload {
                    let object: serde_json::Map<String, Value> = serde_json::from_slice(json).unwrap();
                    assert!(object.get("ctx").is_none_or(|ctx| ctx.get("config").is_none()));
                }
            }
        }
    }
}
