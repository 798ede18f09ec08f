//! Sets of slots, 64 to a word, in pages that are given back once nothing is in them.

/// Words in a page.
const PAGE: usize = 16;

/// What is kept of 64 slots; the default is nothing.
pub(crate) trait Word: Copy + Default + PartialEq {}

impl<T: Copy + Default + PartialEq> Word for T {}

/// A word for every 64 slots.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: Vec<Option<Box<[T; PAGE]>>>,
    /// An empty page that is used next: what comes and goes asks for no memory.
    spare: Option<Box<[T; PAGE]>>,
}

impl<T> Pages<T> {
    /// No page at all.
    const fn new() -> Self {
        Self { pages: Vec::new(), spare: None }
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Word> Pages<T> {
    /// The slot's word.
    pub(crate) fn get(&self, slot: u32) -> T {
        let (page, word) = place(slot);
        self.pages.get(page).and_then(Option::as_ref).map_or_else(T::default, |page| page[word])
    }

    /// Adds to the slot's word.
    pub(crate) fn set<R>(&mut self, slot: u32, change: impl FnOnce(&mut T) -> R) -> R {
        let (at, word) = place(slot);
        if at >= self.pages.len() {
            self.pages.resize_with(at + 1, || None);
        }
        let spare = &mut self.spare;
        let page = self.pages[at].get_or_insert_with(|| spare.take().unwrap_or_default());
        change(&mut page[word])
    }

    /// Takes from the slot's word; a page with nothing in it is given back.
    pub(crate) fn clear<R: Default>(&mut self, slot: u32, change: impl FnOnce(&mut T) -> R) -> R {
        let (at, word) = place(slot);
        let Some(page) = self.pages.get_mut(at).and_then(Option::as_mut) else { return R::default() };
        let changed = change(&mut page[word]);
        if page[word] == T::default() && page.iter().all(|word| *word == T::default()) {
            self.give_back(at);
        }
        changed
    }

    /// All words that are kept, in the order of their slots, each with its first slot.
    pub(crate) fn words(&self) -> impl Iterator<Item = (u32, T)> + '_ {
        let page = |(at, page): (usize, &'_ Option<Box<[T; PAGE]>>)| Some((at, **page.as_ref()?));
        let words = |(at, page): (usize, [T; PAGE])| (at * PAGE..).zip(page);
        self.pages
            .iter()
            .enumerate()
            .filter_map(page)
            .flat_map(words)
            .map(|(at, word)| (at as u32 * 64, word))
    }

    fn give_back(&mut self, at: usize) {
        self.spare = self.pages[at].take();
        while self.pages.pop_if(|page| page.is_none()).is_some() {}
        if self.pages.len() < self.pages.capacity() / 4 {
            self.pages.shrink_to(self.pages.len() * 2);
        }
    }
}

fn place(slot: u32) -> (usize, usize) {
    let word = slot as usize / 64;
    (word / PAGE, word % PAGE)
}

/// The slot's bit in its word.
pub(crate) fn bit(slot: u32) -> u64 {
    1 << (slot % 64)
}

/// The slots of a word, ascending.
pub(crate) fn slots(first: u32, mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.checked_sub(1)?; // clears the lowest bit; none left ends it
        Some(first + bit)
    })
}

/// A set of slots.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    words: Pages<u64>,
    len: usize,
}

impl Bits {
    /// An empty set.
    pub(crate) const fn new() -> Self {
        Self { words: Pages::new(), len: 0 }
    }

    /// How many slots are in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the slot is in it.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.word(slot) & bit(slot) != 0
    }

    /// The word that the slot is in.
    pub(crate) fn word(&self, slot: u32) -> u64 {
        self.words.get(slot)
    }

    /// Puts the slot in; says whether it was out.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let fresh = self.words.set(slot, |word| std::mem::replace(word, *word | bit(slot)) & bit(slot) == 0);
        self.len += usize::from(fresh);
        fresh
    }

    /// Takes the slot out; says whether it was in.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let was = self.words.clear(slot, |word| std::mem::replace(word, *word & !bit(slot)) & bit(slot) != 0);
        self.len -= usize::from(was);
        was
    }

    /// The lowest slot.
    pub(crate) fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// The slots, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.words().flat_map(|(first, word)| slots(first, word))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(steps in prop::collection::vec((0_u32..5000, any::<bool>()), 0..200)) {
            let (mut bits, mut set) = (Bits::default(), BTreeSet::new());
            for (slot, put) in steps {
                let slot = slot / 30 * 30; // met again
                if put {
                    prop_assert_eq!(bits.insert(slot), set.insert(slot));
                } else {
                    prop_assert_eq!(bits.remove(slot), set.remove(&slot));
                }
                prop_assert_eq!(bits.word(slot) & bit(slot) != 0, set.contains(&slot));
            }
            prop_assert_eq!(bits.len(), set.len());
            prop_assert!(bits.iter().eq(set.iter().copied()));
            let pages: BTreeSet<_> = set.iter().map(|slot| place(*slot).0).collect();
            prop_assert_eq!(bits.words.pages.iter().flatten().count(), pages.len());
        }
    }
}
