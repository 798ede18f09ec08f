//! What the journal costs: starts and ends with it and without, what it adds to a start's way, and what it does not cost
//! ordinary events. And how long a dispatcher takes to go on from a journal with many open sessions.

use std::{
    fs, process, thread,
    time::{Duration, Instant},
};

use hookwire::{
    config::{Config, Durability},
    dispatcher::Dispatcher,
    emit::emitter::Emitter,
    serve::{
        connection::{ConnectionLimits, Server},
        listen::Listener,
    },
};
use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, SessionRef, gateway_event::Payload},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime as Tokio, sync::watch};

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::{FromPlugin, Label, STEP},
    clock,
    latency::Quantiles,
    load::{HOOK, json, session_id},
    process::{Ear, Process},
    results::{Metric, Row, Runtime, Scenario},
};

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// The gateway's name.
const GATEWAY: &str = "bench";

/// Sessions of ordinary events.
const SESSIONS: u64 = 16;

/// How much of the plugin's way an ordinary event may be ahead, in events: less than what a queue holds.
const CREDIT: u64 = 4096;

/// Open sessions that a dispatcher goes on from.
const OPEN: u64 = 1_000_000;

/// Where the ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ledger {
    InMemory,
    Journal(Durability),
}

/// What is emitted.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// So many sessions start and end, as fast as will go.
    Lives(u64),
    /// So many sessions start, so many a second.
    Starts { count: u64, rate: u64 },
    /// So many ordinary events, as fast as they are acknowledged.
    Ordinary(u64),
}

/// One load on one kind of ledger: the dispatcher is in this process, its plugin is not.
#[derive(Clone, Copy, Debug)]
struct Cost {
    name: &'static str,
    ledger: Ledger,
    load: Load,
}

/// The start of a dispatcher whose ledger holds many open sessions.
#[derive(Clone, Copy, Debug)]
struct Boot {
    open: u64,
}

const MEMORY: Ledger = Ledger::InMemory;
const PROCESS: Ledger = Ledger::Journal(Durability::Process);
const POWER: Ledger = Ledger::Journal(Durability::Power);

const LIVES: Load = Load::Lives(30_000);
const FEW: Load = Load::Starts { count: 50, rate: 10 };
const SOME: Load = Load::Starts { count: 3_000, rate: 1_000 };
const MANY: Load = Load::Starts { count: 20_000, rate: 10_000 };
const ORDINARY: Load = Load::Ordinary(500_000);

const COSTS: [Cost; 15] = [
    Cost { name: "starts and ends, in memory", ledger: MEMORY, load: LIVES },
    Cost { name: "starts and ends, process", ledger: PROCESS, load: LIVES },
    Cost { name: "starts and ends, power", ledger: POWER, load: LIVES },
    Cost { name: "10 starts a second, in memory", ledger: MEMORY, load: FEW },
    Cost { name: "10 starts a second, process", ledger: PROCESS, load: FEW },
    Cost { name: "10 starts a second, power", ledger: POWER, load: FEW },
    Cost { name: "1,000 starts a second, in memory", ledger: MEMORY, load: SOME },
    Cost { name: "1,000 starts a second, process", ledger: PROCESS, load: SOME },
    Cost { name: "1,000 starts a second, power", ledger: POWER, load: SOME },
    Cost { name: "10,000 starts a second, in memory", ledger: MEMORY, load: MANY },
    Cost { name: "10,000 starts a second, process", ledger: PROCESS, load: MANY },
    Cost { name: "10,000 starts a second, power", ledger: POWER, load: MANY },
    Cost { name: "ordinary events, in memory", ledger: MEMORY, load: ORDINARY },
    Cost { name: "ordinary events, process", ledger: PROCESS, load: ORDINARY },
    Cost { name: "ordinary events, power", ledger: POWER, load: ORDINARY },
];

/// Every load on every kind of ledger, and a start from a full one.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let scaled = |cost: Cost| {
        let load = match cost.load {
            Load::Lives(count) => Load::Lives(bench.scaled(count)),
            Load::Starts { count, rate } => Load::Starts { count: bench.scaled(count), rate },
            Load::Ordinary(count) => Load::Ordinary(bench.scaled(count)),
        };
        Box::new(Cost { load, ..cost }) as Box<dyn Case>
    };
    let boot = Box::new(Boot { open: bench.scaled(OPEN) }) as Box<dyn Case>;
    COSTS.into_iter().map(scaled).chain([boot]).collect()
}

