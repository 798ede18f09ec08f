//! How a contender is measured: two roles of this crate's and perhaps a broker; Hookwire embedded, with the binary's
//! plugins; Hookwire's daemon, which measures itself.

mod contest;
mod daemon;
mod embedded;

pub use contest::Contest;
pub use daemon::{Daemon, Mode};
pub use embedded::Embedded;
pub(crate) use embedded::{FromPlugin, STEP};

use std::{collections::BTreeMap, env, time::Duration};

use crate::{
    case::{Failure, Sample},
    latency::Quantiles,
    process::{Ear, Process},
    results::{Metric, Row, Runtime, Scenario},
    role::{ARGUMENT, Role},
};

/// How long one measurement may take in all.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a row says about its case beside the figures.
#[derive(Clone, Debug)]
pub struct Label {
    /// What is asked.
    pub scenario: Scenario,
    /// Who is asked.
    pub contender: &'static str,
    /// How it was set up, in a line.
    pub note: &'static str,
}

impl Label {
    pub(crate) fn row(&self, runtime: Runtime, subscribers: u32, sessions: u64, events: u64) -> Row {
        Row {
            scenario: self.scenario,
            contender: self.contender.to_owned(),
            runtime,
            subscribers,
            sessions,
            events,
            note: self.note.to_owned(),
            samples: BTreeMap::new(),
            error: None,
            not_measured: None,
        }
    }

    /// What a scenario wants to know of a run that took so long.
    pub(crate) fn sample(&self, deliveries: u64, elapsed_ns: u64, latencies: Option<Quantiles>) -> Sample {
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let mut sample = Sample::new();
        match (self.scenario, latencies) {
            (Scenario::Latency, Some(took)) => {
                sample.insert(Metric::P50Us, microseconds(took.p50));
                sample.insert(Metric::P99Us, microseconds(took.p99));
                sample.insert(Metric::P999Us, microseconds(took.p999));
            }
            (Scenario::Drain, _) => {
                sample.insert(Metric::DrainMs, elapsed_ns as f64 / 1e6);
            }
            _ => {
                let rate = deliveries as f64 * 1e9 / elapsed_ns.max(1) as f64;
                sample.insert(Metric::DeliveriesPerSecond, rate);
            }
        }
        sample
    }
}

/// Starts this program again, in a role.
pub(crate) fn play(ear: &Ear, who: usize, role: &Role) -> Result<Process, Failure> {
    let program = env::current_exe().map_err(|error| Failure::Wrong(error.to_string()))?;
    let json = serde_json::to_string(role).expect("plain data is always JSON");
    ear.start(who, program, [ARGUMENT, &json])
}

/// CPU time of some processes together, in nanoseconds.
fn cpu_ns<'a>(processes: impl IntoIterator<Item = &'a mut Process>) -> Result<u64, Failure> {
    processes.into_iter().map(Process::cpu_ns).sum()
}
