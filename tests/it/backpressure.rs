//! Windows and queues are bounded, what is lost is said, and the gateway never waits for a plugin.

use std::time::Duration;

use hookwire::config::Config;
use hookwire_harness::{Gateway, Plugin, World, events};
use hookwire_protocol::v1::{
    GapCause, GatewayEvent, GoodbyeReason, SessionEndReason, WhenFull, event::Payload,
};
use tokio::time::Instant;

use crate::A_WHILE;

fn messages(texts: &[&str]) -> Vec<GatewayEvent> {
    texts.iter().map(|text| events::message(events::session("s1"), text)).collect()
}

async fn expect_text(plugin: &mut Plugin, text: &str) {
    let delivery = plugin.expect_event("message_received").await;
    let Some(Payload::Json(json)) = delivery.event.payload else { panic!("a message has JSON") };
    assert_eq!(json, format!(r#"{{"text":"{text}"}}"#));
}

/// A queue of two, a window of one, and "0" in it.
async fn crowded(world: &World, policy: WhenFull) -> (Gateway, Plugin) {
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").window(1).when_full(policy).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.message("s1", "0").await;
    expect_text(&mut plugin, "0").await;
    (gateway, plugin)
}

fn small() -> Config {
    Config { queue_events: 2, ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_closed_window_holds_events_back_and_an_ack_opens_it() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").window(2).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    gateway.publish_all(messages(&["1", "2", "3", "4"])).await;
    expect_text(&mut plugin, "1").await;
    expect_text(&mut plugin, "2").await;
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack(2).await; // the start, and "1"
    expect_text(&mut plugin, "3").await;
    plugin.expect_nothing_for(A_WHILE).await;
    plugin.ack_all().await;
    expect_text(&mut plugin, "4").await;
}

#[tokio::test(start_paused = true)]
async fn starts_and_ends_need_no_window() {
    let world = World::start(&small());
    let (mut gateway, mut plugin) = crowded(&world, WhenFull::DropOldest).await;
    gateway.start("s2").await;
    plugin.expect_start("s2").await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_is_lost_first_and_a_gap_says_so() {
    let world = World::start(&small());
    let (mut gateway, mut plugin) = crowded(&world, WhenFull::DropOldest).await;
    gateway.publish_all(messages(&["1", "2", "3", "4"])).await;
    let gap = plugin.expect_gap(GapCause::QueueFull).await;
    assert_eq!(gap.count, 2);
    assert!(gap.bytes > 0);
    plugin.ack_all().await;
    expect_text(&mut plugin, "3").await;
    plugin.ack_all().await;
    expect_text(&mut plugin, "4").await;
    assert_eq!(world.subscriber("audit").await.lost, 2);
}

#[tokio::test(start_paused = true)]
async fn the_newest_is_lost_first_if_the_plugin_says_so() {
    let world = World::start(&small());
    let (mut gateway, mut plugin) = crowded(&world, WhenFull::DropNewest).await;
    gateway.publish_all(messages(&["1", "2", "3", "4"])).await;
    assert_eq!(plugin.expect_gap(GapCause::QueueFull).await.count, 2);
    plugin.ack_all().await;
    expect_text(&mut plugin, "1").await;
    plugin.ack_all().await;
    expect_text(&mut plugin, "2").await;
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_if_the_plugin_says_so() {
    let world = World::start(&small());
    let (mut gateway, mut plugin) = crowded(&world, WhenFull::Disconnect).await;
    gateway.publish_all(messages(&["1", "2", "3"])).await;
    assert_eq!(plugin.expect_gap(GapCause::QueueFull).await.count, 3);
    assert!(plugin.expect_goodbye(GoodbyeReason::Slow).await.reconnect_after_ms > 0);
    // It comes back: "0" was never answered, and what it is owed is still owed.
    let mut plugin = world.plugin("audit").connect().await;
    assert_eq!(plugin.expect_gap(GapCause::Away).await.count, 1);
    plugin.expect_caught_up().await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes_as_well() {
    let world = World::start(&Config { queue_bytes: 10_000, max_event_bytes: 8000, ..Config::default() });
    let (mut gateway, mut plugin) = crowded(&world, WhenFull::DropOldest).await;
    let long = "x".repeat(4000);
    gateway.publish_all(messages(&[&long, &long, &long, &long])).await;
    let gap = plugin.expect_gap(GapCause::QueueFull).await;
    assert_eq!(gap.count, 2);
    assert!((8000..9000).contains(&gap.bytes), "{gap:?}");
    let audit = world.subscriber("audit").await;
    assert_eq!((audit.queued, audit.lost), (2, 2));
    assert!(audit.queued_bytes <= 10_000, "{audit:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_never_waits_for_a_plugin_that_does_not_read() {
    let world = World::start(&Config { queue_events: 100, ..Config::default() });
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("stuck").caught_up().await;
    let began = Instant::now();
    gateway.start("s1").await;
    let long = "x".repeat(32 << 10);
    for _ in 0..300 {
        gateway.publish(events::message(events::session("s1"), &long)).await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "every receipt came at once");
    let stuck = world.subscriber("stuck").await;
    assert!(stuck.queued <= 100 && stuck.lost > 0, "{stuck:?}");

    // Once it reads, it hears what is there, and what is not.
    plugin.expect_start("s1").await;
    let (mut came, mut lost) = (0, 0);
    while came + lost < 300 {
        match plugin.next().await {
            hookwire_harness::Heard::Delivery(_) => came += 1,
            hookwire_harness::Heard::Gap(gap) => lost += gap.count,
            other => panic!("{other}"),
        }
    }
    assert_eq!((came + lost, lost), (300, world.subscriber("stuck").await.lost));
}
