//! Interned lives: one slot for each life of a session that is alive, or whose end somebody is still owed.

pub(crate) use super::life::{End, Life};
use super::{bits::Bits, names::Names, slots::Slots};

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
        let life = self.at_mut(slot);
        debug_assert!(life.alive(), "the first end decided wins");
        life.set_end(end);
        self.live -= 1;
        self.alive.remove(slot, &self.slots);
        self.ended.insert(slot, &self.slots);
    }

    /// Gives up the slot of a life that has ended and that nobody is due anything of.
    pub(crate) fn give_up_if_idle(&mut self, slot: Slot) {
        let Some(life) = self.slots.get(slot).filter(|life| life.is_idle()) else { return };
        self.by_gateway[life.gateway() as usize].remove(slot);
        self.ended.remove(slot, &self.slots);
        self.slots.remove(slot);
    }
}
