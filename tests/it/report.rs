//! The report's numbers add up, and are what the plugins saw.

use hookwire_harness::{Delivery, Plugin, World, at_rest};
use hookwire_protocol::v1::{
    AckStatus, DrainReport, SessionEndReason, SlowestEnd, StopReason, SubscriberReport,
};
use tokio::time::sleep;

use crate::{BUDGET, ms};

const SESSIONS: [&str; 5] = ["s1", "s2", "s3", "s4", "s5"];

/// A plugin that has seen five sessions start, and settled that.
async fn five(world: &World, gateway: &mut hookwire_harness::Gateway, id: &str) -> Plugin {
    let mut plugin = world.plugin(id).hooks(&["session_*"]).caught_up().await;
    for session in SESSIONS {
        gateway.start(session).await;
        plugin.expect_start(session).await;
    }
    plugin.ack_all().await;
    at_rest().await;
    plugin
}

async fn five_ends(plugin: &mut Plugin) -> Vec<Delivery> {
    let mut ends = Vec::new();
    for session in SESSIONS {
        ends.push(plugin.expect_end(session).await);
    }
    ends
}

fn row<'a>(report: &'a DrainReport, id: &str) -> &'a SubscriberReport {
    report.subscribers.iter().find(|row| row.id == id).expect("everybody who is known has a row")
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_answer_is_counted_where_it_belongs() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = five(&world, &mut gateway, "audit").await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    let ends = five_ends(&mut plugin).await;
    sleep(ms(30)).await;
    plugin.answer(&ends[0], AckStatus::Ok).await;
    plugin.answer(&ends[1], AckStatus::Accepted).await;
    sleep(ms(10)).await;
    plugin.answer(&ends[2], AckStatus::Reject).await;
    plugin.retry(&ends[3], ms(60_000)).await;
    let summary = plugin.expect_summary().await; // and nothing for the fifth

    let report = drain.report().await;
    let expected = SubscriberReport {
        id: "audit".into(),
        owed: 5,
        acked: 1,
        accepted: 1,
        rejected: 1,
        timed_out: 1,
        unreachable: 0,
        retried: 1,
        carried_over: 2,
        slowest: Some(SlowestEnd { session: "s3".into(), ms: 40 }),
    };
    assert_eq!(report.subscribers, [expected]);
    assert_eq!((report.elapsed_ms, report.last_ack_ms, report.sessions_ended), (2000, Some(40), 5));
    assert!(!report.durable, "the ledger is in memory");
    let told = (summary.owed, summary.acked, summary.accepted, summary.rejected, summary.carried_over);
    assert_eq!(told, (5, 1, 1, 1, 2));
    assert_eq!((summary.timed_out, summary.unreachable, summary.retried), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn everybody_who_is_known_has_a_row_in_order() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let _idle = world.plugin("c").hooks(&["nothing"]).caught_up().await;
    let _mute = five(&world, &mut gateway, "b").await;
    drop(world.plugin("a").caught_up().await);
    at_rest().await;
    let report = world.drain("gw", StopReason::Shutdown, BUDGET).await.report().await;
    let rows: Vec<_> = report.subscribers.iter().map(|row| (row.id.as_str(), row.owed)).collect();
    assert_eq!(rows, [("a", 0), ("b", 5), ("c", 0)]);
}

#[tokio::test(start_paused = true)]
async fn ends_in_flight_and_those_of_earlier_boots_are_owed_as_well() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = five(&world, &mut gateway, "audit").await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await; // in flight
    world.drain("gw", StopReason::Restart, ms(10)).await.report().await;

    let mut gateway = world.attach("gw").boot("boot-2").attach().await;
    gateway.start("s6").await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(10)).await;
    let report = drain.report().await;
    let row = row(&report, "audit");
    // s6 was written, but waits for its start's answer: it is owed like the five from before.
    assert_eq!((report.sessions_ended, row.owed, row.timed_out), (1, 6, 6));
}

#[tokio::test(start_paused = true)]
async fn what_is_let_go_of_during_a_drain_counts_as_rejected() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = five(&world, &mut gateway, "audit").await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    plugin.leave(true).await;
    let (report, took) = drain.timed().await;
    let row = row(&report, "audit");
    assert_eq!((row.owed, row.acked, row.rejected, row.carried_over), (5, 1, 4, 0));
    assert_eq!(took, ms(0));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_goes_away_and_stays_away_was_unreachable() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = five(&world, &mut gateway, "audit").await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.expect_end("s2").await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();
    let report = drain.report().await;
    let row = row(&report, "audit");
    assert_eq!((row.acked, row.unreachable, row.timed_out), (2, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_report_is_what_the_plugins_saw() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut whole = five(&world, &mut gateway, "whole").await;
    // It came late, and has seen only what began since.
    let mut late = world.plugin("late").hooks(&["session_*"]).caught_up().await;
    gateway.start("s6").await;
    late.expect_start("s6").await;
    late.ack_all().await;
    whole.expect_start("s6").await;
    whole.ack_all().await;
    at_rest().await;

    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    assert_eq!(whole.expect_notice().await.ends_owed, 6);
    assert_eq!(late.expect_notice().await.ends_owed, 1);
    five_ends(&mut whole).await;
    whole.expect_end("s6").await;
    late.expect_end("s6").await;
    whole.ack_all().await;
    late.ack_all().await;
    assert_eq!((whole.expect_summary().await.acked, late.expect_summary().await.acked), (6, 1));
    let report = drain.report().await;
    assert_eq!((row(&report, "whole").acked, row(&report, "late").acked), (6, 1));
    assert_eq!(report.sessions_ended, 6);
}
