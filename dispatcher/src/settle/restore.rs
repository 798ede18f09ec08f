//! A machine goes on from what its ledger remembers.
//!
//! Nobody is connected, and time begins anew: a boot that was not over has its whole grace to come back in, and every
//! subscriber is away, with what it was due. What a crash may lose is lost: settlements, queues, drains under way.

use std::collections::{BTreeMap, HashMap};

use hookwire_protocol::v1::{self, WhenFull};
use prost::Message as _;

use super::{
    backlog::{LotId, Parts},
    journal::{
        Record, SubscriberNumber,
        image::{EndImage, EntryState, GatewayImage, Image, LifeImage, LotImage, SubscriberImage},
        sound::elements,
    },
    lives::{End, Life, LifeRef, Slot},
    retention::Limits,
};
use crate::{
    emit::boots::{Boot, Emitter, Gateway, GatewayIx, digest},
    fanout::{
        filter::Filter,
        registry::{Subscriber, SubscriberIx},
    },
    machine::{Machine, Settings},
    queue::run::{Item, Run},
};

/// A session_seq jumps to here, times the dispatcher's epoch: the numbers given out before the crash are not known.
const SEQS_OF_AN_EPOCH: u64 = 1 << 30;

/// Where that ends, since a life's number has 48 bits: a hundred thousand restarts.
const LAST_EPOCH: u32 = 1 << 17;

/// An image that no machine has left behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal contradicts itself: {0}")]
pub struct Inconsistent(String);

/// Where each subscriber stands in the registry.
type Indices = HashMap<SubscriberNumber, SubscriberIx>;

impl Machine {
    /// A machine that goes on from this image.
    ///
    /// # Errors
    /// The image contradicts itself: no machine has left it behind.
    pub(crate) fn restore(settings: Settings, image: Image) -> Result<Self, Inconsistent> {
        let mut machine = Self::new(settings);
        let position = image.last_position();
        let Image { incarnation, subscriber, ran, gateways, subscribers, lives, entries, lots, kept } = image;
        machine.resume_counters(incarnation, subscriber, ran, position);
        for (ix, gateway) in gateways {
            if ix as usize != machine.gateways.len() {
                return Err(Inconsistent(format!("gateway {} is missing", machine.gateways.len())));
            }
            machine.restore_gateway(gateway);
        }
        let mut indices = Indices::new();
        for (number, subscriber) in subscribers {
            indices.insert(number, machine.restore_subscriber(number, &subscriber)?);
        }
        let mut entries = entries.into_iter().peekable();
        let (mut ends, mut slots) = (Vec::new(), HashMap::new());
        for (incarnation, life) in lives {
            // Entries of lives that are forgotten mean nothing.
            while entries.next_if(|((of, _), _)| *of < incarnation).is_some() {}
            let mut of_life = Vec::new();
            while let Some(((_, subscriber), state)) = entries.next_if(|((of, _), _)| *of == incarnation) {
                of_life.push((subscriber, state));
            }
            let slot = machine.restore_life(incarnation, &life, &of_life, &indices)?;
            slots.insert(incarnation, slot);
            ends.extend(life.end.map(|end| (slot, end)));
        }
        ends.sort_by_key(|(_, end)| end.position); // retention goes by their order
        machine.restore_lots(lots, kept, &slots, &indices)?;
        ends.into_iter().for_each(|(slot, end)| machine.restore_end(slot, end));
        (0..machine.gateways.len() as GatewayIx).for_each(|ix| machine.begin_grace(ix));
        Ok(machine)
    }

    /// A boot that was lost before, and has nothing more to lose, is not told of at every restart.
    fn begin_grace(&mut self, ix: GatewayIx) {
        let alive = self.lives.of(ix).iter().any(|slot| self.lives.at(slot).alive());
        let boot = &mut self.gateways.at_mut(ix).boot;
        if !boot.closed && (alive || !boot.stop_told) {
            boot.lost_at = Some(self.settings.gateway_grace);
        }
    }

    fn restore_gateway(&mut self, image: GatewayImage) {
        self.boots += 1;
        let mut boot = Boot::new(&image.id, &image.boot, self.boots);
        boot.closed = image.over.contains(&image.boot);
        (boot.stop, boot.stop_told) = (image.stop, image.stop_told);
        let emitter = |(id, last): (Box<str>, u64)| {
            let digest = digest(&[&image.id, &image.boot, &id]);
            (id, Emitter { last, digest, source: None })
        };
        boot.emitters = image.emitters.into_iter().map(emitter).collect();
        let mut ended: Vec<_> = image.ended.into_iter().collect();
        ended.sort_unstable_by_key(|(_, ended)| ended.number);
        for (session, ended) in ended {
            boot.ended.insert(&session, ended.incarnation, ended.reason);
        }
        self.gateways.insert(Gateway::new(&image.id, boot, image.over));
    }

    fn restore_subscriber(
        &mut self,
        number: SubscriberNumber,
        image: &SubscriberImage,
    ) -> Result<SubscriberIx, Inconsistent> {
        let hello = &image.hello;
        let filter = Filter::new(&hello.hooks, hello.filter.clone().unwrap_or_default())
            .map_err(|why| Inconsistent(format!("subscriber {:?}: {why}", hello.subscriber_id)))?;
        let queue = self.queue(WhenFull::DropOldest);
        let limits = Limits::granted(hello.retention, &self.settings);
        let mut subscriber = Subscriber::new(&hello.subscriber_id, number, filter, queue, limits);
        subscriber.account.restore(image.expired);
        // Where it had a stream to the end, that is when it ended: to be remembered, or each restart would be.
        let ran = self.ran();
        if image.away_since.is_none() {
            self.record(Record::Left { subscriber: number, ran });
        }
        subscriber.away_since = Some(image.away_since.unwrap_or(ran));
        let ix = self.registry.insert(subscriber);
        self.retention_changed(ix);
        Ok(ix)
    }

