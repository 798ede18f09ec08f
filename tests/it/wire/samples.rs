//! Every kind of message, with every field set to something that is not its default.
//!
//! No `..Default::default()` here: a field that is added does not compile until it has a value, too.

use std::{collections::HashMap, fmt::Debug};

use bytes::Bytes;
use hookwire_protocol::v1::*;
use prost::Message;

/// One message: how it is encoded today, and a check that bytes are read as it.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) read: Box<dyn Fn(&Bytes)>,
}

pub(super) fn all() -> Vec<Sample> {
    [plugin_says(), plugin_hears(), gateway_says(), gateway_hears(), operators()]
        .into_iter()
        .flatten()
        .collect()
}

fn sample<M: Message + Default + PartialEq + Debug + 'static>(name: &'static str, message: M) -> Sample {
    let bytes = message.encode_to_vec();
    let read = Box::new(move |bytes: &Bytes| {
        assert_eq!(M::decode(bytes.clone()).expect("recorded bytes are readable"), message, "{name}");
    });
    Sample { name, bytes, read }
}

fn plugin_says() -> Vec<Sample> {
    use subscribe_request::{Goodbye, Hello, Message};
    let say = |name, message| sample(name, SubscribeRequest { message: Some(message) });
    let hello = Hello {
        subscriber_id: "audit".into(),
        instance_id: "audit-1".into(),
        hooks: vec!["session_*".into(), "message_received".into()],
        filter: Some(filter()),
        announce: true,
        max_in_flight: 64,
        retention: Some(retention()),
        when_full: WhenFull::DropNewest.into(),
        client_name: "hookwire-sdk".into(),
        client_version: "0.1.0".into(),
    };
    let exception = |seq, status: AckStatus| AckException {
        seq,
        status: status.into(),
        retry_after_ms: 1500,
        code: "busy".into(),
        text: "the database is locked".into(),
    };
    let exceptions = vec![
        exception(300, AckStatus::Ok),
        exception(301, AckStatus::Accepted),
        exception(302, AckStatus::Retry),
        exception(303, AckStatus::Reject),
    ];
    vec![
        say("plugin.hello", Message::Hello(hello)),
        say("plugin.ack", Message::Ack(Ack { through_seq: 299, exceptions })),
        say("plugin.goodbye", Message::Goodbye(Goodbye { release: true })),
    ]
}

fn plugin_hears() -> Vec<Sample> {
    use subscribe_response::{Goodbye, Message, Welcome};
    let hear = |name, message| sample(name, SubscribeResponse { message: Some(message) });
    let welcome = Welcome {
        ledger_id: "5a0c5d1e".into(),
        dispatcher_epoch: 3,
        stream_epoch: 3 << 32 | 7,
        known: true,
        ends_owed: 5,
        starts_to_replay: 2,
        expired: Some(Expired { entries: 1, events: 2, bytes: 300 }),
        granted_hooks: vec!["session_*".into(), "made_up".into()],
        unknown_hooks: vec!["made_up".into()],
        filter: Some(filter()),
        max_in_flight: 64,
        when_full: WhenFull::Disconnect.into(),
        retention: Some(retention()),
        ack_timeout_ms: 30_000,
        drain_budget_ms: 2000,
        max_message_bytes: 4 << 20,
        server_version: "0.1.0".into(),
    };
    let batch = EventBatch {
        first_seq: 300,
        kind: BatchKind::Redelivered.into(),
        budget_ms: 1500,
        events: payloads().into_iter().map(event).collect(),
    };
    let notice = DrainNotice {
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        reason: StopReason::Restart.into(),
        budget_ms: 2000,
        ends_owed: 42,
        restart_expected_ms: 20_000,
    };
    let summary = DrainSummary {
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        owed: 21,
        acked: 1,
        accepted: 2,
        rejected: 3,
        timed_out: 4,
        unreachable: 5,
        retried: 6,
        carried_over: 15,
        elapsed_ms: 1999,
    };
    let goodbye = Goodbye {
        reason: GoodbyeReason::Handover.into(),
        reconnect_after_ms: 500,
        text: "the dispatcher hands over".into(),
    };
    let gap = Gap { count: 9, bytes: 4096, cause: GapCause::EmitterFull.into() };
    vec![
        hear("plugin.welcome", Message::Welcome(welcome)),
        hear("plugin.events", Message::Events(batch)),
        hear("plugin.caught_up", Message::CaughtUp(CaughtUp { replayed: 4, announced: 5 })),
        hear("plugin.gap", Message::Gap(gap)),
        hear("plugin.drain_notice", Message::DrainNotice(notice)),
        hear("plugin.drain_summary", Message::DrainSummary(summary)),
        hear("plugin.told_goodbye", Message::Goodbye(goodbye)),
    ]
}

