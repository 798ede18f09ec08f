//! A gateway that is killed: its sessions end as lost once its grace is over, and not while it may come back.

use hookwire_protocol::v1::{BootState, GetStatusResponse};
use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    tail::Tail,
};

/// A gateway with the session `s`, and then kill -9.
async fn killed(daemon: &Daemon, tail: &Tail) {
    let mut gateway = Gateway::start(daemon, "gw", &["--boot", "b1", "--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "before")]).await;
    tail.until_named("before").await;
    gateway.signal(Signal::SIGKILL);
    gateway.end().await;
}

fn is(status: &GetStatusResponse, state: BootState, live: u64) -> bool {
    status.gateways.iter().any(|it| it.state() == state && it.live_sessions == live)
}

/// The hooks that were handed over, each with its reason or the session's incarnation.
fn told(tail: &Tail) -> Vec<(String, String, u64)> {
    let hooks = tail.deliveries().into_iter();
    hooks.map(|it| (it.hook, it.reason, it.session.incarnation)).collect()
}

fn line(hook: &str, reason: &str, incarnation: u64) -> (String, String, u64) {
    (hook.to_owned(), reason.to_owned(), incarnation)
}

#[tokio::test]
async fn its_sessions_end_as_lost() {
    let daemon = Daemon::start(&["--gateway-grace", "300ms"]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    killed(&daemon, &tail).await;
    tail.until_hook("gateway_stop", 1).await;
    let end = tail.deliveries().into_iter().find(|it| it.hook == "session_end").unwrap();
    assert_eq!((end.reason.as_str(), end.disposition.as_str(), end.synthetic), ("lost", "unknown", true));
    // The boot that was only cut off goes on, and its session starts anew.
    let mut back = Gateway::start(&daemon, "gw", &["--boot", "b1", "--hold"]);
    back.fire(&[gateway::message("s", "after")]).await;
    tail.until_named("after").await;
    let expected = [
        line("session_start", "", 1),
        line("message_received", "", 1),
        line("session_end", "lost", 1),
        line("gateway_stop", "shutdown", 0),
        line("session_start", "", 2),
        line("message_received", "", 2),
    ];
    assert_eq!(told(&tail), expected);
    assert_eq!(daemon.counter("gateways_lost").await, 1);
}

#[tokio::test]
async fn within_its_grace_it_comes_back_as_if_nothing_had_been() {
    let daemon = Daemon::start(&["--gateway-grace", "1h"]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    killed(&daemon, &tail).await;
    daemon.until("a gateway that is away", |status| is(status, BootState::Detached, 1)).await;
    let mut back = Gateway::start(&daemon, "gw", &["--boot", "b1", "--hold"]);
    back.fire(&[gateway::message("s", "after")]).await;
    tail.until_named("after").await;
    daemon.until("a gateway that is back", |status| is(status, BootState::Attached, 1)).await;
    let expected =
        [line("session_start", "", 1), line("message_received", "", 1), line("message_received", "", 1)];
    assert_eq!(told(&tail), expected);
}

#[tokio::test]
async fn a_newer_boot_ends_it_at_once() {
    let daemon = Daemon::start(&["--gateway-grace", "1h"]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    killed(&daemon, &tail).await;
    let mut newer = Gateway::start(&daemon, "gw", &["--boot", "b2", "--hold"]);
    newer.fire(&[gateway::start("s"), gateway::message("s", "after")]).await;
    tail.until_named("after").await;
    let mut told = told(&tail);
    told.retain(|(hook, ..)| hook != "gateway_stop"); // behind the end, beside the newer boot's events
    let expected = [
        line("session_start", "", 1),
        line("message_received", "", 1),
        line("session_end", "lost", 1),
        line("session_start", "", 2),
        line("message_received", "", 2),
    ];
    assert_eq!(told, expected);
}
