//! What is owed is kept for so long, and so much of it; what goes is counted, and told to whom it was owed.

use std::time::Duration;

use hookwire::config::Config;
use hookwire_harness::{Gateway, Plugin, World, at_rest};
use hookwire_protocol::v1::{BatchKind, GapCause, Retention, RetentionKind, SessionEndReason, StopReason};

use crate::ms;

const HOUR: Duration = Duration::from_secs(3600);

/// A dispatcher that keeps what is owed for so long.
fn keeping(retention_age: Duration) -> World {
    World::start(&Config { retention_age, ..Config::default() })
}

/// A plugin that has seen these sessions start, and a gateway that has not ended them yet.
async fn saw(world: &World, sessions: &[&str]) -> (Gateway, Plugin) {
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    for session in sessions {
        gateway.start(session).await;
        plugin.expect_start(session).await;
    }
    plugin.ack_all().await;
    at_rest().await;
    (gateway, plugin)
}

#[tokio::test(start_paused = true)]
async fn an_end_that_waits_for_too_long_is_let_go_of_and_told() {
    let world = keeping(HOUR);
    let (mut gateway, plugin) = saw(&world, &["s1", "s2"]).await;
    plugin.cut();
    gateway.end("s1", SessionEndReason::New).await;
    tokio::time::sleep(HOUR / 2).await;
    gateway.end("s2", SessionEndReason::New).await;
    tokio::time::sleep(HOUR / 2 - ms(1500)).await;
    assert_eq!(world.subscriber("audit").await.owed, 2, "not yet");
    tokio::time::sleep(ms(2000)).await;
    let status = world.subscriber("audit").await;
    assert_eq!((status.owed, status.expired, world.counter("entries_expired").await), (1, 1, 1));

    let mut plugin = world.plugin("audit").connect().await;
    assert_eq!(plugin.welcome.expired.map(|expired| expired.entries), Some(1));
    assert_eq!(plugin.welcome.ends_owed, 1);
    assert_eq!(plugin.expect_end("s2").await.kind, BatchKind::Redelivered);
    plugin.expect_caught_up().await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();
    let plugin = world.plugin("audit").caught_up().await;
    assert_eq!(plugin.welcome.expired.map(|expired| expired.entries), Some(0), "told once");
}

