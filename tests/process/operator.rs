//! `drain` ends one gateway's sessions, never the daemon; `status` says how things are.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    line,
    process::Process,
    tail::Tail,
};

async fn run(daemon: &Daemon, arguments: &[&str]) -> Value {
    let ended = Process::run(&[arguments, &["--to", &daemon.address]].concat(), &[]).await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    line::parse(ended.stdout.last().unwrap())
}

#[tokio::test]
async fn one_gateway_is_drained_and_the_others_go_on() {
    let daemon = Daemon::start(&[]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let (mut one, mut two) =
        (Gateway::start(&daemon, "one", &["--hold"]), Gateway::start(&daemon, "two", &["--hold"]));
    one.fire(&[gateway::start("s"), gateway::mark("one")]).await;
    two.fire(&[gateway::start("s"), gateway::mark("two")]).await;
    tail.until_named("one").await;
    tail.until_named("two").await;
    let drain =
        ["drain", "--gateway", "one", "--reason", "restart", "--budget", "10m", "--expect-back", "20s"];
    let report = run(&daemon, &drain).await;
    assert_eq!((&report["scope"], &report["reason"]), (&"one".into(), &"restart".into()));
    assert_eq!((&report["sessions_ended"], &report["subscribers"][0]["acked"]), (&1.into(), &1.into()));
    let notice = &tail.messages("drain_notice")[0];
    assert_eq!((&notice["gateway_id"], &notice["restart_expected_ms"]), (&"one".into(), &20_000.into()));
    // The boot is over: what comes behind belongs to what was ended.
    one.fire(&[gateway::message("s", "straggler")]).await;
    two.fire(&[gateway::message("s", "after")]).await;
    tail.until_named("straggler").await;
    tail.until_named("after").await;
    let late: Vec<_> =
        tail.deliveries().into_iter().filter(|it| it.late).map(|it| it.payload["name"].clone()).collect();
    assert_eq!(late, ["straggler"]);
    let all = run(&daemon, &["drain", "--reason", "shutdown"]).await;
    assert_eq!((&all["scope"], &all["sessions_ended"]), (&"all".into(), &1.into()));
    daemon.status().await;
}

/// With nobody to wait for, a drain ends at once: gateway by gateway, and with the daemon.
#[tokio::test]
async fn a_drain_that_nobody_hears_ends() {
    let daemon = Daemon::start(&["--drain-budget", "10m"]).await;
    let mut boot = Gateway::start(&daemon, "one", &["--drain", "auto"]);
    boot.fire(&[gateway::start("s"), gateway::gateway_stop("gateway stopping")]).await;
    boot.finish().await;
    let mut open = Gateway::start(&daemon, "two", &["--drain", "never"]);
    open.fire(&[gateway::start("s")]).await;
    open.finish().await;
    let stopped = daemon.stop(Signal::SIGTERM).await;
    assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
    assert_eq!(stopped.number("sessions_ended"), 1);
}

#[tokio::test]
async fn status_is_one_object() {
    let daemon = Daemon::start(&[]).await;
    let tail = Tail::start(&daemon, "tail", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--boot", "b1", "--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    tail.until_hook("session_start", 1).await;
    let status = run(&daemon, &["status", "--json"]).await;
    assert_eq!((&status["live_sessions"], &status["durable"]), (&1.into(), &false.into()));
    assert_eq!(
        (&status["gateways"][0]["boot_id"], &status["gateways"][0]["state"]),
        (&"b1".into(), &"attached".into())
    );
    let subscriber = &status["subscribers"][0];
    assert_eq!(
        (&subscriber["id"], &subscriber["lag"], &subscriber["open"]),
        (&"tail".into(), &1.into(), &1.into())
    );
}
