//! The first line says where, the last is the report, and the signal says why.

use std::fs;

use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    line,
    tail::Tail,
};

#[tokio::test]
async fn the_signal_is_the_reason() {
    let signals = [(Signal::SIGTERM, "shutdown"), (Signal::SIGINT, "shutdown"), (Signal::SIGUSR2, "restart")];
    for (signal, reason) in signals {
        let daemon = Daemon::start(&["--drain-budget", "10m"]).await;
        let tail = Tail::start(&daemon, "tail", &[]).await;
        let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
        gateway.fire(&[gateway::start("s")]).await;
        tail.until_hook("session_start", 1).await;
        let stopped = daemon.stop(signal).await;
        assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
        assert_eq!(stopped.report["reason"], reason);
        assert_eq!((stopped.row("tail").owed, stopped.row("tail").acked), (1, 1));
        let lines = tail.end().await.stdout;
        let mut ends = line::deliveries(&lines);
        ends.retain(|it| !it.reason.is_empty());
        let said: Vec<_> = ends.iter().map(|it| (it.hook.as_str(), it.reason.as_str())).collect();
        assert_eq!(said, [("session_end", reason), ("gateway_stop", reason)]);
        assert_eq!(ends[0].disposition, "suspended");
        assert_eq!(line::messages(&lines, "drain_notice")[0]["reason"], reason);
        assert_eq!(line::messages(&lines, "goodbye")[0]["reason"], "stopping");
    }
}

#[tokio::test]
async fn first_line_last_line_and_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    fs::write(&file, "an older one").unwrap();
    let flags = ["--report", file.to_str().unwrap(), "--drain-budget", "1234ms"];
    let daemon = Daemon::start(&flags).await;
    let first = format!("{{\"listening\":[\"{}\"]}}", daemon.address);
    let stopped = daemon.stop(Signal::SIGTERM).await;
    let [listening, report] = stopped.ended.stdout.as_slice() else { panic!("not two lines: {stopped:#?}") };
    assert_eq!(*listening, first);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{report}\n"));
    let fields: Vec<_> = stopped.report.as_object().unwrap().keys().map(String::as_str).collect();
    let fixed = [
        "reason",
        "scope",
        "durable",
        "budget_ms",
        "elapsed_ms",
        "last_ack_ms",
        "sessions_ended",
        "subscribers",
    ];
    assert_eq!(fields, fixed);
    assert_eq!((stopped.report["scope"].as_str(), stopped.number("budget_ms")), (Some("all"), 1234));
}

#[tokio::test]
async fn what_is_given_up_is_said() {
    let daemon = Daemon::start(&["--drain-budget", "100ms"]).await;
    let never = Tail::start(&daemon, "never", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    never.until_hook("session_start", 1).await;
    let stopped = daemon.stop(Signal::SIGTERM).await;
    assert_eq!((stopped.row("never").owed, stopped.row("never").carried_over), (1, 1));
    assert_eq!(stopped.report["durable"], false);
    stopped.ended.expect(0, "ends are still owed, and are given up: the ledger is in memory carried_over=1");
}
