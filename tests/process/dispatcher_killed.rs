//! The dispatcher is killed, and started again on its journal: whoever saw a session start sees it end, once.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;

use crate::{
    account::Account,
    cast::{
        gateway::{self, Gateway},
        home::Home,
        line::{self, Delivery},
        process::Process,
        tail::Tail,
    },
};

/// A gateway that was killed, in its hooks.
const KILLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/openclaw/killed.jsonl");

/// The lives that it leaves open.
const OPEN: usize = 3;

/// A gateway that does not come back is lost soon.
const SOON: [&str; 2] = ["--gateway-grace", "300ms"];

/// It is waited for as long as it takes.
const PATIENT: [&str; 2] = ["--gateway-grace", "1h"];

/// By incarnation, how the ends read; each is there once.
fn ends(lines: &[String]) -> BTreeMap<u64, String> {
    let ends = line::deliveries(lines).into_iter().filter(|it| it.hook == "session_end");
    let mut seen = BTreeMap::new();
    for Delivery { session, reason, .. } in ends {
        assert_eq!(seen.insert(session.incarnation, reason), None, "{}: ended twice", session.id);
    }
    seen
}

#[tokio::test]
async fn those_that_stayed_and_those_that_were_away_get_their_ends() {
    let home = Home::new();
    let daemon = home.serve(&PATIENT).await;
    let stays = Tail::start(&daemon, "stays", &["--follow"]).await;
    let also = Tail::start(&daemon, "also", &["--follow"]).await;
    let away = Tail::start(&daemon, "away", &[]).await;
    let publish = ["publish", "--to", &daemon.address, "--gateway", "openclaw", "--drain", "never", KILLED];
    let published = Process::run(&publish, &[]).await;
    assert_eq!(published.code(), Some(0), "{published:#?}");
    for tail in [&stays, &also, &away] {
        tail.until_hook("session_start", OPEN).await;
    }
    away.signal(Signal::SIGKILL);
    let before = away.end().await.stdout;
    daemon.kill().await;

    let daemon = home.serve(&SOON).await;
    for tail in [&stays, &also] {
        tail.until_hook("session_end", OPEN).await;
    }
    let welcomes = stays.messages("welcome");
    assert_eq!(welcomes[0]["ledger_id"], welcomes[1]["ledger_id"]);
    assert_eq!((&welcomes[1]["known"], &welcomes[1]["dispatcher_epoch"]), (&true.into(), &2.into()));
    daemon.until_subscriber("away", "ends due", |it| it.owed == OPEN as u64).await;
    let back = Tail::start(&daemon, "away", &[]).await;
    back.until_hook("session_end", OPEN).await;
    assert_eq!(back.messages("welcome")[0]["ends_owed"], OPEN);
    for name in ["stays", "also", "away"] {
        daemon.until_subscriber(name, "settlement", |it| it.open == 0).await;
    }
    Home::close(daemon).await;

    let printed = [
        ("stays", vec![stays.leave().await]),
        ("also", vec![also.leave().await]),
        ("away", vec![before, back.end().await.stdout]),
    ];
    let mut lives = BTreeSet::new();
    for (name, printed) in &printed {
        let account = Account::of(name, printed);
        account.every_life_ended();
        let ends = ends(&printed.concat());
        assert_eq!(ends.len(), OPEN, "{name}");
        assert!(ends.values().all(|reason| reason == "lost"), "{name}: {ends:?}");
        lives.insert(ends.into_keys().collect::<Vec<_>>());
    }
    assert_eq!(lives.len(), 1, "the same lives for all of them: {lives:?}");
}

#[tokio::test]
async fn a_gateway_that_comes_back_goes_on() {
    let home = Home::new();
    let daemon = home.serve(&PATIENT).await;
    let tail = Tail::start(&daemon, "tail", &["--follow"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "before")]).await;
    tail.until_named("before").await;
    daemon.kill().await;
    gateway.fire(&[gateway::message("s", "meanwhile")]).await;

    let daemon = home.serve(&PATIENT).await;
    tail.until_message("caught_up", 2).await;
    gateway.fire(&[gateway::message("s", "after"), gateway::end("s", "idle")]).await;
    tail.until_hook("session_end", 1).await;
    let account = Account::of("tail", &[tail.lines()]);
    account.every_life_ended();
    assert_eq!(account.lives(), [("s".to_owned(), 1)].into(), "it is the same life");
    assert_eq!(account.names().last().map(String::as_str), Some("after"));
    assert_eq!(ends(&tail.lines())[&1], "idle");
    assert_eq!(gateway.receipts().await, (5, 0)); // what waited is sent again, and counted once
    Home::close(daemon).await;
}

/// A start that is not settled comes again, with the same id and bytes; its end behind it.
#[tokio::test]
async fn what_was_never_acknowledged_comes_again() {
    let home = Home::new();
    let daemon = home.serve(&PATIENT).await;
    let never = Tail::start(&daemon, "plugin", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::end("s", "idle"), gateway::mark("behind")]).await;
    never.until_named("behind").await;
    daemon.kill().await;
    let first = never.deliveries().remove(0);
    drop(never);

    let daemon = home.serve(&PATIENT).await;
    let back = Tail::start(&daemon, "plugin", &[]).await;
    back.until_hook("session_end", 1).await;
    let [start, end] = &back.deliveries()[..2] else { panic!("{:#?}", back.lines()) };
    assert_eq!((start.event_id.as_str(), start.kind.as_str()), (first.event_id.as_str(), "redelivered"));
    assert_eq!((end.hook.as_str(), end.reason.as_str()), ("session_end", "idle"));
    daemon.until_subscriber("plugin", "settlement", |it| it.open == 0).await;
    Home::close(daemon).await;
}

#[tokio::test]
async fn what_a_drain_carries_over_is_delivered_by_the_next_one() {
    let home = Home::new();
    let daemon = home.serve(&["--drain-budget", "200ms"]).await;
    let never = Tail::start(&daemon, "never", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("a"), gateway::start("b")]).await;
    never.until_hook("session_start", 2).await;
    let stopped = daemon.stop(Signal::SIGTERM).await;
    assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
    assert_eq!((stopped.row("never").owed, stopped.row("never").carried_over), (2, 2));
    assert_eq!(stopped.report["durable"], true);
    let printed = never.end().await.stdout;

    let daemon = home.serve(&PATIENT).await;
    let back = Tail::start(&daemon, "never", &[]).await;
    back.until_hook("session_end", 2).await;
    daemon.until_subscriber("never", "settlement", |it| it.open == 0).await;
    assert_eq!(back.messages("welcome")[0]["ends_owed"], 2);
    let account = Account::of("never", &[printed, back.lines()]);
    account.every_life_ended();
    assert_eq!(account.lives(), [("a".to_owned(), 1), ("b".to_owned(), 1)].into());
    assert_eq!(ends(&back.lines()).into_values().collect::<Vec<_>>(), ["shutdown", "shutdown"]);
    Home::close(daemon).await;
}