#[tokio::test(start_paused = true)]
async fn who_is_connected_and_answers_nothing_is_told_by_a_gap() {
    let world = keeping(HOUR);
    let (mut gateway, mut plugin) = saw(&world, &["s1"]).await;
    gateway.end("s1", SessionEndReason::New).await;
    let end = plugin.expect_end("s1").await;
    tokio::time::sleep(HOUR - ms(1500)).await;
    plugin.expect_nothing_for(ms(1)).await;
    let gap = plugin.expect_gap(GapCause::Expired).await;
    assert_eq!(gap.count, 1);
    assert!(gap.bytes > 0);
    // Its answer comes too late: nothing is open any more, and the stream goes on.
    plugin.ack(end.seq).await;
    gateway.start("s2").await;
    plugin.expect_start("s2").await;
    assert_eq!(world.subscriber("audit").await.open, 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lives_does_not_age() {
    let world = keeping(HOUR);
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("settled").await;
    plugin.expect_start("settled").await;
    plugin.ack_all().await;
    gateway.start("unsettled").await;
    plugin.expect_start("unsettled").await;
    at_rest().await;
    plugin.cut();
    tokio::time::sleep(HOUR * 9).await;
    gateway.end("settled", SessionEndReason::New).await;
    gateway.end("unsettled", SessionEndReason::New).await;

    let mut plugin = world.plugin("audit").connect().await;
    assert_eq!((plugin.welcome.ends_owed, plugin.welcome.starts_to_replay), (2, 1));
    plugin.expect_end("settled").await;
    plugin.expect_start("unsettled").await;
    plugin.ack_all().await;
    plugin.expect_end("unsettled").await;
}

#[tokio::test(start_paused = true)]
async fn of_too_much_the_oldest_goes_first() {
    let world = World::new();
    let (mut gateway, plugin) = saw(&world, &["s1", "s2", "s3"]).await;
    plugin.cut();
    // How much one session is, nobody needs to know: room for two and a half.
    let one = {
        let mut other = world.plugin("other").announce();
        other.hello.retention = Some(Retention { max_bytes: 1, ..Retention::default() });
        let mut other = other.connect().await;
        for session in ["s1", "s2", "s3"] {
            other.expect_start(session).await;
        }
        other.expect_caught_up().await;
        other.ack_all().await;
        gateway.end("s3", SessionEndReason::New).await;
        other.expect_end("s3").await; // written at once, and not answered yet
        other.expect_gap(GapCause::Expired).await.bytes
    };
    let mut script = world.plugin("audit");
    script.hello.retention = Some(Retention { max_bytes: one * 5 / 2, ..Retention::default() });
    let mut plugin = script.connect().await;
    plugin.expect_end("s3").await;
    plugin.expect_caught_up().await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
    gateway.end("s2", SessionEndReason::New).await;
    plugin.expect_end("s2").await;
    assert_eq!(plugin.expect_gap(GapCause::Expired).await.count, 1, "s3, which ended first");
    plugin.cut();
    let mut plugin = world.plugin("audit").connect().await;
    plugin.expect_end("s1").await;
    plugin.expect_end("s2").await;
    plugin.expect_caught_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_ask_for_less_and_is_not_granted_more() {
    let world = keeping(HOUR);
    for (asked, granted) in [
        ((0, 0), (3_600_000, 1 << 30)),
        ((1, 1), (1_000, 1)), // whole seconds
        ((60_000, 1 << 20), (60_000, 1 << 20)),
        ((u64::MAX, u64::MAX), (3_600_000, 1 << 30)),
    ] {
        let mut script = world.plugin("audit");
        let (max_age_ms, max_bytes) = asked;
        script.hello.retention = Some(Retention { max_age_ms, max_bytes, ..Retention::default() });
        let retention = script.connect().await.welcome.retention.expect("a Welcome says what is kept");
        assert_eq!((retention.max_age_ms, retention.max_bytes), granted, "{asked:?}");
        assert_eq!(retention.kind(), RetentionKind::Owed, "as it was asked");
    }
}

/// A plugin that asks to have every event kept.
async fn keeper(world: &World) -> Plugin {
    let mut script = world.plugin("audit");
    script.hello.retention = Some(Retention { kind: RetentionKind::All.into(), ..Retention::default() });
    script.connect().await
}

#[tokio::test(start_paused = true)]
async fn what_came_while_it_was_away_is_replayed_in_its_place() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = keeper(&world).await;
    assert_eq!(plugin.welcome.retention.map(|it| it.kind()), Some(RetentionKind::All));
    plugin.expect_caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.message("s1", "unanswered").await;
    plugin.expect_event("message_received").await;
    at_rest().await;
    plugin.cut();
    gateway.message("s1", "missed").await;
    gateway.start("s2").await;
    gateway.message("s2", "in a life that is over").await;
    gateway.end("s2", SessionEndReason::New).await;
    gateway.end("s1", SessionEndReason::New).await;
    gateway.message("s3", "began it").await;
    at_rest().await;
    assert_eq!(world.subscriber("audit").await.queued, 4, "every event that is kept");

    let mut plugin = keeper(&world).await;
    assert_eq!((plugin.welcome.ends_owed, plugin.welcome.expired.map(|it| it.events)), (2, Some(0)));
    let mut replayed = Vec::new();
    for hook in ["message_received", "message_received", "session_start", "message_received", "session_end"] {
        replayed.push(plugin.expect_event(hook).await); // the end of s2 waits for its start's answer
    }
    replayed.push(plugin.expect_start("s3").await);
    replayed.push(plugin.expect_event("message_received").await);
    let ids = ["s1", "s1", "s2", "s2", "s1", "s3", "s3"];
    assert_eq!(replayed.iter().map(|it| it.session_id()).collect::<Vec<_>>(), ids);
    assert!(replayed.iter().all(|it| it.kind == BatchKind::Redelivered));
    plugin.ack_all().await;
    assert_eq!(plugin.expect_end("s2").await.kind, BatchKind::Redelivered);
    assert_eq!(plugin.expect_caught_up().await.replayed, 8);
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();
    let mut plugin = keeper(&world).await;
    plugin.expect_caught_up().await;
    assert_eq!(world.subscriber("audit").await.queued, 0, "what is answered is not kept");
}

#[tokio::test(start_paused = true)]
async fn of_a_log_that_is_too_large_the_sessions_of_the_oldest_events_go_whole() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut script = world.plugin("audit");
    let kind = RetentionKind::All.into();
    script.hello.retention = Some(Retention { kind, max_bytes: 6_000, ..Retention::default() });
    let mut plugin = script.connect().await;
    plugin.expect_caught_up().await;
    for session in ["old", "new"] {
        gateway.start(session).await;
        plugin.expect_start(session).await;
    }
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();
    gateway.message("old", "first of all").await;
    for _ in 0..3 {
        gateway.message("new", &"x".repeat(500)).await;
    }
    gateway.message("old", &"x".repeat(2_500)).await;
    gateway.end("old", SessionEndReason::New).await;
    gateway.message("new", &"x".repeat(1_500)).await; // too much
    tokio::time::sleep(ms(1_500)).await;

    let mut plugin = keeper(&world).await;
    let expired = plugin.welcome.expired.expect("a Welcome says what expired");
    assert_eq!((expired.entries, expired.events), (1, 2), "of old both events, and its end: {expired:?}");
    assert!(expired.bytes > 2_500, "{expired:?}");
    for _ in 0..4 {
        assert_eq!(plugin.expect_event("message_received").await.session_id(), "new");
    }
    plugin.expect_caught_up().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_less_again_is_handed_nothing_of_what_is_over() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = keeper(&world).await;
    plugin.expect_caught_up().await;
    plugin.cut();
    gateway.start("over").await;
    gateway.message("over", "kept until now").await;
    gateway.end("over", SessionEndReason::New).await;
    gateway.start("alive").await;
    at_rest().await;
    assert_eq!(world.subscriber("audit").await.owed, 1);

    let mut plugin = world.plugin("audit").connect().await;
    assert_eq!(plugin.expect_gap(GapCause::Away).await.count, 1);
    plugin.expect_caught_up().await;
    plugin.expect_start("alive").await;
    assert_eq!(world.subscriber("audit").await.owed, 0);
}

#[tokio::test(start_paused = true)]
async fn what_expires_during_a_drain_counts_as_rejected() {
    let world = keeping(Duration::from_secs(2));
    let (_gateway, mut plugin) = saw(&world, &["s1"]).await;
    let drain = world.drain("gw", StopReason::Shutdown, HOUR).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.expect_gap(GapCause::Expired).await;
    plugin.expect_event("gateway_stop").await;
    plugin.ack_all().await;
    let summary = plugin.expect_summary().await;
    assert_eq!((summary.owed, summary.rejected, summary.carried_over), (1, 1, 0));
    let report = drain.report().await;
    assert_eq!((report.subscribers[0].owed, report.subscribers[0].rejected), (1, 1));
}
