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

    /// Waits for its end.
    pub(crate) async fn end(self) -> Ended {
        self.process.end().await
    }
}
