//! `hookwire verify`: says whether a plugin keeps the contract, whatever it is written in.
//!
//! ```text
//! gateway ──▶ dispatcher ◀──▶ relay ◀──▶ wire ◀──▶ the plugin, a process ──▶ effect log
//!   (stage)    (the real one)   │ writes down,       │ cuts, holds,                 │
//!                               ▼ lies a little      ▼ counts                       ▼
//!                             record ──────────── scenarios ───────────────────── effects
//!                                                     ▼
//!                                            findings ──▶ report
//! ```

mod effects;
mod finding;
mod pings;
mod plugin;
mod record;
mod relay;
mod report;
mod rule;
mod scenarios;
mod stage;
mod wire;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime, sync::Semaphore, task::JoinSet, time::timeout};

use self::{
    finding::{Findings, Verdict},
    report::{Outcome, Report},
    scenarios::{ALL, Scenario, hold_throughout},
    stage::{Halt, Stage},
};
use super::{Exit, Failure, process, term};

/// How many scenarios that do not mostly wait run at once.
const BUSY: usize = 2;

/// However long a plugin takes: nothing in a scenario takes longer than this.
const LONGEST: Duration = Duration::from_secs(300);

/// Put a plugin through what can happen, and say whether it keeps the contract
///
/// CMD is started once or more for each scenario, with HOOKWIRE_ADDR, HOOKWIRE_SUBSCRIBER, and HOOKWIRE_VERIFY_LOG: a file to which
/// a plugin appends a JSON line for each effect, behind it and before the answer. Without those lines some rules cannot be judged. In CMD,
/// {dir} stands for a directory of the scenario's own: put there what the plugin stores. Exits with 1 where a rule was broken.
///
/// Scenarios: silence, half-open, gone, goodbye, displaced, life, burst, reset, unknown, large, redelivery, killed, sweep, drain-2s,
/// drain-200ms, sigterm.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this scenario; can be given more than once [default: all]
    #[arg(long = "scenario", value_name = "NAME", value_parser = known)]
    scenarios: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Write the findings to this file, too, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Fail, too, where something cannot be judged for want of an effect log
    #[arg(long)]
    strict: bool,

    /// How long the plugin may keep the kit waiting without a sign of life
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = humantime::parse_duration)]
    patience: Duration,

    /// The plugin
    #[arg(value_name = "CMD", required = true, last = true)]
    command: Vec<String>,
}

/// The name of a scenario.
fn known(name: &str) -> Result<String, String> {
    if ALL.iter().any(|scenario| scenario.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
    Err(format!("there are {}", names.join(", ")))
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::Fault.because(format!("no runtime: {error}")))?;
    let report = runtime.block_on(async {
        let stopped = process::stopped()?;
        tokio::select! {
            report = verify(&args) => report,
            // All plugins are killed as their stages are dropped.
            () = stopped => Err(Exit::Fault.because("stopped before its end")),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let report = report?;
    if let Some(file) = &args.junit {
        let written = std::fs::write(file, report.junit());
        written.map_err(|error| Exit::Fault.because(format!("{}: {error}", file.display())))?;
    }
    term::print(&if args.json { report.json() } else { report.table() })?;
    match (report.count(Verdict::Fail), report.count(Verdict::CannotJudge)) {
        (0, unjudged) if unjudged > 0 && args.strict => Err(Exit::Fault
            .because(format!("{unjudged} of {} scenarios cannot be judged in full", report.0.len()))),
        (0, _) => Ok(()),
        (failed, _) => Err(Exit::Fault.because(format!("{failed} of {} scenarios failed", report.0.len()))),
    }
}

async fn verify(args: &Args) -> Result<Report, Failure> {
    let busy = Arc::new(Semaphore::new(BUSY));
    let mut running = JoinSet::new();
    let asked =
        |it: &&Scenario| args.scenarios.is_empty() || args.scenarios.iter().any(|name| name == it.name);
    for (number, scenario) in ALL.iter().filter(asked).enumerate() {
        let (busy, command, patience) = (busy.clone(), args.command.clone(), args.patience);
        running.spawn(async move {
            let turn = if scenario.waits { None } else { busy.acquire_owned().await.ok() };
            let outcome = play(scenario, &command, patience).await;
            drop(turn);
            (number, outcome)
        });
    }
    let mut outcomes = Vec::new();
    while let Some(played) = running.join_next().await {
        let (number, outcome) = played.map_err(|error| Exit::Fault.because(error))?;
        let outcome = outcome?;
        if !args.json {
            term::say(format!("{}: {}", outcome.name, outcome.verdict().text()));
        }
        outcomes.push((number, outcome));
    }
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(Report(outcomes.into_iter().map(|(_, outcome)| outcome).collect()))
}

/// One scenario, from beginning to end.
async fn play(scenario: &Scenario, command: &[String], patience: Duration) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let findings = match timeout(LONGEST, act(scenario, command, patience)).await {
        Ok(acted) => acted.map_err(|halt| Exit::Fault.because(format_args!("{}: {halt}", scenario.name)))?,
        Err(_) => Findings::overdue(LONGEST),
    };
    Ok(Outcome { name: scenario.name, about: scenario.about, findings, took: began.elapsed() })
}

async fn act(scenario: &Scenario, command: &[String], patience: Duration) -> Result<Findings, Halt> {
    let mut stage = Stage::set(command, patience).await?;
    match (scenario.play)(&mut stage).await {
        Ok(()) => {
            stage.log_begins().await;
            hold_throughout(&mut stage);
        }
        Err(Halt::Found) => {}
        Err(broken) => return Err(broken),
    }
    Ok(std::mem::take(&mut stage.findings))
}
