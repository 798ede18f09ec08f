//! As many events as will go: everybody with one subscriber, the limit and the two that fan out with 8 and 64.

use super::SESSIONS;
use crate::{
    broker::Broker,
    case::{Bench, Case},
    cases::{Contest, Daemon, Embedded, Label, Mode},
    contenders::Contender,
    load::Load,
    results::{Runtime, Scenario},
};

/// Somebody in the table of one subscriber.
struct Entry {
    name: &'static str,
    contender: Contender,
    broker: Option<Broker>,
    /// About what it carries in a second or two.
    events: u64,
    note: &'static str,
}

const fn entry(name: &'static str, contender: Contender, events: u64, note: &'static str) -> Entry {
    Entry { name, contender, broker: None, events, note }
}

const ENTRIES: [Entry; 8] = [
    entry(
        "raw TCP",
        Contender::Raw,
        8_000_000,
        "frames, 256 a write; cumulative acknowledgement at each read",
    ),
    entry("raw TCP + protobuf", Contender::Protobuf, 3_000_000, "the same, each event encoded and decoded"),
    entry("unary gRPC", Contender::Unary, 60_000, "one connection, 64 calls in flight"),
    entry(
        "per-event stream",
        Contender::PerEvent,
        1_000_000,
        "gRPC, a message an event, a message an answer; a connection window of 8 MiB, as h2 cuts whoever has too many small frames waiting",
    ),
    entry("HTTP webhook", Contender::Http, 60_000, "HTTP/1.1, 64 connections kept alive, 64 in flight"),
    Entry {
        broker: Some(Broker::Nats),
        ..entry(
            "core NATS",
            Contender::Nats,
            600_000,
            "nothing stored; the consumer tells how far it is when its input runs dry, 8192 in flight",
        )
    },
    Entry {
        broker: Some(Broker::Nats),
        ..entry(
            "NATS JetStream",
            Contender::JetStream,
            120_000,
            "file storage as by default; publisher: 4000 unanswered; pull consumer: 2 × 256, explicit acknowledgement",
        )
    },
    Entry {
        broker: Some(Broker::Redis),
        ..entry(
            "Redis Streams",
            Contender::Redis,
            200_000,
            "no log, no snapshots; XADD in a pipeline, XREADGROUP COUNT 256, one XACK for each read",
        )
    },
];

const EMBEDDED: &str =
    "the gateway's process is the dispatcher's; 6000 events ahead of the slowest acknowledgement";
const DAEMON: &str =
    "gateway, dispatcher and plugins are processes; 6000 events ahead of the slowest acknowledgement";

/// One subscriber first, then more.
pub(super) fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for runtime in [Runtime::CurrentThread, Runtime::MultiThread] {
        for entry in &ENTRIES {
            cases.push(Box::new(contest(entry, runtime, 1, bench.scaled(entry.events))));
        }
        cases.push(Box::new(embedded(runtime, 1, bench.scaled(1_500_000))));
    }
    let [raw, ..] = &ENTRIES;
    let unix = Label { contender: "raw Unix socket", ..label(raw.name, raw.note) };
    let events = bench.scaled(raw.events);
    cases.push(Box::new(Contest {
        label: unix,
        unix: true,
        ..contest(raw, Runtime::CurrentThread, 1, events)
    }));
    cases.push(Box::new(daemon(1, bench.scaled(1_000_000))));
    for (subscribers, deliveries) in [(8, 4_000_000), (64, 4_000_000)] {
        let each = |deliveries: u64| bench.scaled(deliveries / u64::from(subscribers));
        for (entry, share) in [(&ENTRIES[0], 2), (&ENTRIES[3], 1)] {
            let events = each(share * deliveries / 2);
            cases.push(Box::new(contest(entry, Runtime::CurrentThread, subscribers, events)));
        }
        cases.push(Box::new(embedded(Runtime::CurrentThread, subscribers, each(deliveries))));
        cases.push(Box::new(daemon(subscribers, each(deliveries))));
    }
    cases
}

fn label(contender: &'static str, note: &'static str) -> Label {
    Label { scenario: Scenario::Throughput, contender, note }
}

fn load(subscribers: u32, events: u64) -> Load {
    Load { events, subscribers, sessions: SESSIONS, rate: None, ends: false }
}

fn contest(entry: &Entry, runtime: Runtime, subscribers: u32, events: u64) -> Contest {
    Contest {
        label: label(entry.name, entry.note),
        contender: entry.contender,
        broker: entry.broker,
        unix: false,
        runtime,
        load: load(subscribers, events),
    }
}

fn embedded(runtime: Runtime, subscribers: u32, events: u64) -> Embedded {
    Embedded { label: label("Hookwire embedded", EMBEDDED), runtime, load: load(subscribers, events) }
}

fn daemon(subscribers: u32, events: u64) -> Daemon {
    let label = label("Hookwire daemon", DAEMON);
    Daemon { label, mode: Mode::Throughput(events), subscribers, sessions: SESSIONS }
}
