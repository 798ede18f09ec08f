//! What a ledger's records add up to.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use hookwire_protocol::v1::{SessionEndReason, subscribe_request};

use super::{RanSeconds, SubscriberNumber, Untold};
use crate::{
    emit::boots::{GatewayIx, HeldStop},
    settle::backlog::{LotId, Parts},
};

/// A ledger at rest: what a new process goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Image {
    /// The largest incarnation that was ever given out.
    pub(crate) incarnation: u64,
    /// The largest number that a subscriber was ever given.
    pub(crate) subscriber: SubscriberNumber,
    /// How long dispatchers have run on this ledger, by its newest commit.
    pub(crate) ran: RanSeconds,
    pub(crate) gateways: BTreeMap<GatewayIx, GatewayImage>,
    pub(crate) subscribers: BTreeMap<SubscriberNumber, SubscriberImage>,
    /// By incarnation.
    pub(crate) lives: BTreeMap<u64, LifeImage>,
    /// By incarnation and subscriber, each of whom may be gone: then the entry means nothing.
    pub(crate) entries: BTreeMap<(u64, SubscriberNumber), EntryState>,
    pub(crate) lots: BTreeMap<LotId, LotImage>,
    /// Which events of which lot are kept for whom, who may be gone: then it means nothing.
    pub(crate) kept: BTreeMap<(LotId, SubscriberNumber), Parts>,
}

impl Image {
    /// What an older program wrote down without its place stands before everything else, starts by age, ends by decision.
    pub(crate) fn place_what_has_no_place(&mut self) {
        let mut places = 1..;
        let mut place = |position: &mut u64| {
            if *position == 0 {
                *position = places.next().unwrap_or(u64::MAX);
            }
        };
        self.lives.values_mut().for_each(|life| place(&mut life.position));
        let mut ends: Vec<_> = self.lives.values_mut().filter_map(|life| life.end.as_mut()).collect();
        ends.sort_by_key(|end| end.decided);
        ends.into_iter().for_each(|end| place(&mut end.position));
    }

    /// The last place in the order of all things that is in it.
    pub(crate) fn last_position(&self) -> u64 {
        let ends = self.lives.values().filter_map(|life| life.end.as_ref()).map(|end| end.position);
        let lots = self.lots.values().filter_map(|lot| lot.positions.last().copied());
        self.lives.values().map(|life| life.position).chain(ends).chain(lots).max().unwrap_or(0)
    }
}

/// Events that were taken in together, and that somebody keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LotImage {
    /// The place of each, in the order of all things.
    pub(crate) positions: Box<[u64]>,
    /// One behind the other, as they are encoded.
    pub(crate) events: Bytes,
    pub(crate) taken_in: RanSeconds,
}

/// One gateway, in its latest boot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GatewayImage {
    pub(crate) id: Box<str>,
    pub(crate) boot: Box<str>,
    /// Boots that are over, the oldest first; the latest may be among them.
    pub(crate) over: VecDeque<Box<str>>,
    pub(crate) stop: Option<HeldStop>,
    pub(crate) stop_told: bool,
    /// The last publish_seq of each.
    pub(crate) emitters: BTreeMap<Box<str>, u64>,
    /// Sessions that it ended in this boot, by id.
    pub(crate) ended: BTreeMap<Box<str>, EndedImage>,
}

/// A session that the gateway ended in its present boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedImage {
    /// In which order they were ended.
    pub(crate) number: u64,
    /// 0 where it never was alive.
    pub(crate) incarnation: u64,
    pub(crate) reason: SessionEndReason,
}

/// One life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LifeImage {
    pub(crate) gateway: GatewayIx,
    pub(crate) start: Bytes,
    /// Who was to be handed its start when it began.
    pub(crate) wanted: Box<[SubscriberNumber]>,
    pub(crate) started: RanSeconds,
    /// Where in the order of all things it began.
    pub(crate) position: u64,
    pub(crate) end: Option<EndImage>,
}

/// A life's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndImage {
    pub(crate) event: Bytes,
    pub(crate) reason: SessionEndReason,
    pub(crate) decided: RanSeconds,
    /// Where in the order of all things that was.
    pub(crate) position: u64,
}

/// One subscriber.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SubscriberImage {
    /// What it asked for last.
    pub(crate) hello: subscribe_request::Hello,
    pub(crate) stream_epoch: u64,
    /// Since when it has had no stream; `None` where it had one to the end.
    pub(crate) away_since: Option<RanSeconds>,
    /// What expired, and it was not told of.
    pub(crate) expired: Untold,
}

/// One subscriber's account for one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryState {
    /// It was handed the start.
    Open,
    /// And has settled it.
    StartSettled,
    /// It is due nothing more of a life that others are still due something of, or that is alive.
    Closed,
}

