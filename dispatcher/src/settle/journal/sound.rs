//! What no machine leaves behind: contradictions in an image.

use std::{collections::BTreeSet, ops::Range};

use bytes::{Buf as _, Bytes};
use hookwire_protocol::v1::{self, event::Payload};
use prost::{
    Message as _,
    encoding::{decode_key, decode_varint},
};

use super::image::{EndImage, Image, LifeImage, LotImage};
use crate::settle::backlog::LotId;

/// The number of `EventBatch.events`.
const EVENTS: u32 = 4;

/// Everything that is wrong with an image, with where it is.
pub(crate) fn contradictions(image: &Image) -> Vec<String> {
    let mut wrong = Vec::new();
    gateways(image, &mut wrong);
    subscribers(image, &mut wrong);
    for (incarnation, life) in &image.lives {
        let why = life_is_wrong(image, *incarnation, life);
        wrong.extend(why.map(|why| format!("lives: {incarnation}: {why}")));
        let why = life.end.as_ref().and_then(|end| end_is_wrong(*incarnation, end));
        wrong.extend(why.map(|why| format!("ends: {incarnation}: {why}")));
    }
    for (id, lot) in &image.lots {
        let why = lot_is_wrong(*id, lot);
        wrong.extend(why.map(|why| format!("lots: {id}: {why}")));
    }
    for ((lot, subscriber), parts) in &image.kept {
        let places = image.lots.get(lot).map_or(&[][..], |lot| &lot.positions);
        let there = |place: &u64| places.binary_search(place).is_ok();
        if !parts.iter().all(|(first, last)| first <= last && there(first) && there(last)) {
            wrong.push(format!("kept: {lot}, {subscriber}: it has no such events"));
        }
    }
    wrong
}

/// The one event that a row of a life holds.
pub(crate) fn event(bytes: &Bytes) -> Option<v1::Event> {
    let mut events = v1::EventBatch::decode(bytes.clone()).ok()?.events;
    events.pop().filter(|_| events.is_empty())
}

/// The events that lie one behind the other, and where each does; `None` where they cannot be read.
pub(crate) fn elements(bytes: &Bytes) -> Option<Vec<(v1::Event, Range<usize>)>> {
    let (mut events, mut rest) = (Vec::new(), bytes.clone());
    while rest.has_remaining() {
        let start = bytes.len() - rest.len();
        let (tag, _) = decode_key(&mut rest).ok()?;
        let length = decode_varint(&mut rest).ok().and_then(|length| usize::try_from(length).ok())?;
        let event = (tag == EVENTS && length <= rest.len()).then(|| rest.split_to(length))?;
        events.push((v1::Event::decode(event).ok()?, start..bytes.len() - rest.len()));
    }
    Some(events)
}

fn gateways(image: &Image, wrong: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    for (expected, (ix, gateway)) in (0..).zip(&image.gateways) {
        if *ix != expected {
            wrong.push(format!("gateways: {ix}: none before it has the number {expected}"));
        }
        if gateway.id.is_empty() {
            wrong.push(format!("gateways: {ix}: has no boot"));
        } else if !ids.insert(&gateway.id) {
            wrong.push(format!("gateways: {ix}: {:?} for the second time", gateway.id));
        }
    }
}

fn subscribers(image: &Image, wrong: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    for (number, subscriber) in &image.subscribers {
        let id = &subscriber.hello.subscriber_id;
        if *number > image.subscriber {
            let newest = image.subscriber;
            wrong.push(format!("subscribers: {number}: the largest that was given out is {newest}"));
        }
        if id.is_empty() {
            wrong.push(format!("subscribers: {number}: has no id"));
        } else if !ids.insert(id) {
            wrong.push(format!("subscribers: {number}: {id:?} for the second time"));
        }
    }
}

fn lot_is_wrong(id: LotId, lot: &LotImage) -> Option<String> {
    let Some(events) = elements(&lot.events) else { return Some("its events cannot be read".to_owned()) };
    if events.len() != lot.positions.len() {
        return Some(format!("{} events have {} places", events.len(), lot.positions.len()));
    }
    let in_order = lot.positions.is_sorted_by(|one, next| one < next) && lot.positions.first() == Some(&id);
    (!in_order).then(|| "its places are others".to_owned())
}

fn life_is_wrong(image: &Image, incarnation: u64, life: &LifeImage) -> Option<String> {
    if incarnation > image.incarnation {
        return Some(format!("the largest that was given out is {}", image.incarnation));
    }
    if !image.gateways.contains_key(&life.gateway) {
        return Some(format!("its gateway, {}, is not known", life.gateway));
    }
    match event(&life.start) {
        None => Some("its start cannot be read".to_owned()),
        Some(start) if !names(&start, incarnation) => Some("its start is another's".to_owned()),
        Some(v1::Event { payload: Some(Payload::SessionStart(_)), .. }) => None,
        Some(_) => Some("its start is none".to_owned()),
    }
}

