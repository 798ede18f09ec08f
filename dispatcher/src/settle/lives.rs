//! Interned lives: one slot for each life of a session that is alive, or whose end somebody is still owed.

use std::collections::VecDeque;

pub(crate) use super::life::{End, Life};
use super::{bits::Bits, names::Names, slots::Slots};

/// A line that is this short is not looked through.
const FEW: usize = 64;

/// The place of a life in [`Lives`]: a small integer, used again once nobody holds the life.
pub(crate) type Slot = u32;

/// A life by slot and incarnation: the incarnation tells a slot's present life from its earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LifeRef {
    /// First, so that lives sort by age.
    pub(crate) incarnation: u64,
    pub(crate) slot: Slot,
}

/// All lives that matter to anybody.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    slots: Slots,
    /// Those that are alive, apart: an id or key may have ended thousands of times.
    alive: Names,
    ended: Names,
    /// The held lives of each gateway.
    by_gateway: Vec<Bits>,
    /// Those that have ended, in the order of their decisions, by position. Some may be held no more.
    decided: VecDeque<(u64, Slot)>,
    live: usize,
}

impl Lives {
    /// How many are alive.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// How many are held at all.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.slots.taken()
    }

    /// The life in a slot that is known to be taken.
    pub(crate) fn at(&self, slot: Slot) -> &Life {
        self.slots.get(slot).expect("marks and queues name only slots that are held")
    }

    /// Like [`Lives::at`], to change it.
    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Life {
        self.slots.get_mut(slot).expect("marks and queues name only slots that are held")
    }

    /// The life that is meant, unless its slot has been given up since.
    pub(crate) fn get(&self, life: LifeRef) -> Option<&Life> {
        self.slots.get(life.slot).filter(|held| held.incarnation() == life.incarnation)
    }

    /// All that are held.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Life)> {
        self.slots.iter()
    }

    /// The live life of this id, the newest.
    pub(crate) fn alive_by_id(&self, gateway: u32, id: &str) -> Option<Slot> {
        self.alive.with_id(&self.slots, gateway, id).next()
    }

    /// The live life that a gateway means by these bytes of a `SessionRef`, if they name it by its id and say nothing
    /// new of it: they need not be read, then.
    pub(crate) fn alive_by_ref(&self, gateway: u32, said: &[u8]) -> Option<Slot> {
        let [_, length @ 0..0x80, names @ ..] = said else { return None };
        self.alive.named_by(&self.slots, gateway, names.get(..usize::from(*length))?, said)
    }

    /// The live life of this key that started last.
    pub(crate) fn alive_by_key(&self, gateway: u32, key: &str) -> Option<Slot> {
        let alive = self.alive.with_key(&self.slots, gateway, key);
        alive.max_by_key(|slot| self.at(*slot).incarnation())
    }

    /// The last life of this id that is still held and has ended.
    pub(crate) fn last_ended(&self, gateway: u32, id: &str) -> Option<&Life> {
        let ended = self.ended.with_id(&self.slots, gateway, id).map(|slot| self.at(slot));
        ended.max_by_key(|life| life.incarnation())
    }

    /// A life of this id that has ended: this one, or the last that is still held. Its slot is only good with
    /// [`Lives::get`]: the life may be held no more.
    pub(crate) fn ended_ref(&self, gateway: u32, id: &str, incarnation: Option<u64>) -> LifeRef {
        let mut held = self.ended.with_id(&self.slots, gateway, id).map(|slot| self.life_ref(slot));
        match incarnation {
            Some(incarnation) => held.find(|life| life.incarnation == incarnation),
            None => held.max(),
        }
        .unwrap_or(LifeRef { incarnation: incarnation.unwrap_or(0), slot: 0 })
    }

    /// The life in a slot that is known to be taken, by its name.
    pub(crate) fn life_ref(&self, slot: Slot) -> LifeRef {
        LifeRef { incarnation: self.at(slot).incarnation(), slot }
    }

    /// Earlier lives of the same id or key that have ended and are still held, in no order.
    pub(crate) fn earlier(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        let later = self.at(slot);
        let (ended, slots, gateway) = (&self.ended, &self.slots, later.gateway());
        ended
            .with_id(slots, gateway, later.id())
            .chain(ended.with_key(slots, gateway, later.key()))
            .filter(|earlier| self.at(*earlier).precedes(later))
    }

    /// Whether the one is an earlier life of the same id or key as the other.
    pub(crate) fn precedes(&self, earlier: Slot, later: Slot) -> bool {
        self.at(earlier).precedes(self.at(later))
    }

    /// All that are held of one gateway.
    pub(crate) fn of(&self, gateway: u32) -> &Bits {
        const NONE: &Bits = &Bits::new();
        self.by_gateway.get(gateway as usize).unwrap_or(NONE)
    }

    /// Those that are alive of one gateway, by age.
    pub(crate) fn alive_of(&self, gateway: u32) -> Vec<Slot> {
        let mut alive: Vec<_> = self.of(gateway).iter().filter(|slot| self.at(*slot).alive()).collect();
        alive.sort_unstable_by_key(|slot| self.at(*slot).incarnation());
        alive
    }

    /// Takes a new life in.
    pub(crate) fn insert(&mut self, mut life: Life) -> Slot {
        let known = |names: &Names| {
            names.with_id(&self.slots, life.gateway(), life.id()).next().is_some()
                || names.with_key(&self.slots, life.gateway(), life.key()).next().is_some()
        };
        if known(&self.alive) || known(&self.ended) {
            life.set_has_earlier();
        }
        let gateway = life.gateway() as usize;
        if gateway >= self.by_gateway.len() {
            self.by_gateway.resize_with(gateway + 1, Bits::default);
        }
        let slot = self.slots.insert(life);
        self.by_gateway[gateway].insert(slot);
        self.live += 1;
        self.alive.insert(slot, &self.slots);
        slot
    }

    /// Decides how a live life ended.
    pub(crate) fn end(&mut self, slot: Slot, end: End) {
        debug_assert!(self.decided.back().is_none_or(|(last, _)| *last < end.position), "in order");
        self.decided.push_back((end.position, slot));
        let life = self.at_mut(slot);
        debug_assert!(life.alive(), "the first end decided wins");
        life.set_end(end);
        self.live -= 1;
        self.alive.remove(slot, &self.slots);
        self.ended.insert(slot, &self.slots);
    }

    /// Gives up the slot of a life that has ended and that nobody is due anything of; says which life that was.
    pub(crate) fn give_up_if_idle(&mut self, slot: Slot) -> Option<u64> {
        let life = self.slots.get(slot).filter(|life| life.is_idle())?;
        let incarnation = life.incarnation();
        self.by_gateway[life.gateway() as usize].remove(slot);
        self.ended.remove(slot, &self.slots);
        self.slots.remove(slot);
        self.trim_decided();
        Some(incarnation)
    }

    /// Those that have ended and are held, from behind this position on, in the order of their decisions.
    pub(crate) fn ended_after(&self, position: u64) -> impl Iterator<Item = (u64, Slot, &Life)> {
        let first = self.decided.partition_point(|(decided, _)| *decided <= position);
        self.decided.range(first..).filter_map(|(position, slot)| {
            let held = self.slots.get(*slot).filter(|life| life.decided() == Some(*position))?;
            Some((*position, *slot, held))
        })
    }

    /// Lets go of what is held no more: at the front at once, in between once that is most of it.
    fn trim_decided(&mut self) {
        let Self { slots, decided, live, .. } = self;
        let held = |(position, slot): &(u64, Slot)| {
            slots.get(*slot).is_some_and(|life| life.decided() == Some(*position))
        };
        while decided.front().is_some_and(|front| !held(front)) {
            decided.pop_front();
        }
        if decided.len() > FEW + 2 * (slots.taken() - *live) {
            decided.retain(held);
        }
        if decided.capacity() > FEW && decided.len() < decided.capacity() / 8 {
            decided.shrink_to(decided.len() * 2);
        }
    }
}
