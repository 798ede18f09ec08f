//! A process of its own: one side of one contender. The driver gives it its [`Role`] on the command line, and they talk
//! in lines: "go" comes in, and numbers, which are credit; [`Line`]s of JSON go out; the end of its stdin ends it.

use std::{
    error::Error,
    future::pending,
    io::{self, BufRead as _, Write as _},
    mem, process,
    sync::{Mutex, PoisonError},
    thread,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::{
    clock::unix_ns,
    contenders::Contender,
    latency::{Latencies, Quantiles},
    load::{Load, Tally},
    results::Runtime,
};

/// The first argument of a process that plays a role; the second is the role as JSON.
pub const ARGUMENT: &str = "role";

/// Whatever ends a role early, for the driver's eyes.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Who a process is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    /// Whose side it is on.
    pub contender: Contender,
    /// Which side.
    pub side: Side,
    /// The runtime it has.
    pub runtime: Runtime,
    /// What is carried.
    pub load: Load,
    /// Where it listens, where it is the one that does; else where it connects to.
    pub address: String,
}

/// One end of the way that events take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Makes the events.
    Producer,
    /// Takes them: one subscriber.
    Consumer,
}

/// What a role says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// It listens here, or is connected: what follows is not startup any more.
    Ready(String),
    /// It is done.
    Done(Report),
    /// It could not.
    Failed(String),
}

/// How a role went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When it was done, in nanoseconds since the Unix epoch: a producer has every acknowledgement.
    pub ended_ns: u64,
    /// What a producer has sent, or a consumer has received.
    pub tally: Tally,
    /// For a consumer of paced events.
    pub latencies: Option<Quantiles>,
}

/// A role's line to the driver.
#[derive(Debug)]
pub struct Stage {
    /// Who this process is.
    pub role: Role,
    told: watch::Receiver<Told>,
}

/// What the driver has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    go: bool,
    acknowledged: u64,
}

/// What one subscriber has received.
#[derive(Debug)]
pub struct Received {
    load: Load,
    tally: Tally,
    latencies: Latencies,
}

/// Where the calls to one subscriber meet, each of which brings one event.
#[derive(Debug)]
pub struct Desk {
    received: Mutex<Received>,
    complete: Notify,
}

/// Plays a role until the driver hangs up. It ends the process.
pub fn play(json: &str) -> ! {
    let outcome = serde_json::from_str(json).map_err(BoxError::from).and_then(|role: Role| {
        let mut builder = match role.runtime {
            Runtime::CurrentThread => tokio::runtime::Builder::new_current_thread(),
            Runtime::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.enable_all().build()?.block_on(act(role))
    });
    if let Err(why) = outcome {
        fail(&why)
    }
    process::exit(1)
}

fn fail(why: &BoxError) -> ! {
    say(&Line::Failed(why.to_string()));
    process::exit(1)
}

async fn act(role: Role) -> Result<(), BoxError> {
    let (sender, told) = watch::channel(Told::default());
    thread::spawn(move || listen_to_driver(&sender));
    let (contender, side) = (role.contender, role.side);
    // Said at once: as the runtime ends, so do its connections, and the other side would complain of that first.
    let report = contender.play(side, Stage { role, told }).await.unwrap_or_else(|why| fail(&why));
    say(&Line::Done(report));
    pending().await // what runs beside it goes on until the driver hangs up
}

/// On a thread of its own, so that no role has to look for the driver's end.
fn listen_to_driver(told: &watch::Sender<Told>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        told.send_modify(|told| match line.parse() {
            Ok(acknowledged) => told.acknowledged = acknowledged,
            Err(_) => told.go = true,
        });
    }
    process::exit(0)
}

/// Keeps what holds a connection open until the driver hangs up: the other side may not have said its last yet.
pub fn keep(connection: impl Send + 'static) {
    tokio::spawn(async move {
        let _kept = connection;
        pending::<()>().await
    });
}

fn say(line: &Line) {
    let json = serde_json::to_string(line).expect("plain data is always JSON");
    let mut out = io::stdout().lock();
    if writeln!(out, "{json}").and_then(|()| out.flush()).is_err() {
        process::exit(1) // nobody listens any more
    }
}

impl Stage {
    /// Everything is set up; whoever listens says where.
    pub fn ready(&self, address: &str) {
        say(&Line::Ready(address.to_owned()));
    }

    /// Waits for the start.
    pub async fn go(&mut self) {
        // The sender is as old as the process.
        let _ = self.told.wait_for(|told| told.go).await;
    }

    /// Waits until every subscriber has acknowledged so many, where the driver is the one who hears of it.
    pub async fn acknowledged(&mut self, events: u64) {
        let _ = self.told.wait_for(|told| told.acknowledged >= events).await;
    }
}

impl Report {
    /// Of a producer that has just got its last acknowledgement.
    pub fn sent(tally: Tally) -> Self {
        Self { ended_ns: unix_ns(), tally, latencies: None }
    }

    /// Of a consumer that has just acknowledged its last.
    pub fn received(received: Received) -> Self {
        let ended_ns = unix_ns();
        Self { ended_ns, tally: received.tally, latencies: received.latencies.quantiles() }
    }
}

impl Received {
    /// Nothing yet of this load.
    pub fn new(load: Load) -> Self {
        Self { load, tally: Tally::default(), latencies: Latencies::default() }
    }

    /// Takes note of an event by its time.
    pub fn take(&mut self, time: u64) {
        self.tally.add(time);
        if self.load.rate.is_some() {
            self.latencies.arrived(time);
        }
    }

    /// What has come so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many so far.
    pub fn events(&self) -> u64 {
        self.tally.events
    }

    /// Whether as many have come as were sent.
    pub fn is_complete(&self) -> bool {
        self.tally.events >= self.load.events
    }
}

impl Desk {
    /// Nothing yet of this load.
    pub fn new(load: Load) -> Self {
        Self { received: Mutex::new(Received::new(load)), complete: Notify::new() }
    }

    /// Takes note of an event by its time.
    pub fn take(&self, time: u64) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner); // a tally cannot be torn
        received.take(time);
        if received.is_complete() {
            self.complete.notify_one();
        }
    }

    /// Waits for the last event, and leaves an empty tally behind.
    pub async fn complete(&self) -> Received {
        self.complete.notified().await;
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let load = received.load;
        mem::replace(&mut received, Received::new(load))
    }
}
