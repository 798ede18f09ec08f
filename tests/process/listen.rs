//! `hookwire listen`: a shell script is a plugin, too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    line,
    process::{Process, eventually},
};

/// Where a script leaves its traces.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs this script, in this directory, for starts and ends.
    async fn listen(&self, daemon: &Daemon, script: &str, flags: &[&str]) -> Process {
        let script = format!("cd {}; {script}", self.0.path().display());
        let listen =
            ["listen", "--to", &daemon.address, "--as", "sh", "--hook", "session_*", "--exec", &script];
        let process = Process::start(&[&listen, flags].concat(), &[]);
        daemon.until_subscriber("sh", "stream", |it| it.connected).await;
        process
    }
}

async fn written(file: &Path) -> String {
    eventually("a trace", async || match fs::read_to_string(file) {
        Ok(text) if text.ends_with('\n') => Ok(text.trim().to_owned()),
        seen => Err(format!("{seen:?}")),
    })
    .await
}

#[tokio::test]
async fn each_event_comes_as_a_line_and_in_order() {
    let (daemon, place) = (Daemon::start(&[]).await, Place::new());
    let script = r#"sleep 0.0$((HOOKWIRE_INCARNATION % 2)); cat >> "$HOOKWIRE_SESSION_ID""#;
    let listen = place.listen(&daemon, script, &["--concurrency", "2"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    for id in ["a", "b", "a"] {
        gateway
            .fire(&[gateway::start(id), gateway::message(id, "not asked for"), gateway::end(id, "reset")])
            .await;
    }
    daemon.until_subscriber("sh", "answers", |it| it.acked == 6 && it.open == 0).await;
    listen.signal(Signal::SIGTERM);
    assert_eq!(listen.end().await.code(), Some(0));
    for (id, lives) in [("a", [1, 1, 3, 3].as_slice()), ("b", &[2, 2])] {
        let lines: Vec<String> =
            fs::read_to_string(place.file(id)).unwrap().lines().map(str::to_owned).collect();
        let seen = line::deliveries(&lines);
        assert_eq!(seen.iter().map(|it| it.session.incarnation).collect::<Vec<_>>(), lives);
        assert!(seen.iter().all(|it| it.session.id == id));
        assert_eq!(seen[1].reason, "reset");
    }
}

#[tokio::test]
async fn how_it_exits_is_the_answer() {
    let (daemon, place) = (Daemon::start(&[]).await, Place::new());
    let script = r#"case $HOOKWIRE_SESSION_ID in
        busy) [ -e again ] || { touch again; exit 75; };;
        never) echo no such agent >&2; exit 1;;
    esac"#;
    let _listen = place.listen(&daemon, script, &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&["ok", "busy", "never"].map(gateway::start)).await;
    let counted = ["acks_retry", "acks_reject", "entries_rejected"];
    daemon.until("answers", |status| counted.iter().all(|name| status.counters[*name] == 1)).await;
    daemon.until_subscriber("sh", "the retry", |it| it.open == 2 && it.retrying == 0 && it.acked >= 4).await;
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_hand() {
    let (daemon, place) = (Daemon::start(&[]).await, Place::new());
    let script = "echo >> began; while [ ! -e gate ]; do sleep 0.01; done; echo >> done";
    let listen = place.listen(&daemon, script, &["--grace", "10m"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    written(&place.file("began")).await;
    listen.signal(Signal::SIGTERM);
    listen.until_stderr("stopping", |lines| lines.iter().any(|line| line.contains("stopping"))).await;
    fs::write(place.file("gate"), "").unwrap();
    assert_eq!(listen.end().await.code(), Some(0));
    assert!(place.file("done").exists());
    daemon.until_subscriber("sh", "the answer", |it| !it.connected && it.acked == 1).await;
}

#[tokio::test]
async fn what_outlives_its_grace_is_killed_with_all_that_it_started() {
    let (daemon, place) = (Daemon::start(&[]).await, Place::new());
    let script = "sleep 1000 & echo $! > child; wait";
    let listen = place.listen(&daemon, script, &["--grace", "100ms"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    let child = written(&place.file("child")).await;
    listen.signal(Signal::SIGTERM);
    assert_eq!(listen.end().await.code(), Some(0));
    eventually("end of the child", async || match fs::read_to_string(format!("/proc/{child}/stat")) {
        Ok(state) if !state.contains(") Z ") => Err(state),
        _ => Ok(()),
    })
    .await;
    daemon.until_subscriber("sh", "debt", |it| !it.connected && it.acked == 0 && it.open == 1).await;
}
