//! One run: who is started, what they are told, and what they say.

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;

use super::{Company, HEALTHY, Isolation, SESSIONS, crashing::Crashing};
use crate::{
    case::Failure,
    cases::{FromPlugin, STEP},
    latency::Quantiles,
    load::JSON_BYTES,
    process::{Ear, Process},
};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The gateway's name, whose events count.
const GATEWAY: &str = "bench";

/// What the slow one takes for an event, in microseconds. It sleeps: what it costs is nobody's CPU.
const SLOW_US: &str = "10000";

/// Beside paced events, what a subscriber may fall behind within seconds.
const SHORT_QUEUES: &str = "max_in_flight = 256\nqueue_events = 512\n";

/// How far the gateway may be ahead of the slowest of the 61.
const CREDIT: &str = "6000";

/// The processes' numbers.
const DISPATCHER: usize = 0;
const HEARD: usize = 1;
const GATE: usize = 2;
const OTHERS: usize = 3;

/// What the healthy have noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// When the first event was fired, since the Unix epoch.
    pub(super) began_ns: u64,
    /// When the last of them had acknowledged the last event.
    pub(super) ended_ns: u64,
    /// From emission to receipt.
    pub(super) took: Option<Quantiles>,
    /// What the dispatcher has used meanwhile, for all of the 64.
    pub(super) dispatcher_cpu_ns: u64,
    /// What the process of the healthy has.
    pub(super) healthy_cpu_ns: u64,
}

/// Where the dispatcher listens.
#[derive(Debug, Deserialize)]
struct Listening {
    listening: Vec<String>,
}

/// What the gateway says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FromGateway {
    Ready,
    Fired { at_unix_nano: u64 },
    Published,
}

/// Everybody, and how far they are.
struct Run {
    ear: Ear,
    dispatcher: Process,
    healthy: Process,
    gateway: Process,
    /// The other three, in so far as they live on.
    others: Vec<Process>,
    _crashing: Option<Crashing>,
    gateway_is_ready: bool,
    acked: u64,
    began_ns: Option<u64>,
    measured: Option<(u64, Option<Quantiles>)>,
}

