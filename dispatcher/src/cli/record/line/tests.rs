//! What is written is read back as it was.

use hookwire_protocol::v1::{
    GatewayEvent, GatewayStart, GatewayStop, SessionEndReason, SessionRef, StopReason,
    gateway_event::Payload as Given,
};

use super::*;
use crate::cli::publish::openclaw::{Fired, read_line};

const RECORDINGS: [&str; 2] = [
    include_str!("../../../../../tests/data/openclaw/killed.jsonl"),
    include_str!("../../../../../tests/data/openclaw/restart-then-stop.jsonl"),
];

/// What a plugin is handed of it.
fn handed(given: GatewayEvent) -> Event {
    let session = given.session.map(|SessionRef { id, key, agent_id }| Session {
        id: id.unwrap_or_default(),
        key,
        agent_id,
        incarnation: 7,
    });
    let payload = given.payload.map(|payload| match payload {
        Given::Json(json) => Payload::Json(json),
        Given::SessionStart(start) => {
            Payload::SessionStart(SessionStart { previous_incarnation: 6, ..start })
        }
        Given::SessionEnd(end) => Payload::SessionEnd(SessionEnd { last_session_seq: 5, ..end }),
        Given::GatewayStart(start) => Payload::GatewayStart(start),
        Given::GatewayStop(stop) => Payload::GatewayStop(stop),
    });
    Event {
        id: "id".into(),
        hook: given.hook,
        session,
        time_unix_nano: given.time_unix_nano,
        traceparent: given.traceparent,
        payload,
        boot_id: "boot".into(),
        ..Default::default()
    }
}

/// That it comes back as it was.
fn comes_back(given: GatewayEvent) {
    let line = of(&handed(given.clone())).expect("a line");
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
    let read = read_line(line.as_bytes()).expect("one that is read");
    assert_eq!(read, Fired { event: given, boot: Some("boot".into()), synthetic: false }, "{line}");
}

fn json(hook: &str, session: Option<SessionRef>, json: &str) -> GatewayEvent {
    let payload = Some(Given::Json(json.to_owned().into()));
    GatewayEvent { hook: hook.to_owned(), session, payload, ..Default::default() }
}

fn session(id: Option<&str>, key: &str, agent_id: &str) -> Option<SessionRef> {
    Some(SessionRef { id: id.map(str::to_owned), key: key.to_owned(), agent_id: agent_id.to_owned() })
}

#[test]
fn every_recorded_event() {
    for line in RECORDINGS.into_iter().flat_map(str::lines) {
        comes_back(read_line(line.as_bytes()).expect("a recorded line").event);
    }
}

#[test]
fn one_whose_fields_name_another_session_or_one_where_there_is_none() {
    let another = r#"{"sessionId":"child","sessionKey":"k2","agentId":"b", "n": 1.00}"#;
    for session in [None, session(Some("s"), "", ""), session(None, "k", "a"), session(Some("s"), "k", "a")] {
        comes_back(json("subagent_ended", session, another));
    }
}

#[test]
fn the_lifecycle_with_all_that_a_gateway_says() {
    let start = SessionStart { resumed_from: "r".into(), session_file: "f".into(), ..Default::default() };
    let end = SessionEnd {
        reason: SessionEndReason::Compaction.into(),
        next_session_id: "n".into(),
        next_session_key: "nk".into(),
        session_file: "f".into(),
        ..Default::default()
    };
    let stop = |reason: StopReason, text: &str| {
        Given::GatewayStop(GatewayStop { reason: reason.into(), text: text.to_owned() })
    };
    for (hook, session, payload) in [
        ("session_start", session(Some("s"), "k", ""), Given::SessionStart(start)),
        ("session_end", session(None, "k", ""), Given::SessionEnd(end)),
        ("gateway_start", None, Given::GatewayStart(GatewayStart { port: 7 })),
        ("gateway_stop", None, stop(StopReason::Shutdown, "no restart today")),
        ("gateway_stop", None, stop(StopReason::Restart, "")),
    ] {
        let (hook, time_unix_nano) = (hook.to_owned(), 1_700_000_000_123_456_789);
        let traceparent = "not what W3C asks for".to_owned();
        comes_back(GatewayEvent { hook, session, payload: Some(payload), time_unix_nano, traceparent });
    }
}

#[test]
fn what_a_dispatcher_made_is_marked_and_a_lost_session_stays_lost() {
    let end = SessionEnd { reason: SessionEndReason::Lost.into(), ..Default::default() };
    let payload = Some(Payload::SessionEnd(end));
    let event = Event { hook: "session_end".into(), payload, synthetic: true, ..Default::default() };
    let line = of(&event).expect("a line");
    let Fired { event, synthetic, boot: None } = read_line(line.as_bytes()).expect("one that is read") else {
        panic!("{line}")
    };
    let Some(Given::SessionEnd(end)) = event.payload else { panic!("{line}") };
    assert!(synthetic && end.reason() == SessionEndReason::Lost, "{line}");
    let forged = line.replace(r#","synthetic":true"#, "");
    let Some(Given::SessionEnd(end)) = read_line(forged.as_bytes()).expect("a line").event.payload else {
        panic!("{forged}")
    };
    assert_eq!(end.reason(), SessionEndReason::Unknown, "no gateway says that it is lost");
}

#[test]
fn line_feeds_do_not_survive_and_what_is_no_object_has_no_line() {
    let pretty = handed(json("h", None, "{\r\n  \"text\": \"a\\nb\"\n}"));
    let line = of(&pretty).expect("a line");
    assert!(line.contains(r#""event":{    "text": "a\nb" },"#), "{line}");
    for odd in ["[1]", "{", "7", "\"{\""] {
        assert!(of(&handed(json("h", None, odd))).is_err(), "{odd}");
    }
    let bytes = Event { payload: Some(Payload::Json(vec![b'{', 0xff].into())), ..Default::default() };
    assert!(matches!(of(&bytes), Err(Unwritable::Text(_))));
}
