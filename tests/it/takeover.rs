//! Of two instances of one plugin the newer one has the stream, and both can tell.

use hookwire_harness::{World, at_rest};
use hookwire_protocol::v1::{GoodbyeReason, SessionEndReason};
use tonic::Code;

use crate::A_WHILE;

#[tokio::test(start_paused = true)]
async fn the_newer_instance_takes_over_and_the_older_is_told() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut older = world.plugin("audit").instance("one").caught_up().await;
    let mut newer = world.plugin("audit").instance("two").caught_up().await;
    let goodbye = older.expect_goodbye(GoodbyeReason::Displaced).await;
    assert!(goodbye.text.contains("do not reconnect"), "{goodbye:?}");
    gateway.start("s1").await;
    newer.expect_start("s1").await;
    let audit = world.subscriber("audit").await;
    assert_eq!((audit.connected, audit.instance_id.as_str()), (true, "two"));
    assert_eq!(world.counter("takeovers").await, 1);
}

#[tokio::test(start_paused = true)]
async fn every_stream_has_a_larger_epoch() {
    let world = World::new();
    let mut last = 0;
    for instance in ["one", "two", "two", "three"] {
        let epoch = world.plugin("audit").instance(instance).connect().await.welcome.stream_epoch;
        assert!(epoch > last, "{epoch} after {last}");
        last = epoch;
    }
    assert!(
        world.plugin("other").connect().await.welcome.stream_epoch > last,
        "one counter for the whole ledger"
    );
}

#[tokio::test(start_paused = true)]
async fn the_displaced_instance_is_refused_while_the_newer_one_is_connected() {
    let world = World::new();
    let _older = world.plugin("audit").instance("one").caught_up().await;
    let newer = world.plugin("audit").instance("two").caught_up().await;
    for _ in 0..2 {
        let status = world.plugin("audit").instance("one").refused().await;
        assert_eq!(status.code(), Code::AlreadyExists);
    }
    assert!(world.subscriber("audit").await.connected, "the newer one noticed nothing");
    drop(newer);
    at_rest().await;
    world.plugin("audit").instance("one").caught_up().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_may_take_over_from_itself() {
    let world = World::new();
    let mut lost = world.plugin("audit").caught_up().await;
    // Its first connection hangs somewhere, so it has dialled again.
    let _again = world.plugin("audit").caught_up().await;
    lost.expect_goodbye(GoodbyeReason::Displaced).await;
    world.plugin("audit").caught_up().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_older_one_had_not_settled_goes_to_the_newer() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut older = world.plugin("audit").instance("one").caught_up().await;
    gateway.start("s1").await;
    let first = older.expect_start("s1").await;
    let mut newer = world.plugin("audit").instance("two").connect().await;
    assert_eq!(newer.expect_start("s1").await.event, first.event);
    newer.expect_caught_up().await;

    older.ack_all().await; // too late: this stream does not carry the delivery any more
    gateway.end("s1", SessionEndReason::New).await;
    newer.expect_nothing_for(A_WHILE).await;
    newer.ack_all().await;
    newer.expect_end("s1").await;
}