fn gateway_says() -> Vec<Sample> {
    use attach_request::{Hello, Message};
    let say = |name, message| sample(name, AttachRequest { message: Some(message) });
    let hello = Hello {
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        emitter_id: "emitter-1".into(),
        live_sessions: Some(LiveSessions { sessions: vec![session_ref()] }),
        resend_through: 300,
        client_name: "hookwire".into(),
        client_version: "0.1.0".into(),
    };
    let events = payloads().into_iter().map(gateway_event).collect();
    let drain = DrainRequest {
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        reason: StopReason::Shutdown.into(),
        budget_ms: Some(2000),
        restart_expected_ms: 20_000,
    };
    vec![
        say("gateway.hello", Message::Hello(hello)),
        say("gateway.publish", Message::Publish(Publish { first_publish_seq: 301, events })),
        sample("gateway.drain", drain),
    ]
}

fn gateway_hears() -> Vec<Sample> {
    use attach_response::{Goodbye, Message, Welcome};
    use drain_response::Message as Drained;
    let hear = |name, message| sample(name, AttachResponse { message: Some(message) });
    let welcome = Welcome {
        ledger_id: "5a0c5d1e".into(),
        resume_after: 300,
        max_event_bytes: 3 << 20,
        drain_budget_ms: 2000,
        server_version: "0.1.0".into(),
    };
    let refusal = Refusal {
        publish_seq: 302,
        code: RefusalCode::BootOver.into(),
        text: "boot-1 is over: nothing starts in it".into(),
    };
    let goodbye = Goodbye {
        reason: GoodbyeReason::Displaced.into(),
        reconnect_after_ms: 1000,
        text: "a newer boot has attached".into(),
    };
    let progress = DrainProgress { owed: 50, settled: 42, waiting_for: vec!["audit".into()], left_ms: 1200 };
    let drained = |name, message| sample(name, DrainResponse { message: Some(message) });
    vec![
        hear("gateway.welcome", Message::Welcome(welcome)),
        hear(
            "gateway.receipt",
            Message::Receipt(Receipt { through_publish_seq: 305, refused: vec![refusal] }),
        ),
        hear("gateway.told_goodbye", Message::Goodbye(goodbye)),
        drained("gateway.drain_progress", Drained::Progress(progress)),
        drained("gateway.drain_report", Drained::Report(report())),
    ]
}

fn operators() -> Vec<Sample> {
    let gateway = GatewayStatus {
        id: "gw".into(),
        boot_id: "boot-1".into(),
        state: BootState::Draining.into(),
        streams: 2,
        live_sessions: 3,
    };
    let subscriber = SubscriberStatus {
        id: "audit".into(),
        connected: true,
        instance_id: "audit-1".into(),
        in_flight: 4,
        queued: 5,
        queued_bytes: 600,
        open: 7,
        owed: 6,
        last_ack_ms: Some(80),
        acked: 900,
        lost: 10,
        timed_out: 11,
        retrying: 12,
        expired: 13,
        away_ms: Some(14_000),
    };
    let status = GetStatusResponse {
        server_version: "0.1.0".into(),
        ledger_id: "5a0c5d1e".into(),
        durable: true,
        uptime_ms: 86_400_000,
        live_sessions: 3,
        gateways: vec![gateway],
        subscribers: vec![subscriber],
        counters: HashMap::from([("acks_ok".to_owned(), 900)]), // one: a map has no order
        journal_failure: "no space".into(),
    };
    let handed_over = HandOverResponse { ledger_id: "ledger".into(), live_sessions: 1, ends_owed: 2 };
    vec![
        sample("admin.get_status", GetStatusRequest {}),
        sample("admin.status", status),
        sample("admin.hand_over", HandOverRequest {}),
        sample("admin.handed_over", handed_over),
        sample("admin.forget_subscriber", ForgetSubscriberRequest { subscriber_id: "audit".into() }),
        sample("admin.forgotten", ForgetSubscriberResponse { entries_released: 7, ends_owed: 6 }),
    ]
}

