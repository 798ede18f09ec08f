//! Every session's end to every subscriber, from the order to the last acknowledgement.

use crate::{
    case::{Bench, Case},
    cases::{Contest, Daemon, Label, Mode},
    contenders::Contender,
    load::Load,
    results::{Runtime, Scenario},
};

/// Ends that unary calls may bring: beyond that it only takes longer, in proportion.
const UNARY_ENDS: u64 = 20_000;

/// Small to large, with few and with many.
pub(super) fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for sessions in [1_000, 10_000, 100_000] {
        for subscribers in [1, 8, 32] {
            let scaled = bench.scaled(sessions);
            let hookwire =
                label("Hookwire daemon", "the dispatcher makes the ends, of sessions that it remembers");
            cases.push(Box::new(Daemon {
                label: hookwire,
                mode: Mode::Drain,
                subscribers,
                sessions: scaled,
            }));
            let stream = label("per-event stream", "the gateway has its ends at hand");
            cases.push(Box::new(contest(stream, Contender::PerEvent, subscribers, scaled)));
            if sessions * u64::from(subscribers) <= UNARY_ENDS {
                let unary = label("unary gRPC", "the gateway has its ends at hand; 64 calls in flight");
                cases.push(Box::new(contest(unary, Contender::Unary, subscribers, scaled)));
            }
        }
    }
    cases
}

fn label(contender: &'static str, note: &'static str) -> Label {
    Label { scenario: Scenario::Drain, contender, note }
}

fn contest(label: Label, contender: Contender, subscribers: u32, sessions: u64) -> Contest {
    let load = Load { events: sessions, subscribers, sessions, rate: None, ends: true };
    Contest { label, contender, broker: None, unix: false, runtime: Runtime::CurrentThread, load }
}
