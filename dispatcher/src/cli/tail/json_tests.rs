//! Golden lines: machines read these.

use hookwire_protocol::v1::{
    BatchKind, CaughtUp, Disposition, DrainNotice, DrainSummary, Gap, GapCause, GatewayStart, GatewayStop,
    GoodbyeReason, RetentionKind, SessionEndReason, StopReason, WhenFull,
};

use super::*;

fn session() -> Option<Session> {
    Some(Session {
        id: "s1".into(),
        key: "agent:main:telegram:42".into(),
        agent_id: "main".into(),
        incarnation: u64::MAX,
    })
}

fn event(hook: &str, payload: Payload) -> Event {
    Event {
        id: "e1".into(),
        hook: hook.into(),
        gateway_id: "openclaw".into(),
        boot_id: "b1".into(),
        payload: Some(payload),
        ..Default::default()
    }
}

fn line(event: Event) -> String {
    let batch =
        EventBatch { first_seq: 7, kind: BatchKind::Live.into(), budget_ms: 30_000, events: vec![event] };
    lines(&Message::Events(batch))
}

#[test]
fn an_ordinary_event_carries_its_own_json() {
    let payload = Payload::Json(r#"{ "z": 18446744073709551615, "a": [1, "\u00e9"] }"#.into());
    let event = Event {
        session: session(),
        session_seq: 4,
        time_unix_nano: 1_795_343_860_866_000_000,
        ..event("message_received", payload)
    };
    assert_eq!(
        line(event),
        concat!(
            r#"{"type":"event","seq":7,"kind":"live","hook":"message_received","event_id":"e1","#,
            r#""session":{"id":"s1","key":"agent:main:telegram:42","agent_id":"main","#,
            r#""incarnation":18446744073709551615},"session_seq":4,"synthetic":false,"late":false,"#,
            r#""budget_ms":30000,"gateway":"openclaw","boot":"b1","time":"2026-11-22T10:37:40.866000Z","#,
            r#""payload":{"z":18446744073709551615,"a":[1,"é"]}}"#,
            "\n"
        )
    );
}

#[test]
fn a_payload_that_is_no_json_is_a_string_on_the_same_line() {
    let text = line(event("x", Payload::Json((&b"not\njson \xff"[..]).into())));
    assert!(text.ends_with("\"payload\":\"not\\njson \u{fffd}\"}\n"), "{text}");
    assert_eq!(text.lines().count(), 1);
    let empty = line(event("x", Payload::Json(Default::default())));
    assert!(empty.ends_with("\"boot\":\"b1\"}\n"), "{empty}");
}

#[test]
fn a_start_says_what_it_continues() {
    let start = SessionStart {
        resumed_from: "s0".into(),
        previous_incarnation: 3,
        previous_reason: SessionEndReason::Daily.into(),
        session_file: "f".into(),
    };
    let text = line(Event { synthetic: true, ..event("session_start", Payload::SessionStart(start)) });
    assert!(
        text.ends_with(concat!(
            r#""event_id":"e1","synthetic":true,"late":false,"resumed_from":"s0","budget_ms":30000,"#,
            r#""gateway":"openclaw","boot":"b1","payload":{"resumed_from":"s0","previous_incarnation":3,"#,
            r#""previous_reason":"daily","session_file":"f"}}"#,
            "\n"
        )),
        "{text}"
    );
    let first = line(event("session_start", Payload::SessionStart(SessionStart::default())));
    assert!(first.ends_with("\"payload\":{}}\n"), "{first}");
}

#[test]
fn an_end_says_why_and_what_follows() {
    let end = SessionEnd {
        reason: SessionEndReason::Reset.into(),
        disposition: Disposition::Ended.into(),
        next_session_id: "s2".into(),
        last_session_seq: 9,
        last_activity_unix_nano: 1_795_343_860_866_000_001,
        ..Default::default()
    };
    let text = line(event("session_end", Payload::SessionEnd(end)));
    assert!(
        text.ends_with(concat!(
            r#""event_id":"e1","reason":"reset","disposition":"ended","synthetic":false,"late":false,"#,
            r#""next_session_id":"s2","budget_ms":30000,"gateway":"openclaw","boot":"b1","#,
            r#""payload":{"reason":"reset","disposition":"ended","next_session_id":"s2","last_session_seq":9,"#,
            r#""last_activity_unix_nano":1795343860866000001}}"#,
            "\n"
        )),
        "{text}"
    );
}

#[test]
fn a_gateway_starts_and_stops() {
    let start = line(event("gateway_start", Payload::GatewayStart(GatewayStart { port: 18_999 })));
    assert!(start.ends_with("\"payload\":{\"port\":18999}}\n"), "{start}");
    let stop = GatewayStop { reason: StopReason::Restart.into(), text: "gateway restarting".into() };
    let stop = line(event("gateway_stop", Payload::GatewayStop(stop)));
    assert!(stop.contains(r#""event_id":"e1","reason":"restart","synthetic":false"#), "{stop}");
    assert!(
        stop.ends_with("\"payload\":{\"reason\":\"restart\",\"text\":\"gateway restarting\"}}\n"),
        "{stop}"
    );
}

#[test]
fn seqs_are_consecutive_in_a_batch() {
    let events = vec![event("a", Payload::Json("{}".into())), event("b", Payload::Json("{}".into()))];
    let batch = EventBatch { first_seq: 5, kind: BatchKind::Redelivered.into(), budget_ms: 1, events };
    let text = lines(&Message::Events(batch));
    let starts: Vec<_> =
        text.lines().map(|line| line.split_once(",\"event_id\"").map_or("", |(start, _)| start)).collect();
    assert_eq!(
        starts,
        [
            r#"{"type":"event","seq":5,"kind":"redelivered","hook":"a""#,
            r#"{"type":"event","seq":6,"kind":"redelivered","hook":"b""#
        ]
    );
}

#[test]
fn a_seq_at_the_end_of_its_range_is_no_panic() {
    let events = vec![event("a", Payload::Json("{}".into())), event("b", Payload::Json("{}".into()))];
    let batch = EventBatch { first_seq: u64::MAX, events, ..Default::default() };
    assert!(!lines(&Message::Events(batch)).is_empty());
}

#[test]
fn a_welcome_says_everything_that_was_granted() {
    let welcome = Welcome {
        ledger_id: "l".into(),
        dispatcher_epoch: 1,
        stream_epoch: (1 << 32) | 5,
        known: true,
        granted_hooks: vec!["session_*".into()],
        filter: Some(Filter::default()),
        max_in_flight: 256,
        when_full: WhenFull::DropOldest.into(),
        retention: Some(Retention { kind: RetentionKind::Owed.into(), max_age_ms: 1, max_bytes: 2 }),
        server_version: "0.1.0".into(),
        ..Default::default()
    };
    assert_eq!(
        lines(&Message::Welcome(welcome)),
        concat!(
            r#"{"type":"welcome","ledger_id":"l","dispatcher_epoch":1,"stream_epoch":4294967301,"known":true,"#,
            r#""ends_owed":0,"starts_to_replay":0,"granted_hooks":["session_*"],"unknown_hooks":[],"#,
            r#""filter":{"agents":[],"keys":[]},"max_in_flight":256,"when_full":"drop_oldest","#,
            r#""retention":{"kind":"owed","max_age_ms":1,"max_bytes":2},"ack_timeout_ms":0,"#,
            r#""drain_budget_ms":0,"max_message_bytes":0,"server_version":"0.1.0"}"#,
            "\n"
        )
    );
}

#[test]
fn other_messages_are_lines_of_their_own() {
    let gap = Message::Gap(Gap { count: 3, bytes: 99, cause: GapCause::QueueFull.into() });
    assert_eq!(lines(&gap), "{\"type\":\"gap\",\"count\":3,\"bytes\":99,\"cause\":\"queue_full\"}\n");
    let caught_up = Message::CaughtUp(CaughtUp { replayed: 1, announced: 2 });
    assert_eq!(lines(&caught_up), "{\"type\":\"caught_up\",\"replayed\":1,\"announced\":2}\n");
    let goodbye =
        Goodbye { reason: GoodbyeReason::Stopping.into(), reconnect_after_ms: 500, text: "bye".into() };
    assert_eq!(
        lines(&Message::Goodbye(goodbye)),
        "{\"type\":\"goodbye\",\"reason\":\"stopping\",\"reconnect_after_ms\":500,\"text\":\"bye\"}\n"
    );
}

#[test]
fn a_drain_is_announced_and_summed_up() {
    let notice = DrainNotice {
        gateway_id: "g".into(),
        reason: StopReason::Shutdown.into(),
        budget_ms: 2_000,
        ends_owed: 5,
        ..Default::default()
    };
    assert_eq!(
        lines(&Message::DrainNotice(notice)),
        concat!(
            r#"{"type":"drain_notice","gateway_id":"g","boot_id":"","reason":"shutdown","budget_ms":2000,"#,
            r#""ends_owed":5,"restart_expected_ms":0}"#,
            "\n"
        )
    );
    let summary = DrainSummary { owed: 5, acked: 4, timed_out: 1, carried_over: 1, ..Default::default() };
    assert_eq!(
        lines(&Message::DrainSummary(summary)),
        concat!(
            r#"{"type":"drain_summary","gateway_id":"","boot_id":"","owed":5,"acked":4,"accepted":0,"#,
            r#""rejected":0,"timed_out":1,"unreachable":0,"retried":0,"carried_over":1,"elapsed_ms":0}"#,
            "\n"
        )
    );
}
