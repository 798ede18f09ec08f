//! A Rust gateway embeds the dispatcher: the same promises, without a wire in between.

use std::time::Duration;

use hookwire::emit::emitter::NotTaken;
use hookwire_harness::{World, at_rest, events};
use hookwire_protocol::v1::{GapCause, RefusalCode, SessionEndReason, StopReason};
use tokio::time::Instant;

use crate::{BUDGET, ms};

#[tokio::test(start_paused = true)]
async fn a_receipt_says_what_became_of_an_event() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    let emitter = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    assert_eq!(emitter.emit(events::start(events::session("s1"))).await, Ok(()));
    plugin.expect_start("s1").await;
    let refused = emitter.emit(events::message(events::session(""), "an empty id")).await;
    let Err(NotTaken::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code(), RefusalCode::Invalid);
    drop(emitter.emit(events::message(events::session("s1"), "nobody asks what became of it")));
    plugin.expect_event("message_received").await;
}

#[tokio::test(start_paused = true)]
async fn order_is_the_order_of_emitting() {
    let world = World::new();
    let mut plugin = world.plugin("audit").hooks(&["hook_*"]).caught_up().await;
    let emitter = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    let clone = emitter.clone();
    for number in 0..500 {
        let emitter = if number % 2 == 0 { &emitter } else { &clone };
        drop(emitter.emit(events::hooked(&format!("hook_{number}"), None, "")));
    }
    for number in 0..500 {
        plugin.expect_event(&format!("hook_{number}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_drains_itself_and_gets_the_report() {
    let world = World::new();
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    let dispatcher = world.dispatcher().clone();
    let emitter = dispatcher.emitter("gw", "boot-1").await.unwrap();
    emitter.emit(events::start(events::session("s1"))).await.unwrap();
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let drain = tokio::spawn(async move { dispatcher.drain("gw", StopReason::Shutdown, BUDGET).await });
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.expect_nothing_for(ms(70)).await;
    plugin.ack_all().await;
    let report = drain.await.unwrap().unwrap();
    hookwire_harness::assert_adds_up(&report);
    assert_eq!((report.scope.as_str(), report.elapsed_ms, report.sessions_ended), ("gw", 70, 1));
    let late = emitter.emit(events::start(events::session("s2"))).await;
    assert!(matches!(late, Err(NotTaken::Refused(_))), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn emitting_never_waits_and_what_finds_no_room_is_told() {
    let world = World::new();
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    let emitter = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    let long = "x".repeat(1 << 20);
    let began = Instant::now();
    // Nothing else runs in between: all of it stands between the emitter and the dispatcher.
    let receipts: Vec<_> =
        (0..20).map(|_| emitter.emit(events::message(events::session("s1"), &long))).collect();
    let start = emitter.emit(events::start(events::session("s2")));
    let (mut taken, mut lost) = (0, 0);
    for receipt in receipts {
        match receipt.await {
            Ok(()) => taken += 1,
            Err(NotTaken::Full) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((taken, lost), (15, 5), "16 MiB are the most");
    assert_eq!((start.await, began.elapsed()), (Ok(()), ms(0)), "for a start there is always room");
    assert_eq!(plugin.expect_gap(GapCause::EmitterFull).await.count, 5);
    assert_eq!(world.counter("deliveries_lost").await, 5);
    plugin.expect_start("s1").await;
    plugin.expect_start("s2").await;
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_told_although_nothing_follows_it() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    let emitter = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    let endless = "x".repeat(17 << 20);
    let receipt = emitter.emit(events::message(events::session("s1"), &endless));
    assert_eq!(receipt.await, Err(NotTaken::Full));
    assert_eq!(plugin.expect_gap(GapCause::EmitterFull).await.count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_last_emitter_is_gone_is_lost_after_its_grace() {
    let world = World::new();
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    let emitter = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    emitter.emit(events::start(events::session("s1"))).await.unwrap();
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let clone = emitter.clone();
    drop(emitter);
    plugin.expect_nothing_for(ms(60_000)).await;
    drop(clone);
    plugin.expect_nothing_for(ms(9_999)).await;
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_newer_boot_closes_the_older_ones_emitter() {
    let world = World::new();
    let older = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    let newer = world.dispatcher().emitter("gw", "boot-2").await.unwrap();
    assert_eq!(older.emit(events::start(events::session("s1"))).await, Err(NotTaken::Closed));
    assert_eq!(newer.emit(events::start(events::session("s1"))).await, Ok(()));
    assert!(world.dispatcher().emitter("gw", "boot-1").await.is_err(), "that boot is over");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_was_cannot_be_drained() {
    let world = World::new();
    let declined = world.dispatcher().drain("gw", StopReason::Shutdown, BUDGET).await.unwrap_err();
    assert!(declined.to_string().contains("gw"), "{declined}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_without_end_is_an_hour() {
    let world = World::new();
    let _emitter = world.dispatcher().emitter("gw", "boot-1").await.unwrap();
    at_rest().await;
    let forever = Duration::MAX;
    let report = world.dispatcher().drain("gw", StopReason::Shutdown, forever).await.unwrap();
    assert_eq!(report.budget_ms, 3_600_000);
    assert_eq!(world.stop(StopReason::Shutdown, forever).await.report().await.budget_ms, 3_600_000);
}
