//! A drain ends at its deadline, to the millisecond, and with the last answer if that comes earlier.

use hookwire_harness::{Plugin, World};
use hookwire_protocol::v1::StopReason;
use tokio::time::sleep;

use crate::ms;

/// A world with one session that each of these has seen start; those that are named "mute" have not answered.
async fn world_of(names: &[&str]) -> (World, hookwire_harness::Gateway, Vec<Plugin>) {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugins = Vec::new();
    for name in names {
        plugins.push(world.plugin(name).caught_up().await);
    }
    gateway.start("s1").await;
    for plugin in &mut plugins {
        plugin.expect_start("s1").await;
        if plugin.id() != "mute" {
            plugin.ack_all().await;
        }
    }
    (world, gateway, plugins)
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_never_acks_costs_exactly_the_budget() {
    for budget in [1, 250, 2000] {
        let (world, _gateway, mut plugins) = world_of(&["mute"]).await;
        let drain = world.drain("gw", StopReason::Shutdown, ms(budget)).await;
        let (report, took) = drain.timed().await;
        assert_eq!((took, report.elapsed_ms, report.budget_ms), (ms(budget), budget as u32, budget as u32));
        assert_eq!((report.last_ack_ms, report.subscribers[0].timed_out), (None, 1));

        // No end came, since the start was never settled; the gateway_stop and the summary came at the deadline.
        let mute = &mut plugins[0];
        mute.expect_notice().await;
        mute.expect_event("gateway_stop").await;
        let summary = mute.expect_summary().await;
        assert_eq!((summary.elapsed_ms, summary.timed_out), (budget as u32, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_acked_costs_exactly_the_budget() {
    let (world, _gateway, mut plugins) = world_of(&["audit"]).await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    let audit = &mut plugins[0];
    audit.expect_notice().await;
    audit.expect_end("s1").await;
    audit.expect_nothing_for(ms(1999)).await;
    audit.expect_event("gateway_stop").await;
    assert_eq!(audit.expect_summary().await.elapsed_ms, 2000);
    assert_eq!(drain.timed().await.1, ms(2000));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_stop_that_is_not_acked_costs_exactly_the_budget() {
    let (world, _gateway, mut plugins) = world_of(&["audit"]).await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    let audit = &mut plugins[0];
    audit.expect_notice().await;
    audit.expect_end("s1").await;
    audit.ack_all().await;
    audit.expect_event("gateway_stop").await;
    assert_eq!(audit.expect_summary().await.acked, 1);
    let (report, took) = drain.timed().await;
    assert_eq!((took, report.last_ack_ms, report.subscribers[0].acked), (ms(2000), Some(0), 1));
}

#[tokio::test(start_paused = true)]
async fn where_all_ack_it_is_over_with_the_last_answer() {
    let (world, _gateway, mut plugins) = world_of(&["a", "b", "c"]).await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    for plugin in &mut plugins {
        plugin.expect_notice().await;
        plugin.expect_end("s1").await;
        sleep(ms(30)).await;
        plugin.ack_all().await;
        plugin.expect_event("gateway_stop").await;
        plugin.ack_all().await;
        plugin.expect_summary().await;
    }
    let (report, took) = drain.timed().await;
    assert_eq!((report.elapsed_ms, report.last_ack_ms, took), (90, Some(90), ms(90)));
    let settled: Vec<_> = report.subscribers.iter().map(|row| row.slowest.as_ref().map(|it| it.ms)).collect();
    assert_eq!(settled, [Some(30), Some(60), Some(90)]);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_there_it_takes_no_time() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.start("s1").await;
    let (report, took) = world.drain("gw", StopReason::Shutdown, ms(2000)).await.timed().await;
    assert_eq!((report.elapsed_ms, report.last_ack_ms, took), (0, None, ms(0)));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_hangs_spends_nobody_elses_budget() {
    let (world, _gateway, plugins) = world_of(&["mute", "slow", "swift"]).await;
    let Ok([mut mute, mut slow, mut swift]) = <[Plugin; 3]>::try_from(plugins) else { panic!("three") };
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    swift.expect_notice().await;
    assert_eq!(swift.expect_end("s1").await.budget_ms, 2000);
    swift.ack_all().await;
    swift.expect_event("gateway_stop").await;
    swift.ack_all().await;
    assert_eq!(swift.expect_summary().await.elapsed_ms, 0);

    slow.expect_notice().await;
    assert_eq!(slow.expect_end("s1").await.budget_ms, 2000, "the whole of it");
    sleep(ms(1900)).await;
    slow.ack_all().await;
    slow.expect_event("gateway_stop").await;
    slow.ack_all().await;
    assert_eq!(slow.expect_summary().await.elapsed_ms, 1900);

    mute.expect_notice().await;
    mute.expect_nothing_for(ms(99)).await;
    mute.expect_event("gateway_stop").await;
    assert_eq!(mute.expect_summary().await.elapsed_ms, 2000);
    let (report, took) = drain.timed().await;
    assert_eq!((took, report.last_ack_ms), (ms(2000), Some(1900)));
}

#[tokio::test(start_paused = true)]
async fn without_any_budget_it_is_over_at_once() {
    let (world, _gateway, _plugins) = world_of(&["audit"]).await;
    let (report, took) = world.drain("gw", StopReason::Shutdown, ms(0)).await.timed().await;
    assert_eq!((took, report.subscribers[0].carried_over), (ms(0), 1));
}

#[tokio::test(start_paused = true)]
async fn progress_tells_what_is_settled_what_is_left_and_who_is_waited_for() {
    let (world, _gateway, plugins) = world_of(&["mute", "swift"]).await;
    let Ok([_mute, mut swift]) = <[Plugin; 2]>::try_from(plugins) else { panic!("two") };
    let mut drain = world.drain("gw", StopReason::Shutdown, ms(1000)).await;
    swift.expect_notice().await;
    swift.expect_end("s1").await;
    sleep(ms(150)).await;
    swift.ack_all().await;
    swift.expect_event("gateway_stop").await;
    swift.ack_all().await;
    let mut last = drain.progress().await;
    assert_eq!((last.owed, last.settled, last.waiting_for.join(",").as_str()), (2, 0, "mute,swift"));
    while last.left_ms > 500 {
        last = drain.progress().await;
    }
    assert_eq!((last.owed, last.settled, last.waiting_for.join(",").as_str()), (2, 1, "mute"));
    assert_eq!(drain.timed().await.1, ms(1000));
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_joins_the_first_and_the_earlier_deadline_wins() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut mute = world.plugin("mute").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    mute.expect_start("s1").await;
    let first = world.drain("gw", StopReason::Shutdown, ms(5000)).await;
    mute.expect_notice().await;
    sleep(ms(1000)).await;
    let second = world.drain("gw", StopReason::Restart, ms(500)).await;
    mute.expect_nothing_for(ms(499)).await; // told once
    assert_eq!(mute.expect_summary().await.timed_out, 1);
    let ((first, one), (second, two)) = (first.timed().await, second.timed().await);
    assert_eq!((one, two), (ms(1500), ms(500)));
    assert_eq!((first.reason(), first.elapsed_ms), (StopReason::Shutdown, 1500));
    assert_eq!(first, second, "the same report");
}

#[tokio::test(start_paused = true)]
async fn a_later_deadline_changes_nothing() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut mute = world.plugin("mute").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    mute.expect_start("s1").await;
    let first = world.drain("gw", StopReason::Shutdown, ms(1000)).await;
    let second = world.drain("gw", StopReason::Shutdown, ms(9000)).await;
    assert_eq!((first.timed().await.1, second.timed().await.1), (ms(1000), ms(1000)));
}
