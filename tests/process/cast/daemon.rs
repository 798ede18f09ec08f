//! `hookwire serve`.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use hookwire_protocol::v1::{
    GetStatusRequest, GetStatusResponse, SubscriberStatus, admin_service_client::AdminServiceClient,
};
use hookwire_sdk::Address;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    line,
    process::{Ended, Process, eventually},
};

/// A dispatcher that listens.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    /// Where it listens, as its first line says.
    pub(crate) address: String,
}

/// How a dispatcher ended.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) ended: Ended,
    /// The last line.
    pub(crate) report: Value,
    /// From the signal to the exit.
    pub(crate) took: Duration,
}

impl Daemon {
    /// Starts one on a free port.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_with(&[], flags).await
    }

    /// Starts one on a free port, with variables.
    pub(crate) async fn start_with(variables: &[(&str, &str)], flags: &[&str]) -> Self {
        Self::listen("127.0.0.1:0", variables, flags).await
    }

    /// Starts one that listens there.
    pub(crate) async fn listen(address: &str, variables: &[(&str, &str)], flags: &[&str]) -> Self {
        let serve = ["serve", "--in-memory", "--listen", address];
        Self::of(Process::start(&[&serve, flags].concat(), variables)).await
    }

    /// Waits until it says where it listens.
    pub(crate) async fn of(process: Process) -> Self {
        process.until("first line", |lines| !lines.is_empty()).await;
        let first = line::parse(&process.stdout()[0]);
        let address = first["listening"][0].as_str().expect("the first line names an address").to_owned();
        Self { process, address }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// kill -9, and it is gone when this returns.
    pub(crate) async fn kill(self) -> Ended {
        self.signal(Signal::SIGKILL);
        self.process.end().await
    }

    /// Waits until it has died of a SIGKILL that was not ours.
    pub(crate) async fn dies(self) {
        let ended = self.process.end().await;
        assert_eq!(ended.status.signal(), Some(Signal::SIGKILL as i32), "{ended:#?}");
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&mut self) -> bool {
        self.process.is_over()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line on its standard error.
    pub(crate) async fn until_stderr(&self, text: &str) {
        self.process.until_stderr(text, |lines| lines.iter().any(|line| line.contains(text))).await;
    }

    /// Where it listens, for a client of our own.
    pub(crate) fn address(&self) -> Address {
        self.address.parse().unwrap()
    }

    /// Sends it a signal and waits for its end.
    pub(crate) async fn stop(self, signal: Signal) -> Stopped {
        let began = Instant::now();
        self.signal(signal);
        self.stopped(began).await
    }

    /// Waits for its end; it was sent a signal then.
    pub(crate) async fn stopped(self, signalled: Instant) -> Stopped {
        let ended = self.process.end().await;
        let took = signalled.elapsed();
        let last = ended.stdout.last().filter(|_| ended.stdout.len() > 1);
        let report = last.unwrap_or_else(|| panic!("no report: {ended:#?}"));
        Stopped { report: line::parse(report), ended, took }
    }

    /// Waits for its end, of which it makes no report.
    pub(crate) async fn end(self) -> Ended {
        self.process.end().await
    }

    /// What it says of itself.
    pub(crate) async fn status(&self) -> GetStatusResponse {
        let channel = self.address().connect().await.unwrap();
        AdminServiceClient::new(channel).get_status(GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// Waits until what it says of itself is as it should be.
    pub(crate) async fn until(&self, what: &str, mut seen: impl FnMut(&GetStatusResponse) -> bool) {
        let channel = self.address().connect().await.unwrap();
        let mut admin = AdminServiceClient::new(channel);
        let look = async || {
            let status = admin.get_status(GetStatusRequest {}).await.unwrap().into_inner();
            if seen(&status) { Ok(()) } else { Err(format!("{status:#?}")) }
        };
        eventually(what, look).await;
    }

    /// Waits until what it says of one subscriber is as it should be.
    pub(crate) async fn until_subscriber(
        &self,
        name: &str,
        what: &str,
        mut seen: impl FnMut(&SubscriberStatus) -> bool,
    ) {
        let what = format!("{what} of {name}");
        self.until(&what, |status| status.subscribers.iter().any(|it| it.id == name && seen(it))).await;
    }

    /// A counter of its status.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        self.status().await.counters[name]
    }
}

impl Stopped {
    /// One subscriber's numbers.
    pub(crate) fn row(&self, name: &str) -> Row {
        let rows = self.report["subscribers"].as_array().unwrap();
        let row = rows.iter().find(|row| row["id"] == name);
        let row = row.unwrap_or_else(|| panic!("{name} is not in {}", self.report)).clone();
        serde_json::from_value(row).unwrap()
    }

    /// A number of the report's.
    pub(crate) fn number(&self, field: &str) -> u64 {
        self.report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {}", self.report))
    }
}

/// One subscriber's line in a report, or a DrainSummary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Row {
    pub(crate) owed: u64,
    pub(crate) acked: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) timed_out: u64,
    pub(crate) unreachable: u64,
    pub(crate) retried: u64,
    pub(crate) carried_over: u64,
}

impl Row {
    /// Asserts that the numbers add up.
    pub(crate) fn adds_up(&self) {
        assert_eq!(self.owed, self.acked + self.accepted + self.rejected + self.carried_over, "{self:?}");
        assert_eq!(self.carried_over, self.timed_out + self.unreachable + self.retried, "{self:?}");
    }
}
