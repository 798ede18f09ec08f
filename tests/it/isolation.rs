//! One plugin never delays another, whatever it does.

use std::time::Duration;

use hookwire_harness::{World, events};
use hookwire_protocol::v1::SessionEndReason;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_read_delays_nobody() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let _stuck = world.plugin("stuck").caught_up().await;
    let mut swift = world.plugin("swift").caught_up().await;
    let began = Instant::now();
    gateway.start("s1").await;
    swift.expect_start("s1").await;
    let long = "x".repeat(32 << 10);
    for _ in 0..100 {
        gateway.publish(events::message(events::session("s1"), &long)).await;
        swift.expect_event("message_received").await;
        swift.ack_all().await;
    }
    gateway.end("s1", SessionEndReason::New).await;
    swift.expect_end("s1").await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_never_acks_holds_back_nobodys_ends() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut mute = world.plugin("mute").caught_up().await;
    let mut swift = world.plugin("swift").caught_up().await;
    let began = Instant::now();
    for _ in 0..10 {
        gateway.start("s1").await;
        swift.expect_start("s1").await;
        swift.ack_all().await;
        gateway.end("s1", SessionEndReason::Reset).await;
        swift.expect_end("s1").await;
        swift.ack_all().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    mute.expect_start("s1").await;
    assert_eq!(world.counter("acks_ok").await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_whose_connection_breaks_takes_nobody_along() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let doomed = world.plugin("doomed").caught_up().await;
    let mut swift = world.plugin("swift").caught_up().await;
    gateway.start("s1").await;
    doomed.cut();
    gateway.message("s1", "still here").await;
    swift.expect_start("s1").await;
    swift.expect_event("message_received").await;
    drop(doomed);
    gateway.message("s1", "and still").await;
    swift.expect_event("message_received").await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_reads_no_receipts_delays_no_other() {
    let world = World::new();
    let mut deaf = world.gateway("deaf").await;
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["message_received"]).caught_up().await;
    for seq in 1..=40 {
        deaf.send(seq, vec![events::start(events::session(&seq.to_string()))]).await;
    }
    let began = Instant::now();
    gateway.message("s1", "hello").await;
    plugin.expect_event("message_received").await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}
