//! Where a dispatcher lives: its address and its journal, which outlive it.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{
    daemon::{Daemon, Stopped},
    process::{Ended, Process},
};

/// A Unix socket and a journal of our own; both are gone with it.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// Nobody has lived there yet.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Where its dispatcher listens.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.directory.path().join("s").display())
    }

    /// Where its journal is.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Starts a dispatcher.
    pub(crate) async fn serve(&self, flags: &[&str]) -> Daemon {
        self.serve_with(&[], flags).await
    }

    /// Starts a dispatcher, with variables.
    pub(crate) async fn serve_with(&self, variables: &[(&str, &str)], flags: &[&str]) -> Daemon {
        let (address, data) = (self.address(), self.data());
        let serve = ["serve", "--data-dir", data.to_str().unwrap(), "--listen", &address];
        Daemon::of(Process::start(&[&serve, flags].concat(), variables)).await
    }

    /// Starts one that is to die at this named moment, see `dispatcher/src/crash.rs`.
    pub(crate) async fn serve_until(&self, moment: &str, flags: &[&str]) -> Daemon {
        self.serve_with(&[("HOOKWIRE_CRASH_AT", moment)], flags).await
    }

    /// Runs `serve` where it is not to come up.
    pub(crate) async fn refuse(&self, flags: &[&str]) -> Ended {
        let data = self.data();
        let serve = ["serve", "--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        Process::run(&[&serve, flags].concat(), &[]).await
    }

    /// Stops the dispatcher in order: nobody is owed anything any more.
    pub(crate) async fn close(daemon: Daemon) -> Stopped {
        let stopped = daemon.stop(Signal::SIGTERM).await;
        assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
        let owed = stopped.report["subscribers"].as_array().unwrap();
        assert!(owed.iter().all(|it| it["carried_over"] == 0), "{}", stopped.report);
        stopped
    }
}
