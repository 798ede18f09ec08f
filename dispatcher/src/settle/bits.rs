//! A growable set of small integers: one bit for each interned life.

/// A set of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// An empty set.
    pub(crate) const fn new() -> Self {
        Self { words: Vec::new(), len: 0 }
    }

    /// How many slots are in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the slot is in it.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.words.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Puts the slot in; says whether it was out.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let at = slot as usize / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let fresh = !self.has(slot);
        self.words[at] |= 1 << (slot % 64);
        self.len += usize::from(fresh);
        fresh
    }

    /// Takes the slot out; says whether it was in.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let was = self.has(slot);
        if was {
            self.words[slot as usize / 64] &= !(1 << (slot % 64));
            self.len -= 1;
        }
        was
    }

    /// Takes all slots out.
    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }

    /// The slots, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| slots(at, *word))
    }

    /// The slots that are in the other set, too, ascending.
    pub(crate) fn both<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        self.words.iter().zip(&other.words).enumerate().flat_map(|(at, (one, two))| slots(at, one & two))
    }
}

/// The slots of one word.
fn slots(at: usize, mut rest: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = rest.trailing_zeros();
        rest &= rest.checked_sub(1)?; // clears the lowest bit; none left ends it
        Some(at as u32 * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(steps in prop::collection::vec((0_u32..300, any::<bool>()), 0..200)) {
            let (mut bits, mut set) = (Bits::default(), BTreeSet::new());
            for (slot, put) in steps {
                if put {
                    prop_assert_eq!(bits.insert(slot), set.insert(slot));
                } else {
                    prop_assert_eq!(bits.remove(slot), set.remove(&slot));
                }
                prop_assert_eq!(bits.has(slot), set.contains(&slot));
            }
            prop_assert_eq!(bits.len(), set.len());
            prop_assert!(bits.iter().eq(set.iter().copied()));
            let mut even = Bits::default();
            for slot in (0..200).step_by(2) {
                even.insert(slot);
            }
            let both: Vec<_> = set.iter().copied().filter(|slot| slot % 2 == 0 && *slot < 200).collect();
            prop_assert!(bits.both(&even).eq(both.iter().copied()) && even.both(&bits).eq(both));
        }
    }
}
