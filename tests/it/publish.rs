//! Publishing is at least once with a key: a resend makes no second life, and what is refused is said.

use hookwire::config::Config;
use hookwire_harness::{World, events};
use hookwire_protocol::v1::{
    GatewayEvent, GoodbyeReason, RefusalCode, SessionEndReason, SessionRef, SessionStart, StopReason,
    gateway_event::Payload,
};

use crate::A_WHILE;

#[tokio::test(start_paused = true)]
async fn a_resend_after_a_lost_receipt_changes_nothing() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    let gateway = world.gateway("gw").await;
    let life = vec![
        events::start(events::session("s1")),
        events::message(events::session("s1"), "hello"),
        events::end(events::session("s1"), SessionEndReason::Reset),
    ];
    gateway.cut_behind(life.clone()).await;
    plugin.expect_start("s1").await;
    plugin.expect_event("message_received").await;
    plugin.ack_all().await;
    plugin.expect_end("s1").await;

    let mut gateway = world.gateway("gw").await;
    assert_eq!(gateway.welcome.resume_after, 3, "it says how much came");
    let receipt = gateway.send_again(1, life).await; // and yet all of it comes again
    assert_eq!((receipt.through_publish_seq, receipt.refused.len()), (3, 0));
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.counter("events_resent").await, 3);
}

#[tokio::test(start_paused = true)]
async fn of_a_resend_only_what_is_new_is_taken_in() {
    let world = World::new();
    let mut plugin = world.plugin("audit").hooks(&["message_*"]).caught_up().await;
    let mut gateway = world.gateway("gw").await;
    gateway.message("s1", "old").await;
    let old = plugin.expect_event("message_received").await;
    let again = ["old", "new"].map(|text| events::message(events::session("s1"), text));
    assert_eq!(gateway.send_again(1, again.to_vec()).await.through_publish_seq, 2);
    assert_ne!(plugin.expect_event("message_received").await.event.id, old.event.id);
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn each_emitter_counts_for_itself() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    let mut one = world.gateway("gw").await;
    let mut two = world.attach("gw").emitter("emitter-2").attach().await;
    one.start("s1").await;
    two.message("s1", "number 1 of the second").await;
    plugin.expect_start("s1").await;
    let second = plugin.expect_event("message_received").await;
    one.message("s1", "number 2 of the first").await;
    assert_ne!(plugin.expect_event("message_received").await.event.id, second.event.id);
}

#[tokio::test(start_paused = true)]
async fn an_emitter_on_a_new_stream_displaces_its_old_one() {
    let world = World::new();
    let mut old = world.gateway("gw").await;
    let mut new = world.gateway("gw").await;
    old.expect_goodbye(GoodbyeReason::Displaced).await;
    new.start("s1").await;
    assert_eq!(world.status().await.gateways[0].streams, 1);
}

#[tokio::test(start_paused = true)]
async fn bad_events_are_refused_one_by_one_with_the_reason() {
    let world = World::start(&Config { max_event_bytes: 1000, ..Config::default() });
    let mut plugin = world.plugin("audit").caught_up().await;
    let mut gateway = world.gateway("gw").await;
    let session = || events::session("s1");
    let receipt = gateway
        .offer(vec![
            events::start(session()),
            events::message(events::session(""), "an empty id"),
            events::message(session(), &"x".repeat(1000)),
            events::hooked(&"x".repeat(257), None, ""),
            events::hooked("", None, ""),
            events::start(events::by_key("k")),
            GatewayEvent { session: None, ..events::end(session(), SessionEndReason::New) },
            GatewayEvent {
                payload: Some(Payload::SessionStart(SessionStart::default())),
                ..events::message(session(), "")
            },
            events::message(SessionRef { key: "x".repeat(1025), ..session() }, ""),
            events::message(session(), "good"),
        ])
        .await;
    let refused: Vec<_> = receipt.refused.iter().map(|it| (it.publish_seq, it.code())).collect();
    let invalid = RefusalCode::Invalid;
    assert_eq!(
        refused,
        [
            (2, invalid),
            (3, RefusalCode::TooLarge),
            (4, invalid),
            (5, invalid),
            (6, invalid),
            (7, invalid),
            (8, invalid),
            (9, RefusalCode::TooLarge),
        ]
    );
    assert!(receipt.refused.iter().all(|it| !it.text.is_empty()));
    plugin.expect_start("s1").await;
    plugin.expect_event("message_received").await;
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.counter("events_refused").await, 8);
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_has_used_its_number() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.offer(vec![events::message(events::session(""), "")]).await;
    drop(gateway);
    assert_eq!(world.gateway("gw").await.welcome.resume_after, 1);
}

#[tokio::test(start_paused = true)]
async fn numbers_end_where_64_bits_do() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let event = || events::message(events::session("s1"), "");
    gateway.send(u64::MAX, vec![event(), event()]).await;
    assert_eq!(gateway.expect_receipt().await.through_publish_seq, u64::MAX);
    assert_eq!(world.counter("events_taken_in").await, 1, "the last number is good for one");
}

#[tokio::test(start_paused = true)]
async fn a_start_in_a_drained_boot_is_refused() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    world.drain("gw", StopReason::Shutdown, crate::BUDGET).await.report().await;
    let receipt = gateway.offer(vec![events::start(events::session("s1"))]).await;
    assert_eq!(receipt.refused[0].code(), RefusalCode::BootOver);
}

#[tokio::test(start_paused = true)]
async fn ids_do_not_depend_on_how_often_an_event_was_sent() {
    let mut ids = Vec::new();
    for resend in [false, true] {
        let world = World::new();
        let mut plugin = world.plugin("audit").hooks(&["cron_changed"]).caught_up().await;
        let mut gateway = world.gateway("gw").await;
        let event = vec![events::hooked("cron_changed", None, "tick")];
        gateway.offer(event.clone()).await;
        if resend {
            gateway.send_again(1, event).await;
        }
        ids.push(plugin.expect_event("cron_changed").await.event.id);
    }
    assert_eq!(ids[0], ids[1], "of (gateway, boot, emitter, number) and nothing else");
}
