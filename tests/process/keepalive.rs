//! A process that stops without closing anything is noticed, and gets what it is owed when it goes on.

use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    tail::Tail,
};

#[tokio::test]
async fn a_stopped_plugin_is_noticed() {
    let daemon = Daemon::start(&["--keepalive", "1s"]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let other = Tail::start(&daemon, "other", &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    daemon.until_subscriber("tail", "settled start", |it| it.open == 1 && it.in_flight == 0).await;
    tail.signal(Signal::SIGSTOP);
    daemon.until_subscriber("tail", "broken stream", |it| !it.connected).await;
    gateway.fire(&[gateway::end("s", "idle")]).await;
    other.until_hook("session_end", 1).await;
    daemon.until_subscriber("tail", "owed end", |it| it.owed == 1).await;
    tail.signal(Signal::SIGCONT);
    tail.until_hook("session_end", 1).await;
    let end = tail.deliveries().pop().unwrap();
    assert_eq!((end.kind.as_str(), end.reason.as_str()), ("redelivered", "idle"));
    assert!(tail.messages("welcome").len() >= 2, "on a stream of its own");
}

#[tokio::test]
async fn a_stopped_gateway_is_noticed() {
    let daemon = Daemon::start(&["--keepalive", "1s", "--gateway-grace", "1h"]).await;
    let gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    daemon.until("an attached gateway", |status| status.gateways.iter().any(|it| it.streams == 1)).await;
    gateway.signal(Signal::SIGSTOP);
    daemon.until("a gateway that is away", |status| status.gateways.iter().any(|it| it.streams == 0)).await;
    gateway.signal(Signal::SIGCONT);
    daemon.until("a gateway that is back", |status| status.gateways.iter().any(|it| it.streams == 1)).await;
}
