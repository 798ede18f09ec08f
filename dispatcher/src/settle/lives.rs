//! Interned lives: one slot for each life of a session that is alive, or whose end somebody is still owed.

use std::hash::BuildHasher;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use hookwire_protocol::v1::SessionEndReason;

use super::bits::Bits;

/// The place of a life in [`Lives`]: a small integer, used again once nobody holds the life.
pub(crate) type Slot = u32;

/// A life by slot and incarnation: the incarnation tells a slot's present life from its earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LifeRef {
    /// First, so that lives sort by age.
    pub(crate) incarnation: u64,
    pub(crate) slot: Slot,
}

/// How a life ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The end's event, encoded once.
    pub(crate) event: Bytes,
    pub(crate) reason: SessionEndReason,
    /// Where in the order of all things it was decided.
    pub(crate) position: u64,
}

/// One life of one session.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) incarnation: u64,
    /// The gateway's index in the machine.
    pub(crate) gateway: u32,
    pub(crate) id: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) agent: Box<str>,
    /// The start's event, encoded once: replays and announcements are these bytes.
    pub(crate) start: Bytes,
    /// Where in the order of all things it started.
    pub(crate) position: u64,
    /// Set once: the first end decided wins.
    pub(crate) end: Option<End>,
    /// The session_seq given out last.
    pub(crate) seq: u64,
    /// When its last event fired, in nanoseconds since the Unix epoch.
    pub(crate) last_activity: u64,
    /// Where in the order of all things its last event stands.
    pub(crate) last_position: u64,
    /// Another life of the same id or key was held when it started: its start may have to wait.
    pub(crate) has_earlier: bool,
    /// How many subscribers are due anything of it.
    pub(crate) holders: u32,
}

impl Life {
    pub(crate) fn alive(&self) -> bool {
        self.end.is_none()
    }

    /// The end's position; `None` while alive.
    pub(crate) fn decided(&self) -> Option<u64> {
        self.end.as_ref().map(|end| end.position)
    }

    /// Whether this life, if it is `later`, must wait for `self`'s end to be written.
    fn precedes(&self, later: &Life) -> bool {
        self.incarnation < later.incarnation
            && self.gateway == later.gateway
            && (self.id == later.id || (!self.key.is_empty() && self.key == later.key))
    }
}

/// All lives that matter to anybody.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    slots: Vec<Option<Life>>,
    free: Vec<Slot>,
    /// Those that are alive, apart: an id or key may have ended thousands of times.
    alive: Names,
    ended: Names,
    /// The held lives of each gateway.
    by_gateway: Vec<Bits>,
    hash: DefaultHashBuilder,
    live: usize,
}

/// Slots by the ids and the keys of their lives.
#[derive(Debug, Default)]
struct Names {
    by_id: HashTable<Slot>,
    by_key: HashTable<Slot>,
}

impl Lives {
    /// How many are alive.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// How many are held at all.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The life in a slot that is known to be taken.
    pub(crate) fn at(&self, slot: Slot) -> &Life {
        self.slots[slot as usize].as_ref().expect("marks and queues name only slots that are held")
    }

    /// Like [`Lives::at`], to change it.
    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Life {
        self.slots[slot as usize].as_mut().expect("marks and queues name only slots that are held")
    }

    /// The life that is meant, unless its slot has been given up since.
    pub(crate) fn get(&self, life: LifeRef) -> Option<&Life> {
        self.slots.get(life.slot as usize)?.as_ref().filter(|held| held.incarnation == life.incarnation)
    }

