//! `hookwire serve`: the daemon, from its settings to its last line.

mod process;

use std::{
    env,
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hookwire_protocol::v1::{DrainReport, StopReason};
use serde_json::json;
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use self::process::{Panics, Signals};
use super::{Exit, Failure};
use crate::{
    config::{Config, Flags},
    dispatcher::Dispatcher,
    report,
    serve::{
        connection::{ConnectionLimits, Server},
        listen::{BindError, Listener},
    },
};

/// What clients have to answer GOAWAY, once every stream has got its Goodbye.
const FAREWELL: Duration = Duration::from_millis(150);

/// What the dispatcher may take beyond the budget before something of ours is taken for stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Run the dispatcher as a daemon.
///
/// The first line on stdout says where it listens, the last is the drain report; logs go to stderr.
/// SIGTERM and SIGINT end all sessions as `shutdown`, SIGUSR2 as `restart`, and then the daemon; a second signal
/// cuts the budget to 200 ms.
#[derive(Debug, clap::Args)]
#[command(after_long_help = concat!(
    "All settings, as they are compiled in:\n\n",
    include_str!("../config.default.toml")
))]
pub(super) struct Args {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "HOOKWIRE_CONFIG")]
    config: Option<PathBuf>,
    /// Listen here: host:port (port 0 picks one) or unix:/path; can be given more than once
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Allow TCP beyond loopback: there is neither TLS nor authentication yet
    #[arg(long)]
    insecure_listen: bool,
    /// Keep the ledger in memory: so far the only mode, so this has no other effect than to silence a reminder
    #[arg(long)]
    in_memory: bool,
    /// How long a drain waits for acknowledgements
    #[arg(long, value_name = "DURATION")]
    drain_budget: Option<String>,
    /// How long a gateway may be away before its sessions are ended as lost
    #[arg(long, value_name = "DURATION")]
    gateway_grace: Option<String>,
    /// Ping a peer that is silent for this long; give it up after the same time again
    #[arg(long, value_name = "DURATION")]
    keepalive: Option<String>,
    /// Write the last drain report to this file, too
    #[arg(long, value_name = "FILE")]
    report: Option<String>,
}

impl Args {
    fn flags(self) -> Flags {
        let switch = |on: bool| on.then(|| vec!["true".to_owned()]);
        let one = |text: Option<String>| text.map(|text| vec![text]);
        let given = [
            ("listen", (!self.listen.is_empty()).then_some(self.listen)),
            ("insecure_listen", switch(self.insecure_listen)),
            ("in_memory", switch(self.in_memory)),
            ("drain_budget", one(self.drain_budget)),
            ("gateway_grace", one(self.gateway_grace)),
            ("keepalive", one(self.keepalive)),
            ("report", one(self.report)),
        ];
        given.into_iter().filter_map(|(key, texts)| Some((key, texts?))).collect()
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let config = settings(args)?;
    process::log_to_stderr()?;
    let panics = Panics::watch();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::Fault.because(format_args!("cannot start: {error}")))?;
    // As a task: a panic in it is then an outcome like any other.
    let outcome = runtime.block_on(runtime.spawn(daemon(config, panics)));
    // Nothing that is left may hold the exit.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|_| Err(Exit::Fault.because("a fault of our own: see above")))
}

fn settings(mut args: Args) -> Result<Config, Failure> {
    let file = args.config.take();
    let variable = |name: &str| Some(env::var_os(name)?.to_string_lossy().into_owned());
    let config = Config::load(args.flags(), variable, file.as_deref());
    let config = config.map_err(|error| Exit::Usage.because(error))?;
    // Now, rather than after months, when it is to be written.
    match config.report.as_deref().map(directory_of) {
        Some(directory) if !directory.is_dir() => {
            Err(Exit::Usage.because(format_args!("report: there is no directory {}", directory.display())))
        }
        _ => Ok(config),
    }
}

async fn daemon(config: Config, mut panics: Panics) -> Result<(), Failure> {
    // Before the first line: whoever has read that may send signals.
    let mut signals = Signals::watch()
        .map_err(|error| Exit::Fault.because(format_args!("cannot take signals: {error}")))?;
    let listener = Listener::bind(&config.listen, config.insecure_listen).map_err(refused)?;
    let addresses = listener.addresses();
    let dispatcher = Dispatcher::start(&config);
    let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
    say(&json!({ "listening": addresses }).to_string());
    info!(?addresses, "listening");
    if !config.in_memory {
        warn!("the ledger is in memory: what is carried over when this process exits is given up");
    }
    dispatcher.set_ready(true).await;

    let reason = tokio::select! {
        reason = signals.next() => reason,
        () = panics.seen() => StopReason::Shutdown,
    };
    let report = stop(&config, &dispatcher, server, reason, &mut signals).await?;
    tell(&report, config.report.as_deref())?;
    if panics.any() { Err(Exit::Fault.because("a task panicked: see above")) } else { Ok(()) }
}

/// The order of the end: no new calls, no new connections, the drain, the connections.
async fn stop(
    config: &Config,
    dispatcher: &Dispatcher,
    mut server: Server,
    reason: StopReason,
    signals: &mut Signals,
) -> Result<DrainReport, Failure> {
    info!(reason = reason.as_str_name(), "stopping");
    dispatcher.set_ready(false).await;
    server.stop_listening().await;
    let (hurry, hurried) = watch::channel(false);
    let drained = async {
        let drain = dispatcher.stop(reason, config.drain_budget, hurried);
        tokio::pin!(drain);
        loop {
            tokio::select! {
                report = &mut drain => break report,
                _ = signals.next() => {
                    info!("a second signal: hurrying");
                    hurry.send_replace(true);
                }
            }
        }
    };
    // The drain keeps to its budget by itself; this is for the day when it does not.
    let report = timeout(config.drain_budget + STUCK_AFTER, drained).await;
    server.close(FAREWELL).await;
    report
        .map_err(|_| Exit::Fault.because("the drain did not end: a fault of our own"))?
        .map_err(|_| Exit::Fault.because("the dispatcher was gone before it could drain: a fault of our own"))
}

/// Hands the report to the operator.
fn tell(report: &DrainReport, file: Option<&Path>) -> Result<(), Failure> {
    let carried_over: u64 = report.subscribers.iter().map(|subscriber| subscriber.carried_over).sum();
    if carried_over > 0 && !report.durable {
        warn!(carried_over, "ends are still owed, and are given up: the ledger is in memory");
    }
    let line = report::to_json(report);
    let written = file.map_or(Ok(()), |file| write_atomically(file, &line));
    say(&line);
    written.map_err(|error| Exit::Fault.because(format_args!("the report is on stdout only: {error}")))
}

/// One line on stdout. A daemon outlives whoever reads it: that nobody does is no fault.
fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Whoever looks finds the old report, or the new one, never half of it.
fn write_atomically(path: &Path, line: &str) -> io::Result<()> {
    // Temporary files are for their owner's eyes only; whether this one is, the umask says.
    let mode = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(directory_of(path))?;
    writeln!(file, "{line}")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

fn refused(error: BindError) -> Failure {
    match error {
        BindError::Insecure { .. } => Exit::Usage.because(error),
        BindError::Unavailable { .. } => Exit::Unavailable.because(error),
    }
}
