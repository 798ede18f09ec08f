//! What a daemon gets from its process: signals, panics, the log.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal},
    panic,
    path::Path,
    sync::Mutex,
};

use hookwire_protocol::v1::StopReason;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;

use super::{Exit, Failure};

/// The signals that stop the daemon.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user2: Signal,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one, as the reason to stop.
    pub(super) async fn next(&mut self) -> StopReason {
        tokio::select! {
            _ = self.terminate.recv() => StopReason::Shutdown,
            _ = self.interrupt.recv() => StopReason::Shutdown,
            _ = self.user2.recv() => StopReason::Restart,
        }
    }
}

/// Whether any thread or task has panicked. Nobody waits for most tasks, so this is where it is noticed.
pub(super) struct Panics(watch::Receiver<bool>);

impl Panics {
    /// From now on, beside what is printed already.
    pub(super) fn watch() -> Self {
        let (seen, panics) = watch::channel(false);
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            print(panic);
            seen.send_replace(true);
        }));
        Self(panics)
    }

    /// Returns once there was one.
    pub(super) async fn seen(&mut self) {
        // The hook holds the sender for as long as the process lives.
        let _ = self.0.wait_for(|seen| *seen).await;
    }

    /// Whether there was one.
    pub(super) fn any(&self) -> bool {
        *self.0.borrow()
    }
}

/// Logs to stderr from `info` up, or as `HOOKWIRE_LOG` or else `RUST_LOG` says.
///
/// # Errors
/// When that variable says something else than a filter.
pub(in crate::cli) fn log_to_stderr() -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(filter()?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none())
        .init();
    Ok(())
}

/// Logs the same to a file.
///
/// # Errors
/// When that variable says something else than a filter, or the file cannot be made.
pub(in crate::cli) fn log_to_file(path: &Path) -> Result<(), Failure> {
    let unmade = |error| Exit::Fault.because(format_args!("{}: {error}", path.display()));
    let file = Mutex::new(File::create(path).map_err(unmade)?);
    tracing_subscriber::fmt().with_env_filter(filter()?).with_writer(file).with_ansi(false).init();
    Ok(())
}

fn filter() -> Result<EnvFilter, Failure> {
    let given = |name| env::var(name).ok().filter(|filter| !filter.is_empty()).map(|filter| (name, filter));
    match given("HOOKWIRE_LOG").or_else(|| given("RUST_LOG")) {
        Some((name, filter)) => EnvFilter::try_new(filter)
            .map_err(|error| Exit::Usage.because(format_args!("log filter (from {name}): {error}"))),
        None => Ok(EnvFilter::new("info")),
    }
}
