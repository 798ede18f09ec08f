//! A plugin that comes back is handed what it is still owed, in order, and told what it lost.

use hookwire_harness::{World, at_rest};
use hookwire_protocol::v1::{AckStatus, BatchKind, GapCause, SessionEndReason};

use crate::{A_WHILE, ms};

#[tokio::test(start_paused = true)]
async fn a_start_that_was_not_settled_comes_again_then_its_end_then_caught_up() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let first = plugin.expect_start("s1").await;
    drop(plugin); // it crashed before it could answer
    gateway.end("s1", SessionEndReason::New).await;

    let mut plugin = world.plugin("audit").connect().await;
    let welcome = &plugin.welcome;
    assert_eq!((welcome.known, welcome.starts_to_replay, welcome.ends_owed), (true, 1, 1));
    let start = plugin.expect_start("s1").await;
    assert_eq!((start.kind, start.seq, &start.event), (BatchKind::Redelivered, 1, &first.event));
    plugin.expect_nothing_for(A_WHILE).await; // neither the end nor CaughtUp before the start is settled
    plugin.ack_all().await;
    assert_eq!(plugin.expect_end("s1").await.kind, BatchKind::Redelivered);
    let caught_up = plugin.expect_caught_up().await;
    assert_eq!((caught_up.replayed, caught_up.announced), (2, 0));
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_not_settled_comes_again_alone() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    let first = plugin.expect_end("s1").await;
    plugin.cut();

    let mut plugin = world.plugin("audit").connect().await;
    let end = plugin.expect_end("s1").await;
    assert_eq!((end.kind, &end.event), (BatchKind::Redelivered, &first.event));
    assert_eq!(plugin.expect_caught_up().await.replayed, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_does_not_come_again() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("over").await;
    gateway.start("alive").await;
    plugin.expect_start("over").await;
    plugin.expect_start("alive").await;
    plugin.ack_all().await;
    gateway.end("over", SessionEndReason::New).await;
    plugin.expect_end("over").await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();

    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.end("alive", SessionEndReason::New).await;
    assert_eq!(plugin.expect_end("alive").await.kind, BatchKind::Live);
}

#[tokio::test(start_paused = true)]
async fn open_entries_come_in_order_of_incarnation() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    for session in ["s1", "s2", "s3"] {
        gateway.start(session).await;
        plugin.expect_start(session).await;
    }
    plugin.ack(2).await; // s1 and s2, but not s3
    at_rest().await;
    plugin.cut();
    gateway.end("s2", SessionEndReason::New).await;
    gateway.end("s1", SessionEndReason::New).await;

    let mut plugin = world.plugin("audit").connect().await;
    plugin.expect_end("s1").await;
    plugin.expect_end("s2").await;
    plugin.expect_start("s3").await;
    assert_eq!(plugin.expect_caught_up().await.replayed, 3);
}

#[tokio::test(start_paused = true)]
async fn live_events_wait_until_it_has_caught_up() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.cut();
    gateway.end("s1", SessionEndReason::Reset).await;

    let mut plugin = world.plugin("audit").connect().await;
    plugin.expect_start("s1").await;
    gateway.start("s1").await; // a second life, while the first is still replayed
    gateway.message("s2", "of another").await;
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack_all().await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 1);
    plugin.expect_caught_up().await;
    assert_eq!(plugin.expect_start("s1").await.incarnation(), 2);
    plugin.expect_start("s2").await;
    assert_eq!(plugin.expect_event("message_received").await.kind, BatchKind::Live);
}

#[tokio::test(start_paused = true)]
async fn ordinary_events_that_were_missed_are_one_gap() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").window(2).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    for text in ["answered", "in flight", "queued", "queued, too"] {
        gateway.message("s1", text).await;
    }
    let answered = plugin.expect_event("message_received").await;
    plugin.answer(&answered, AckStatus::Ok).await;
    plugin.expect_event("message_received").await;
    plugin.expect_event("message_received").await;
    plugin.cut();
    at_rest().await;
    gateway.message("s1", "while away").await;

    let mut plugin = world.plugin("audit").connect().await;
    let gap = plugin.expect_gap(GapCause::Away).await;
    assert_eq!(gap.count, 4);
    plugin.expect_caught_up().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_life_that_began_while_it_was_away_is_live_if_it_still_is() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    drop(world.plugin("audit").caught_up().await);
    at_rest().await;
    gateway.start("came and went").await;
    gateway.end("came and went", SessionEndReason::New).await;
    gateway.start("came").await;

    let mut plugin = world.plugin("audit").connect().await;
    assert_eq!(plugin.welcome.starts_to_replay, 0, "it was never handed one");
    assert_eq!(plugin.expect_caught_up().await.replayed, 0);
    assert_eq!(plugin.expect_start("came").await.kind, BatchKind::Live);
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn caught_up_does_not_wait_for_a_retry() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.cut();
    gateway.end("s1", SessionEndReason::New).await;

    let mut plugin = world.plugin("audit").connect().await;
    let start = plugin.expect_start("s1").await;
    plugin.retry(&start, ms(500)).await;
    plugin.expect_caught_up().await;
    plugin.expect_nothing_for(ms(499)).await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_pending_at_the_break_is_replayed_at_once_and_once() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let start = plugin.expect_start("s1").await;
    plugin.retry(&start, ms(500)).await;
    at_rest().await;
    plugin.cut();

    let mut plugin = world.plugin("audit").connect().await;
    plugin.expect_start("s1").await;
    plugin.expect_caught_up().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_releases_is_owed_nothing_and_not_known() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.leave(true).await;
    plugin.expect_goodbye(hookwire_protocol::v1::GoodbyeReason::Bye).await;
    assert_eq!(world.counter("entries_released").await, 1);

    let mut plugin = world.plugin("audit").caught_up().await;
    assert!(!plugin.welcome.known, "nothing that it holds from before will be ended");
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_nothing_for(A_WHILE).await;
}
