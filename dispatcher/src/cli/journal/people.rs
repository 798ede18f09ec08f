//! `hookwire journal dump` for people.

use std::{collections::BTreeMap, time::Duration};

use super::Inspected;
use crate::{
    cli::{names, term},
    settle::journal::{
        SubscriberNumber,
        image::{EntryState, Image, LifeImage},
        sound,
    },
};

/// Sessions that are listed: the newest; people do not read more.
const LISTED: usize = 100;

/// What one subscriber is due.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// Sessions that it was handed the start of, and that are alive.
    open: u64,
    /// Starts that it was handed and has not settled.
    unsettled: u64,
    /// Sessions that have ended, and whose end it has not settled: delivered when it returns.
    carried_over: u64,
}

/// Everything, with the newest sessions only.
pub(super) fn text(journal: &Inspected) -> String {
    let image = &journal.image;
    let mut tables = vec![summary(journal), gateways(image), subscribers(image), lives(image)];
    if image.lives.len() > LISTED {
        tables.push(format!("and {} older sessions: --json shows all", image.lives.len() - LISTED));
    }
    tables.join("\n\n")
}

/// The ledger in a few lines.
pub(super) fn summary(journal: &Inspected) -> String {
    let image = &journal.image;
    let ended = image.lives.values().filter(|life| life.end.is_some()).count();
    let ran = term::span(Duration::from_secs(image.ran.into()).as_millis() as u64);
    let killed = if journal.killed { "\nits last dispatcher was killed" } else { "" };
    format!(
        "ledger {}, format {}, opened {} times, ran {ran}, {} KiB\n{} sessions: {} alive, {ended} ended; \
         {} entries, {} that mean nothing{killed}",
        journal.ledger_id,
        journal.format,
        journal.epoch,
        journal.bytes.div_ceil(1 << 10),
        image.lives.len(),
        image.lives.len() - ended,
        image.entries.len(),
        journal.stray_entries,
    )
}

fn gateways(image: &Image) -> String {
    let mut sessions: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for life in image.lives.values() {
        let (alive, ended) = sessions.entry(life.gateway).or_default();
        *if life.end.is_some() { ended } else { alive } += 1;
    }
    let rows = image.gateways.iter().map(|(ix, gateway)| {
        let (alive, ended) = sessions.get(ix).copied().unwrap_or_default();
        let over = if gateway.over.contains(&gateway.boot) { "over" } else { "not over" };
        let mut row = vec![gateway.id.to_string(), gateway.boot.to_string(), over.to_owned()];
        row.extend([gateway.emitters.len() as u64, alive, ended].map(|count| count.to_string()));
        row
    });
    term::table(&["gateway", "boot", "state", "emitters", "alive", "ended"], 3, rows)
}

fn subscribers(image: &Image) -> String {
    let due = due(image);
    let rows = image.subscribers.iter().map(|(number, subscriber)| {
        let due = due.get(number).copied().unwrap_or_default();
        let away = subscriber.away_since.map(|since| {
            let seconds = image.ran.saturating_sub(since);
            format!("away for {}", term::span(u64::from(seconds) * 1_000))
        });
        let state = away.unwrap_or_else(|| "connected".to_owned());
        let mut row = vec![subscriber.hello.subscriber_id.clone(), state];
        row.extend(
            [due.open, due.unsettled, due.carried_over, subscriber.expired.entries.events]
                .map(|count| count.to_string()),
        );
        row
    });
    term::table(&["subscriber", "at the last", "open", "unsettled", "carried over", "expired"], 2, rows)
}

fn due(image: &Image) -> BTreeMap<SubscriberNumber, Due> {
    let mut all: BTreeMap<_, Due> = BTreeMap::new();
    for ((incarnation, subscriber), state) in &image.entries {
        let due = all.entry(*subscriber).or_default();
        let ended = image.lives.get(incarnation).is_some_and(|life| life.end.is_some());
        due.unsettled += u64::from(*state == EntryState::Open);
        match state {
            EntryState::Closed => {}
            EntryState::Open | EntryState::StartSettled if ended => due.carried_over += 1,
            EntryState::Open | EntryState::StartSettled => due.open += 1,
        }
    }
    all
}

fn lives(image: &Image) -> String {
    let header = ["session", "key", "gateway", "state", "reason", "incarnation"];
    term::table(
        &header,
        5,
        image.lives.iter().rev().take(LISTED).map(|(number, life)| life_row(image, *number, life)),
    )
}

fn life_row(image: &Image, incarnation: u64, life: &LifeImage) -> Vec<String> {
    let session = sound::event(&life.start).and_then(|start| start.session).unwrap_or_default();
    let gateway = image.gateways.get(&life.gateway).map_or("?".to_owned(), |gateway| gateway.id.to_string());
    let (state, reason) = match &life.end {
        Some(end) => ("ended", names::end_reason(end.reason.into())),
        None => ("alive", String::new()),
    };
    vec![session.id, session.key, gateway, state.to_owned(), reason, incarnation.to_string()]
}
