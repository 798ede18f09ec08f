//! Per incarnation: start, events, end. A later life of the same session begins behind the earlier one's end.

use hookwire::config::Config;
use hookwire_harness::{World, events};
use hookwire_protocol::v1::{AckStatus, GapCause, SessionEndReason};

use crate::A_WHILE;

#[tokio::test(start_paused = true)]
async fn sessions_that_interleave_keep_their_own_order() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    let (s1, s2) = (events::session("s1"), events::session("s2"));
    gateway
        .publish_all(vec![
            events::start(s1.clone()),
            events::message(s1.clone(), "1"),
            events::start(s2.clone()),
            events::message(s1.clone(), "2"),
            events::message(s2.clone(), "1"),
            events::end(s1, SessionEndReason::New),
            events::message(s2, "2"),
        ])
        .await;
    let mut heard = Vec::new();
    for _ in 0..6 {
        let delivery = plugin.expect_delivery().await;
        heard.push((delivery.session_id().to_owned(), delivery.event.session_seq));
    }
    heard.sort();
    let seen: Vec<_> = heard.iter().map(|(session, seq)| (session.as_str(), *seq)).collect();
    assert_eq!(seen, [("s1", 1), ("s1", 2), ("s1", 3), ("s2", 1), ("s2", 2), ("s2", 3)]);
    plugin.ack_all().await;
    assert_eq!(plugin.expect_end("s1").await.event.session_seq, 4);
}

#[tokio::test(start_paused = true)]
async fn starts_and_events_come_in_the_order_in_which_they_were_taken_in() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    let (s1, s2) = (events::session("s1"), events::session("s2"));
    let told = [
        events::start(s1.clone()),
        events::message(s1, "a"),
        events::start(s2.clone()),
        events::message(s2, "b"),
    ];
    gateway.publish_all(told.to_vec()).await;
    for said in told {
        assert_eq!(plugin.expect_delivery().await.event.hook, said.hook);
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_life_waits_for_the_end_of_the_earlier() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    let first = plugin.expect_start("s1").await;
    gateway.end("s1", SessionEndReason::Reset).await;
    gateway.start("s1").await;
    gateway.message("s1", "in the second life").await;
    plugin.expect_nothing_for(A_WHILE).await;

    // Others do not wait with it.
    gateway.start("s2").await;
    plugin.expect_start("s2").await;

    plugin.answer(&first, AckStatus::Ok).await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 1);
    assert_eq!(plugin.expect_start("s1").await.incarnation(), 2);
    assert_eq!(plugin.expect_event("message_received").await.incarnation(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_start_that_waits_are_bounded_and_a_gap_says_what_did_not_fit() {
    let world = World::start(&Config { queue_events: 2, ..Config::default() });
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    gateway.end("s1", SessionEndReason::Reset).await;
    gateway.start("s1").await;
    for text in ["1", "2", "3"] {
        gateway.message("s1", text).await;
        hookwire_harness::at_rest().await; // set aside, one by one
    }
    assert_eq!(plugin.expect_gap(GapCause::QueueFull).await.count, 1);
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack_all().await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 1);
    assert_eq!(plugin.expect_start("s1").await.incarnation(), 2);
    for session_seq in [3, 4] {
        let event = plugin.expect_event("message_received").await.event;
        assert_eq!(event.session_seq, session_seq, "the oldest is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_session_of_the_same_key_waits_as_well() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.publish(events::start(events::keyed("s1", "k"))).await;
    plugin.expect_start("s1").await;
    gateway.publish(events::end(events::session("s1"), SessionEndReason::New)).await;
    gateway.publish(events::start(events::keyed("s2", "k"))).await;
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack_all().await;
    plugin.expect_end("s1").await;
    plugin.expect_start("s2").await;
}

#[tokio::test(start_paused = true)]
async fn an_end_takes_along_what_the_queue_holds_of_its_session() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").window(1).caught_up().await;
    gateway.start("s1").await;
    let start = plugin.expect_start("s1").await;
    for text in ["1", "2", "3"] {
        gateway.message("s1", text).await;
    }
    gateway.message("s2", "of another session").await;
    plugin.expect_event("message_received").await;
    plugin.expect_start("s2").await;
    plugin.expect_nothing_for(A_WHILE).await; // the window is closed

    plugin.answer(&start, AckStatus::Ok).await;
    gateway.end("s1", SessionEndReason::New).await;
    assert_eq!(plugin.expect_event("message_received").await.event.session_seq, 3);
    assert_eq!(plugin.expect_event("message_received").await.event.session_seq, 4);
    assert_eq!(plugin.expect_end("s1").await.end().last_session_seq, 4);
    plugin.expect_nothing_for(A_WHILE).await; // what is the other's still waits
}

#[tokio::test(start_paused = true)]
async fn nothing_but_what_is_late_follows_an_end() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
    gateway.message("s1", "after").await;
    assert!(plugin.expect_event("message_received").await.event.late);
}
