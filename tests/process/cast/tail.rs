//! `hookwire tail --json`.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    daemon::Daemon,
    line::{self, Delivery},
    process::{Ended, Process},
};

/// A plugin process.
#[derive(Debug)]
pub(crate) struct Tail {
    process: Process,
}

impl Tail {
    /// Starts one, and waits until it has caught up.
    pub(crate) async fn start(daemon: &Daemon, name: &str, flags: &[&str]) -> Self {
        let tail = Self::launch(&daemon.address, name, flags);
        tail.until_message("caught_up", 1).await;
        tail
    }

    /// Starts one.
    pub(crate) fn launch(address: &str, name: &str, flags: &[&str]) -> Self {
        let tail = ["tail", "--to", address, "--as", name, "--json"];
        Self { process: Process::start(&[&tail, flags].concat(), &[]) }
    }

    /// Waits until it has caught up; says no where it has ended without, because nobody answered.
    pub(crate) async fn comes(&self) -> bool {
        let seen = |lines: &[String]| lines.iter().any(|line| line.starts_with("{\"type\":\"caught_up\""));
        self.process.comes_to("CaughtUp", seen).await
    }

    /// Waits until it has printed so many messages of that type.
    pub(crate) async fn until_message(&self, kind: &str, count: usize) {
        let what = format!("{count} {kind}");
        self.until_containing(&what, &format!("{{\"type\":\"{kind}\","), count).await;
    }

    /// Waits until it has printed so many events of that hook.
    pub(crate) async fn until_hook(&self, hook: &str, count: usize) {
        let what = format!("{count} {hook}");
        self.until_containing(&what, &format!("\"hook\":\"{hook}\","), count).await;
    }

    /// Waits until it has printed the message that the gateway named so.
    pub(crate) async fn until_named(&self, name: &str) {
        self.until_containing(name, &format!("\"name\":\"{name}\""), 1).await;
    }

    async fn until_containing(&self, what: &str, text: &str, count: usize) {
        let seen = |lines: &[String]| lines.iter().filter(|line| line.contains(text)).count() >= count;
        self.process.until(what, seen).await;
    }

    /// Its lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.process.stdout()
    }

    /// What it was handed so far.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        line::deliveries(&self.lines())
    }

    /// The messages of that type that it was handed so far.
    pub(crate) fn messages(&self, kind: &str) -> Vec<Value> {
        line::messages(&self.lines(), kind)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&mut self) -> bool {
        self.process.is_over()
    }

    /// Has it leave, however long it would follow: all its lines.
    pub(crate) async fn leave(self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let ended = self.process.end().await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        ended.stdout
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> Ended {
        self.process.end().await
    }
}
