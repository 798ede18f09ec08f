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
mod output;
mod pings;
mod place;
mod plugin;
mod record;
mod relay;
mod report;
mod rule;
mod scenarios;
mod stage;
mod wire;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::builder::{PossibleValue, PossibleValuesParser};
use tokio::{runtime, sync::Semaphore, task::JoinSet, time::timeout};

use self::{
    finding::{Findings, Verdict},
    place::Place,
    plugin::DIRECTORY,
    report::{Outcome, Report},
    scenarios::{ALL, Scenario, hold_throughout},
    stage::{Halt, Stage},
};
use super::{Exit, Failure, process, serve, term};

/// How many scenarios that do not mostly wait run at once.
const BUSY: usize = 2;

/// However long a plugin takes: nothing in a scenario takes longer than this.
const LONGEST: Duration = Duration::from_secs(300);

/// Put a plugin through what can happen, and say whether it keeps the contract
///
/// CMD is started once or more for each scenario, with HOOKWIRE_ADDR, HOOKWIRE_SUBSCRIBER, and HOOKWIRE_VERIFY_LOG: a file to which
/// a plugin appends a JSON line for each effect, behind it and before the answer. Without those lines some rules cannot be judged. In CMD,
/// {dir} stands for a directory of the scenario's own: put there what the plugin stores. Exits with 1 where a rule was broken.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this scenario; can be given more than once [default: all]
    #[arg(long = "scenario", value_name = "NAME", value_parser = names())]
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

    /// Keep all that there is to look at in this directory: what the plugin said and stored, its effect log, the dispatchers'
    /// log [default: what failed, in a temporary one]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// How long the plugin may keep the kit waiting without a sign of life
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = humantime::parse_duration)]
    patience: Duration,

    /// The plugin
    #[arg(value_name = "CMD", required = true, last = true)]
    command: Vec<String>,
}

/// The names of the scenarios.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ALL.iter().map(|it| PossibleValue::new(it.name).help(it.about)))
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let place = Place::new(args.keep.as_deref()).map_err(|error| {
        let directory = args.keep.clone().unwrap_or_else(std::env::temp_dir);
        Exit::Usage.because(format_args!("{}: {error}", directory.display()))
    })?;
    serve::process::log_to_file(&place.log())?;
    let asked =
        |it: &&Scenario| args.scenarios.is_empty() || args.scenarios.iter().any(|name| name == it.name);
    let scenarios: Vec<_> = ALL.iter().filter(asked).collect();
    if scenarios.len() > 1 && !args.command.iter().any(|word| word.contains(DIRECTORY)) {
        term::say(format_args!(
            "there is no {DIRECTORY} in the command: what the plugin stores, all scenarios share"
        ));
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::Fault.because(format!("no runtime: {error}")))?;
    let report = runtime.block_on(async {
        let stopped = process::stopped()?;
        tokio::select! {
            report = verify(&args, &scenarios, &place) => report,
            // All plugins are killed as their stages are dropped.
            () = stopped => Err(Exit::Fault.because("stopped before its end")),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    tell(&args, &report?, place)
}

/// Says what came of it, and where there is something to look at; what failed is a failure.
fn tell(args: &Args, report: &Report, place: Place) -> Result<(), Failure> {
    let (failed, unjudged) = (report.count(Verdict::Fail), report.count(Verdict::CannotJudge));
    let kept = place.keep(failed, report.not_failed());
    if let Some(file) = &args.junit {
        let written = std::fs::write(file, report.junit());
        written.map_err(|error| Exit::Fault.because(format!("{}: {error}", file.display())))?;
    }
    term::print(&if args.json { report.json() } else { report.table() })?;
    if let Some(directory) = kept {
        term::say(format_args!("there is something to look at in {}", directory.display()));
    }
    let all = report.0.len();
    match (failed, unjudged) {
        (0, 1..) if args.strict => {
            Err(Exit::Fault.because(format!("{unjudged} of {all} scenarios cannot be judged in full")))
        }
        (0, _) => Ok(()),
        (failed, _) => Err(Exit::Fault.because(format!("{failed} of {all} scenarios failed"))),
    }
}

async fn verify(args: &Args, scenarios: &[&'static Scenario], place: &Place) -> Result<Report, Failure> {
    let busy = Arc::new(Semaphore::new(BUSY));
    let mut running = JoinSet::new();
    for (number, scenario) in scenarios.iter().copied().enumerate() {
        let (busy, command, patience) = (busy.clone(), args.command.clone(), args.patience);
        let directory = place.of(scenario.name);
        running.spawn(async move {
            let turn = if scenario.waits { None } else { busy.acquire_owned().await.ok() };
            let outcome = play(scenario, &command, patience, &directory).await;
            drop(turn);
            (number, outcome)
        });
    }
    let mut outcomes = Vec::new();
    while let Some(played) = running.join_next().await {
        let (number, outcome) = played.map_err(|error| Exit::Fault.because(error))?;
        if !args.json {
            term::say(format!("{}: {}", outcome.name, outcome.verdict().text()));
        }
        outcomes.push((number, outcome));
    }
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(Report(outcomes.into_iter().map(|(_, outcome)| outcome).collect()))
}

/// One scenario, from beginning to end.
async fn play(scenario: &Scenario, command: &[String], patience: Duration, directory: &Path) -> Outcome {
    let began = Instant::now();
    let findings = match timeout(LONGEST, act(scenario, command, patience, directory)).await {
        Ok(findings) => findings,
        Err(_) => Findings::overdue(LONGEST),
    };
    Outcome { name: scenario.name, about: scenario.about, findings, took: began.elapsed() }
}

async fn act(scenario: &Scenario, command: &[String], patience: Duration, directory: &Path) -> Findings {
    let mut findings = Findings::default();
    match Stage::set(command, patience, directory).await {
        Ok(mut stage) => {
            let played = (scenario.play)(&mut stage).await;
            if played.is_ok() {
                stage.log_begins().await;
                hold_throughout(&mut stage);
            }
            findings = std::mem::take(&mut stage.findings);
            if let Err(Halt::Broken(why)) = played {
                findings.broke_off(why);
            }
        }
        Err(halt) => findings.broke_off(halt.to_string()),
    }
    findings
}
