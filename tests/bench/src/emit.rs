//! What a call of the embedded `Emitter::emit` takes of its caller's time, whatever the subscribers do. The dispatcher is
//! in this process, its plugins are not.

use std::{
    thread,
    time::{Duration, Instant},
};

use hookwire::{
    config::Config,
    dispatcher::Dispatcher,
    emit::emitter::Emitter,
    serve::{
        connection::{ConnectionLimits, Server},
        listen::Listener,
    },
};
use hookwire_protocol::v1::{GatewayEvent, SessionRef, gateway_event::Payload};
use tokio::runtime::Runtime as Tokio;

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::{FromPlugin, Label, STEP},
    latency::Quantiles,
    load::{HOOK, json, session_id},
    process::{Ear, Process},
    results::{Metric, Row, Runtime, Scenario},
};

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sessions that the events belong to.
const SESSIONS: u64 = 16;

/// The gateway's name.
const GATEWAY: &str = "bench";

/// The pace at which a thread of the gateway's own finds the dispatcher's runtime asleep, again and again: a call then takes
/// what the kernel takes to wake a thread. No target judges that.
pub const WAKING: &str = "1,000 a second, from a thread";

/// How fast events are emitted.
#[derive(Clone, Copy, Debug)]
struct Pace {
    name: &'static str,
    /// Events a second, on an absolute schedule; none means back to back.
    rate: Option<u64>,
    events: u64,
    /// From a task of the dispatcher's runtime, and not from a thread of the gateway's own.
    from_task: bool,
}

const PACES: [Pace; 4] = [
    Pace { name: WAKING, rate: Some(1_000), events: 5_000, from_task: false },
    Pace { name: "1,000 a second, from a task", rate: Some(1_000), events: 5_000, from_task: true },
    Pace { name: "100,000 a second, from a thread", rate: Some(100_000), events: 200_000, from_task: false },
    Pace { name: "back to back, from a thread", rate: None, events: 500_000, from_task: false },
];

/// A pace, and so many subscribers; of more than one, one is frozen.
#[derive(Debug)]
struct Emit {
    pace: Pace,
    subscribers: u32,
}

/// Everything that has to stay while events are emitted.
struct Stage {
    emitter: Emitter,
    _plugins: Vec<Process>,
    _server: Server,
    _dispatcher: Dispatcher,
}

/// Every pace with nobody there, with one, and with 64.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let paces = PACES.map(|pace| Pace { events: bench.scaled(pace.events), ..pace });
    let each = |pace| [0, 1, 64].map(|subscribers| Box::new(Emit { pace, subscribers }) as Box<dyn Case>);
    paces.into_iter().flat_map(each).collect()
}

impl Case for Emit {
    fn row(&self) -> Row {
        let note = "every call is timed, and what is dropped with its receipt; beyond 16 MiB that wait, events are lost";
        let label = Label { scenario: Scenario::Emit, contender: self.pace.name, note };
        label.row(Runtime::MultiThread, self.subscribers, SESSIONS, self.pace.events)
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let ear = Ear::until(PATIENCE);
        let tokio = Tokio::new().map_err(wrong)?;
        let stage = self.set_up(bench, &ear, &tokio)?;
        let took = match self.pace.from_task {
            false => emit(&stage.emitter, self.pace),
            true => {
                let task = tokio.spawn(emit_from_task(stage.emitter.clone(), self.pace));
                tokio.block_on(task).map_err(wrong)?
            }
        };
        drop(stage);
        tokio.shutdown_background(); // its last connections end with their plugins
        let micros = |nanos: u64| nanos as f64 / 1e3;
        Ok(Sample::from([
            (Metric::P50Us, micros(took.p50)),
            (Metric::P99Us, micros(took.p99)),
            (Metric::P999Us, micros(took.p999)),
        ]))
    }
}

