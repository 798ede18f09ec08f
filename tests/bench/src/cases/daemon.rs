//! Hookwire as a daemon: `hookwire bench` starts gateway, dispatcher and plugins, and measures them from outside.

use serde::Deserialize;

use super::{Label, PATIENCE};
use crate::{
    case::{Bench, Case, Failure, Sample},
    latency::Quantiles,
    process::Ear,
    results::{Metric, Row, Runtime},
};

/// What `hookwire bench` is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// So many events, as fast as they are acknowledged.
    Throughput(u64),
    /// So many events, a thousand a second.
    Latency(u64),
    /// The ends of all sessions.
    Drain,
}

/// A dispatcher of its own process.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// What the row says.
    pub label: Label,
    /// What is measured.
    pub mode: Mode,
    /// How many take every event, each a process.
    pub subscribers: u32,
    /// The gateway's sessions.
    pub sessions: u64,
}

/// What it prints, as far as it matters here. Its own names: it is not this crate's.
#[derive(Debug, Deserialize)]
struct Outcome {
    deliveries: u64,
    lost: u64,
    elapsed_s: f64,
    cpu_ns_per_delivery: Cpu,
    latency_us: Option<Microseconds>,
    memory_bytes: Memory,
}

#[derive(Debug, Deserialize)]
struct Cpu {
    gateway: Option<f64>,
    dispatcher: Option<f64>,
    plugins: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Microseconds {
    p50: f64,
    p99: f64,
    p999: f64,
}

#[derive(Debug, Deserialize)]
struct Memory {
    dispatcher_peak: Option<u64>,
}

impl Case for Daemon {
    fn row(&self) -> Row {
        // The dispatcher as it is served; gateway and plugins have one thread.
        self.label.row(Runtime::MultiThread, self.subscribers, self.sessions, self.measured())
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let ear = Ear::until(PATIENCE);
        let mut process = ear.start(0, &bench.hookwire, self.args())?;
        let mut printed = None;
        while let Some(line) = ear.hear()?.line {
            printed = Some(line);
        }
        let printed = printed.ok_or_else(|| process.gone())?;
        let outcome = serde_json::from_str(&printed);
        self.sample(&outcome.map_err(|error| Failure::Wrong(format!("{printed}: {error}")))?)
    }
}

impl Daemon {
    /// Events, or ends, that every subscriber is handed.
    fn measured(&self) -> u64 {
        match self.mode {
            Mode::Throughput(events) | Mode::Latency(events) => events,
            Mode::Drain => self.sessions,
        }
    }

    fn args(&self) -> Vec<String> {
        let (subscribers, sessions) = (self.subscribers.to_string(), self.sessions.to_string());
        let counts = ["bench", "--json", "--subscribers", &subscribers, "--sessions", &sessions];
        let (mode, events) = match self.mode {
            Mode::Throughput(events) => ("throughput", Some(events)),
            Mode::Latency(events) => ("latency", Some(events)),
            Mode::Drain => ("drain", None),
        };
        let events = events.map(|events| ["--events".to_owned(), events.to_string()]);
        let args = counts.into_iter().chain(["--mode", mode]).map(str::to_owned);
        args.chain(events.into_iter().flatten()).collect()
    }

    /// Its figures, unless it has not delivered everything.
    fn sample(&self, outcome: &Outcome) -> Result<Sample, Failure> {
        let due = self.measured() * u64::from(self.subscribers);
        if outcome.deliveries != due || outcome.lost > 0 {
            let (deliveries, lost) = (outcome.deliveries, outcome.lost);
            return Err(Failure::Wrong(format!("{deliveries} of {due} were delivered, {lost} lost")));
        }
        let nanoseconds = |microseconds: f64| (microseconds * 1e3) as u64;
        let took = outcome.latency_us.as_ref().map(|took| Quantiles {
            p50: nanoseconds(took.p50),
            p99: nanoseconds(took.p99),
            p999: nanoseconds(took.p999),
        });
        let mut sample = self.label.sample(due, (outcome.elapsed_s * 1e9) as u64, took);
        let cpu = &outcome.cpu_ns_per_delivery;
        let known = [
            (Metric::ProducerCpuNs, cpu.gateway),
            (Metric::BrokerCpuNs, cpu.dispatcher),
            (Metric::ConsumerCpuNs, cpu.plugins),
            (Metric::PeakMemoryBytes, outcome.memory_bytes.dispatcher_peak.map(|bytes| bytes as f64)),
        ];
        sample.extend(known.into_iter().filter_map(|(metric, figure)| Some((metric, figure?))));
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Scenario;

    const PRINTED: &str = r#"{"mode":"throughput","deliveries":20,"lost":0,"elapsed_s":0.5,
        "cpu_ns_per_delivery":{"gateway":1.5,"dispatcher":2.5,"plugins":null},
        "latency_us":{"p50":1.0,"p99":2.0,"p999":3.0,"max":4.0},"memory_bytes":{"dispatcher_peak":7}}"#;

    fn daemon(events: u64) -> Daemon {
        let label = Label { scenario: Scenario::Throughput, contender: "Hookwire", note: "" };
        Daemon { label, mode: Mode::Throughput(events), subscribers: 2, sessions: 16 }
    }

    #[test]
    fn what_it_prints_is_read() {
        let sample = daemon(10).sample(&serde_json::from_str(PRINTED).unwrap()).unwrap();
        let expected = [
            (Metric::DeliveriesPerSecond, 40.0),
            (Metric::ProducerCpuNs, 1.5),
            (Metric::BrokerCpuNs, 2.5),
            (Metric::PeakMemoryBytes, 7.0),
        ];
        assert_eq!(sample, Sample::from(expected));
    }

    #[test]
    fn a_wrong_count_is_an_error() {
        let outcome = serde_json::from_str(PRINTED).unwrap();
        assert!(daemon(11).sample(&outcome).is_err());
        let lossy = serde_json::from_str(&PRINTED.replace(r#""lost":0"#, r#""lost":1"#)).unwrap();
        assert!(daemon(10).sample(&lossy).is_err());
    }
}