    fn restore_life(
        &mut self,
        incarnation: u64,
        image: &LifeImage,
        entries: &[(SubscriberNumber, EntryState)],
        indices: &Indices,
    ) -> Result<Slot, Inconsistent> {
        let time_unix_nano = self.check_life(incarnation, image)?;
        let mut life = Life::new(incarnation, image.gateway, &image.start, time_unix_nano, image.position);
        life.jump(u64::from(self.settings.epoch.min(LAST_EPOCH)) * SEQS_OF_AN_EPOCH);
        let slot = self.lives.insert(life);
        let mut holders = 0;
        for (number, state) in entries {
            // One that was forgotten is due nothing.
            let Some(ix) = indices.get(number).filter(|_| *state != EntryState::Closed) else { continue };
            let subscriber = self.registry.at(*ix);
            subscriber.marks.restore(slot, *state == EntryState::StartSettled);
            if subscriber.keeps_all() {
                self.log.begins(incarnation, image.position);
            }
            holders += 1;
        }
        let entered = |number| entries.iter().any(|(subscriber, _)| subscriber == number);
        for ix in image.wanted.iter().filter(|number| !entered(*number)).filter_map(|it| indices.get(it)) {
            let subscriber = self.registry.at(*ix);
            // A start without an entry has gone together with its end, but with retention ALL.
            if subscriber.keeps_all() {
                self.log.begins(incarnation, image.position);
            }
            if image.end.is_none() || subscriber.keeps_all() {
                subscriber.marks.want(slot);
                holders += 1;
            } else {
                let subscriber = subscriber.number;
                self.record(Record::Closed { subscriber, incarnation }); // whatever it asks for from now on
            }
        }
        self.lives.at_mut(slot).hold(holders);
        Ok(slot)
    }

    fn restore_end(&mut self, slot: Slot, image: EndImage) {
        let EndImage { event, reason, decided: since, position } = image;
        self.lives.end(slot, End { event, reason, position, since });
        let Self { registry, lives, retention_due, .. } = self;
        let owed = lives.at(slot).owed();
        for (_, subscriber) in registry.iter_mut() {
            subscriber.marks.decide(slot);
            if let Some(owed) = owed.filter(|_| subscriber.marks.holds(slot)) {
                *retention_due = (*retention_due).min(subscriber.owe(owed));
            }
        }
        self.give_up_if_idle(slot);
    }

    /// What retention ALL keeps.
    fn restore_lots(
        &mut self,
        lots: BTreeMap<LotId, LotImage>,
        kept: BTreeMap<(LotId, SubscriberNumber), Parts>,
        slots: &HashMap<u64, Slot>,
        indices: &Indices,
    ) -> Result<(), Inconsistent> {
        let mut kept = kept.into_iter().peekable();
        for (id, image) in lots {
            let mut kept_for = Vec::new();
            while let Some(((_, subscriber), parts)) = kept.next_if(|((lot, _), _)| *lot <= id) {
                kept_for.extend(indices.get(&subscriber).map(|ix| (*ix, parts)));
            }
            let lot = self.restored_lot(id, &image, slots)?;
            self.restore_lot(&lot, image.taken_in, kept_for.into_iter());
        }
        for ix in self.registry.indices() {
            self.retention_changed(ix);
        }
        Ok(())
    }

    fn restored_lot(
        &mut self,
        id: LotId,
        image: &LotImage,
        slots: &HashMap<u64, Slot>,
    ) -> Result<Run, Inconsistent> {
        let wrong = |why: &str| Inconsistent(format!("lot {id}: {why}"));
        let events = elements(&image.events).ok_or_else(|| wrong("its events are unreadable"))?;
        if events.len() != image.positions.len() || image.positions.first() != Some(&id) {
            return Err(wrong("its events have other places"));
        }
        let mut items = Vec::with_capacity(events.len());
        for ((event, range), position) in events.into_iter().zip(&image.positions) {
            let incarnation = event.session.map_or(0, |session| session.incarnation);
            let life = LifeRef { incarnation, slot: slots.get(&incarnation).copied().unwrap_or(0) };
            if slots.contains_key(&incarnation) {
                self.lives.at_mut(life.slot).reaches(*position);
            }
            let hook = self.hooks.number(&event.hook).ok_or_else(|| wrong("too many hooks"))?;
            let (start, end) = (range.start as u32, range.end as u32);
            items.push(Item { position: *position, life, boot: 0, hook, start, end });
        }
        Ok(Run::new(items.into(), image.events.clone()))
    }

    /// Says when it started.
    fn check_life(&self, incarnation: u64, image: &LifeImage) -> Result<u64, Inconsistent> {
        let wrong = |why: &str| Inconsistent(format!("incarnation {incarnation}: {why}"));
        if image.gateway as usize >= self.gateways.len() {
            return Err(wrong("its gateway is not known"));
        }
        let start = v1::EventBatch::decode(&image.start[..]).ok().and_then(|mut batch| batch.events.pop());
        let named = |event: &v1::Event| {
            event.session.as_ref().is_some_and(|session| session.incarnation == incarnation)
        };
        let start = start.filter(named).ok_or_else(|| wrong("its start is another's, or unreadable"))?;
        Ok(start.time_unix_nano)
    }
}
