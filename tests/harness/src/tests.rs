//! The harness fails where it should, and says what was heard until then.

use std::{panic::AssertUnwindSafe, time::Duration};

use hookwire_protocol::v1::{DrainReport, SessionEndReason, SubscriberReport};
use tokio::time::Instant;
use tonic::Code;

use crate::{Heard, PATIENCE, World, assert_adds_up, at_rest};

const SECOND: Duration = Duration::from_secs(1);

/// What a script says when it fails.
async fn complaint(script: impl Future<Output = ()>) -> String {
    let mut script = std::pin::pin!(AssertUnwindSafe(script));
    let outcome = std::future::poll_fn(|cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| script.as_mut().poll(cx))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(())) => std::task::Poll::Ready(None),
            Err(panic) => std::task::Poll::Ready(Some(panic)),
        }
    });
    let panic = outcome.await.expect("this script should fail");
    *panic.downcast::<String>().expect("a script complains in words")
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_something_else_fails_with_the_story_so_far() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    gateway.message("s1", "hello").await;
    let text = complaint(async { drop(plugin.expect_end("s1").await) }).await;
    assert!(text.contains("audit waited for session_end of s1 and heard #2 message_received s1/1"), "{text}");
    assert!(text.contains("#1 session_start s1/1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_nothing_takes_that_long_and_fails_if_something_comes() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    let began = Instant::now();
    plugin.expect_nothing_for(SECOND).await;
    assert_eq!(began.elapsed(), SECOND);
    gateway.start("s1").await;
    let text = complaint(plugin.expect_nothing_for(SECOND)).await;
    assert!(text.contains("heard #1 session_start s1/1 and should not"), "{text}");
    assert_eq!(began.elapsed(), SECOND, "it did not wait for that");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_patience() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    let began = Instant::now();
    let text = complaint(async { drop(plugin.next().await) }).await;
    assert!(text.contains("audit heard nothing"), "{text}");
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_is_seen_at_both_ends() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    plugin.cut();
    assert!(matches!(plugin.next().await, Heard::Closed(code, _) if code != Code::Ok));
    at_rest().await;
    assert!(!world.subscriber("audit").await.connected);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_dropped_is_gone() {
    let world = World::new();
    drop(world.plugin("audit").caught_up().await);
    at_rest().await;
    assert!(!world.subscriber("audit").await.connected);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_dropped_is_gone() {
    let world = World::new();
    drop(world.gateway("gw").await);
    at_rest().await;
    assert_eq!(world.status().await.gateways[0].streams, 0);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_not_read_reads_nothing() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    at_rest().await;
    assert_eq!(world.subscriber("audit").await.in_flight, 1, "it is written");
    plugin.ack_all().await;
    gateway.end("s1", SessionEndReason::New).await;
    assert_eq!(world.counter("acks_ok").await, 0, "but the script has not asked for it");
    plugin.expect_start("s1").await;
}

#[tokio::test(start_paused = true)]
async fn refusals_are_not_taken_for_welcomes() {
    let world = World::new();
    let text = complaint(async { drop(world.plugin("").connect().await) }).await;
    assert!(text.contains("was refused"), "{text}");
    let text = complaint(async { drop(world.plugin("audit").refused().await) }).await;
    assert!(text.contains("audit was not refused"), "{text}");
}

#[test]
#[should_panic(expected = "assertion")]
fn a_report_that_does_not_add_up_is_found() {
    let row = SubscriberReport { owed: 2, acked: 1, ..Default::default() };
    assert_adds_up(&DrainReport { subscribers: vec![row], ..Default::default() });
}
