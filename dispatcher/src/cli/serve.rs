//! `hookwire serve`: the daemon, from its settings to its last line.

pub(super) mod data_dir;
pub(super) mod process;

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
    config::{Config, Flags, OnTerm},
    dispatcher::{Declined, Dispatcher},
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
    /// Answer gRPC reflection, for buf curl, grpcurl and the like
    #[arg(long)]
    reflection: bool,
    /// Keep the ledger in memory: what is owed is lost with the process
    #[arg(long)]
    in_memory: bool,
    /// Keep the journal in this directory [default: hookwire in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR", conflicts_with = "in_memory")]
    data_dir: Option<String>,
    /// What the journal survives: power (every commit is synced), or process (a kill -9 only)
    #[arg(long, value_name = "power|process")]
    durability: Option<String>,
    /// What SIGTERM means: drain (all sessions end), or handover (the next dispatcher goes on with them)
    #[arg(long, value_name = "drain|handover")]
    on_term: Option<String>,
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
            ("reflection", switch(self.reflection)),
            ("in_memory", switch(self.in_memory)),
            ("data_dir", one(self.data_dir)),
            ("durability", one(self.durability)),
            ("on_term", one(self.on_term)),
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
    if config.in_memory && config.on_term == OnTerm::Handover {
        return Err(
            Exit::Usage.because("on_term: what is in memory cannot be handed over: leave in_memory out")
        );
    }
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
    let opening = config.clone();
    let opened = tokio::task::spawn_blocking(move || open(&opening)); // a disk may take its time
    let dispatcher = tokio::select! {
        opened = opened => opened.map_err(|_| Exit::Fault.because("a fault of our own: see above"))??,
        _ = signals.next() => return Err(Exit::Unavailable.because("told to stop before the journal was read")),
    };
    let listener = Listener::bind(&config.listen, config.insecure_listen).map_err(refused)?;
    let addresses = listener.addresses();
    let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
    say(&json!({ "listening": addresses }).to_string());
    info!(?addresses, "listening");
    dispatcher.set_ready(true).await;

    let reason = tokio::select! {
        reason = signals.next() => match config.on_term {
            OnTerm::Drain => Some(reason),
            OnTerm::Handover => None,
        },
        () = dispatcher.handover_asked() => None,
        () = panics.seen() => Some(StopReason::Shutdown),
    };
    match reason {
        Some(reason) => {
            let report = stop(&config, &dispatcher, server, reason, &mut signals).await?;
            tell(&report, config.report.as_deref())?;
        }
        None => hand_over(&config, &dispatcher, server, &mut signals).await?,
    }
    if panics.any() { Err(Exit::Fault.because("a task panicked: see above")) } else { Ok(()) }
}

fn open(config: &Config) -> Result<Dispatcher, Failure> {
    if config.in_memory {
        return Ok(Dispatcher::start(config));
    }
    let directory = data_dir::of(config)?;
    let dispatcher = Dispatcher::open(config, &directory).map_err(|error| data_dir::failure(&error))?;
    info!(directory = %directory.display(), "the ledger is in its journal");
    Ok(dispatcher)
}

/// The order of the end: no new calls, no new connections, the drain, the connections.
async fn stop(
    config: &Config,
    dispatcher: &Dispatcher,
    server: Server,
    reason: StopReason,
    signals: &mut Signals,
) -> Result<DrainReport, Failure> {
    info!(reason = reason.as_str_name(), "stopping");
    let (hurry, hurried) = watch::channel(false);
    let drain = dispatcher.stop(reason, config.drain_budget, hurried);
    end(config, dispatcher, server, signals, &hurry, drain).await
}

/// Like a stop, but no session ends: the next daemon on this journal goes on.
async fn hand_over(
    config: &Config,
    dispatcher: &Dispatcher,
    server: Server,
    signals: &mut Signals,
) -> Result<(), Failure> {
    info!("handing over");
    let (hurry, hurried) = watch::channel(false);
    let handover = dispatcher.hand_over(config.drain_budget, hurried);
    end(config, dispatcher, server, signals, &hurry, handover).await?;
    say(&json!({ "handed_over": true }).to_string());
    Ok(())
}

/// Ends the connections once what is to come before has come.
async fn end<T>(
    config: &Config,
    dispatcher: &Dispatcher,
    mut server: Server,
    signals: &mut Signals,
    hurry: &watch::Sender<bool>,
    before: impl Future<Output = Result<T, Declined>>,
) -> Result<T, Failure> {
    dispatcher.set_ready(false).await;
    server.stop_listening().await;
    let before = async {
        tokio::pin!(before);
        loop {
            tokio::select! {
                outcome = &mut before => break outcome,
                _ = signals.next() => {
                    info!("a second signal: hurrying");
                    hurry.send_replace(true);
                }
            }
        }
    };
    // It keeps to its budget by itself; this is for the day when it does not.
    let outcome = timeout(config.drain_budget + STUCK_AFTER, before).await;
    server.close(FAREWELL).await;
    outcome.map_err(|_| Exit::Fault.because("the drain did not end: a fault of our own"))?.map_err(
        |declined| {
            let exit = if declined.is_of_the_journal() { Exit::Storage } else { Exit::Fault };
            exit.because(declined)
        },
    )
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
