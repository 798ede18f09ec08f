//! The dispatcher dies or hangs at a named moment, see `dispatcher/src/crash.rs`, and the next one goes on.
#![cfg(debug_assertions)]

use hookwire_protocol::v1::SubscriberStatus;
use nix::sys::signal::Signal;

use crate::{
    account::Account,
    cast::{
        gateway::{self, Gateway},
        home::Home,
        process::Process,
        tail::Tail,
    },
};

/// Nobody is lost while they are away.
const PATIENT: [&str; 2] = ["--gateway-grace", "1h"];

/// Sessions that are open when a drain begins.
const SESSIONS: usize = 2_000;

/// Sessions that have room for a compaction when they are over.
const MANY: usize = 60_000;

/// Plays sessions with a dispatcher that dies at its `count`th passage of that moment, and its successor. The plugin's
/// Hello and the gateway's are a commit each.
async fn dies_at(moment: &str, count: u32) {
    let home = Home::new();
    let daemon = home.serve_until(&format!("{moment}:{count}"), &PATIENT).await;
    let tail = Tail::start(&daemon, "tail", &["--follow"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--boot", "b", "--hold"]);
    daemon.until("a gateway", |status| status.gateways.iter().any(|it| it.streams == 1)).await;
    gateway.fire(&[gateway::start("s"), gateway::message("s", "m"), gateway::end("s", "idle")]).await;
    gateway.fire(&[gateway::start("t"), gateway::mark("last")]).await;
    daemon.dies().await;

    let daemon = home.serve(&PATIENT).await;
    assert_eq!(gateway.receipts().await, (5, 0));
    tail.until_message("caught_up", 2).await;
    let settled = |it: &SubscriberStatus| (it.open, it.in_flight) == (1, 0);
    daemon.until_subscriber("tail", "settlement", settled).await;
    let stopped = Home::close(daemon).await;
    assert_eq!((stopped.number("sessions_ended"), stopped.row("tail").acked), (1, 1));
    let account = Account::of("tail", &[tail.leave().await]);
    account.every_life_ended();
    let mut lives = account.lives();
    assert_eq!(lives.remove("t"), Some(1));
    // Where it began and ended while the plugin was away, it was none of its business.
    assert!(lives.is_empty() || lives == [("s".to_owned(), 1)].into(), "{lives:?}");
}

/// Nothing was told to anybody: it happens as if it came only now.
#[tokio::test]
async fn before_a_commit() {
    for count in [3, 4] {
        dies_at("before-commit", count).await;
    }
}

/// It is durable, and nobody was told: what is sent again is dropped by its key.
#[tokio::test]
async fn after_a_commit() {
    for count in [3, 4] {
        dies_at("after-commit", count).await;
    }
}

/// Some of the ends have left, the others have not: each comes once more at most, and with the same reason.
#[tokio::test]
async fn amid_a_drain() {
    let home = Home::new();
    let daemon = home.serve_until("frame-of-a-drain:4", &PATIENT).await;
    let tail = Tail::start(&daemon, "tail", &["--follow"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--boot", "b", "--drain", "never"]);
    let starts: Vec<_> = (0..SESSIONS).map(|number| gateway::start(&format!("s{number}"))).collect();
    gateway.fire(&starts).await;
    tail.until_hook("session_start", SESSIONS).await;
    assert_eq!(gateway.finish().await, (SESSIONS as u64, 0));
    daemon.signal(Signal::SIGTERM);
    daemon.dies().await;

    let daemon = home.serve(&PATIENT).await;
    tail.until_message("caught_up", 2).await;
    daemon.until_subscriber("tail", "settlement", |it| it.open == 0).await;
    Home::close(daemon).await;
    let account = Account::of("tail", &[tail.leave().await]);
    account.every_life_ended();
    assert_eq!(account.ended(), SESSIONS);
}

/// Pages move, rows do not: whatever step it dies at, the next one finds them all.
#[tokio::test]
async fn amid_a_compaction() {
    let home = Home::new();
    let flags = [&PATIENT[..], &["--durability", "process"]].concat();
    let daemon = home.serve_until("during-compaction:100", &flags).await;
    let keeps = Tail::start(&daemon, "keeps", &["--follow"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--boot", "b", "--hold"]);
    gateway.fire(&[gateway::start("kept"), gateway::mark("kept")]).await;
    keeps.until_named("kept").await;
    keeps.signal(Signal::SIGSTOP); // it need not see the others
    let numbers = || (0..MANY).map(|number| format!("s{number}"));
    gateway.fire(&numbers().map(|id| gateway::start(&id)).collect::<Vec<_>>()).await;
    gateway.fire(&numbers().map(|id| gateway::end(&id, "idle")).collect::<Vec<_>>()).await;
    daemon.dies().await;

    let daemon = home.serve(&flags).await;
    assert_eq!(gateway.receipts().await, (2 + 2 * MANY as u64, 0));
    let status = daemon.status().await;
    assert_eq!(status.live_sessions, 1);
    keeps.signal(Signal::SIGCONT);
    daemon.until_subscriber("keeps", "settlement", |it| (it.open, it.owed) == (1, 0)).await;
    Home::close(daemon).await;
    Account::of("keeps", &[keeps.leave().await]).every_life_ended();
}

/// A journal that takes its time to be read holds up no stop.
#[tokio::test]
async fn told_to_stop_before_the_journal_is_read() {
    let home = Home::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR2] {
        let data = home.data();
        let serve = ["serve", "--data-dir", data.to_str().unwrap(), "--listen", &home.address()];
        let process = Process::start(&serve, &[("HOOKWIRE_HANG_AT", "opened")]);
        process.until_stderr("open journal", |lines| lines.contains(&"hangs at opened".to_owned())).await;
        process.signal(signal);
        let ended = process.end().await; // what hangs, hangs for ever
        ended.expect(69, "told to stop before the journal was read");
        assert!(ended.stdout.is_empty(), "{ended:#?}");
    }
    Home::close(home.serve(&[]).await).await;
}
