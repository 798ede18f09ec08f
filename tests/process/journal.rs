//! `hookwire journal`: what a journal holds, told without touching it.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    home::Home,
    line,
    process::{Ended, Process},
    tail::Tail,
};

async fn look(home: &Home, action: &str, flags: &[&str]) -> Ended {
    let data = home.data();
    Process::run(&[&["journal", action, data.to_str().unwrap()], flags].concat(), &[]).await
}

/// Its rows of one kind.
async fn rows(home: &Home, kind: &str) -> Vec<Value> {
    let dump = look(home, "dump", &["--json"]).await;
    assert_eq!(dump.code(), Some(0), "{dump:#?}");
    dump.stdout.iter().map(|row| line::parse(row)).filter(|row| row["row"] == kind).collect()
}

/// Two sessions, and a plugin that was handed their starts and has settled neither.
async fn two_sessions(daemon: &Daemon) {
    let tail = Tail::start(daemon, "never", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(daemon, "g", &["--drain", "never"]);
    gateway.fire(&[gateway::start("a"), gateway::start("b")]).await;
    tail.until_hook("session_start", 2).await;
    gateway.finish().await;
    tail.signal(Signal::SIGKILL);
    tail.end().await;
}

#[tokio::test]
async fn what_a_drain_carried_over_is_in_it() {
    let home = Home::new();
    let daemon = home.serve(&["--drain-budget", "200ms"]).await;
    two_sessions(&daemon).await;
    let stopped = daemon.stop(Signal::SIGTERM).await;
    let report = &stopped.report["subscribers"][0];
    assert_eq!((&report["id"], &report["carried_over"]), (&"never".into(), &2.into()), "{}", stopped.report);

    let entries = rows(&home, "entry").await;
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!((&entry["subscriber"], &entry["state"]), (&"never".into(), &"carried_over".into()));
        assert_eq!(entry["start_settled"], false);
    }
    let lives = rows(&home, "life").await;
    let ended =
        |life: &Value| life["state"] == "ended" && life["reason"] == "shutdown" && life["gateway"] == "g";
    assert!(lives.len() == 2 && lives.iter().all(ended), "{lives:?}");
    let dump = look(&home, "dump", &[]).await.stdout;
    let subscriber = dump.iter().find(|line| line.starts_with("never ")).expect("a line for the subscriber");
    // Open, unsettled, carried over, expired.
    assert!(subscriber.split_whitespace().rev().take(4).eq(["0", "2", "2", "0"]), "{dump:#?}");
}

#[tokio::test]
async fn a_killed_dispatchers_is_read_and_left_as_it_is() {
    let home = Home::new();
    let daemon = home.serve(&[]).await;
    two_sessions(&daemon).await;
    for action in ["dump", "verify"] {
        look(&home, action, &[]).await.expect(69, "another process has the journal in");
    }
    daemon.kill().await;

    let file = home.data().join("ledger.redb");
    let before = fs::read(&file).unwrap();
    let verified = look(&home, "verify", &[]).await;
    assert!(verified.code() == Some(0) && verified.stdout.contains(&"sound".to_owned()), "{verified:#?}");
    let ledger = rows(&home, "ledger").await;
    assert_eq!((&ledger[0]["epoch"], &ledger[0]["killed"]), (&1.into(), &true.into()));
    let lives = rows(&home, "life").await;
    let sessions: Vec<_> = lives.iter().map(|life| (&life["session"], &life["state"])).collect();
    assert_eq!(sessions, [(&"a".into(), &"alive".into()), (&"b".into(), &"alive".into())]);
    assert!(fs::read(&file).unwrap() == before, "a byte was changed");
    daemon_closes_in_order(&home).await;
}

/// It opens the journal, and the next one does not find it killed.
async fn daemon_closes_in_order(home: &Home) {
    home.serve(&["--drain-budget", "200ms"]).await.stop(Signal::SIGTERM).await;
    let ledger = rows(home, "ledger").await;
    assert_eq!((&ledger[0]["epoch"], &ledger[0]["killed"]), (&2.into(), &false.into()));
}

#[tokio::test]
async fn damage_is_65_and_no_journal_is_74() {
    let home = Home::new();
    look(&home, "verify", &[]).await.expect(74, "ledger.redb: ");
    assert!(!home.data().exists(), "nothing was made");
    Home::close(home.serve(&[]).await).await;
    let file = home.data().join("ledger.redb");
    let mut bytes = fs::read(&file).unwrap();
    bytes[4_096..].fill(0x5a);
    fs::write(&file, bytes).unwrap();
    for action in ["dump", "verify"] {
        look(&home, action, &[]).await.expect(65, "ledger.redb: ");
    }
}
