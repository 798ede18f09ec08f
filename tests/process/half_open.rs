//! Those who stand still, and wires that go quiet: they are noticed, and whoever is back goes on.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::{
    account::Account,
    cast::{
        daemon::Daemon,
        gateway::{self, Gateway},
        home::Home,
        proxy::{Proxy, Way},
        tail::Tail,
    },
};

/// Silence is soon noticed.
const ATTENTIVE: [&str; 4] = ["--keepalive", "300ms", "--gateway-grace", "1h"];

/// Silence is not noticed.
const PATIENT: [&str; 4] = ["--keepalive", "10m", "--gateway-grace", "1h"];

#[tokio::test]
async fn a_dispatcher_that_stands_still_goes_on_where_it_was() {
    let home = Home::new();
    let daemon = home.serve(&PATIENT).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "before")]).await;
    tail.until_named("before").await;
    daemon.signal(Signal::SIGSTOP);
    gateway.fire(&[gateway::message("s", "meanwhile"), gateway::end("s", "idle")]).await;
    daemon.signal(Signal::SIGCONT);
    tail.until_hook("session_end", 1).await;
    assert_eq!(gateway.receipts().await, (4, 0));
    Home::close(daemon).await;
    let lines = tail.end().await.stdout;
    assert_eq!(lines.iter().filter(|line| line.contains("{\"type\":\"welcome\"")).count(), 1);
    assert_eq!(Account::of("tail", &[lines]).names(), ["before", "meanwhile"]);
}

/// Ends a session while the plugin does not answer; says what comes once it is back.
async fn ends_meanwhile(daemon: Daemon, tail: Tail, mut gateway: Gateway, back: impl FnOnce(&Tail)) {
    daemon.until_subscriber("tail", "loss", |it| !it.connected).await;
    gateway.fire(&[gateway::end("s", "idle")]).await;
    assert_eq!(gateway.receipts().await, (3, 0));
    daemon.until_subscriber("tail", "end due", |it| it.owed == 1).await;
    back(&tail);
    tail.until_hook("session_end", 1).await;
    daemon.until_subscriber("tail", "settlement", |it| it.open == 0).await;
    Home::close(daemon).await;
    let account = Account::of("tail", &[tail.leave().await]);
    account.every_life_ended();
    assert_eq!(account.lives(), [("s".to_owned(), 1)].into());
}

async fn with_a_session(daemon: &Daemon, address: &str) -> (Tail, Gateway) {
    let tail = Tail::launch(address, "tail", &["--follow"]);
    tail.until_message("caught_up", 1).await;
    let mut gateway = Gateway::start(daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "before")]).await;
    tail.until_named("before").await;
    daemon.until_subscriber("tail", "settlement", |it| it.in_flight == 0).await;
    (tail, gateway)
}

#[tokio::test]
async fn a_plugin_that_stands_still_gets_its_end_when_it_goes_on() {
    let home = Home::new();
    let daemon = home.serve(&ATTENTIVE).await;
    let (tail, gateway) = with_a_session(&daemon, &home.address()).await;
    tail.signal(Signal::SIGSTOP);
    ends_meanwhile(daemon, tail, gateway, |tail| tail.signal(Signal::SIGCONT)).await;
}

#[tokio::test]
async fn a_wire_that_is_half_open_is_given_up() {
    for way in [Way::Up, Way::Down] {
        let home = Home::new();
        let daemon = home.serve(&ATTENTIVE).await;
        let wire = Proxy::to(PathBuf::from(home.address().trim_start_matches("unix:"))).await;
        let (tail, gateway) = with_a_session(&daemon, &wire.address).await;
        wire.hold(way);
        ends_meanwhile(daemon, tail, gateway, |_| wire.cut()).await;
    }
}