/// Everybody. Fields end in this order: the plugin leaves while the dispatcher is there.
struct Stage {
    emitter: Emitter,
    plugin: Process,
    server: Server,
    dispatcher: Dispatcher,
    ear: Ear,
    tokio: Tokio,
}

impl Case for Cost {
    fn row(&self) -> Row {
        let note =
            "the dispatcher is embedded, its plugin is a process; from emission to receipt by the plugin";
        let label = Label { scenario: Scenario::Durability, contender: self.name, note };
        let sessions = match self.load {
            Load::Lives(count) | Load::Starts { count, .. } => count,
            Load::Ordinary(_) => SESSIONS,
        };
        label.row(Runtime::MultiThread, 1, sessions, self.load.deliveries())
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let folder = TempDir::new().map_err(wrong)?;
        let mut stage = Stage::set_up(bench, self.ledger, &folder, self.load.deliveries())?;
        let cpu_before = clock::cpu_ns(process::id()).map_err(wrong)?;
        let began = clock::unix_ns();
        self.emit(&mut stage)?;
        let (ended, took) = stage.measured()?;
        let cpu = clock::cpu_ns(process::id()).map_err(wrong)? - cpu_before;
        let deliveries = self.load.deliveries();
        let mut sample = Sample::from([(Metric::ProducerCpuNs, cpu as f64 / deliveries as f64)]);
        match self.load {
            Load::Starts { .. } => {
                let micros = |nanos: u64| nanos as f64 / 1e3;
                sample.insert(Metric::P50Us, micros(took.p50));
                sample.insert(Metric::P99Us, micros(took.p99));
            }
            Load::Lives(_) | Load::Ordinary(_) => {
                let seconds = ended.saturating_sub(began) as f64 / 1e9;
                sample.insert(Metric::DeliveriesPerSecond, deliveries as f64 / seconds);
            }
        }
        stage.close()?;
        Ok(sample)
    }
}

impl Load {
    /// What the one plugin gets.
    fn deliveries(self) -> u64 {
        match self {
            Self::Lives(count) => 2 * count,
            Self::Starts { count, .. } => count,
            Self::Ordinary(count) => SESSIONS + count, // each session begins with its first event
        }
    }
}

impl Cost {
    /// Emits everything that does not have to wait, and the rest as the plugin comes along.
    fn emit(&self, stage: &mut Stage) -> Result<(), Failure> {
        let emitter = stage.emitter.clone();
        match self.load {
            Load::Lives(count) => (0..count).for_each(|session| {
                drop(emitter.emit(event(hook::SESSION_START, session)));
                drop(emitter.emit(event(hook::SESSION_END, session)));
            }),
            Load::Starts { count, rate } => {
                let began = Instant::now();
                for session in 0..count {
                    let due = Duration::from_nanos(session * 1_000_000_000 / rate);
                    thread::sleep(due.saturating_sub(began.elapsed()));
                    drop(emitter.emit(event(hook::SESSION_START, session)));
                }
            }
            Load::Ordinary(count) => {
                let mut acked = 0;
                for index in 0..count {
                    while index >= acked + CREDIT {
                        acked = stage.acked()?;
                    }
                    drop(emitter.emit(ordinary(index % SESSIONS)));
                }
            }
        }
        Ok(())
    }
}

impl Stage {
    fn set_up(bench: &Bench, ledger: Ledger, folder: &TempDir, deliveries: u64) -> Result<Self, Failure> {
        let (ear, tokio) = (Ear::until(PATIENCE), Tokio::new().map_err(wrong)?);
        let listen = vec!["127.0.0.1:0".parse().map_err(wrong)?];
        let mut config = Config { listen, ..Config::default() };
        let inside = tokio.enter();
        let dispatcher = match ledger {
            Ledger::InMemory => Dispatcher::start(&config),
            Ledger::Journal(durability) => {
                config.durability = durability;
                Dispatcher::open(&config, folder.path()).map_err(wrong)?
            }
        };
        let listener = Listener::bind(&config.listen, config.insecure_listen).map_err(wrong)?;
        let address = listener.addresses().pop().ok_or_else(|| wrong("it listens nowhere"))?;
        let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
        let emitter = tokio.block_on(dispatcher.emitter(GATEWAY, "boot")).map_err(wrong)?;
        let measured = deliveries.to_string();
        let who = ["bench-plugin", "--to", &address, "--name", "plugin", "--subscribers", "1"];
        let what = ["--gateway", GATEWAY, "--starts", "0", "--measured", &measured, "--step", STEP];
        let plugin = ear.start(0, &bench.hookwire, who.into_iter().chain(what))?;
        drop(inside);
        let mut stage = Self { emitter, plugin, server, dispatcher, ear, tokio };
        while !matches!(stage.hear()?, FromPlugin::Ready) {}
        Ok(stage)
    }

