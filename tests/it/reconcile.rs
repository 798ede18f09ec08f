//! A gateway that lost track of what it told says what is alive: what is missing ends, what is new begins.

use hookwire_harness::{Gateway, Plugin, World, at_rest, events};
use hookwire_protocol::v1::{GoodbyeReason, SessionEndReason, SessionRef, StopReason};
use tonic::Code;

use crate::{A_WHILE, BUDGET, ms};

fn sessions(ids: &[&str]) -> Vec<SessionRef> {
    ids.iter().map(|id| events::session(id)).collect()
}

/// A gateway that started these sessions and was cut, and a plugin that settled them.
async fn cut_with(world: &World, ids: &[&str]) -> Plugin {
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    let mut gateway = world.gateway("gw").await;
    for id in ids {
        gateway.start(id).await;
        plugin.expect_start(id).await;
    }
    plugin.ack_all().await;
    at_rest().await;
    gateway.cut();
    at_rest().await;
    plugin
}

async fn expect_lost(plugin: &mut Plugin, id: &str) {
    let end = plugin.expect_end(id).await;
    assert_eq!((end.end().reason(), end.event.synthetic), (SessionEndReason::Lost, true));
}

async fn comes_back(world: &World, ids: &[&str], behind: u64) -> Gateway {
    world.attach("gw").listing(sessions(ids), behind).attach().await
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_ends_and_what_is_new_begins() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["gone", "kept"]).await;
    let listed = vec![
        events::session("kept"),
        SessionRef { agent_id: "agent".to_owned(), ..events::keyed("new", "key") },
    ];
    let mut gateway = world.attach("gw").listing(listed, 2).attach().await;
    assert_eq!(world.status().await.live_sessions, 2, "decided before the Welcome");
    expect_lost(&mut plugin, "gone").await;
    let start = plugin.expect_start("new").await;
    let session = start.event.session.clone().unwrap_or_default();
    assert_eq!((session.key.as_str(), session.agent_id.as_str()), ("key", "agent"));
    assert!(start.event.synthetic);
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
    gateway.end("new", SessionEndReason::Idle).await;
    assert_eq!(plugin.expect_end("new").await.end().reason(), SessionEndReason::Idle);
    let counted = ["sessions_ended_by_reconciling", "sessions_started_by_reconciling"];
    for counter in counted {
        assert_eq!(world.counter(counter).await, 1, "{counter}");
    }
}

#[tokio::test(start_paused = true)]
async fn absent_says_nothing_and_empty_says_that_nothing_lives() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1", "s2"]).await;
    world.gateway("gw").await.cut();
    plugin.expect_nothing_for(ms(1_000)).await;
    let _gateway = comes_back(&world, &[], 2).await;
    expect_lost(&mut plugin, "s1").await;
    expect_lost(&mut plugin, "s2").await;
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_the_resend_has_come_so_far() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1", "s2"]).await;
    let mut gateway = comes_back(&world, &["s3"], 4).await;
    plugin.expect_nothing_for(A_WHILE).await;
    gateway.end("s1", SessionEndReason::Deleted).await; // number 3: it says how it ended
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Deleted);
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
    gateway.start("s3").await; // number 4: its own start comes first
    assert!(!plugin.expect_start("s3").await.event.synthetic);
    expect_lost(&mut plugin, "s2").await;
    assert_eq!(world.counter("sessions_started_by_reconciling").await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_of_the_resend_is_not_waited_for() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1"]).await;
    let mut gateway = comes_back(&world, &["s2"], 9).await;
    // Numbers 2 to 9 never come. The list holds before what comes next, and does not end that.
    gateway.send_again(10, vec![events::start(events::session("s3"))]).await;
    expect_lost(&mut plugin, "s1").await;
    plugin.expect_start("s2").await;
    plugin.expect_start("s3").await;
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_amid_its_resend_has_said_nothing() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1", "s2"]).await;
    comes_back(&world, &[], 3).await.cut();
    at_rest().await;
    assert_eq!(world.counter("reconciliations_dropped").await, 1);
    let mut gateway = world.gateway("gw").await;
    gateway.message("s1", "number 3, on a stream that listed nothing").await;
    plugin.expect_nothing_for(A_WHILE).await;
    gateway.cut();
    let _gateway = comes_back(&world, &["s1"], 3).await; // it says so anew
    expect_lost(&mut plugin, "s2").await;
    assert_eq!(world.counter("reconciliations_dropped").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_speaks_for_all_streams_and_so_only_for_the_one_that_is_left() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1"]).await;
    let other = world.attach("gw").emitter("emitter-2").attach().await;
    let gateway = comes_back(&world, &[], 1).await;
    plugin.expect_nothing_for(A_WHILE).await;
    assert_eq!(world.counter("reconciliations_dropped").await, 1, "another stream is attached");

    other.cut();
    gateway.cut();
    at_rest().await;
    let mut gateway = comes_back(&world, &[], 2).await;
    let mut other = world.attach("gw").emitter("emitter-2").attach().await;
    assert_eq!(world.counter("reconciliations_dropped").await, 2, "another came before the resend was done");
    gateway.message("s1", "number 2").await;
    plugin.expect_nothing_for(A_WHILE).await;

    // What the one that has gone told is known to the one that is left, too.
    other.start("s2").await;
    plugin.expect_start("s2").await;
    plugin.ack_all().await;
    other.cut();
    gateway.cut();
    at_rest().await;
    let _gateway = comes_back(&world, &["s1"], 2).await;
    expect_lost(&mut plugin, "s2").await;
}

#[tokio::test(start_paused = true)]
async fn an_emitters_own_older_stream_is_in_nobodys_way() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    let mut older = world.gateway("gw").await;
    older.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let _newer = comes_back(&world, &[], 1).await;
    older.expect_goodbye(GoodbyeReason::Displaced).await;
    expect_lost(&mut plugin, "s1").await;
}

