//! Every session that a plugin saw start, it sees end; and what it is handed is what the gateway said.

use hookwire_harness::{World, events};
use hookwire_protocol::v1::{
    BatchKind, Disposition, GatewayEvent, GatewayStop, SessionEnd, SessionEndReason, SessionRef,
    SessionStart, StopReason, event, gateway_event,
};

use crate::{A_WHILE, ms};

#[tokio::test(start_paused = true)]
async fn a_session_is_seen_from_start_to_end() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;

    gateway.start("s1").await;
    let start = plugin.expect_start("s1").await;
    gateway.message("s1", "hello").await;
    let message = plugin.expect_event("message_received").await;
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    let end = plugin.expect_end("s1").await;

    assert_eq!((start.incarnation(), message.incarnation(), end.incarnation()), (1, 1, 1));
    assert_eq!([&start, &message, &end].map(|it| it.event.session_seq), [1, 2, 3]);
    assert_eq!([&start, &message, &end].map(|it| it.kind), [BatchKind::Live; 3]);
    assert_eq!((end.end().reason(), end.end().disposition()), (SessionEndReason::New, Disposition::Ended));
    assert_eq!(end.end().last_session_seq, 2);
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.subscriber("audit").await.open, 0);
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_its_start_to_be_settled() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack_all().await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn fields_arrive_as_they_were_said() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    let session = SessionRef { id: Some("s1".into()), key: "agent:main:42".into(), agent_id: "main".into() };
    let start = SessionStart { resumed_from: "s0".into(), session_file: "/s1".into(), ..Default::default() };
    let traceparent = "00-25066da7d1bfcd66baad101be018d35f-8cc5759d2e75d1d1-01";
    gateway
        .publish(GatewayEvent {
            time_unix_nano: 1_795_343_860_866_000_000,
            traceparent: traceparent.into(),
            payload: Some(gateway_event::Payload::SessionStart(start)),
            ..events::start(session.clone())
        })
        .await;
    let start = plugin.expect_start("s1").await;
    assert_eq!((start.start().resumed_from.as_str(), start.start().session_file.as_str()), ("s0", "/s1"));
    assert_eq!((start.event.gateway_id.as_str(), start.event.boot_id.as_str()), ("gw", "boot-1"));
    assert_eq!(
        (start.event.time_unix_nano, start.event.traceparent.as_str()),
        (1_795_343_860_866_000_000, traceparent)
    );
    let seen = start.event.session.clone().unwrap_or_default();
    assert_eq!((seen.key.as_str(), seen.agent_id.as_str()), ("agent:main:42", "main"));
    assert!(!start.event.synthetic && !start.event.late);

    let odd = r#"{"big":18446744073709551615,"n":1.0,"s":"\u0000\ud83d\ude00"}"#;
    let json = gateway_event::Payload::Json(odd.as_bytes().into());
    gateway.publish(GatewayEvent { payload: Some(json), ..events::message(session.clone(), "") }).await;
    let message = plugin.expect_event("message_received").await;
    assert_eq!(message.event.payload, Some(event::Payload::Json(odd.as_bytes().into())), "byte for byte");

    plugin.ack_all().await;
    let end = SessionEnd {
        reason: SessionEndReason::Compaction.into(),
        next_session_id: "s2".into(),
        next_session_key: "agent:main:43".into(),
        ..Default::default()
    };
    let payload = Some(gateway_event::Payload::SessionEnd(end));
    gateway.publish(GatewayEvent { payload, ..events::end(session, SessionEndReason::Compaction) }).await;
    let end = plugin.expect_end("s1").await;
    assert_eq!((end.end().next_session_id.as_str(), end.end().disposition()), ("s2", Disposition::Moved));
    assert_eq!(end.end().next_session_key, "agent:main:43");
}

