//! A boot ends by its Drain, by a newer boot, or by being lost; and its gateway_stop is told once, last.

use hookwire::config::Config;
use hookwire_harness::{Gateway, Plugin, World};
use hookwire_protocol::v1::{BootState, GoodbyeReason, SessionEndReason, StopReason};
use tonic::Code;

use crate::{A_WHILE, BUDGET, ms};

/// A session that the plugin saw start, and settled.
async fn one_session(world: &World) -> (Gateway, Plugin) {
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    hookwire_harness::at_rest().await;
    (gateway, plugin)
}

#[tokio::test(start_paused = true)]
async fn a_new_boot_ends_the_older_before_it_is_answered() {
    let world = World::new();
    let (mut older, mut plugin) = one_session(&world).await;
    let _newer = world.attach("gw").boot("boot-2").attach().await;
    assert_eq!(world.status().await.live_sessions, 0, "decided by now");
    older.expect_goodbye(GoodbyeReason::Displaced).await;
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Lost);
    plugin.expect_nothing_for(ms(10)).await;
    plugin.ack_all().await;
    let stop = plugin.expect_event("gateway_stop").await;
    assert_eq!((stop.event.boot_id.as_str(), stop.event.synthetic), ("boot-1", true));
}

#[tokio::test(start_paused = true)]
async fn a_boot_that_said_gateway_stop_ends_as_it_said() {
    for (said, reason) in [
        (StopReason::Shutdown, SessionEndReason::Shutdown),
        (StopReason::Restart, SessionEndReason::Restart),
        (StopReason::Unspecified, SessionEndReason::Shutdown),
    ] {
        let world = World::new();
        let (mut older, mut plugin) = one_session(&world).await;
        older.says_stop(said).await;
        plugin.expect_nothing_for(A_WHILE).await;
        let _newer = world.attach("gw").boot("boot-2").attach().await;
        assert_eq!(plugin.expect_end("s1").await.end().reason(), reason);
        plugin.ack_all().await;
        let stop = plugin.expect_event("gateway_stop").await;
        assert!(!stop.event.synthetic);
        plugin.ack_all().await;
        plugin.expect_nothing_for(A_WHILE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_sixteen_boots_that_are_over_are_refused() {
    let world = World::new();
    for boot in 1..=18 {
        world.attach("gw").boot(&format!("boot-{boot}")).attach().await;
    }
    for boot in 2..=17 {
        let status = world.attach("gw").boot(&format!("boot-{boot}")).refused().await;
        assert_eq!(status.code(), Code::FailedPrecondition, "boot-{boot}");
    }
    world.attach("gw").boot("boot-18").attach().await; // the live one may come again
}

#[tokio::test(start_paused = true)]
async fn a_drained_boot_is_over() {
    let world = World::new();
    let (_gateway, _plugin) = one_session(&world).await;
    world.drain("gw", StopReason::Restart, ms(10)).await.report().await;
    assert_eq!(world.attach("gw").refused().await.code(), Code::FailedPrecondition);
    assert_eq!(world.status().await.gateways[0].state(), BootState::Over);
    world.attach("gw").boot("boot-2").attach().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_vanishes_is_lost_exactly_after_its_grace() {
    let world = World::start(&Config { gateway_grace: ms(10_000), ..Config::default() });
    let (gateway, mut plugin) = one_session(&world).await;
    gateway.cut();
    plugin.expect_nothing_for(ms(9_999)).await;
    let end = plugin.expect_end("s1").await;
    assert_eq!((end.end().reason(), end.event.synthetic), (SessionEndReason::Lost, true));
    plugin.ack_all().await;
    plugin.expect_event("gateway_stop").await;
    assert_eq!(world.counter("gateways_lost").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_comes_back_in_time_lost_nothing() {
    let world = World::start(&Config { gateway_grace: ms(10_000), ..Config::default() });
    let (gateway, mut plugin) = one_session(&world).await;
    gateway.cut();
    plugin.expect_nothing_for(ms(9_999)).await;
    let mut gateway = world.gateway("gw").await;
    plugin.expect_nothing_for(ms(20_000)).await;
    gateway.end("s1", SessionEndReason::New).await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_there_while_any_of_its_streams_is() {
    let world = World::start(&Config { gateway_grace: ms(10_000), ..Config::default() });
    let (first, mut plugin) = one_session(&world).await;
    let mut second = world.attach("gw").emitter("emitter-2").attach().await;
    first.cut();
    plugin.expect_nothing_for(ms(30_000)).await;
    second.message("s1", "still here").await;
    plugin.expect_event("message_received").await;
    second.cut();
    plugin.expect_nothing_for(ms(9_999)).await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_stream_counts_as_gone() {
    let world = World::start(&Config { gateway_grace: ms(10_000), ..Config::default() });
    let (mut gateway, mut plugin) = one_session(&world).await;
    gateway.half_close();
    gateway.expect_closed(Code::Ok).await;
    assert_eq!(world.status().await.gateways[0].state(), BootState::Detached);
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_boot_that_said_gateway_stop_ends_as_it_said() {
    let world = World::new();
    let (mut gateway, mut plugin) = one_session(&world).await;
    gateway.says_stop(StopReason::Restart).await;
    drop(gateway);
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Restart);
}

#[tokio::test(start_paused = true)]
async fn a_boot_that_was_lost_and_came_back_ends_as_it_says_then() {
    let world = World::start(&Config { gateway_grace: ms(1_000), ..Config::default() });
    let (gateway, mut plugin) = one_session(&world).await;
    gateway.cut();
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Lost);
    plugin.ack_all().await;
    plugin.expect_event("gateway_stop").await;
    plugin.ack_all().await;

    let mut gateway = world.gateway("gw").await;
    gateway.start("s2").await;
    plugin.expect_start("s2").await;
    plugin.ack_all().await;
    gateway.says_stop(StopReason::Restart).await;
    let _newer = world.attach("gw").boot("boot-2").attach().await;
    assert_eq!(plugin.expect_end("s2").await.end().reason(), SessionEndReason::Restart);
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await; // its gateway_stop was told: once a boot
}

#[tokio::test(start_paused = true)]
async fn gateway_stop_is_told_once_a_boot_and_to_those_who_are_there() {
    let world = World::new();
    let (gateway, mut plugin) = one_session(&world).await;
    drop(gateway);
    plugin.expect_end("s1").await; // lost
    plugin.ack_all().await;
    plugin.expect_event("gateway_stop").await;
    plugin.ack_all().await;

    let _gateway = world.gateway("gw").await;
    let mut late = world.plugin("late").caught_up().await;
    let (report, took) = world.drain("gw", StopReason::Shutdown, BUDGET).await.timed().await;
    assert_eq!((report.sessions_ended, took), (0, ms(0)), "there is nothing to wait for");
    late.expect_notice().await;
    late.expect_summary().await;
    plugin.expect_notice().await;
    plugin.expect_summary().await;
    plugin.expect_nothing_for(A_WHILE).await;
}
