//! What the gateway ended stays ended until its own session_start. What the dispatcher ended may go on.

use hookwire::config::Config;
use hookwire_harness::{World, events};
use hookwire_protocol::v1::{RefusalCode, SessionEndReason, StopReason};

use crate::{A_WHILE, BUDGET, ms};

#[tokio::test(start_paused = true)]
async fn an_event_behind_its_end_is_late_and_starts_nothing() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::Deleted).await;
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    for _ in 0..2 {
        gateway.message("s1", "straggling").await;
        let straggler = plugin.expect_event("message_received").await;
        assert!(straggler.event.late);
        assert_eq!((straggler.incarnation(), straggler.event.session_seq), (1, 0));
    }
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.status().await.live_sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn its_own_start_begins_another_life() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.end("s1", SessionEndReason::Reset).await;
    gateway.message("s1", "straggling").await;
    assert_eq!(plugin.expect_event("message_received").await.incarnation(), 0, "there never was a life");
    gateway.start("s1").await;
    assert_eq!(plugin.expect_start("s1").await.incarnation(), 1);
    gateway.message("s1", "alive").await;
    let alive = plugin.expect_event("message_received").await;
    assert_eq!((alive.incarnation(), alive.event.late), (1, false));
}

#[tokio::test(start_paused = true)]
async fn an_end_of_a_session_never_started_counts_too() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.end("s1", SessionEndReason::Deleted).await;
    gateway.message("s1", "straggling").await;
    let straggler = plugin.expect_event("message_received").await;
    assert!(straggler.event.late);
    assert_eq!(straggler.session_id(), "s1");
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_starts_again_with_any_event() {
    let world = World::start(&Config { gateway_grace: ms(10_000), ..Config::default() });
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*", "message_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    drop(gateway);
    plugin.expect_nothing_for(ms(9_999)).await;
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Lost);

    let mut gateway = world.gateway("gw").await; // the same boot: it had been cut off
    gateway.message("s1", "still here").await;
    let start = plugin.expect_start("s1").await;
    assert_eq!((start.incarnation(), start.event.synthetic), (2, true));
    assert_eq!(start.start().previous_reason(), SessionEndReason::Lost);
    assert!(!plugin.expect_event("message_received").await.event.late);
}

#[tokio::test(start_paused = true)]
async fn the_gateways_own_end_of_a_lost_life_is_dropped_and_holds() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*", "message_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    drop(gateway);
    plugin.expect_end("s1").await; // LOST

    let mut gateway = world.gateway("gw").await;
    gateway.end("s1", SessionEndReason::Idle).await;
    plugin.expect_nothing_for(A_WHILE).await;
    gateway.message("s1", "straggling").await;
    let straggler = plugin.expect_event("message_received").await;
    assert_eq!((straggler.event.late, straggler.incarnation()), (true, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_in_a_boot_that_drains() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*", "message_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let _drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;

    let receipt = gateway.offer(vec![events::start(events::session("s2"))]).await;
    assert_eq!(receipt.refused[0].code(), RefusalCode::BootOver);
    gateway.message("s3", "of a session nobody knows").await;
    let straggler = plugin.expect_event("message_received").await;
    assert_eq!((straggler.event.late, straggler.incarnation()), (true, 0));
    gateway.message("s1", "of one that just ended").await;
    let straggler = plugin.expect_event("message_received").await;
    assert_eq!((straggler.event.late, straggler.incarnation()), (true, 1));
}