/// What records add up to, written down plainly: what a store must agree with.
#[cfg(test)]
impl Image {
    /// Takes one record in.
    pub(crate) fn apply(&mut self, record: super::Record) {
        use super::Record;
        match record {
            Record::Boot { gateway, name, boot } => {
                let older = self.gateways.remove(&gateway).filter(|older| older.id == name);
                let over = older.map(|older| older.over).unwrap_or_default();
                self.gateways.insert(gateway, GatewayImage { id: name, boot, over, ..Default::default() });
            }
            Record::BootOver { gateway } => self.boot_is_over(gateway),
            Record::GatewayStop { gateway, said, told } => {
                let gateway = self.gateways.entry(gateway).or_default();
                (gateway.stop, gateway.stop_told) = (said, told);
            }
            Record::Published { gateway, emitter, publish_seq } => {
                self.gateways.entry(gateway).or_default().emitters.insert(emitter, publish_seq);
            }
            Record::Started { incarnation, gateway, event: start, wanted, ran: started, position } => {
                self.incarnation = self.incarnation.max(incarnation);
                let life = LifeImage { gateway, start, wanted, started, position, end: None };
                self.lives.insert(incarnation, life);
            }
            Record::Decided { incarnation, event, reason, ran: decided, position } => {
                if let Some(life) = self.lives.get_mut(&incarnation) {
                    life.end = Some(EndImage { event, reason, decided, position });
                }
            }
            Record::Forgotten { incarnation } => {
                self.lives.remove(&incarnation);
                self.entries.retain(|(of, _), _| *of != incarnation);
            }
            Record::Ended { gateway, session, incarnation, reason } => {
                let ended = &mut self.gateways.entry(gateway).or_default().ended;
                let number = ended.values().map(|ended| ended.number).max().unwrap_or(0) + 1;
                ended.insert(session, EndedImage { number, incarnation, reason });
            }
            Record::EndedForgotten { gateway, session } => {
                self.gateways.entry(gateway).or_default().ended.remove(&session);
            }
            Record::Subscribed { subscriber, hello, stream_epoch } => {
                self.subscriber = self.subscriber.max(subscriber);
                let known = self.subscribers.get(&subscriber);
                let expired = known.map_or(Untold::default(), |known| known.expired);
                let image = SubscriberImage { hello: *hello, stream_epoch, away_since: None, expired };
                self.subscribers.insert(subscriber, image);
            }
            Record::Left { subscriber, ran } => {
                self.subscribers.entry(subscriber).and_modify(|it| it.away_since = Some(ran));
            }
            Record::Entry { subscriber, incarnation } => {
                self.entries.insert((incarnation, subscriber), EntryState::Open);
            }
            Record::StartSettled { subscriber, incarnation } => {
                self.entries.insert((incarnation, subscriber), EntryState::StartSettled);
            }
            Record::Closed { subscriber, incarnation } => {
                self.entries.insert((incarnation, subscriber), EntryState::Closed);
            }
            Record::Expired { subscriber, untold } => {
                self.subscribers.entry(subscriber).and_modify(|it| it.expired = untold);
            }
            Record::Unsubscribed { subscriber } => drop(self.subscribers.remove(&subscriber)),
            Record::Lot { lot, positions, events, ran: taken_in, kept_for } => {
                self.lots.insert(lot, LotImage { positions, events, taken_in });
                let kept = kept_for.into_iter().map(|(subscriber, parts)| ((lot, subscriber), parts));
                self.kept.extend(kept);
            }
            Record::LotSettled { subscriber, lot, left } if left.is_empty() => {
                self.kept.remove(&(lot, subscriber));
            }
            Record::LotSettled { subscriber, lot, left } => {
                self.kept.insert((lot, subscriber), left);
            }
            Record::LotForgotten { lot } => {
                self.lots.remove(&lot);
                self.kept.retain(|(of, _), _| *of != lot);
            }
        }
    }

    fn boot_is_over(&mut self, gateway: GatewayIx) {
        use crate::emit::boots::MAX_BOOTS_OVER;
        let gateway = self.gateways.entry(gateway).or_default();
        if !gateway.over.contains(&gateway.boot) {
            gateway.over.push_back(gateway.boot.clone());
            if gateway.over.len() > MAX_BOOTS_OVER {
                gateway.over.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_stands_before_what_has_one() {
        let life = |decided: RanSeconds, position| LifeImage {
            gateway: 0,
            start: Bytes::new(),
            wanted: Box::default(),
            started: 0,
            position,
            end: Some(EndImage { event: Bytes::new(), reason: SessionEndReason::Lost, decided, position }),
        };
        let mut image =
            Image { lives: [(1, life(9, 0)), (2, life(3, 0)), (3, life(1, 50))].into(), ..Image::default() };
        image.place_what_has_no_place();
        let end = |life: &LifeImage| life.end.as_ref().map(|end| end.position);
        let places: Vec<_> = image.lives.values().map(|life| (life.position, end(life))).collect();
        assert_eq!(places, [(1, Some(4)), (2, Some(3)), (50, Some(50))]);
    }
}
