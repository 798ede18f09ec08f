//! Records as a machine could leave them behind, made of plain numbers.

use std::collections::BTreeMap;

use bytes::Bytes;
use hookwire_protocol::v1::{GatewayStop, SessionEndReason, subscribe_request::Hello};

use crate::{
    emit::boots::{GatewayIx, HeldStop},
    queue::Lost,
    settle::{
        backlog::Parts,
        journal::{
            RanSeconds, Record, SubscriberNumber, Untold,
            image::{EntryState, Image},
        },
    },
};

/// What to do next: which kind of record, and two numbers that the rest is made of.
pub(super) type Op = (u8, u16, u16);

/// The sizes of events, in bytes: most are small, one is larger than a page.
const SIZES: [usize; 8] = [40, 120, 200, 200, 300, 700, 200, 9_000];

const REASONS: [SessionEndReason; 4] =
    [SessionEndReason::New, SessionEndReason::Shutdown, SessionEndReason::Lost, SessionEndReason::Compaction];

/// Makes records of numbers: every record is one that the records before it allow.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Everything so far, in the plain reference.
    image: Image,
    boots: u32,
}

impl Script {
    /// The next record.
    pub(super) fn record(&mut self, (kind, a, b): Op) -> Record {
        let record = self.allowed(kind, usize::from(a), usize::from(b));
        self.image.apply(record.clone());
        record
    }

    fn allowed(&mut self, kind: u8, a: usize, b: usize) -> Record {
        if self.image.gateways.is_empty() {
            return self.boot(0);
        }
        if self.image.subscribers.is_empty() {
            return self.subscribed(self.image.subscriber + 1, b);
        }
        match kind % 38 {
            0 => self.boot((a % 3).min(self.image.gateways.len()) as GatewayIx),
            1 => Record::BootOver { gateway: self.gateway(a) },
            2 => Record::GatewayStop { gateway: self.gateway(a), said: said(b), told: b.is_multiple_of(3) },
            3..=5 => self.published(a, b),
            6 | 7 => self.ended(a, b),
            8 => self.ended_forgotten(a, b),
            9 => self.subscribed(self.image.subscriber + 1, b),
            10 => self.subscribed(self.subscriber(a), b),
            11 => Record::Left { subscriber: self.subscriber(a), ran: b as RanSeconds },
            12 => Record::Expired { subscriber: self.subscriber(a), untold: untold(b) },
            13 if self.image.subscribers.len() > 1 => Record::Unsubscribed { subscriber: self.subscriber(a) },
            14..=17 => self.decided(a, b),
            18..=20 => self.entry(a, b, EntryState::Open),
            21 | 22 => self.entry(a, b, EntryState::StartSettled),
            23 | 24 => self.entry(a, b, EntryState::Closed),
            25..=27 => self.forgotten(a, b),
            32 | 33 => self.lot(a, b),
            34..=36 => self.lot_settled(a, b),
            37 => self.lot_forgotten(a, b),
            _ => self.started(a, b),
        }
    }

    fn gateway(&self, a: usize) -> GatewayIx {
        nth(&self.image.gateways, a)
    }

    fn subscriber(&self, a: usize) -> SubscriberNumber {
        nth(&self.image.subscribers, a)
    }

    fn boot(&mut self, gateway: GatewayIx) -> Record {
        self.boots += 1;
        Record::Boot {
            gateway,
            name: format!("gateway {gateway}").into(),
            boot: format!("boot {}", self.boots).into(),
        }
    }

    fn published(&self, a: usize, b: usize) -> Record {
        let gateway = self.gateway(a);
        let emitter: Box<str> = format!("emitter {}", b % 3).into();
        let last = self.image.gateways[&gateway].emitters.get(&emitter).copied().unwrap_or(0);
        Record::Published { gateway, emitter, publish_seq: last + 1 }
    }

    fn ended(&self, a: usize, b: usize) -> Record {
        let session = format!("session {}", b % 20).into();
        Record::Ended {
            gateway: self.gateway(a),
            session,
            incarnation: b as u64,
            reason: REASONS[b % REASONS.len()],
        }
    }

    fn ended_forgotten(&self, a: usize, b: usize) -> Record {
        Record::EndedForgotten { gateway: self.gateway(a), session: format!("session {}", b % 20).into() }
    }

    fn subscribed(&self, subscriber: SubscriberNumber, b: usize) -> Record {
        let subscriber_id = format!("subscriber {subscriber}");
        let hello = Hello { subscriber_id, max_in_flight: b as u32, ..Hello::default() };
        Record::Subscribed { subscriber, hello: hello.into(), stream_epoch: b as u64 }
    }

    fn started(&self, a: usize, b: usize) -> Record {
        Record::Started {
            incarnation: self.image.incarnation + 1 + (b % 2) as u64,
            gateway: self.gateway(a),
            event: event(a, b),
            wanted: self.image.subscribers.keys().copied().take(b % 4).collect(),
            ran: b as RanSeconds,
            position: self.image.last_position() + 1,
        }
    }

