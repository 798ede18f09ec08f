//! Only an answer settles, every kind of answer does what it says, and a bad one ends nothing.

use hookwire::config::Config;
use hookwire_harness::{Delivery, Gateway, Plugin, World};
use hookwire_protocol::v1::{Ack, AckException, AckStatus, BatchKind, SessionEndReason};
use tokio::time::Instant;

use crate::{A_WHILE, ms};

/// One session, started and not answered.
async fn started(world: &World) -> (Gateway, Plugin, Delivery) {
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let start = plugin.expect_start("s1").await;
    (gateway, plugin, start)
}

/// One session, its end written and not answered.
async fn ended(world: &World) -> (Gateway, Plugin, Delivery) {
    let (mut gateway, mut plugin, _) = started(world).await;
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    let end = plugin.expect_end("s1").await;
    (gateway, plugin, end)
}

fn exception(seq: u64, status: AckStatus) -> AckException {
    AckException { seq, status: status.into(), ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn ok_and_accepted_settle_a_start() {
    for status in [AckStatus::Ok, AckStatus::Accepted] {
        let world = World::new();
        let (mut gateway, mut plugin, start) = started(&world).await;
        plugin.answer(&start, status).await;
        gateway.end("s1", SessionEndReason::New).await;
        plugin.expect_end("s1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn ok_accepted_and_reject_close_an_entry_at_its_end() {
    for status in [AckStatus::Ok, AckStatus::Accepted, AckStatus::Reject] {
        let world = World::new();
        let (_gateway, mut plugin, end) = ended(&world).await;
        assert_eq!(world.subscriber("audit").await.open, 1);
        plugin.answer(&end, status).await;
        plugin.expect_nothing_for(A_WHILE).await;
        assert_eq!(world.subscriber("audit").await.open, 0, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_start_has_no_end() {
    let world = World::new();
    let (mut gateway, mut plugin, start) = started(&world).await;
    plugin.answer(&start, AckStatus::Reject).await;
    plugin.expect_nothing_for(ms(1)).await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.subscriber("audit").await.open, 0);
}

#[tokio::test(start_paused = true)]
async fn retry_writes_a_start_again_after_its_delay_and_not_before() {
    let world = World::new();
    let (_gateway, mut plugin, start) = started(&world).await;
    plugin.retry(&start, ms(750)).await;
    plugin.expect_nothing_for(ms(749)).await;
    let again = plugin.expect_start("s1").await;
    assert_eq!((again.kind, &again.event), (BatchKind::Redelivered, &start.event));
    assert!(again.seq > start.seq);
}

#[tokio::test(start_paused = true)]
async fn retry_writes_an_end_again_as_often_as_it_is_asked_to() {
    let world = World::new();
    let (_gateway, mut plugin, first) = ended(&world).await;
    let mut end = first.clone();
    for _ in 0..3 {
        let asked = Instant::now();
        plugin.retry(&end, ms(100)).await;
        end = plugin.expect_end("s1").await;
        assert_eq!((asked.elapsed(), &end.event), (ms(100), &first.event));
    }
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn retry_without_a_delay_takes_the_servers() {
    let world = World::start(&Config { retry_after: ms(300), ..Config::default() });
    let (_gateway, mut plugin, start) = started(&world).await;
    plugin.answer(&start, AckStatus::Retry).await;
    plugin.expect_nothing_for(ms(299)).await;
    plugin.expect_start("s1").await;
}

#[tokio::test(start_paused = true)]
async fn each_retry_in_a_row_waits_twice_as_long_up_to_a_bound() {
    let (retry_after, retry_after_max) = (ms(300), ms(1000));
    let world = World::start(&Config { retry_after, retry_after_max, ..Config::default() });
    let (mut gateway, mut plugin, mut start) = started(&world).await;
    for delay in [300, 600, 1000, 1000] {
        plugin.answer(&start, AckStatus::Retry).await;
        plugin.expect_nothing_for(ms(delay - 1)).await;
        start = plugin.expect_start("s1").await;
    }
    // The end is another delivery, and begins anew; so does another stream.
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    let mut end = plugin.expect_end("s1").await;
    for delay in [300, 600] {
        plugin.answer(&end, AckStatus::Retry).await;
        plugin.expect_nothing_for(ms(delay - 1)).await;
        end = plugin.expect_end("s1").await;
    }
    plugin.cut();
    let mut plugin = world.plugin("audit").connect().await;
    let end = plugin.expect_end("s1").await;
    plugin.expect_caught_up().await;
    plugin.answer(&end, AckStatus::Retry).await;
    plugin.expect_nothing_for(ms(299)).await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn retry_of_an_ordinary_event_counts_as_reject() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").window(1).hooks(&["message_received"]).caught_up().await;
    gateway.message("s1", "1").await;
    gateway.message("s1", "2").await;
    let first = plugin.expect_event("message_received").await;
    plugin.retry(&first, ms(10)).await;
    let second = plugin.expect_event("message_received").await;
    assert_ne!(second.event.id, first.event.id, "its place in the window is free");
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn exceptions_go_before_the_rest() {
    let world = World::new();
    let (mut gateway, mut plugin, _) = started(&world).await;
    gateway.start("s2").await;
    plugin.expect_start("s2").await;
    plugin.send_ack(Ack { through_seq: 2, exceptions: vec![exception(1, AckStatus::Reject)] }).await;
    plugin.expect_nothing_for(ms(1)).await;
    gateway.end("s1", SessionEndReason::New).await;
    gateway.end("s2", SessionEndReason::New).await;
    plugin.expect_end("s2").await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_may_be_answered_ahead_of_its_turn() {
    let world = World::new();
    let (mut gateway, mut plugin, _) = started(&world).await;
    gateway.start("s2").await;
    let second = plugin.expect_start("s2").await;
    plugin.answer(&second, AckStatus::Ok).await;
    gateway.end("s1", SessionEndReason::New).await;
    gateway.end("s2", SessionEndReason::New).await;
    plugin.expect_end("s2").await;
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack_all().await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn numbers_never_given_out_change_nothing_and_are_counted() {
    let world = World::new();
    let (mut gateway, mut plugin, _) = started(&world).await;
    plugin.ack(7).await;
    plugin.send_ack(Ack { through_seq: 0, exceptions: vec![exception(9, AckStatus::Ok)] }).await;
    plugin.send_ack(Ack { through_seq: u64::MAX, exceptions: vec![exception(0, AckStatus::Reject)] }).await;
    assert_eq!(world.counter("acks_unknown").await, 4);
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_nothing_for(A_WHILE).await; // nothing was settled
    plugin.ack_all().await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_status_changes_nothing_and_is_counted() {
    let world = World::new();
    let (mut gateway, mut plugin, start) = started(&world).await;
    plugin.answer(&start, AckStatus::Unspecified).await;
    plugin
        .send_ack(Ack {
            through_seq: 0,
            exceptions: vec![AckException { seq: start.seq, status: 77, ..Default::default() }],
        })
        .await;
    assert_eq!(world.counter("acks_unknown").await, 2);
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_answer_to_the_same_delivery_changes_nothing() {
    let world = World::new();
    let (mut gateway, mut plugin, start) = started(&world).await;
    plugin.ack_all().await;
    plugin.ack_all().await;
    plugin.answer(&start, AckStatus::Reject).await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
    assert_eq!(world.counter("acks_ok").await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_counted_and_still_counts_when_late() {
    let world = World::start(&Config { ack_timeout: ms(5000), ..Config::default() });
    let (mut gateway, mut plugin, start) = started(&world).await;
    assert_eq!(start.budget_ms, 5000);
    plugin.expect_nothing_for(ms(4500)).await;
    assert_eq!(world.subscriber("audit").await.timed_out, 0);
    plugin.expect_nothing_for(ms(20_000)).await; // the delivery is timed out, not the subscriber
    let audit = world.subscriber("audit").await;
    assert_eq!((audit.timed_out, audit.connected), (1, true));
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
}