impl Emit {
    fn set_up(&self, bench: &Bench, ear: &Ear, tokio: &Tokio) -> Result<Stage, Failure> {
        let config = Config { listen: vec!["127.0.0.1:0".parse().map_err(wrong)?], ..Config::default() };
        let _inside = tokio.enter();
        let dispatcher = Dispatcher::start(&config);
        let listener = Listener::bind(&config.listen, config.insecure_listen).map_err(wrong)?;
        let address = listener.addresses().pop().ok_or_else(|| wrong("it listens nowhere"))?;
        let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
        let emitter = tokio.block_on(dispatcher.emitter(GATEWAY, "boot")).map_err(wrong)?;
        let frozen = u32::from(self.subscribers > 1);
        let mut plugins = Vec::new();
        for (name, count) in [("healthy", self.subscribers - frozen), ("frozen", frozen)] {
            if count > 0 {
                plugins.push(self.plugins(bench, ear, &address, name, count)?);
            }
        }
        plugins.get(1).into_iter().for_each(Process::freeze);
        Ok(Stage { emitter, _plugins: plugins, _server: server, _dispatcher: dispatcher })
    }

    /// So many subscribers in one process, once they are caught up.
    fn plugins(
        &self,
        bench: &Bench,
        ear: &Ear,
        address: &str,
        name: &str,
        count: u32,
    ) -> Result<Process, Failure> {
        let [count, starts, events] =
            [u64::from(count), SESSIONS, self.pace.events].map(|number| number.to_string());
        let who = ["bench-plugin", "--to", address, "--name", name, "--subscribers", &count];
        let what = ["--gateway", GATEWAY, "--starts", &starts, "--measured", &events, "--step", STEP];
        let mut process = ear.start(0, &bench.hookwire, who.into_iter().chain(what))?;
        loop {
            let line = ear.hear()?.line.ok_or_else(|| process.gone())?;
            if let Ok(FromPlugin::Ready) = serde_json::from_str(&line) {
                return Ok(process);
            }
        }
    }
}

/// Emits everything from this thread, which is none of the dispatcher's: whoever sleeps has to be woken.
fn emit(emitter: &Emitter, pace: Pace) -> Quantiles {
    let events: Vec<_> = (0..SESSIONS).map(event).collect();
    let (mut took, began) = (Vec::with_capacity(pace.events as usize), Instant::now());
    for index in 0..pace.events {
        thread::sleep(pace.due(index).saturating_sub(began.elapsed()));
        took.push((timed(emitter, events[(index % SESSIONS) as usize].clone()), 1));
    }
    Quantiles::of(took).unwrap_or_default()
}

/// Emits everything from the dispatcher's own runtime.
async fn emit_from_task(emitter: Emitter, pace: Pace) -> Quantiles {
    let events: Vec<_> = (0..SESSIONS).map(event).collect();
    let (mut took, began) = (Vec::with_capacity(pace.events as usize), Instant::now());
    for index in 0..pace.events {
        tokio::time::sleep(pace.due(index).saturating_sub(began.elapsed())).await;
        took.push((timed(&emitter, events[(index % SESSIONS) as usize].clone()), 1));
    }
    Quantiles::of(took).unwrap_or_default()
}

/// How long one call takes, in nanoseconds.
fn timed(emitter: &Emitter, event: GatewayEvent) -> u64 {
    let called = Instant::now();
    drop(emitter.emit(event));
    called.elapsed().as_nanos() as u64
}

impl Pace {
    /// When an event is due, since the beginning.
    fn due(&self, index: u64) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_nanos(index * 1_000_000_000 / rate))
    }
}

fn event(session: u64) -> GatewayEvent {
    GatewayEvent {
        hook: HOOK.to_owned(),
        session: Some(SessionRef { id: Some(session_id(session)), ..SessionRef::default() }),
        payload: Some(Payload::Json(json())),
        ..GatewayEvent::default()
    }
}

fn wrong(error: impl ToString) -> Failure {
    Failure::Wrong(error.to_string())
}
