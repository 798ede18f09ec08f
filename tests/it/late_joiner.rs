//! Who comes late gets no end for what it saw no start of; who asks is named what is alive.

use hookwire_harness::{World, at_rest, events};
use hookwire_protocol::v1::{BatchKind, SessionEndReason};

use crate::A_WHILE;

#[tokio::test(start_paused = true)]
async fn without_announcing_there_is_no_start_and_no_end() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.start("s1").await;
    let mut late = world.plugin("late").caught_up().await;
    gateway.message("s1", "hello").await;
    assert_eq!(late.expect_event("message_received").await.incarnation(), 1);
    late.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    late.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn with_announcing_every_live_session_is_named_and_ends() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut early = world.plugin("early").caught_up().await;
    for session in ["s1", "s2", "over"] {
        gateway.start(session).await;
    }
    gateway.end("over", SessionEndReason::New).await;
    let original = early.expect_start("s1").await;

    let mut late = world.plugin("late").announce().connect().await;
    let announced = late.expect_start("s1").await;
    assert_eq!((announced.kind, &announced.event), (BatchKind::Announced, &original.event));
    late.expect_start("s2").await;
    let caught_up = late.expect_caught_up().await;
    assert_eq!((caught_up.replayed, caught_up.announced), (0, 2));

    late.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    late.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn an_announced_start_has_to_be_settled_like_any_other() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.start("s1").await;
    let mut late = world.plugin("late").announce().connect().await;
    late.expect_start("s1").await;
    late.expect_caught_up().await;
    gateway.end("s1", SessionEndReason::New).await;
    late.expect_nothing_for(A_WHILE).await;
    late.cut();

    let mut late = world.plugin("late").connect().await;
    assert_eq!(late.expect_start("s1").await.kind, BatchKind::Redelivered);
    late.ack_all().await;
    late.expect_end("s1").await;
    late.expect_caught_up().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_settled_before_is_named_as_well_and_what_ended_is_not() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    for session in ["alive", "over"] {
        gateway.start(session).await;
        plugin.expect_start(session).await;
    }
    plugin.ack_all().await;
    gateway.end("over", SessionEndReason::New).await;
    plugin.expect_end("over").await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();

    // Whatever it holds open and is not named before CaughtUp, it can sweep.
    let mut plugin = world.plugin("audit").announce().connect().await;
    assert_eq!(plugin.expect_start("alive").await.kind, BatchKind::Announced);
    assert_eq!(plugin.expect_caught_up().await.announced, 1);
    gateway.end("alive", SessionEndReason::New).await;
    plugin.expect_end("alive").await; // its start was settled before this stream
}

#[tokio::test(start_paused = true)]
async fn only_what_the_filter_lets_through_is_named() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.publish(events::start(events::keyed("s1", "agent:main"))).await;
    gateway.publish(events::start(events::keyed("s2", "agent:side"))).await;
    let mut late = world.plugin("late").announce().keys(&["agent:side"]).connect().await;
    late.expect_start("s2").await;
    assert_eq!(late.expect_caught_up().await.announced, 1);
    world.plugin("deaf").announce().hooks(&["message_*"]).caught_up().await;
}
