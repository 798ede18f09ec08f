//! Slots by the ids and the keys of their lives.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{life::Life, lives::Slot, slots::Slots};

/// A table this small is not worth making smaller.
const SMALL: usize = 64;

/// Slots by the ids and the keys of their lives. The names stand in the lives alone.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: HashTable<Slot>,
    by_key: HashTable<Slot>,
    hash: DefaultHashBuilder,
}

impl Names {
    /// The slots whose lives have this id.
    pub(super) fn with_id<'a>(
        &'a self,
        slots: &'a Slots,
        gateway: u32,
        id: &str,
    ) -> impl Iterator<Item = Slot> {
        let named = move |life: &Life| life.gateway() == gateway && life.id_bytes() == id.as_bytes();
        let found = self.by_id.iter_hash(self.hash(gateway, id.as_bytes())).copied();
        found.filter(move |slot| slots.get(*slot).is_some_and(named))
    }

    /// The slot whose life has this id, and is named as it is named by these bytes of a `SessionRef`.
    pub(super) fn named_by(&self, slots: &Slots, gateway: u32, id: &[u8], said: &[u8]) -> Option<Slot> {
        let named = |life: &Life| life.gateway() == gateway && life.is_named_by(said);
        let found = self.by_id.find(self.hash(gateway, id), |slot| slots.get(*slot).is_some_and(named));
        found.copied()
    }

    /// The slots whose lives have this key.
    pub(super) fn with_key<'a>(
        &'a self,
        slots: &'a Slots,
        gateway: u32,
        key: &str,
    ) -> impl Iterator<Item = Slot> {
        let named = move |life: &Life| life.gateway() == gateway && life.key_bytes() == key.as_bytes();
        let found = self.by_key.iter_hash(self.hash(gateway, key.as_bytes())).copied();
        found.filter(move |slot| slots.get(*slot).is_some_and(named))
    }

    /// The slot is taken.
    pub(super) fn insert(&mut self, slot: Slot, slots: &Slots) {
        let Some(life) = slots.get(slot) else { return };
        let (by_id, by_key) = (self.hash(life.gateway(), life.id_bytes()), self.hash_key(life));
        let Self { by_id: ids, by_key: keys, hash } = self;
        ids.insert_unique(by_id, slot, |slot| rehash(hash, slots, *slot, Life::id_bytes));
        // One bucket for all that have no key would be a list.
        if let Some(by_key) = by_key {
            keys.insert_unique(by_key, slot, |slot| rehash(hash, slots, *slot, Life::key_bytes));
        }
    }

    /// The slot is still taken.
    pub(super) fn remove(&mut self, slot: Slot, slots: &Slots) {
        let Some(life) = slots.get(slot) else { return };
        let (by_id, by_key) = (self.hash(life.gateway(), life.id_bytes()), self.hash_key(life));
        let Self { by_id: ids, by_key: keys, hash } = self;
        take_out(ids, by_id, slot, |slot| rehash(hash, slots, *slot, Life::id_bytes));
        if let Some(by_key) = by_key {
            take_out(keys, by_key, slot, |slot| rehash(hash, slots, *slot, Life::key_bytes));
        }
    }

    fn hash(&self, gateway: u32, name: &[u8]) -> u64 {
        self.hash.hash_one((gateway, name))
    }

    fn hash_key(&self, life: &Life) -> Option<u64> {
        let key = life.key_bytes();
        (!key.is_empty()).then(|| self.hash(life.gateway(), key))
    }
}

/// A table only asks for the hashes of what it holds, and it holds only slots that are taken.
fn rehash(hash: &DefaultHashBuilder, slots: &Slots, slot: Slot, name: impl Fn(&Life) -> &[u8]) -> u64 {
    slots.get(slot).map_or(0, |life| hash.hash_one((life.gateway(), name(life))))
}

/// A table that has become mostly empty is made smaller, with room to spare: it must not grow again at once.
fn take_out(table: &mut HashTable<Slot>, hash: u64, slot: Slot, hasher: impl Fn(&Slot) -> u64) {
    if let Ok(entry) = table.find_entry(hash, |held| *held == slot) {
        entry.remove();
    }
    if table.capacity() > SMALL && table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2, hasher);
    }
}
