//! A plugin gets what it asked for. session_start and session_end are one subscription.

use hookwire_harness::{World, at_rest, events};
use hookwire_protocol::v1::{SessionEndReason, SessionRef};

use crate::A_WHILE;

#[tokio::test(start_paused = true)]
async fn either_of_start_and_end_brings_both() {
    for hook in ["session_start", "session_end", "session_s*", "*_end"] {
        let world = World::new();
        let mut gateway = world.gateway("gw").await;
        let mut plugin = world.plugin("audit").hooks(&[hook]).caught_up().await;
        gateway.start("s1").await;
        gateway.message("s1", "not wanted").await;
        plugin.expect_start("s1").await;
        plugin.ack_all().await;
        gateway.end("s1", SessionEndReason::New).await;
        plugin.expect_end("s1").await;
        plugin.expect_nothing_for(A_WHILE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_are_names_or_globs() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["message_*", "llm_?nput"]).caught_up().await;
    for hook in ["llm_output", "llm_input", "a_message_received", "message_sent"] {
        gateway.publish(events::hooked(hook, Some(events::session("s1")), "")).await;
    }
    plugin.expect_event("llm_input").await;
    plugin.expect_event("message_sent").await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_nobody_knew_is_delivered_all_the_same() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["made_up"]).caught_up().await;
    assert_eq!(plugin.welcome.unknown_hooks, ["made_up"]);
    gateway.publish(events::hooked("made_up", None, "")).await;
    plugin.expect_event("made_up").await;
    let other = world.plugin("other").hooks(&["made_up"]).connect().await;
    assert!(other.welcome.unknown_hooks.is_empty(), "by now it was seen");
}

#[tokio::test(start_paused = true)]
async fn agents_and_keys_narrow_it_to_some_sessions() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").agents(&["main"]).keys(&["agent:*:telegram:*"]).caught_up().await;
    let session = |id: &str, key: &str, agent: &str| SessionRef {
        id: Some(id.to_owned()),
        key: key.to_owned(),
        agent_id: agent.to_owned(),
    };
    let both = session("both", "agent:main:telegram:42", "main");
    for session in [
        session("agent only", "agent:main:discord:42", "main"),
        session("key only", "agent:side:telegram:42", "side"),
        both.clone(),
    ] {
        gateway.publish(events::start(session.clone())).await;
        gateway.publish(events::message(session, "hello")).await;
    }
    plugin.expect_start("both").await;
    plugin.expect_event("message_received").await;
    // What has no session passes.
    gateway.publish(events::hooked("cron_changed", None, "")).await;
    plugin.expect_event("cron_changed").await;
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_names_its_session_by_id_alone_is_judged_by_what_is_known_of_it() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").keys(&["wanted"]).caught_up().await;
    gateway.publish(events::start(events::keyed("s1", "wanted"))).await;
    gateway.publish(events::start(events::keyed("s2", "unwanted"))).await;
    gateway.message("s2", "no").await;
    gateway.message("s1", "yes").await;
    plugin.expect_start("s1").await;
    assert_eq!(plugin.expect_event("message_received").await.session_id(), "s1");
    plugin.expect_nothing_for(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_comes_whatever_the_filter_says_later() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    at_rest().await;
    plugin.cut();

    let mut plugin = world.plugin("audit").hooks(&["message_sent"]).caught_up().await;
    gateway.start("s2").await;
    gateway.end("s1", SessionEndReason::New).await;
    plugin.expect_end("s1").await;
    plugin.expect_nothing_for(A_WHILE).await;
}