/// Runs one to its end.
pub(super) fn run(isolation: &Isolation, hookwire: &Path) -> Result<Heard, Failure> {
    let directory = tempfile::tempdir().map_err(|error| Failure::Wrong(error.to_string()))?;
    let config = directory.path().join("hookwire.toml");
    let settings = if isolation.rate.is_some() { SHORT_QUEUES } else { "" };
    fs::write(&config, settings).map_err(|error| Failure::Wrong(error.to_string()))?;
    let mut run = Run::set_up(isolation, hookwire, &config)?;
    run.gateway.tell(r#"{"type":"start"}"#)?;
    while run.acked < SESSIONS {
        run.hear()?;
    }
    if isolation.company != Company::Healthy {
        run.others[0].freeze();
    }
    let before = run.cpu_ns()?;
    run.gateway.tell(r#"{"type":"fire"}"#)?;
    loop {
        if let (Some(began_ns), Some((ended_ns, took))) = (run.began_ns, run.measured) {
            let after = run.cpu_ns()?;
            let [dispatcher_cpu_ns, healthy_cpu_ns] = [0, 1].map(|who| after[who] - before[who]);
            run.dispatcher.kill(); // or it would wait for the frozen one to take its ends
            return Ok(Heard { began_ns, ended_ns, took, dispatcher_cpu_ns, healthy_cpu_ns });
        }
        run.hear()?;
    }
}

impl Run {
    fn set_up(isolation: &Isolation, hookwire: &Path, config: &Path) -> Result<Self, Failure> {
        let ear = Ear::until(PATIENCE);
        let serve = ["serve", "--in-memory", "--listen", "127.0.0.1:0", "--config"];
        let serve = serve.iter().map(Path::new).chain([config]);
        let mut dispatcher = ear.start(DISPATCHER, hookwire, serve)?;
        let line = ear.hear()?.line.ok_or_else(|| dispatcher.gone())?;
        let listening: Listening = serde_json::from_str(&line).map_err(|_| Failure::Wrong(line))?;
        let address = listening.listening.first().ok_or_else(|| dispatcher.gone())?;
        let plugin = |who, name: &str, count: u32, more: &[&str]| {
            let args = plugin(address, name, count, isolation.events, more);
            let mut process = ear.start(who, hookwire, args)?;
            let line = ear.hear()?.line.ok_or_else(|| process.gone())?;
            match serde_json::from_str(&line) {
                Ok(FromPlugin::Ready) => Ok(process),
                _ => Err(Failure::Wrong(line)),
            }
        };
        let healthy = plugin(HEARD, "healthy", HEALTHY, &[])?;
        let company: &[(&str, &[&str])] = match isolation.company {
            Company::Healthy => &[("a", &[]), ("b", &[]), ("c", &[])],
            Company::Disturbed => &[("stalled", &[]), ("slow", &["--delay-us", SLOW_US])],
            Company::Cut => &[("stalled", &["--disconnect"]), ("slow", &["--delay-us", SLOW_US])],
        };
        let others =
            company.iter().map(|(name, more)| plugin(OTHERS, name, 1, more)).collect::<Result<_, _>>()?;
        let args = plugin_args(isolation, address);
        let crashing = args.map(|args| Crashing::start(hookwire.to_owned(), args));
        let gateway = ear.start(GATE, hookwire, gateway(address, isolation))?;
        let mut run = Self {
            ear,
            dispatcher,
            healthy,
            gateway,
            others,
            _crashing: crashing,
            gateway_is_ready: false,
            acked: 0,
            began_ns: None,
            measured: None,
        };
        while !run.gateway_is_ready {
            run.hear()?;
        }
        Ok(run)
    }

    /// Of the dispatcher and of the healthy, so far.
    fn cpu_ns(&mut self) -> Result<[u64; 2], Failure> {
        Ok([self.dispatcher.cpu_ns()?, self.healthy.cpu_ns()?])
    }

    /// Takes the next thing said, and passes credit on.
    fn hear(&mut self) -> Result<(), Failure> {
        let said = self.ear.hear()?;
        match (said.who, said.line) {
            (HEARD, Some(line)) => self.healthy(&line),
            (HEARD, None) => Err(self.healthy.gone()),
            (GATE, Some(line)) => self.gateway(&line),
            (GATE, None) => Err(self.gateway.gone()),
            (DISPATCHER, None) => Err(self.dispatcher.gone()),
            _ => Ok(()), // what becomes of the others is not measured
        }
    }

    fn healthy(&mut self, line: &str) -> Result<(), Failure> {
        match read(line)? {
            FromPlugin::Ready => Ok(()),
            FromPlugin::Acked { lost: 0, count } => {
                self.acked = count;
                self.gateway.tell(&format!(r#"{{"type":"acked","count":{count}}}"#))
            }
            FromPlugin::Acked { lost, .. } => {
                Err(Failure::Wrong(format!("the healthy have lost {lost} events")))
            }
            FromPlugin::Measured { at_unix_nano, latency } => {
                self.measured = Some((at_unix_nano, Quantiles::of(latency)));
                Ok(())
            }
        }
    }

    fn gateway(&mut self, line: &str) -> Result<(), Failure> {
        match read(line)? {
            FromGateway::Ready => self.gateway_is_ready = true,
            FromGateway::Fired { at_unix_nano } => self.began_ns = Some(at_unix_nano),
            FromGateway::Published => {}
        }
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(|error| Failure::Wrong(format!("{line}: {error}")))
}

fn plugin(address: &str, name: &str, count: u32, events: u64, more: &[&str]) -> Vec<String> {
    let [count, starts, events] = [u64::from(count), SESSIONS, events].map(|number| number.to_string());
    let who =
        ["bench-plugin", "--to", address, "--name", name, "--subscribers", &count, "--gateway", GATEWAY];
    let what = ["--starts", &starts, "--measured", &events, "--step", STEP];
    who.iter().chain(&what).chain(more).map(ToString::to_string).collect()
}

/// The one that crashes, where there is one.
fn plugin_args(isolation: &Isolation, address: &str) -> Option<Vec<String>> {
    let crashes = isolation.company != Company::Healthy;
    crashes.then(|| plugin(address, "crashing", 1, isolation.events, &[]))
}

fn gateway(address: &str, isolation: &Isolation) -> Vec<String> {
    let numbers = [SESSIONS, isolation.events, JSON_BYTES as u64].map(|number| number.to_string());
    let [sessions, events, payload] = &numbers;
    let who =
        ["bench-gateway", "--to", address, "--name", GATEWAY, "--credit", CREDIT, "--sessions", sessions];
    let mut args: Vec<_> =
        who.iter().chain(&["--events", events, "--payload", payload]).map(ToString::to_string).collect();
    if let Some(rate) = isolation.rate {
        args.extend(["--rate".to_owned(), rate.to_string()]);
    }
    args
}
