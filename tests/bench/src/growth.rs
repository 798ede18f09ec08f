//! What a delivery costs as there are more subscribers, and as more sessions are alive: flat is the goal.

use crate::{
    case::{Bench, Case},
    cases::{Daemon, Label, Mode},
    report::names::DAEMON,
    results::Scenario,
};

/// Sessions while subscribers grow.
const FEW_SESSIONS: u64 = 16;

/// Deliveries in one measurement, and how many each subscriber takes at the least.
const DELIVERIES: u64 = 2_000_000;
const LEAST: u64 = 4_000;

/// Subscribers from one to a thousand, then sessions from a thousand to a million with one subscriber and with eight.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let subscribers = [1, 10, 100, 1000].map(|subscribers| (subscribers, FEW_SESSIONS));
    let sessions = [1, 8].into_iter().flat_map(|subscribers| {
        [1_000, 100_000, 1_000_000]
            .map(|sessions| (subscribers, bench.scaled(sessions).max(FEW_SESSIONS + 1)))
    });
    subscribers
        .into_iter()
        .chain(sessions)
        .map(|(subscribers, sessions)| case(bench, subscribers, sessions))
        .collect()
}

fn case(bench: &Bench, subscribers: u32, sessions: u64) -> Box<dyn Case> {
    let note = "gateway, dispatcher and plugins are processes; beyond 64, plugins share 64";
    let events = bench.scaled((DELIVERIES / u64::from(subscribers)).max(LEAST));
    let label = Label { scenario: Scenario::Growth, contender: DAEMON, note };
    Box::new(Daemon { label, mode: Mode::Throughput(events), subscribers, sessions })
}
