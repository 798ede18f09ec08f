//! What a run found out, as it is written to disk: plain data, rendered elsewhere.
//!
//! A [`Row`] is one thing that was measured, in as many samples as there were rounds. Nothing is averaged before it is
//! written; [`Row::spread`] is the one way to read a figure.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

use serde::{Deserialize, Serialize};

/// The version of this schema: a reader refuses another.
pub const SCHEMA: u32 = 1;

/// One whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it began: seconds since the Unix epoch.
    pub started_unix: u64,
    /// How long it took, in seconds.
    pub took_seconds: f64,
    /// Where it ran.
    pub machine: Machine,
    /// What ran, by name ("rustc", "tonic", "nats-server" …); what is not installed is absent.
    pub versions: BTreeMap<String, String>,
    /// How it ran.
    pub settings: Settings,
    /// What it found, in the order of the scenarios.
    pub rows: Vec<Row>,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name for itself.
    pub cpu: String,
    /// How many of it a process may use at once.
    pub cores: u32,
    /// The kernel's name and release.
    pub kernel: String,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Samples of every row.
    pub rounds: u32,
    /// Sizes are multiplied by this: 1 is what a published run takes.
    pub scale: f64,
    /// Only rows whose name holds one of these were measured; empty means all.
    pub only: Vec<String>,
    /// One event on the wire, encoded, in bytes.
    pub event_bytes: u32,
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was asked of the contender.
    pub scenario: Scenario,
    /// Who was asked.
    pub contender: String,
    /// The runtime of every process that is written in Rust, the same on all sides.
    pub runtime: Runtime,
    /// How many took every event.
    pub subscribers: u32,
    /// How many sessions the events belong to.
    pub sessions: u64,
    /// How many events were emitted; a delivery is one of them at one subscriber.
    pub events: u64,
    /// How it was set up, in a line for the reader: what is in flight, what is stored.
    pub note: String,
    /// One figure for every round that ran, by metric.
    pub samples: BTreeMap<Metric, Vec<f64>>,
    /// Some round failed, and why: a count that is wrong, an exit, a deadline. The row's figures are not to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// It did not run here, and why: what is not installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_measured: Option<String>,
}

/// What is asked of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// As many events as will go, every one of them received, decoded and acknowledged.
    Throughput,
    /// A thousand events a second, on an absolute schedule.
    Latency,
    /// Every session's end, from the order to the last acknowledgement.
    Drain,
    /// Throughput with stock clients in other languages as plugins.
    Clients,
    /// Neighbours of a stalled, a slow and a crashing subscriber.
    Isolation,
    /// What a call of the embedded emitter takes of its caller's time.
    Emit,
    /// The cost of a delivery as subscribers and sessions grow.
    Growth,
    /// What the dispatcher remembers of live sessions.
    Ledger,
    /// What the journal costs.
    Durability,
    /// Throughput with the SDKs' plugins, beside generated code alone.
    Sdks,
}

/// The tokio flavour on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// One thread a process.
    #[default]
    CurrentThread,
    /// A worker for each core.
    MultiThread,
}

/// A figure's name; its unit is in the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Deliveries that were acknowledged, a second.
    DeliveriesPerSecond,
    /// CPU time of the process that makes the events, in nanoseconds a delivery. Where the dispatcher is embedded
    /// or the gateway writes to its plugins itself, that is the dispatcher's.
    ProducerCpuNs,
    /// CPU time of the process in the middle (a broker, the daemon), in nanoseconds a delivery.
    BrokerCpuNs,
    /// CPU time of all consumers, in nanoseconds a delivery.
    ConsumerCpuNs,
    /// Half of the deliveries took at most this long from emission to receipt, in microseconds.
    P50Us,
    /// 99 % of the deliveries took at most this long, in microseconds.
    P99Us,
    /// 99.9 % of the deliveries took at most this long, in microseconds.
    P999Us,
    /// From the order to drain to the last acknowledgement, in milliseconds.
    DrainMs,
    /// The dispatcher's resident memory at its largest, in bytes.
    PeakMemoryBytes,
    /// Memory for each pair of a subscriber and a session that it saw start, in bytes.
    BytesPerPair,
    /// Memory for each live session beyond its start event and the pairs, in bytes.
    BytesPerSession,
    /// From the start of the daemon's process to its first line, with a journal that was closed, in milliseconds.
    BootMs,
    /// The same with a journal whose process was killed, in milliseconds.
    KilledBootMs,
    /// The journal's file, in bytes.
    JournalBytes,
}

/// The middle of some samples, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The one in the middle; of two, halfway between.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Results {
    /// Those of an earlier run.
    ///
    /// # Errors
    /// The file cannot be read, or was written by another version of this program.
    pub fn read(file: &Path) -> io::Result<Self> {
        let results: Self = serde_json::from_slice(&fs::read(file)?)?;
        match results.schema {
            SCHEMA => Ok(results),
            other => Err(io::Error::other(format!("results of schema {other}; this is {SCHEMA}"))),
        }
    }
}

impl Row {
    /// A metric's samples in short; none where it was not measured, or where the row is in error.
    pub fn spread(&self, metric: Metric) -> Option<Spread> {
        match self.error {
            Some(_) => None,
            None => Spread::of(self.samples.get(&metric)?),
        }
    }

    /// Adds one round's figures.
    pub fn add(&mut self, sample: &BTreeMap<Metric, f64>) {
        for (&metric, &figure) in sample {
            self.samples.entry(metric).or_default().push(figure);
        }
    }
}

impl Spread {
    /// None of no samples.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => sorted[middle - 1].midpoint(sorted[middle]),
            _ => sorted[middle],
        };
        Some(Self { min, median, max })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Drain => "drain",
            Self::Clients => "clients",
            Self::Isolation => "isolation",
            Self::Emit => "emit",
            Self::Growth => "growth",
            Self::Ledger => "ledger",
            Self::Durability => "durability",
            Self::Sdks => "sdks",
        })
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CurrentThread => "current_thread",
            Self::MultiThread => "multi_thread",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(samples: &[f64]) -> Option<f64> {
        Spread::of(samples).map(|spread| spread.median)
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_row_in_error_has_no_figures() {
        let mut row = Row {
            scenario: Scenario::Throughput,
            contender: "raw TCP".into(),
            runtime: Runtime::default(),
            subscribers: 1,
            sessions: 1,
            events: 1,
            note: String::new(),
            samples: BTreeMap::new(),
            error: None,
            not_measured: None,
        };
        row.add(&BTreeMap::from([(Metric::P50Us, 2.0)]));
        row.add(&BTreeMap::from([(Metric::P50Us, 4.0)]));
        assert_eq!(row.spread(Metric::P50Us), Some(Spread { min: 2.0, median: 3.0, max: 4.0 }));
        assert_eq!(row.spread(Metric::P99Us), None);
        row.error = Some("an event is missing".into());
        assert_eq!(row.spread(Metric::P50Us), None);
    }
}
