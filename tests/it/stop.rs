//! The dispatcher stops: it drains every boot under one deadline, says Goodbye, and takes nothing new in.

use hookwire::config::Config;
use hookwire_harness::{Plugin, World, events};
use hookwire_protocol::v1::{GoodbyeReason, SessionEndReason, StopReason};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{BUDGET, ms};

/// One session that this plugin saw start; settled, unless it is "mute".
async fn one_session(world: &World, id: &str) -> (hookwire_harness::Gateway, Plugin) {
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin(id).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    if id != "mute" {
        plugin.ack_all().await;
        hookwire_harness::at_rest().await;
    }
    (gateway, plugin)
}

#[tokio::test(start_paused = true)]
async fn ends_then_gateway_stop_then_summary_then_goodbye() {
    let world = World::new();
    let (mut gateway, mut plugin) = one_session(&world, "audit").await;
    let stopping = world.stop(StopReason::Restart, BUDGET).await;
    assert_eq!(plugin.expect_notice().await.reason(), StopReason::Restart);
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Restart);
    plugin.ack_all().await;
    assert!(plugin.expect_event("gateway_stop").await.event.synthetic);
    assert_eq!(plugin.expect_summary().await.acked, 1);
    plugin.expect_nothing_for(ms(50)).await;
    plugin.ack_all().await;
    let goodbye = plugin.expect_goodbye(GoodbyeReason::Stopping).await;
    assert!(goodbye.reconnect_after_ms > 0, "{goodbye:?}");
    gateway.expect_goodbye(GoodbyeReason::Stopping).await;
    let report = stopping.report().await;
    assert_eq!((report.scope.as_str(), report.reason()), ("all", StopReason::Restart));
    assert_eq!((report.sessions_ended, report.elapsed_ms), (1, 50));
}

#[tokio::test(start_paused = true)]
async fn every_boot_is_drained_under_one_deadline() {
    let world = World::new();
    let (_one, mut mute) = one_session(&world, "mute").await;
    let mut two = world.gateway("two").await;
    two.start("s2").await;
    mute.expect_start("s2").await;
    let began = Instant::now();
    let report = world.stop(StopReason::Shutdown, ms(700)).await.report().await;
    assert_eq!((report.elapsed_ms, report.sessions_ended), (700, 2));
    assert_eq!((report.subscribers[0].owed, report.subscribers[0].timed_out), (2, 2));
    assert_eq!(began.elapsed(), ms(700), "it took its Goodbye at once");
}

#[tokio::test(start_paused = true)]
async fn new_calls_are_told_to_come_back_later() {
    let world = World::new();
    let (mut gateway, _mute) = one_session(&world, "mute").await;
    let stopping = world.stop(StopReason::Shutdown, BUDGET).await;
    assert_eq!(world.plugin("late").refused().await.code(), Code::Unavailable);
    assert_eq!(world.attach("late").refused().await.code(), Code::Unavailable);
    gateway.send(2, vec![events::start(events::session("s2"))]).await;
    gateway.expect_goodbye(GoodbyeReason::Stopping).await; // and no receipt: it sends that again elsewhere
    assert_eq!(stopping.report().await.sessions_ended, 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_leaves_200_ms() {
    let world = World::new();
    let (_gateway, mut mute) = one_session(&world, "mute").await;
    let began = Instant::now();
    let stopping = world.stop(StopReason::Shutdown, ms(60_000)).await;
    sleep(ms(300)).await;
    stopping.hurry();
    let report = stopping.report().await;
    assert_eq!((report.elapsed_ms, report.budget_ms), (500, 60_000));
    assert_eq!(began.elapsed(), ms(500));
    mute.expect_notice().await;
    mute.expect_event("gateway_stop").await;
    mute.expect_summary().await;
    mute.expect_goodbye(GoodbyeReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_gives_no_time_back() {
    let world = World::new();
    let (_gateway, _mute) = one_session(&world, "mute").await;
    let stopping = world.stop(StopReason::Shutdown, ms(400)).await;
    sleep(ms(300)).await;
    stopping.hurry();
    assert_eq!(stopping.report().await.elapsed_ms, 400);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_under_way_is_joined() {
    let world = World::new();
    let (_gateway, _mute) = one_session(&world, "mute").await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(5000)).await;
    sleep(ms(100)).await;
    let stopped = world.stop(StopReason::Shutdown, ms(1000)).await.report().await;
    let (drained, took) = drain.timed().await;
    assert_eq!((took, drained.elapsed_ms, stopped.elapsed_ms), (ms(1100), 1100, 1100));
    assert_eq!(stopped.subscribers, drained.subscribers);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_read_holds_nothing_up() {
    let world = World::start(&Config::default());
    let (mut gateway, _stuck) = one_session(&world, "mute").await;
    let long = "x".repeat(32 << 10);
    for _ in 0..100 {
        gateway.publish(events::message(events::session("s1"), &long)).await;
    }
    let began = Instant::now();
    world.stop(StopReason::Shutdown, ms(500)).await.report().await;
    assert_eq!(began.elapsed(), ms(600), "the budget, and a moment for the last words");
}

#[tokio::test(start_paused = true)]
async fn without_anybody_it_is_over_at_once() {
    let world = World::new();
    let began = Instant::now();
    let report = world.stop(StopReason::Shutdown, BUDGET).await.report().await;
    assert_eq!((report.scope.as_str(), report.sessions_ended, report.subscribers.len()), ("all", 0, 0));
    assert_eq!(began.elapsed(), ms(0));
}