    fn decided(&self, a: usize, b: usize) -> Record {
        let alive: BTreeMap<_, _> = self.image.lives.iter().filter(|(_, life)| life.end.is_none()).collect();
        if alive.is_empty() {
            return self.started(a, b);
        }
        Record::Decided {
            incarnation: *nth(&alive, a),
            event: event(b, a),
            reason: REASONS[b % REASONS.len()],
            ran: b as RanSeconds,
            position: self.image.last_position() + 1,
        }
    }

    fn entry(&self, a: usize, b: usize, state: EntryState) -> Record {
        if self.image.lives.is_empty() {
            return self.started(a, b);
        }
        let (incarnation, subscriber) = (nth(&self.image.lives, a), self.subscriber(b));
        match state {
            EntryState::Open => Record::Entry { subscriber, incarnation },
            EntryState::StartSettled => Record::StartSettled { subscriber, incarnation },
            EntryState::Closed => Record::Closed { subscriber, incarnation },
        }
    }

    fn lot(&self, a: usize, b: usize) -> Record {
        let lot = self.image.last_position() + 1;
        let positions: Box<[u64]> = (lot..=lot + (b % 4) as u64).collect();
        let keepers = self.image.subscribers.keys().skip(a % self.image.subscribers.len()).take(2);
        let all = Parts::from([(lot, positions[positions.len() - 1])]);
        let kept_for = keepers.map(|subscriber| (*subscriber, all.clone())).collect();
        Record::Lot { lot, positions, events: event(a, b), ran: b as RanSeconds, kept_for }
    }

    /// Of what a subscriber keeps of a lot, the first event goes.
    fn lot_settled(&self, a: usize, b: usize) -> Record {
        if self.image.kept.is_empty() {
            return self.lot(a, b);
        }
        let (lot, subscriber) = nth(&self.image.kept, a);
        let (first, last) = self.image.kept[&(lot, subscriber)][0];
        let left = if first == last { Parts::default() } else { Parts::from([(first + 1, last)]) };
        Record::LotSettled { subscriber, lot, left }
    }

    fn lot_forgotten(&self, a: usize, b: usize) -> Record {
        if self.image.lots.is_empty() {
            return self.lot(a, b);
        }
        Record::LotForgotten { lot: nth(&self.image.lots, a) }
    }

    fn forgotten(&self, a: usize, b: usize) -> Record {
        if self.image.lives.is_empty() {
            return self.started(a, b);
        }
        Record::Forgotten { incarnation: nth(&self.image.lives, a) }
    }
}

fn nth<K: Copy, V>(map: &BTreeMap<K, V>, a: usize) -> K {
    *map.keys().nth(a % map.len()).unwrap()
}

fn event(a: usize, b: usize) -> Bytes {
    vec![b as u8; SIZES[a % SIZES.len()]].into()
}

fn untold(b: usize) -> Untold {
    let (entries, events) = (b as u64, b as u64 % 7);
    Untold {
        entries: Lost { events: entries, bytes: 9 * entries },
        events: Lost { events, bytes: 5 * events },
    }
}

fn said(b: usize) -> Option<HeldStop> {
    b.is_multiple_of(2).then(|| HeldStop {
        payload: GatewayStop::default(),
        time_unix_nano: b as u64,
        traceparent: String::new(),
        emitter: format!("emitter {}", b % 3).into(),
        publish_seq: b as u64,
    })
}

/// What the ledger is after each commit: first, before any.
pub(super) fn images(commits: &[Vec<Record>]) -> Vec<Image> {
    let mut image = Image::default();
    let mut images = vec![image.clone()];
    for (commit, ran) in commits.iter().zip(1..) {
        commit.iter().for_each(|record| image.apply(record.clone()));
        image.ran = ran;
        images.push(image.clone());
    }
    images.into_iter().map(meaning).collect()
}

/// An image without what means nothing: entries of nobody or of no life, lots that nobody keeps, and by how much the numbers of ended
/// sessions differ.
pub(super) fn meaning(mut image: Image) -> Image {
    let Image { lives, subscribers, entries, lots, kept, .. } = &mut image;
    entries.retain(|(life, subscriber), _| lives.contains_key(life) && subscribers.contains_key(subscriber));
    kept.retain(|(lot, subscriber), _| lots.contains_key(lot) && subscribers.contains_key(subscriber));
    lots.retain(|lot, _| kept.keys().any(|(of, _)| of == lot));
    for gateway in image.gateways.values_mut() {
        let mut ended: Vec<_> = gateway.ended.values_mut().collect();
        ended.sort_by_key(|ended| ended.number);
        (1..).zip(ended).for_each(|(number, ended)| ended.number = number);
    }
    image
}