    fn hear(&mut self) -> Result<FromPlugin, Failure> {
        let line = self.ear.hear()?.line.ok_or_else(|| self.plugin.gone())?;
        serde_json::from_str(&line).map_err(|error| Failure::Wrong(format!("{line}: {error}")))
    }

    /// How far the plugin has come, once it tells.
    fn acked(&mut self) -> Result<u64, Failure> {
        loop {
            match self.hear()? {
                FromPlugin::Acked { lost: 0, count } => return Ok(count),
                FromPlugin::Acked { lost, .. } => return Err(wrong(format!("{lost} events were lost"))),
                FromPlugin::Ready | FromPlugin::Measured { .. } => {}
            }
        }
    }

    /// When the plugin had everything, and how long that took.
    fn measured(&mut self) -> Result<(u64, Quantiles), Failure> {
        loop {
            match self.hear()? {
                FromPlugin::Measured { at_unix_nano, latency } => {
                    return Ok((at_unix_nano, Quantiles::of(latency).unwrap_or_default()));
                }
                FromPlugin::Acked { lost: 1.., .. } => return Err(wrong("events were lost")),
                FromPlugin::Ready | FromPlugin::Acked { .. } => {}
            }
        }
    }

    /// No session ends; the journal is closed when this returns.
    fn close(self) -> Result<(), Failure> {
        let Self { emitter, plugin, server, dispatcher, tokio, .. } = self;
        let (_hurry, never) = watch::channel(false);
        // In memory there is nobody to hand over to, and nothing to close.
        let _ = tokio.block_on(dispatcher.hand_over(Duration::ZERO, never));
        drop((emitter, plugin));
        tokio.block_on(server.close(Duration::ZERO));
        tokio.shutdown_background();
        Ok(())
    }
}

impl Case for Boot {
    fn row(&self) -> Row {
        let note = "from the start of the process to its first line: a journal that was closed, and one whose process was killed";
        let label = Label { scenario: Scenario::Durability, contender: "boot with open sessions", note };
        label.row(Runtime::MultiThread, 1, self.open, self.open)
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let folder = TempDir::new().map_err(wrong)?;
        // Synced all along: else the first boot would wait for the disk to take all of it.
        let mut stage = Stage::set_up(bench, POWER, &folder, self.open)?;
        (0..self.open).for_each(|session| drop(stage.emitter.emit(event(hook::SESSION_START, session))));
        stage.measured()?;
        stage.close()?;
        let bytes = fs::metadata(folder.path().join("ledger.redb")).map_err(wrong)?.len();
        let closed = boot(bench, &folder)?;
        let killed = boot(bench, &folder)?;
        Ok(Sample::from([
            (Metric::BootMs, closed.as_secs_f64() * 1e3),
            (Metric::KilledBootMs, killed.as_secs_f64() * 1e3),
            (Metric::JournalBytes, bytes as f64),
        ]))
    }
}

/// How long the daemon takes to its first line; it is killed then.
fn boot(bench: &Bench, folder: &TempDir) -> Result<Duration, Failure> {
    let ear = Ear::until(PATIENCE);
    let directory = folder.path().to_string_lossy().into_owned();
    let began = Instant::now();
    let args = ["serve", "--listen", "127.0.0.1:0", "--gateway-grace", "1h", "--data-dir", &directory];
    let mut daemon = ear.start(0, &bench.hookwire, args)?;
    ear.hear()?.line.ok_or_else(|| daemon.gone())?;
    let took = began.elapsed();
    daemon.kill();
    Ok(took)
}

fn event(hook: &str, session: u64) -> GatewayEvent {
    GatewayEvent {
        hook: hook.to_owned(),
        session: Some(SessionRef { id: Some(session_id(session)), ..SessionRef::default() }),
        time_unix_nano: clock::unix_ns(),
        ..GatewayEvent::default()
    }
}

fn ordinary(session: u64) -> GatewayEvent {
    GatewayEvent { payload: Some(Payload::Json(json())), ..event(HOOK, session) }
}

fn wrong(error: impl ToString) -> Failure {
    Failure::Wrong(error.to_string())
}