fn report() -> DrainReport {
    let subscriber = SubscriberReport {
        id: "audit".into(),
        owed: 21,
        acked: 1,
        accepted: 2,
        rejected: 3,
        timed_out: 4,
        unreachable: 5,
        retried: 6,
        carried_over: 15,
        slowest: Some(SlowestEnd { session: "s1".into(), ms: 87 }),
    };
    DrainReport {
        reason: StopReason::Restart.into(),
        scope: "gw".into(),
        durable: true,
        budget_ms: 2000,
        elapsed_ms: 120,
        last_ack_ms: Some(87),
        sessions_ended: 9,
        subscribers: vec![subscriber],
    }
}

fn filter() -> Filter {
    Filter { agents: vec!["main".into()], keys: vec!["agent:main:*".into(), "agent:side:?".into()] }
}

fn retention() -> Retention {
    Retention { kind: RetentionKind::All.into(), max_age_ms: 86_400_000, max_bytes: 1 << 30 }
}

fn session_ref() -> SessionRef {
    SessionRef { id: Some("s1".into()), key: "agent:main:telegram:42".into(), agent_id: "main".into() }
}

/// One of each, as an event carries them.
fn payloads() -> Vec<(&'static str, event::Payload)> {
    let start = SessionStart {
        resumed_from: "s0".into(),
        previous_incarnation: 998,
        previous_reason: SessionEndReason::Lost.into(),
        session_file: "/sessions/s1.jsonl".into(),
    };
    let end = SessionEnd {
        reason: SessionEndReason::Compaction.into(),
        disposition: Disposition::Moved.into(),
        next_session_id: "s2".into(),
        next_session_key: "agent:main:telegram:43".into(),
        last_session_seq: 17,
        last_activity_unix_nano: 1_795_343_860_866_000_000,
        session_file: "/sessions/s1.jsonl".into(),
    };
    let stop = GatewayStop { reason: StopReason::Restart.into(), text: "gateway restarting".into() };
    vec![
        ("message_received", event::Payload::Json(Bytes::from_static(br#"{"text":"hello"}"#))),
        ("session_start", event::Payload::SessionStart(start)),
        ("session_end", event::Payload::SessionEnd(end)),
        ("gateway_start", event::Payload::GatewayStart(GatewayStart { port: 18_789 })),
        ("gateway_stop", event::Payload::GatewayStop(stop)),
    ]
}

const TRACEPARENT: &str = "00-25066da7d1bfcd66baad101be018d35f-8cc5759d2e75d1d1-01";

fn event((hook, payload): (&str, event::Payload)) -> Event {
    let session = Session {
        id: "s1".into(),
        key: "agent:main:telegram:42".into(),
        agent_id: "main".into(),
        incarnation: 999,
    };
    Event {
        id: "0123456789abcdef-301".into(),
        hook: hook.into(),
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        session: Some(session),
        session_seq: 18,
        time_unix_nano: 1_795_343_860_866_000_001,
        traceparent: TRACEPARENT.into(),
        synthetic: true,
        late: true,
        payload: Some(payload),
    }
}

fn gateway_event((hook, payload): (&str, event::Payload)) -> GatewayEvent {
    use gateway_event::Payload;
    GatewayEvent {
        hook: hook.into(),
        session: Some(session_ref()),
        time_unix_nano: 1_795_343_860_866_000_001,
        traceparent: TRACEPARENT.into(),
        payload: Some(match payload {
            event::Payload::Json(json) => Payload::Json(json),
            event::Payload::SessionStart(start) => Payload::SessionStart(start),
            event::Payload::SessionEnd(end) => Payload::SessionEnd(end),
            event::Payload::GatewayStart(start) => Payload::GatewayStart(start),
            event::Payload::GatewayStop(stop) => Payload::GatewayStop(stop),
        }),
    }
}
