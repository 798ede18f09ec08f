//! A subscriber is forgotten on purpose, with all that it is owed, and never by accident.

use std::time::Duration;

use hookwire::config::Config;
use hookwire_harness::{Gateway, Plugin, World, at_rest};
use hookwire_protocol::v1::{GoodbyeReason, SessionEndReason};
use tonic::Code;

const DAY: Duration = Duration::from_secs(86_400);

/// A plugin with one session that is alive and one that has ended, and is owed that end.
async fn owing(world: &World) -> (Gateway, Plugin) {
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("alive").await;
    gateway.start("over").await;
    plugin.expect_start("alive").await;
    plugin.expect_start("over").await;
    plugin.ack_all().await;
    gateway.end("over", SessionEndReason::New).await;
    plugin.expect_end("over").await;
    (gateway, plugin)
}

/// It begins anew: nothing from before is owed to it, or known.
async fn is_unknown(world: &World) {
    let plugin = world.plugin("audit").caught_up().await;
    assert!(!plugin.welcome.known);
    assert_eq!(plugin.welcome.ends_owed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_operator_forgets_who_is_away() {
    let world = World::new();
    let (_gateway, plugin) = owing(&world).await;
    plugin.cut();
    at_rest().await;
    let forgotten = world.forget("audit").await.expect("it is away");
    assert_eq!((forgotten.entries_released, forgotten.ends_owed), (2, 1));
    assert_eq!(world.counter("entries_released").await, 2);
    assert_eq!(world.counter("subscribers_forgotten").await, 1);
    assert_eq!(world.status().await.subscribers, []);
    is_unknown(&world).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_connected_or_unknown_is_not_forgotten() {
    let world = World::new();
    let (_gateway, mut plugin) = owing(&world).await;
    let refused = world.forget("audit").await.expect_err("it is connected");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("\"audit\" is connected"), "{refused}");
    let refused = world.forget("nobody").await.expect_err("nobody has that name");
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("\"nobody\""), "{refused}");
    plugin.ack_all().await;
    at_rest().await;
    assert_eq!(world.subscriber("audit").await.open, 1, "nothing has changed for it");
}

#[tokio::test(start_paused = true)]
async fn who_says_so_is_forgotten_in_the_same_way() {
    let world = World::new();
    let (_gateway, mut plugin) = owing(&world).await;
    plugin.leave(true).await;
    plugin.expect_goodbye(GoodbyeReason::Bye).await;
    assert_eq!(world.counter("entries_released").await, 2);
    assert_eq!(world.counter("subscribers_forgotten").await, 1);
    is_unknown(&world).await;
}

#[tokio::test(start_paused = true)]
async fn who_stays_away_for_too_long_is_forgotten() {
    let forget_after = DAY * 2;
    let retention_age = DAY * 9;
    let world = World::start(&Config { forget_after, retention_age, ..Config::default() });
    let (_gateway, plugin) = owing(&world).await;
    plugin.cut();
    tokio::time::sleep(DAY).await;
    // Whoever comes back in time is away anew when it goes.
    drop(world.plugin("audit").connect().await);
    tokio::time::sleep(DAY * 2 - Duration::from_secs(9)).await;
    let status = world.subscriber("audit").await;
    assert_eq!((status.connected, status.owed), (false, 1), "not yet");
    let away = Duration::from_millis(status.away_ms.expect("it is away"));
    assert!(away < DAY * 2 && away > DAY, "{away:?}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.status().await.subscribers, []);
    assert_eq!(world.counter("entries_released").await, 2);
    assert_eq!(world.counter("entries_expired").await, 0);
    is_unknown(&world).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_connected_for_long_is_not_forgotten() {
    let world = World::start(&Config { forget_after: DAY, ..Config::default() });
    let (_gateway, mut plugin) = owing(&world).await;
    plugin.ack_all().await;
    tokio::time::sleep(DAY * 3).await;
    let status = world.subscriber("audit").await;
    assert_eq!((status.connected, status.open, status.away_ms), (true, 1, None));
}
