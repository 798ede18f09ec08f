//! `hookwire journal dump --json`: every row, one a line, each with what kind it is.

use serde_json::{Value, json};

use super::{Failure, Inspected};
use crate::{
    cli::{names, term},
    settle::{
        backlog::{LotId, Parts},
        journal::{
            image::{EntryState, GatewayImage, Image, LifeImage, LotImage},
            sound,
        },
    },
};

/// Lines that are written at once.
const LINES: usize = 1_000;

/// Writes all rows to stdout.
pub(super) fn print(journal: &Inspected) -> Result<(), Failure> {
    let mut lines = Vec::with_capacity(LINES);
    for row in rows(journal) {
        lines.push(row.to_string());
        if lines.len() == LINES {
            term::print(&lines.join("\n"))?;
            lines.clear();
        }
    }
    if lines.is_empty() { Ok(()) } else { term::print(&lines.join("\n")) }
}

/// The ledger first, then whoever others refer to, and then those.
fn rows(journal: &Inspected) -> impl Iterator<Item = Value> {
    let image = &journal.image;
    let gateways = image.gateways.values().flat_map(gateway);
    let subscribers = image.subscribers.iter().map(|(number, subscriber)| {
        json!({
            "row": "subscriber",
            "number": number,
            "id": subscriber.hello.subscriber_id,
            "stream_epoch": subscriber.stream_epoch,
            "away_since": subscriber.away_since,
            "expired": subscriber.expired.entries.events,
            "expired_events": subscriber.expired.events.events,
        })
    });
    let lives = image.lives.iter().map(|(incarnation, row)| life(image, *incarnation, row));
    let entries = image.entries.keys().map(|key| entry(image, *key));
    let lots = image.lots.iter().map(|(id, row)| lot(*id, row));
    let kept = image.kept.iter().map(|(key, parts)| kept(image, *key, parts));
    let people = std::iter::once(ledger(journal)).chain(gateways).chain(subscribers);
    people.chain(lives).chain(entries).chain(lots).chain(kept)
}

fn ledger(journal: &Inspected) -> Value {
    json!({
        "row": "ledger",
        "ledger_id": journal.ledger_id,
        "format": journal.format,
        "epoch": journal.epoch,
        "incarnation": journal.image.incarnation,
        "ran": journal.image.ran,
        "bytes": journal.bytes,
        "killed": journal.killed,
    })
}

/// A gateway's rows.
fn gateway(gateway: &GatewayImage) -> impl Iterator<Item = Value> {
    let is_over = gateway.over.contains(&gateway.boot);
    let first = json!({
        "row": "gateway",
        "id": gateway.id,
        "boot_id": gateway.boot,
        "over": is_over,
        "boots_over": gateway.over,
        "gateway_stop": gateway.stop.is_some(),
        "gateway_stop_told": gateway.stop_told,
    });
    let emitters = gateway.emitters.iter().map(|(emitter, publish_seq)| {
        json!({ "row": "emitter", "gateway": gateway.id, "id": emitter, "publish_seq": publish_seq })
    });
    let ended = gateway.ended.iter().map(|(session, ended)| {
        json!({
            "row": "ended",
            "gateway": gateway.id,
            "session": session,
            "incarnation": ended.incarnation,
            "reason": names::end_reason(ended.reason.into()),
        })
    });
    std::iter::once(first).chain(emitters).chain(ended)
}

fn life(image: &Image, incarnation: u64, life: &LifeImage) -> Value {
    let session = sound::event(&life.start).and_then(|start| start.session).unwrap_or_default();
    let wanted = life.wanted.iter().filter_map(|number| image.subscribers.get(number));
    json!({
        "row": "life",
        "incarnation": incarnation,
        "session": session.id,
        "key": session.key,
        "agent_id": session.agent_id,
        "gateway": image.gateways.get(&life.gateway).map(|gateway| &gateway.id),
        "state": if life.end.is_some() { "ended" } else { "alive" },
        "reason": life.end.as_ref().map(|end| names::end_reason(end.reason.into())),
        "wanted": wanted.map(|subscriber| &subscriber.hello.subscriber_id).collect::<Vec<_>>(),
    })
}

/// Events that retention ALL keeps.
fn lot(id: LotId, lot: &LotImage) -> Value {
    let (events, bytes) = (lot.positions.len(), lot.events.len());
    json!({ "row": "lot", "lot": id, "events": events, "bytes": bytes, "taken_in": lot.taken_in })
}

fn kept(image: &Image, (lot, subscriber): (LotId, u32), parts: &Parts) -> Value {
    let positions = image.lots.get(&lot).map_or(&[][..], |lot| &lot.positions);
    let is_kept = |at: &&u64| parts.iter().any(|(first, last)| (*first..=*last).contains(*at));
    json!({
        "row": "kept",
        "subscriber": image.subscribers.get(&subscriber).map(|it| &it.hello.subscriber_id),
        "lot": lot,
        "events": positions.iter().filter(is_kept).count(),
    })
}

fn entry(image: &Image, (incarnation, subscriber): (u64, u32)) -> Value {
    let state = image.entries[&(incarnation, subscriber)];
    let ended = image.lives.get(&incarnation).is_some_and(|life| life.end.is_some());
    json!({
        "row": "entry",
        "subscriber": image.subscribers.get(&subscriber).map(|it| &it.hello.subscriber_id),
        "incarnation": incarnation,
        "start_settled": state == EntryState::StartSettled,
        "state": match state {
            EntryState::Closed => "closed",
            _ if ended => "carried_over",
            _ => "open",
        },
    })
}
