//! `hookwire bench`: what the whole product carries here, all of it on, each party a process of its own.
//!
//! ```text
//! plan ──▶ run { dispatcher, gateway, plugins } ──▶ outcome              (lines: what the processes say to each other)
//! ```
//!
//! The parent starts the others, passes credit from the plugins to the gateway, reads clocks and memory from outside,
//! and takes no part in what is measured.

mod dial;
pub(super) mod gateway;
mod heard;
mod latency;
mod lines;
mod orders;
mod outcome;
mod plan;
pub(super) mod plugin;
mod run;
mod usage;

use hookwire_sdk::Address;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::{
    plan::{Mode, Plan},
    run::Run,
};
use super::{Exit, Failure, client, process, term};

/// Measure how fast a dispatcher carries events from a gateway to plugins, all of them processes of their own
///
/// Everything counts as delivered once it is acknowledged. Without --to, a dispatcher is started for the bench, in
/// memory and on a free port of the loopback. With --to its CPU and memory are not known.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Bench the dispatcher that listens here: host:port or unix:/path [default: one is started]
    #[arg(long, value_name = "ADDR")]
    to: Option<Address>,

    /// What is measured
    #[arg(long, value_enum, default_value_t = Mode::Throughput)]
    mode: Mode,

    /// How many subscribers; beyond 64 they share 64 processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    subscribers: u32,

    /// How many events are fired [default: 500000; latency: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    events: Option<u64>,

    /// The size of an event's JSON [default: 180, of 246 for the whole event]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(2..=1 << 20))]
    payload: Option<u32>,

    /// Fire so many events a second, whatever becomes of them [default: as fast as they are acknowledged; latency: 1000]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,

    /// How many sessions the events are spread over, or drained [default: 16; drain: 10000]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    sessions: Option<u32>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::new(&args)?;
    let outcome = client::block_on(async {
        let stopped = process::stopped()?;
        let progress = bar(&plan);
        let measured = tokio::select! {
            measured = Run::new(&plan, &progress)?.run(args.to.as_ref()) => measured,
            // All processes are killed as the run is dropped.
            () = stopped => Err(Exit::Fault.because("stopped before its end")),
        };
        progress.finish_and_clear();
        measured
    })?;
    term::print(&match (args.json, term::is_terminal()) {
        (true, _) => outcome.json(),
        (false, true) => outcome.table(),
        (false, false) => outcome.lines(),
    })?;
    outcome.judge()
}

/// Shows on a terminal's stderr how far it is.
fn bar(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(plan.deliveries()), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}");
    bar.set_style(style.expect("a constant template"));
    bar
}
