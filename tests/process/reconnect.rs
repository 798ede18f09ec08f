//! Plugins and gateways come back to a dispatcher that was stopped, or killed, and started again.

use hookwire_protocol::v1::GatewayStatus;
use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    tail::Tail,
};

/// Starts another dispatcher where the first one was. In memory, it is another ledger.
async fn restart(daemon: Daemon, signal: Signal, address: &str) -> Daemon {
    daemon.signal(signal);
    daemon.end().await;
    Daemon::listen(address, &[], &[]).await
}

#[tokio::test]
async fn a_tail_follows_a_restart_where_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("s").display());
    let daemon = Daemon::listen(&address, &[], &[]).await;
    let follows = Tail::start(&daemon, "follows", &["--follow"]).await;
    let stays = Tail::start(&daemon, "stays", &[]).await;
    let daemon = restart(daemon, Signal::SIGUSR2, &address).await;
    assert_eq!(stays.end().await.code(), Some(0));
    follows.until_message("caught_up", 2).await;
    let ledgers: Vec<_> = follows.messages("welcome").into_iter().map(|it| it["ledger_id"].clone()).collect();
    assert!(ledgers.len() == 2 && ledgers[0] != ledgers[1], "{ledgers:?}");
    assert_eq!(follows.messages("welcome")[1]["known"], false);
    follows.signal(Signal::SIGTERM);
    assert_eq!(follows.end().await.code(), Some(0));
    drop(daemon);
}

#[tokio::test]
async fn a_lost_transport_is_always_reconnected() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("s").display());
    let daemon = Daemon::listen(&address, &[], &[]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold", "--drain", "never"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "before")]).await;
    tail.until_named("before").await;
    let daemon = restart(daemon, Signal::SIGKILL, &address).await;
    tail.until_message("caught_up", 2).await;
    gateway.fire(&[gateway::message("s", "after"), gateway::end("s", "new")]).await;
    tail.until_hook("session_end", 1).await;
    // To the new ledger it is a life of its own; what had no receipt yet was sent again, and is in it, too.
    let events: Vec<_> = tail.deliveries().into_iter().skip(2).collect();
    let hooks: Vec<_> = events.iter().map(|it| it.hook.as_str()).collect();
    assert_eq!((hooks[0], events[0].seq, events[0].kind.as_str()), ("session_start", 1, "live"));
    assert_eq!(hooks[hooks.len() - 2..], ["message_received", "session_end"]);
    assert_eq!(hooks.iter().filter(|hook| **hook == "session_start").count(), 1, "{events:#?}");
    assert_eq!(gateway.receipts().await, (4, 0));
    drop(daemon);
}

#[tokio::test]
async fn a_gateway_comes_back_after_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("s").display());
    let daemon = Daemon::listen(&address, &[], &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--boot", "b1", "--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    assert_eq!(gateway.receipts().await, (1, 0)); // from here on it holds
    let daemon = restart(daemon, Signal::SIGTERM, &address).await;
    let attached = |it: &GatewayStatus| it.boot_id == "b1" && it.streams == 1;
    daemon.until("a gateway that is back", |status| status.gateways.iter().any(attached)).await;
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.end().await.code(), Some(0));
    drop(daemon);
}
