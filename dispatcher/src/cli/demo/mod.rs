//! `hookwire demo`: two recordings of a real gateway, played to three plugins, all of them processes of their own.
//!
//! ```text
//! recording ──▶ play { dispatcher, gateway, plugins } ──▶ timeline, score        (trace keeps the lines)
//! ```
//!
//! The dispatcher of each recording is a new one. What the gateway leaves on its own is counted from the recording,
//! what Hookwire leaves from what the plugins print.

mod findings;
mod play;
mod plugin;
mod recording;
mod scene;
mod score;
mod timeline;
mod trace;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::{
    findings::Findings,
    play::Play,
    plugin::{PLUGINS, Plugin},
    recording::{RECORDINGS, Recording},
    scene::{Account, Report},
    timeline::LEGEND,
    trace::Trace,
};
use super::{Exit, Failure, client, process, term};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Play a real gateway's recorded hooks to three plugins, and see every session end
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write everything that the plugins print to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let mut trace = Trace::begin(args.trace.as_deref())?;
    client::block_on(async {
        let stopped = process::stopped()?;
        tokio::select! {
            shown = show(&mut trace) => shown,
            // All processes are killed as the show is dropped.
            () = stopped => Err(Exit::Fault.because("stopped before its end")),
        }
    })?;
    trace.finish()
}

async fn show(trace: &mut Trace) -> Result<(), Failure> {
    let began = Instant::now();
    term::print(&opening())?;
    let mut findings = Findings::default();
    for recording in &RECORDINGS {
        let played = act(recording, trace, &mut findings).await;
        if played.is_err() {
            // What there is helps to see why.
            term::print(&findings.table())?;
            return played;
        }
    }
    term::print(&findings.table())?;
    findings.judge()?;
    term::print(&findings.praise(began.elapsed()))
}

fn opening() -> String {
    let who = |plugin: &Plugin| {
        format!("  {}  {}", term::paint(term::GOOD, format_args!("{:6}", plugin.name)), plugin.about)
    };
    let plugins: Vec<_> = PLUGINS.iter().map(who).collect();
    format!(
        "A real gateway's hooks, recorded from OpenClaw 2026.9.6, over gRPC to three plugins:\n\n{}\n\n  {}",
        plugins.join("\n"),
        term::paint(term::DIM, LEGEND.replace("\n", "\n  ")),
    )
}

/// Plays one recording, shows its timeline, and adds to what is found.
async fn act(recording: &Recording, trace: &mut Trace, findings: &mut Findings) -> Result<(), Failure> {
    let title = term::paint(term::NOTE, recording.name);
    term::print(&format!("\n{title} ({} hooks): {}\n", recording.hooks(), recording.about))?;
    let progress = spinner();
    let mut play = Play::new(recording, trace, &progress)?;
    let outcome = play.run().await;
    progress.finish_and_clear();
    term::print(&play.scene().timeline.render())?;
    findings.add(recording, &play.scene().seen)?;
    term::print(&account(&outcome?))
}

/// Shows on a terminal's stderr what is waited for.
fn spinner() -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    spinner.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a constant template"));
    spinner.enable_steady_tick(TICK);
    spinner
}

/// The dispatcher's own account of its stop.
fn account(report: &Report) -> String {
    let sum = |count: fn(&Account) -> u64| report.subscribers.iter().map(count).sum::<u64>();
    let text = format!(
        "The dispatcher's report: stopped in {}; {} ends were owed then, and {} are carried over.",
        term::span(report.elapsed_ms),
        sum(|account| account.owed),
        sum(|account| account.carried_over),
    );
    term::paint(term::DIM, text)
}
