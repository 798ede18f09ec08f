//! A plugin from the `.proto` alone that keeps the contract, save for the one rule that its argument names: what
//! `hookwire verify` has to notice. Its only store is the effect log.
#![allow(clippy::unwrap_used, reason = "it may die of what should not be")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, OpenOptions},
    io::Write,
    process,
    time::Duration,
};

use hookwire_protocol::{
    hook,
    v1::{
        Ack, BatchKind, Event, EventBatch, GoodbyeReason, SessionEndReason, SubscribeRequest,
        event::Payload,
        hook_service_client::HookServiceClient,
        subscribe_request::{Goodbye, Hello, Message as Say},
        subscribe_response::Message as Hear,
    },
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use serde_json::{Value, json};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;

/// What a bad plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    NeverAcks,
    AcksFirst,
    EndTwice,
    Reorders,
    IgnoresDrain,
    DiesOnUnknown,
    BusyReconnect,
    AnswersDisplaced,
    ReturnsDisplaced,
    OmitsSessionSeq,
    InventsSessionSeq,
    DiesAtSweep,
}

impl Fault {
    fn from_arguments() -> Self {
        match env::args().nth(1).as_deref() {
            Some("none") => Self::None,
            Some("never-acks") => Self::NeverAcks,
            Some("acks-first") => Self::AcksFirst,
            Some("end-twice") => Self::EndTwice,
            Some("reorders") => Self::Reorders,
            Some("ignores-drain") => Self::IgnoresDrain,
            Some("dies-on-unknown") => Self::DiesOnUnknown,
            Some("busy-reconnect") => Self::BusyReconnect,
            Some("answers-displaced") => Self::AnswersDisplaced,
            Some("returns-displaced") => Self::ReturnsDisplaced,
            Some("omits-session-seq") => Self::OmitsSessionSeq,
            Some("invents-session-seq") => Self::InventsSessionSeq,
            Some("dies-at-sweep") => Self::DiesAtSweep,
            other => panic!("no such fault: {other:?}"),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut plugin = Plugin::new();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    for attempt in 0u32.. {
        let wait = plugin.stream(&mut terminate).await;
        // Jitter enough for one plugin: its process id.
        let backoff = Duration::from_millis(100 + u64::from(process::id() % 100)) * attempt.clamp(1, 10);
        match plugin.fault {
            Fault::BusyReconnect => tokio::task::yield_now().await,
            _ => sleep(wait.max(backoff)).await,
        }
    }
}

struct Plugin {
    fault: Fault,
    name: String,
    log: String,
    instance: String,
    /// Events that took effect, by id.
    applied: BTreeSet<String>,
    /// Lives that are open.
    open: BTreeSet<(String, u64)>,
    /// Lives that were named on this stream.
    named: BTreeSet<u64>,
    ledger: String,
    draining: bool,
    /// Handled behind the next of its session.
    held: BTreeMap<u64, Event>,
}

impl Plugin {
    /// Goes on from its log.
    fn new() -> Self {
        let log = env::var("HOOKWIRE_VERIFY_LOG").unwrap();
        let mut plugin = Self {
            fault: Fault::from_arguments(),
            name: env::var("HOOKWIRE_SUBSCRIBER").unwrap(),
            instance: format!("{}", process::id()),
            applied: BTreeSet::new(),
            open: BTreeSet::new(),
            named: BTreeSet::new(),
            ledger: String::new(),
            draining: false,
            held: BTreeMap::new(),
            log,
        };
        let lines = fs::read_to_string(&plugin.log).unwrap_or_default();
        for line in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            plugin.recall(&line);
        }
        plugin
    }

    fn recall(&mut self, line: &Value) {
        let life =
            |field: &str| (line["ledger_id"].as_str().unwrap().to_owned(), line[field].as_u64().unwrap());
        if line["changed"] == true {
            self.applied.insert(line["event_id"].as_str().unwrap().to_owned());
            match line["hook"].as_str().unwrap() {
                hook::SESSION_START => self.open.insert(life("incarnation")),
                hook::SESSION_END => self.open.remove(&life("incarnation")),
                _ => false,
            };
        }
        if line.get("swept").is_some() {
            self.open.remove(&life("swept"));
        }
    }

    fn note(&mut self, line: &Value) {
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        log.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.recall(line);
    }

    /// One stream, to its end: how long to stay away.
    async fn stream(&mut self, terminate: &mut Signal) -> Duration {
        let address: Address = env::var("HOOKWIRE_ADDR").unwrap().parse().unwrap();
        let Ok(channel) = address.connect().await else { return Duration::ZERO };
        let (say, requests) = mpsc::channel(1_024);
        let hello = Hello {
            subscriber_id: self.name.clone(),
            instance_id: self.instance.clone(),
            announce: true,
            ..Default::default()
        };
        send(&say, Say::Hello(hello)).await;
        let mut client = HookServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let Ok(stream) = client.subscribe(ReceiverStream::new(requests)).await else { return Duration::ZERO };
        let mut stream = stream.into_inner();
        loop {
            let response = tokio::select! {
                biased;
                _ = terminate.recv() => {
                    send(&say, Say::Goodbye(Goodbye { release: false })).await;
                    drop(say);
                    while let Ok(Some(_)) = stream.message().await {}
                    process::exit(0);
                }
                response = stream.message() => response,
            };
            let Ok(Some(response)) = response else { return Duration::ZERO };
            match response.message {
                Some(Hear::Welcome(welcome)) => {
                    self.ledger = welcome.ledger_id;
                    self.named.clear();
                    self.held.clear();
                }
                Some(Hear::Events(batch)) => self.batch(batch, &say).await,
                Some(Hear::CaughtUp(_)) => self.sweep(),
                Some(Hear::DrainNotice(notice)) if self.fault != Fault::IgnoresDrain => {
                    self.draining = true;
                    let (gateway, boot, budget) = (notice.gateway_id, notice.boot_id, notice.budget_ms);
                    self.note(&json!({
                        "drain": gateway, "boot_id": boot, "budget_ms": budget, "pid": process::id(),
                    }));
                }
                Some(Hear::DrainSummary(_)) => self.draining = false,
                Some(Hear::Goodbye(goodbye)) if goodbye.reason() == GoodbyeReason::Displaced => {
                    if self.fault == Fault::ReturnsDisplaced {
                        self.instance.push('+');
                        return Duration::ZERO;
                    }
                    if self.fault == Fault::AnswersDisplaced {
                        sleep(Duration::from_secs(1)).await;
                        ack(&say, 1).await;
                        sleep(Duration::from_secs(1)).await;
                    }
                    eprintln!("displaced");
                    process::exit(76);
                }
                Some(Hear::Goodbye(goodbye)) => {
                    return Duration::from_millis(goodbye.reconnect_after_ms.into());
                }
                _ => {}
            }
        }
    }

    async fn batch(&mut self, batch: EventBatch, say: &mpsc::Sender<SubscribeRequest>) {
        if self.fault == Fault::DiesOnUnknown {
            BatchKind::try_from(batch.kind).expect("a kind of batch that it knows");
        }
        let last = batch.first_seq + batch.events.len() as u64 - 1;
        if self.fault == Fault::AcksFirst {
            ack(say, last).await;
            sleep(Duration::from_millis(50)).await;
        }
        for event in batch.events {
            self.event(event).await;
        }
        if !matches!(self.fault, Fault::NeverAcks | Fault::AcksFirst) && self.held.is_empty() {
            ack(say, last).await;
        }
    }

    async fn event(&mut self, event: Event) {
        let life = event.session.as_ref().map_or(0, |session| session.incarnation);
        self.named.insert(life);
        let ordinary = !matches!(event.hook.as_str(), hook::SESSION_START | hook::SESSION_END);
        if self.fault == Fault::Reorders && ordinary && life > 0 && !self.held.contains_key(&life) {
            self.held.insert(life, event);
            return;
        }
        let held = self.held.remove(&life);
        self.apply(&event).await;
        if let Some(held) = held {
            self.apply(&held).await;
        }
    }

    async fn apply(&mut self, event: &Event) {
        if let Some(Payload::SessionEnd(end)) = &event.payload {
            if self.fault == Fault::DiesOnUnknown {
                SessionEndReason::try_from(end.reason).expect("a reason that it knows");
            }
            if self.fault == Fault::IgnoresDrain {
                sleep(Duration::from_millis(300)).await;
            }
        }
        let again = self.fault == Fault::EndTwice && event.hook == hook::SESSION_END;
        let changed = again || !self.applied.contains(&event.id);
        let session = event.session.clone().unwrap_or_default();
        let mut line = json!({
            "event_id": event.id, "hook": event.hook, "ledger_id": self.ledger,
            "incarnation": session.incarnation, "session_id": session.id, "session_seq": event.session_seq,
            "changed": changed, "draining": self.draining, "pid": process::id(),
        });
        match self.fault {
            Fault::OmitsSessionSeq => drop(line.as_object_mut().unwrap().remove("session_seq")),
            Fault::InventsSessionSeq => line["session_seq"] = 0.into(),
            _ => {}
        }
        self.note(&line);
    }

    fn sweep(&mut self) {
        let owed = |(ledger, life): &(String, u64)| *ledger == self.ledger && self.named.contains(life);
        let ghosts: Vec<_> = self.open.iter().filter(|life| !owed(life)).cloned().collect();
        for (ledger, life) in ghosts {
            if self.fault == Fault::DiesAtSweep {
                eprintln!("no such row");
                process::exit(3);
            }
            self.note(&json!({ "swept": life, "ledger_id": ledger, "pid": process::id() }));
        }
    }
}

async fn ack(say: &mpsc::Sender<SubscribeRequest>, through_seq: u64) {
    send(say, Say::Ack(Ack { through_seq, exceptions: Vec::new() })).await;
}

/// Where the stream has broken, the next thing that is heard says so.
async fn send(say: &mpsc::Sender<SubscribeRequest>, message: Say) {
    let _ = say.send(SubscribeRequest { message: Some(message) }).await;
}
