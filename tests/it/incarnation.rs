//! An id can live many times; each life has a number, and that number is the identity.

use std::collections::BTreeSet;

use hookwire_harness::World;
use hookwire_protocol::v1::{SessionEndReason, StopReason};

use crate::BUDGET;

#[tokio::test(start_paused = true)]
async fn a_reset_keeps_the_id_and_begins_another_life() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let first = plugin.expect_start("s1").await;
    assert_eq!((first.incarnation(), first.start().previous_incarnation), (1, 0));
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::Reset).await;
    let end = plugin.expect_end("s1").await;
    gateway.start("s1").await;
    let second = plugin.expect_start("s1").await;
    assert_eq!((end.incarnation(), second.incarnation()), (1, 2));
    assert_eq!(second.start().previous_incarnation, 1);
    assert_eq!(second.start().previous_reason(), SessionEndReason::Reset);
}

#[tokio::test(start_paused = true)]
async fn ids_tell_lives_and_their_two_ends_apart() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    let mut ids = BTreeSet::new();
    for life in 1..=3 {
        gateway.start("s1").await;
        let start = plugin.expect_start("s1").await;
        gateway.message("s1", "hello").await;
        let message = plugin.expect_event("message_received").await;
        plugin.ack_all().await;
        gateway.end("s1", SessionEndReason::Reset).await;
        let end = plugin.expect_end("s1").await;
        assert_eq!([&start, &message, &end].map(|it| it.incarnation()), [life; 3]);
        assert_eq!(
            [&start, &message, &end].map(|it| it.event.session_seq),
            [1, 2, 3],
            "counted in each life anew"
        );
        ids.extend([start.event.id, message.event.id, end.event.id]);
    }
    assert_eq!(ids.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn the_same_id_at_two_gateways_is_two_sessions() {
    let world = World::new();
    let (mut one, mut two) = (world.gateway("one").await, world.gateway("two").await);
    let mut plugin = world.plugin("audit").caught_up().await;
    one.start("s1").await;
    two.start("s1").await;
    let first = plugin.expect_start("s1").await;
    let second = plugin.expect_start("s1").await;
    assert_eq!((first.incarnation(), second.incarnation()), (1, 2));
    plugin.ack_all().await;
    two.end("s1", SessionEndReason::New).await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 2);
}

#[tokio::test(start_paused = true)]
async fn numbers_go_on_over_boots() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let drain = world.drain("gw", StopReason::Restart, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    plugin.expect_summary().await;
    drain.report().await;

    let mut gateway = world.attach("gw").boot("boot-2").attach().await;
    gateway.start("s1").await;
    let second = plugin.expect_start("s1").await;
    assert_eq!((second.incarnation(), second.event.boot_id.as_str()), (2, "boot-2"));
}