#[tokio::test(start_paused = true)]
async fn what_the_gateway_ended_needs_its_own_start_and_what_was_lost_does_not() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1", "s2"]).await;
    let mut gateway = comes_back(&world, &["s1"], 2).await;
    expect_lost(&mut plugin, "s2").await;
    gateway.end("s1", SessionEndReason::Reset).await;
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    at_rest().await;
    gateway.cut();
    let mut gateway = comes_back(&world, &["s1", "s2", "s2"], 3).await;
    plugin.expect_start("s2").await; // once, although it is listed twice
    plugin.ack_all().await;
    plugin.expect_nothing_for(A_WHILE).await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
}

#[tokio::test(start_paused = true)]
async fn a_new_boot_may_bring_what_goes_on() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1"]).await;
    let _newer = world.attach("gw").boot("boot-2").listing(sessions(&["s1", "s2"]), 0).attach().await;
    expect_lost(&mut plugin, "s1").await;
    let again = plugin.expect_start("s1").await;
    assert_eq!((again.event.boot_id.as_str(), again.start().previous_incarnation), ("boot-2", 1));
    plugin.expect_start("s2").await;
    assert_eq!(world.counter("sessions_ended_by_reconciling").await, 0, "it ended with its boot");
}

#[tokio::test(start_paused = true)]
async fn a_life_whose_end_a_drain_still_waits_for_is_followed_by_the_listed_one() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1"]).await;
    let drain = world.drain("gw", StopReason::Restart, BUDGET).await;
    let _newer = world.attach("gw").boot("boot-2").listing(sessions(&["s1"]), 0).attach().await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    assert_eq!(plugin.expect_start("s1").await.incarnation(), 2);
    plugin.ack_all().await;
    let report = drain.report().await;
    assert_eq!((report.sessions_ended, report.subscribers[0].acked), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_once_a_drain_has_begun() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1"]).await;
    let mut gateway = comes_back(&world, &["s1", "s2"], 2).await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    assert_eq!(plugin.expect_end("s1").await.end().reason(), SessionEndReason::Shutdown);
    gateway.message("s1", "number 2").await;
    plugin.ack_all().await;
    assert_eq!(drain.report().await.sessions_ended, 1);
    assert_eq!(world.counter("sessions_started").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_list_is_refused_and_changes_nothing() {
    let world = World::new();
    let mut plugin = cut_with(&world, &["s1"]).await;
    let refused = async |listed: Vec<SessionRef>| {
        let status = world.attach("gw").boot("boot-2").listing(listed, 0).refused().await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        status.message().to_owned()
    };
    let text = refused(vec![events::session("s2"), events::by_key("key")]).await;
    assert!(text.contains("sessions[1]: session.id"), "{text}");
    assert!(refused(sessions(&[""])).await.contains("sessions[0]: session.id"));
    assert!(refused(sessions(&[&"x".repeat(1025)])).await.contains("1024"));
    let long = "x".repeat(1025);
    assert!(refused(vec![events::keyed("s2", &long)]).await.contains("session.key"));
    assert!(refused(vec![events::session("s2"); 100_001]).await.contains("100000"));
    plugin.expect_nothing_for(ms(1_000)).await;
    world.gateway("gw").await; // its boot goes on
}
