//! Peers that mean harm: whatever they say, they harm nobody but themselves.

use std::time::Duration;

use hookwire_harness::{Gateway, Plugin, World, at_rest, events};
use hookwire_protocol::v1::{Ack, AckStatus, RefusalCode, SessionEndReason, StopReason};

use crate::ms;

/// Events that are more than a link and HTTP/2 hold while nobody reads.
const EVENTS: usize = 40;

/// Their size, in bytes.
const LARGE: usize = 100 << 10;

#[tokio::test(start_paused = true)]
async fn an_entry_that_closes_while_its_end_waits_behind_its_events_gets_no_end() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let (mut plugin, _other) = rejects_late(&world, &mut gateway).await;
    gateway.start("s2").await;
    for _ in 0..EVENTS {
        plugin.expect_event("message_received").await;
    }
    plugin.expect_start("s2").await; // not the end of what it has rejected
    plugin.ack_all().await;
    gateway.end("s2", SessionEndReason::New).await;
    plugin.expect_end("s2").await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_closes_while_its_end_waits_behind_its_events_costs_no_other_end() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let (mut plugin, mut other) = rejects_late(&world, &mut gateway).await;
    other.ack_all().await; // the last one that holds this life
    other.expect_end("s1").await;
    other.ack_all().await;
    at_rest().await;
    gateway.start("s2").await;
    for _ in 0..EVENTS {
        plugin.expect_event("message_received").await;
    }
    plugin.expect_start("s2").await;
    plugin.ack_all().await;
    gateway.end("s2", SessionEndReason::New).await;
    plugin.expect_end("s2").await;
}

/// A plugin that does not read, and rejects an announced start once its end stands behind all of its events; and one
/// that was handed the same start.
async fn rejects_late(world: &World, gateway: &mut Gateway) -> (Plugin, Plugin) {
    let mut plugin = world.plugin("audit").caught_up().await;
    let mut other = world.plugin("other").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    other.expect_start("s1").await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();
    at_rest().await;
    let mut plugin = world.plugin("audit").instance("audit-2").announce().window(1).connect().await;
    let announced = plugin.expect_start("s1").await;
    plugin.expect_caught_up().await;
    for _ in 0..EVENTS {
        gateway.message("s1", &"x".repeat(LARGE)).await;
    }
    gateway.end("s1", SessionEndReason::New).await;
    at_rest().await; // the end has taken its events along
    plugin.answer(&announced, AckStatus::Reject).await;
    at_rest().await;
    (plugin, other)
}

#[tokio::test(start_paused = true)]
async fn the_largest_publish_seq_is_the_last() {
    let world = World::new();
    let (mut hostile, mut gateway) = (world.gateway("hostile").await, world.gateway("gw").await);
    let start = |id| events::start(events::session(id));
    let receipt = hostile.send_again(u64::MAX, vec![start("s1"), start("s2")]).await;
    assert_eq!(receipt.through_publish_seq, u64::MAX);
    assert_eq!(receipt.refused.len(), 1, "there is no number for it");
    assert_eq!(receipt.refused[0].code(), RefusalCode::Invalid);
    gateway.start("s3").await;
    assert_eq!(world.status().await.live_sessions, 2);
}

#[tokio::test(start_paused = true)]
async fn publish_seq_0_is_refused_not_taken_for_a_resend() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let receipt = gateway.send_again(0, vec![events::start(events::session("s1"))]).await;
    assert_eq!(receipt.refused.len(), 1);
    assert_eq!((receipt.refused[0].publish_seq, receipt.refused[0].code()), (0, RefusalCode::Invalid));
    gateway.start("s2").await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_without_end_is_no_fault() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.start("s1").await;
    let dispatcher = world.dispatcher();
    let report = dispatcher.drain("gw", StopReason::Shutdown, Duration::MAX).await.unwrap();
    assert_eq!(report.sessions_ended, 1);
    let stopping = world.stop(StopReason::Shutdown, Duration::MAX).await;
    stopping.report().await;
}

#[tokio::test(start_paused = true)]
async fn hooks_that_one_gateway_makes_up_leave_room_for_those_that_are_known() {
    let world = World::new();
    let (mut hostile, mut gateway) = (world.gateway("hostile").await, world.gateway("gw").await);
    let made_up = (0..5000).map(|number| events::hooked(&format!("made_up_{number}"), None, "x")).collect();
    hostile.offer(made_up).await;
    gateway.message("s1", "hello").await;
}

#[tokio::test(start_paused = true)]
async fn acks_for_numbers_beyond_all_change_nothing() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    for seq in [0, 2, u64::MAX] {
        plugin.send_ack(Ack { through_seq: seq, exceptions: Vec::new() }).await;
    }
    assert_eq!(world.counter("acks_unknown").await, 2);
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
    plugin.expect_nothing_for(ms(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_asker_has_gone_costs_nothing_while_it_lasts() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    at_rest().await;
    let idle = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for _ in 0..20 {
        drop(world.drain("gw", StopReason::Shutdown, Duration::from_secs(3600)).await);
    }
    at_rest().await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(alive <= idle, "{alive} tasks, {idle} before");
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_before_a_drain_is_no_answer_in_it() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let start = plugin.expect_start("s1").await;
    plugin.retry(&start, Duration::from_secs(3600)).await;
    at_rest().await;
    let report = world.drain("gw", StopReason::Shutdown, ms(500)).await.report().await;
    assert_eq!((report.subscribers[0].owed, report.subscribers[0].retried), (1, 1));
    assert_eq!(report.last_ack_ms, None);
}