fn end_is_wrong(incarnation: u64, end: &EndImage) -> Option<String> {
    match event(&end.event) {
        None => Some("it cannot be read".to_owned()),
        Some(event) if !names(&event, incarnation) => Some("it is another's".to_owned()),
        Some(v1::Event { payload: Some(Payload::SessionEnd(said)), .. }) if said.reason() == end.reason => {
            None
        }
        Some(v1::Event { payload: Some(Payload::SessionEnd(_)), .. }) => {
            Some("it has another reason".to_owned())
        }
        Some(_) => Some("it is no end".to_owned()),
    }
}

fn names(event: &v1::Event, incarnation: u64) -> bool {
    event.session.as_ref().is_some_and(|session| session.incarnation == incarnation)
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::SessionEndReason;

    use super::*;
    use crate::settle::journal::{
        Untold,
        image::{GatewayImage, SubscriberImage},
    };

    fn bytes(incarnation: u64, payload: Payload) -> Bytes {
        let session = Some(v1::Session { incarnation, ..v1::Session::default() });
        let event = v1::Event { session, payload: Some(payload), ..v1::Event::default() };
        v1::EventBatch { events: vec![event], ..v1::EventBatch::default() }.encode_to_vec().into()
    }

    fn end(reason: SessionEndReason) -> Payload {
        Payload::SessionEnd(v1::SessionEnd { reason: reason.into(), ..v1::SessionEnd::default() })
    }

    fn subscriber(id: &str) -> SubscriberImage {
        let hello = v1::subscribe_request::Hello { subscriber_id: id.to_owned(), ..Default::default() };
        SubscriberImage { hello, stream_epoch: 1, away_since: None, expired: Untold::default() }
    }

    fn sound() -> Image {
        let life = |incarnation| LifeImage {
            gateway: 0,
            start: bytes(incarnation, Payload::SessionStart(v1::SessionStart::default())),
            wanted: [1].into(),
            started: 0,
            position: incarnation,
            end: None,
        };
        let (reason, decided, position) = (SessionEndReason::Lost, 1, 3);
        let ended = EndImage { event: bytes(2, end(reason)), reason, decided, position };
        Image {
            incarnation: 2,
            subscriber: 1,
            gateways: [(0, GatewayImage { id: "g".into(), ..GatewayImage::default() })].into(),
            subscribers: [(1, subscriber("a"))].into(),
            lives: [(1, life(1)), (2, LifeImage { end: Some(ended), ..life(2) })].into(),
            ..Image::default()
        }
    }

    #[test]
    fn what_a_machine_leaves_behind_is_sound() {
        assert_eq!(contradictions(&sound()), [""; 0]);
    }

    #[test]
    fn each_contradiction_is_named() {
        type Damage = fn(&mut Image);
        let cases: [(&str, Damage); 10] = [
            ("lives: 2: the largest that was given out is 1", |image| image.incarnation = 1),
            ("subscribers: 1: the largest that was given out is 0", |image| image.subscriber = 0),
            ("lives: 1: its gateway, 7, is not known", |image| image.lives.get_mut(&1).unwrap().gateway = 7),
            ("lives: 1: its start cannot be read", |image| {
                image.lives.get_mut(&1).unwrap().start = Bytes::from_static(b"\xff");
            }),
            ("lives: 1: its start is another's", |image| {
                image.lives.get_mut(&1).unwrap().start = image.lives[&2].start.clone();
            }),
            ("ends: 2: it is no end", |image| {
                let start = image.lives[&2].start.clone();
                image.lives.get_mut(&2).unwrap().end.as_mut().unwrap().event = start;
            }),
            ("ends: 2: it has another reason", |image| {
                let end = image.lives.get_mut(&2).unwrap().end.as_mut().unwrap();
                end.reason = SessionEndReason::Shutdown;
            }),
            ("gateways: 1: \"g\" for the second time", |image| {
                let twin = image.gateways[&0].clone();
                image.gateways.insert(1, twin);
            }),
            ("gateways: 2: none before it has the number 1", |image| {
                image.gateways.insert(2, GatewayImage { id: "h".into(), ..GatewayImage::default() });
            }),
            ("subscribers: 1: \"a\" for the second time", |image| {
                image.subscribers.insert(0, subscriber("a"));
            }),
        ];
        for (expected, damage) in cases {
            let mut image = sound();
            damage(&mut image);
            assert_eq!(contradictions(&image), [expected]);
        }
    }
}
