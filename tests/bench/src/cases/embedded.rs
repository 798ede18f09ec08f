//! Hookwire embedded: the producer is a role of this crate's, its plugins are the `hookwire` binary's own
//! `bench-plugin`, one process each. What they have acknowledged is the producer's credit.

use serde::Deserialize;

use super::{Label, PATIENCE, cpu_ns, play};
use crate::{
    case::{Bench, Case, Failure, Sample},
    clock::unix_ns,
    contenders::{Contender, embedded::GATEWAY},
    latency::Quantiles,
    load::Load,
    process::{Ear, Process},
    results::{Metric, Row, Runtime},
    role::{Line, Role, Side},
};

/// The producer's number; the plugins' follow.
const PRODUCER: usize = 0;

/// After how many acknowledgements a plugin tells of them: well before a credit of thousands is used up.
pub(crate) const STEP: &str = "1024";

/// Hookwire in the gateway's process.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// What the row says.
    pub label: Label,
    /// The producer's runtime; plugins have one thread.
    pub runtime: Runtime,
    /// What is carried.
    pub load: Load,
}

/// What a plugin says. Its own words: it is not this crate's.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromPlugin {
    Ready,
    Acked { count: u64, lost: u64 },
    Measured { at_unix_nano: u64, latency: Vec<(u64, u64)> },
}

/// Everybody, and how far they are. Fields end in this order: the plugins leave while the dispatcher is there.
struct Run {
    ear: Ear,
    plugins: Vec<Plugin>,
    producer: Process,
    credit: u64,
    is_done: bool,
}

struct Plugin {
    process: Process,
    is_ready: bool,
    acked: u64,
    measured: Option<(u64, Vec<(u64, u64)>)>,
}

impl Case for Embedded {
    fn row(&self) -> Row {
        self.label.row(self.runtime, self.load.subscribers, self.load.sessions, self.load.events)
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let mut run = self.set_up(bench)?;
        let before = (run.producer.cpu_ns()?, run.plugins_cpu_ns()?);
        let began = unix_ns();
        run.producer.tell("go")?;
        while !(run.is_done && run.plugins.iter().all(|plugin| plugin.measured.is_some())) {
            run.hear()?;
        }
        let after = (run.producer.cpu_ns()?, run.plugins_cpu_ns()?);
        let measured = || run.plugins.iter().flat_map(|plugin| &plugin.measured);
        let ended = measured().map(|&(at, _)| at).max().unwrap_or(began);
        let latencies = Quantiles::of(measured().flat_map(|(_, took)| took).copied());
        let deliveries = self.load.deliveries();
        let mut sample = self.label.sample(deliveries, ended.saturating_sub(began), latencies);
        sample.insert(Metric::ProducerCpuNs, (after.0 - before.0) as f64 / deliveries as f64);
        sample.insert(Metric::ConsumerCpuNs, (after.1 - before.1) as f64 / deliveries as f64);
        Ok(sample)
    }
}

impl Embedded {
    fn set_up(&self, bench: &Bench) -> Result<Run, Failure> {
        let ear = Ear::until(PATIENCE);
        let (contender, side, address) = (Contender::Embedded, Side::Producer, "127.0.0.1:0".to_owned());
        let role = Role { contender, side, runtime: self.runtime, load: self.load, address };
        let producer = play(&ear, PRODUCER, &role)?;
        let mut run = Run { ear, producer, plugins: Vec::new(), credit: 0, is_done: false };
        let address = run.listening()?;
        let [starts, measured] = [self.load.sessions, self.load.events].map(|count| count.to_string());
        for index in 0..self.load.subscribers as usize {
            let name = format!("plugin-{index}");
            let who = ["bench-plugin", "--to", &address, "--name", &name, "--subscribers", "1"];
            let what = ["--gateway", GATEWAY, "--starts", &starts, "--measured", &measured, "--step", STEP];
            let process =
                run.ear.start(PRODUCER + 1 + index, &bench.hookwire, who.into_iter().chain(what))?;
            run.plugins.push(Plugin { process, is_ready: false, acked: 0, measured: None });
        }
        while !run.plugins.iter().all(|plugin| plugin.is_ready) {
            run.hear()?;
        }
        Ok(run)
    }
}

impl Run {
    fn listening(&mut self) -> Result<String, Failure> {
        let line = self.ear.hear()?.line.ok_or_else(|| self.producer.gone())?;
        match serde_json::from_str(&line) {
            Ok(Line::Ready(address)) => Ok(address),
            _ => Err(Failure::Wrong(line)),
        }
    }

    fn plugins_cpu_ns(&mut self) -> Result<u64, Failure> {
        cpu_ns(self.plugins.iter_mut().map(|plugin| &mut plugin.process))
    }

    /// Takes the next thing said, and passes credit on.
    fn hear(&mut self) -> Result<(), Failure> {
        let said = self.ear.hear()?;
        let Some(plugin) = said.who.checked_sub(PRODUCER + 1).and_then(|index| self.plugins.get_mut(index))
        else {
            let line = said.line.ok_or_else(|| self.producer.gone())?;
            self.is_done = matches!(serde_json::from_str(&line), Ok(Line::Done(_)));
            return if self.is_done { Ok(()) } else { Err(Failure::Wrong(line)) };
        };
        let line = said.line.ok_or_else(|| plugin.process.gone())?;
        match serde_json::from_str(&line).map_err(|error| Failure::Wrong(format!("{line}: {error}")))? {
            FromPlugin::Ready => plugin.is_ready = true,
            FromPlugin::Acked { lost: 0, count } => plugin.acked = count,
            FromPlugin::Acked { lost, .. } => return Err(Failure::Wrong(format!("{lost} events were lost"))),
            FromPlugin::Measured { at_unix_nano, latency } => plugin.measured = Some((at_unix_nano, latency)),
        }
        self.pass_credit()
    }

    fn pass_credit(&mut self) -> Result<(), Failure> {
        let by_all = self.plugins.iter().map(|plugin| plugin.acked).min().unwrap_or_default();
        if by_all == self.credit || self.is_done {
            return Ok(());
        }
        self.credit = by_all;
        self.producer.tell(&by_all.to_string())
    }
}
