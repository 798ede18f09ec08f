//! A thousand events a second, one by one, from emission to receipt.

use super::SESSIONS;
use crate::{
    broker::Broker,
    case::{Bench, Case},
    cases::{Contest, Daemon, Embedded, Label, Mode},
    contenders::Contender,
    load::Load,
    results::{Runtime, Scenario},
};

/// Events a second.
const RATE: u64 = 1000;

/// Three seconds.
const EVENTS: u64 = 3 * RATE;

const NOTE: &str = "a thousand events a second, on an absolute schedule";

/// Everybody who does not store.
pub(super) fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let events = bench.scaled(EVENTS);
    let runtime = Runtime::CurrentThread;
    let load = Load { events, subscribers: 1, sessions: SESSIONS, rate: Some(RATE), ends: false };
    let contest = |name, contender, broker| -> Box<dyn Case> {
        Box::new(Contest { label: label(name), contender, broker, unix: false, runtime, load })
    };
    vec![
        contest("raw TCP", Contender::Raw, None),
        contest("unary gRPC", Contender::Unary, None),
        contest("per-event stream", Contender::PerEvent, None),
        contest("HTTP webhook", Contender::Http, None),
        contest("core NATS", Contender::Nats, Some(Broker::Nats)),
        Box::new(Embedded { label: label("Hookwire embedded"), runtime, load }),
        Box::new(Daemon {
            label: label("Hookwire daemon"),
            mode: Mode::Latency(events),
            subscribers: 1,
            sessions: SESSIONS,
        }),
    ]
}

fn label(contender: &'static str) -> Label {
    Label { scenario: Scenario::Latency, contender, note: NOTE }
}