    /// All that are held.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Life)> {
        self.slots.iter().enumerate().filter_map(|(slot, life)| Some((slot as Slot, life.as_ref()?)))
    }

    /// The live life of this id, the newest.
    pub(crate) fn alive_by_id(&self, gateway: u32, id: &str) -> Option<Slot> {
        self.with_id(&self.alive, gateway, id).next()
    }

    /// The live life of this key that started last.
    pub(crate) fn alive_by_key(&self, gateway: u32, key: &str) -> Option<Slot> {
        self.with_key(&self.alive, gateway, key).max_by_key(|slot| self.at(*slot).incarnation)
    }

    /// The last life of this id that is still held and has ended.
    pub(crate) fn last_ended(&self, gateway: u32, id: &str) -> Option<&Life> {
        self.with_id(&self.ended, gateway, id).map(|slot| self.at(slot)).max_by_key(|life| life.incarnation)
    }

    /// A life of this id that has ended: this one, or the last that is still held. Its slot is only good with
    /// [`Lives::get`]: the life may be held no more.
    pub(crate) fn ended_ref(&self, gateway: u32, id: &str, incarnation: Option<u64>) -> LifeRef {
        let life = |slot| LifeRef { incarnation: self.at(slot).incarnation, slot };
        let mut held = self.with_id(&self.ended, gateway, id).map(life);
        match incarnation {
            Some(incarnation) => held.find(|life| life.incarnation == incarnation),
            None => held.max(),
        }
        .unwrap_or(LifeRef { incarnation: incarnation.unwrap_or(0), slot: 0 })
    }

    /// Earlier lives of the same id or key that have ended and are still held, in no order.
    pub(crate) fn earlier(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        let later = self.at(slot);
        self.with_id(&self.ended, later.gateway, &later.id)
            .chain(self.with_key(&self.ended, later.gateway, &later.key))
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
        let known = |names| {
            self.with_id(names, life.gateway, &life.id).next().is_some()
                || self.with_key(names, life.gateway, &life.key).next().is_some()
        };
        life.has_earlier = known(&self.alive) || known(&self.ended);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        let gateway = life.gateway as usize;
        if gateway >= self.by_gateway.len() {
            self.by_gateway.resize_with(gateway + 1, Bits::default);
        }
        self.by_gateway[gateway].insert(slot);
        self.slots[slot as usize] = Some(life);
        self.live += 1;
        self.alive.insert(slot, &self.slots, &self.hash);
        slot
    }

    /// Decides how a live life ended.
    pub(crate) fn end(&mut self, slot: Slot, end: End) {
        let life = self.at_mut(slot);
        debug_assert!(life.alive(), "the first end decided wins");
        life.end = Some(end);
        self.live -= 1;
        self.alive.remove(slot, &self.slots, &self.hash);
        self.ended.insert(slot, &self.slots, &self.hash);
    }

    /// Gives up the slot of a life that has ended and that nobody is due anything of.
    pub(crate) fn give_up_if_idle(&mut self, slot: Slot) {
        let idle = |life: &&Life| !life.alive() && life.holders == 0;
        let Some(life) = self.slots[slot as usize].as_ref().filter(idle) else { return };
        self.by_gateway[life.gateway as usize].remove(slot);
        self.ended.remove(slot, &self.slots, &self.hash);
        self.slots[slot as usize] = None;
        self.free.push(slot);
    }

    fn with_id<'a>(&'a self, names: &'a Names, gateway: u32, id: &str) -> impl Iterator<Item = Slot> {
        let named = move |slot: &Slot| self.at(*slot).gateway == gateway && *self.at(*slot).id == *id;
        names.by_id.iter_hash(self.hash.hash_one((gateway, id))).copied().filter(named)
    }

    fn with_key<'a>(&'a self, names: &'a Names, gateway: u32, key: &str) -> impl Iterator<Item = Slot> {
        let named = move |slot: &Slot| self.at(*slot).gateway == gateway && *self.at(*slot).key == *key;
        names.by_key.iter_hash(self.hash.hash_one((gateway, key))).copied().filter(named)
    }
}

impl Names {
    /// The slot is taken.
    fn insert(&mut self, slot: Slot, slots: &[Option<Life>], hash: &DefaultHashBuilder) {
        // A table only asks for the hashes of what it holds, and it holds only slots that are taken.
        let hashed =
            |slot: &Slot| slots[*slot as usize].as_ref().map(|life| hashes(hash, life)).unwrap_or_default();
        let (by_id, by_key) = hashed(&slot);
        self.by_id.insert_unique(by_id, slot, |slot| hashed(slot).0);
        // One bucket for all that have no key would be a list.
        if slots[slot as usize].as_ref().is_some_and(|life| !life.key.is_empty()) {
            self.by_key.insert_unique(by_key, slot, |slot| hashed(slot).1);
        }
    }

    /// The slot is still taken.
    fn remove(&mut self, slot: Slot, slots: &[Option<Life>], hash: &DefaultHashBuilder) {
        let Some((by_id, by_key)) = slots[slot as usize].as_ref().map(|life| hashes(hash, life)) else {
            return;
        };
        for (table, hash) in [(&mut self.by_id, by_id), (&mut self.by_key, by_key)] {
            if let Ok(entry) = table.find_entry(hash, |held| *held == slot) {
                entry.remove();
            }
        }
    }
}

fn hashes(hash: &DefaultHashBuilder, life: &Life) -> (u64, u64) {
    (hash.hash_one((life.gateway, &*life.id)), hash.hash_one((life.gateway, &*life.key)))
}
