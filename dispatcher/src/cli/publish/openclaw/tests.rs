//! Lines in, events out.

use serde_json::{Value, json};

use super::*;

fn event(line: Value) -> GatewayEvent {
    read_line(line.to_string().as_bytes()).unwrap().event
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
    assert_eq!(json_of(&read_line(line.as_bytes()).unwrap().event), raw);
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
        assert_eq!(event(json!({"hook": "x", "event": {"targetSessionKey": "k"}, "ctx": ctx})).session, None);
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
fn what_a_recorder_adds_and_cannot_be_read_is_not_there() {
    let fired = |line: Value| read_line(line.to_string().as_bytes()).unwrap();
    let odd = fired(json!({
        "hook": "x", "event": {"sessionId": "s"}, "session": "main", "traceparent": 7, "boot": {}, "synthetic": "no",
    }));
    assert_eq!(odd, fired(json!({"hook": "x", "event": {"sessionId": "s"}})));
    let null = event(json!({"hook": "x", "session": {"id": "a", "key": null, "agentId": 7}}));
    assert_eq!(null.session, Some(SessionRef { id: Some("a".into()), ..Default::default() }));
    assert_eq!(event(json!({"hook": "x", "event": {"sessionId": "s"}, "session": {}})).session, None);
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
        (&include_bytes!("../../../../../tests/data/openclaw/restart-then-stop.jsonl")[..], 168),
        (&include_bytes!("../../../../../tests/data/openclaw/killed.jsonl")[..], 49),
    ];
    for (recording, hooks) in recordings {
        let lines: Vec<_> = recording.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), hooks);
        for line in lines {
            let event = read_line(line).unwrap().event;
            assert_ne!(event.time_unix_nano, 0);
            if let Some(Payload::Json(json)) = &event.payload {
                let object: serde_json::Map<String, Value> = serde_json::from_slice(json).unwrap();
                assert!(object.get("ctx").is_none_or(|ctx| ctx.get("config").is_none()));
            }
        }
    }
}