#[tokio::test(start_paused = true)]
async fn every_reason_says_what_it_means_for_the_conversation() {
    use Disposition::{Ended, Moved, Suspended, Unknown};
    use SessionEndReason as Reason;
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    for (said, reason, disposition) in [
        (Reason::New, Reason::New, Ended),
        (Reason::Reset, Reason::Reset, Ended),
        (Reason::Idle, Reason::Idle, Ended),
        (Reason::Daily, Reason::Daily, Ended),
        (Reason::Deleted, Reason::Deleted, Ended),
        (Reason::Compaction, Reason::Compaction, Moved),
        (Reason::Shutdown, Reason::Shutdown, Suspended),
        (Reason::Restart, Reason::Restart, Suspended),
        (Reason::Unknown, Reason::Unknown, Unknown),
        (Reason::Lost, Reason::Unknown, Unknown),
        (Reason::Unspecified, Reason::Unknown, Unknown),
    ] {
        gateway.start("s1").await;
        plugin.expect_start("s1").await;
        plugin.ack_all().await;
        gateway.end("s1", said).await;
        let end = plugin.expect_end("s1").await;
        plugin.ack_all().await;
        assert_eq!((end.end().reason(), end.end().disposition()), (reason, disposition), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_says_when_its_session_was_last_active() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let message = events::message(events::session("s1"), "");
    gateway.publish(GatewayEvent { time_unix_nano: 1_795_343_860_866_000_000, ..message }).await;
    gateway.end("s1", SessionEndReason::Idle).await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let message = plugin.expect_event("message_received").await.event;
    let end = plugin.expect_end("s1").await;
    let last = (end.end().last_session_seq, end.end().last_activity_unix_nano);
    assert_eq!(last, (message.session_seq, message.time_unix_nano));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_stop_arrives_as_it_was_said() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    let traceparent = "00-25066da7d1bfcd66baad101be018d35f-8cc5759d2e75d1d1-01";
    let said = events::gateway_stop(StopReason::Restart);
    let time_unix_nano = 1_795_343_860_866_000_000;
    gateway.publish(GatewayEvent { time_unix_nano, traceparent: traceparent.into(), ..said }).await;
    world.drain("gw", StopReason::Shutdown, ms(10)).await.report().await;
    plugin.expect_notice().await;
    let stop = plugin.expect_event("gateway_stop").await.event;
    assert_eq!((stop.time_unix_nano, stop.traceparent.as_str()), (time_unix_nano, traceparent));
    let payload = GatewayStop { reason: StopReason::Restart.into(), text: "so long".into() };
    assert_eq!((stop.synthetic, stop.payload), (false, Some(event::Payload::GatewayStop(payload))));
}

#[tokio::test(start_paused = true)]
async fn everybody_is_handed_the_same_event() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut one = world.plugin("one").caught_up().await;
    let mut two = world.plugin("two").caught_up().await;
    gateway.start("s1").await;
    gateway.message("s1", "hello").await;
    assert_eq!(one.expect_start("s1").await.event, two.expect_start("s1").await.event);
    assert_eq!(
        one.expect_event("message_received").await.event,
        two.expect_event("message_received").await.event
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_session_is_delivered_alone() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.publish(events::hooked("cron_changed", None, "tick")).await;
    let event = plugin.expect_event("cron_changed").await;
    assert_eq!((event.event.session, event.event.session_seq), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_names_its_most_recently_started_live_session() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.publish(events::start(events::keyed("s1", "k"))).await;
    gateway.publish(events::start(events::keyed("s2", "k"))).await;
    plugin.expect_start("s1").await;
    plugin.expect_start("s2").await;
    plugin.ack_all().await;

    gateway.publish(events::message(events::by_key("k"), "to the newer")).await;
    assert_eq!(plugin.expect_event("message_received").await.session_id(), "s2");
    gateway.publish(events::end(events::by_key("k"), SessionEndReason::Idle)).await;
    plugin.expect_end("s2").await;
    gateway.publish(events::message(events::by_key("k"), "to the older")).await;
    assert_eq!(plugin.expect_event("message_received").await.session_id(), "s1");
    gateway.publish(events::message(events::by_key("other"), "to nobody")).await;
    let alone = plugin.expect_event("message_received").await;
    assert_eq!((alone.session_id(), alone.incarnation()), ("", 0), "the key is all that is known");
    assert_eq!(alone.event.session.unwrap_or_default().key, "other");
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_unknown_session_starts_it() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.message("s1", "from before the restart").await;
    let start = plugin.expect_start("s1").await;
    assert!(start.event.synthetic, "the gateway did not say so itself");
    assert_eq!(plugin.expect_event("message_received").await.incarnation(), start.incarnation());
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::Daily).await;
    assert!(!plugin.expect_end("s1").await.event.synthetic);
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_start_reaches_nobody_and_is_counted() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.end("never", SessionEndReason::New).await;
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.counter("ends_without_life").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_of_a_live_session_reaches_nobody_and_is_counted() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.start("s1").await;
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.counter("starts_while_alive").await, 1);
    gateway.end("s1", SessionEndReason::New).await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 1, "it lived once");
}
