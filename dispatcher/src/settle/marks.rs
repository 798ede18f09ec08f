//! What one subscriber is due, as a few bits a life.

use super::{
    bits::{Bits, Pages, bit, slots},
    lives::Slot,
};

/// The bits of one subscriber. What is due can always be computed from these and from whether the life has ended:
///
/// ```text
///             start is written          plugin answers            end is written, answered
///   want ─────────────────────▶ open ─────────────────▶ settled ─────────────────▶ (nothing)
///     └─ away or drained, and the life ended, unless retention is ALL ─▶ (nothing)
/// ```
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pages: Pages<Word>,
    open: usize,
    settled: usize,
    /// Ends that are decided, due (now, or once the start is settled), and not written on the present stream. Apart: few
    /// of them must not cost a look at all that is open.
    unwritten: Bits,
}

/// The marks of 64 slots, side by side: whoever asks for one asks for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Word {
    /// Its start is to be written; there is no entry yet.
    want: u64,
    /// It was handed the start, and the end is not settled: the open entries.
    open: u64,
    /// Open entries whose start is settled.
    settled: u64,
    /// Starts that were written on the present stream.
    start_written: u64,
    /// Ends that were written on the present stream.
    end_written: u64,
}

impl Marks {
    pub(crate) fn wants(&self, slot: Slot) -> bool {
        self.has(slot, |word| word.want)
    }

    pub(crate) fn is_open(&self, slot: Slot) -> bool {
        self.has(slot, |word| word.open)
    }

    pub(crate) fn is_settled(&self, slot: Slot) -> bool {
        self.has(slot, |word| word.settled)
    }

    pub(crate) fn start_is_written(&self, slot: Slot) -> bool {
        self.has(slot, |word| word.start_written)
    }

    pub(crate) fn end_is_written(&self, slot: Slot) -> bool {
        self.has(slot, |word| word.end_written)
    }

    /// Whether a life has ended and its end is still to be written on this stream.
    pub(crate) fn is_unwritten(&self, slot: Slot) -> bool {
        self.unwritten.has(slot)
    }

    /// Whether the subscriber is due anything of this life.
    pub(crate) fn holds(&self, slot: Slot) -> bool {
        self.has(slot, |word| word.want | word.open)
    }

    pub(crate) fn unwritten(&self) -> impl Iterator<Item = Slot> + '_ {
        self.unwritten.iter()
    }

    pub(crate) fn unwritten_len(&self) -> usize {
        self.unwritten.len()
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = Slot> + '_ {
        self.all(|word| word.open)
    }

    pub(crate) fn wanted(&self) -> impl Iterator<Item = Slot> + '_ {
        self.all(|word| word.want)
    }

    /// Open entries of these lives.
    pub(crate) fn open_of<'a>(&'a self, lives: &'a Bits) -> impl Iterator<Item = Slot> + 'a {
        self.both(lives, |word| word.open)
    }

    /// Those of these lives whose start is to be written.
    pub(crate) fn wanted_of<'a>(&'a self, lives: &'a Bits) -> impl Iterator<Item = Slot> + 'a {
        self.both(lives, |word| word.want)
    }

    pub(crate) fn open_len(&self) -> usize {
        self.open
    }

    pub(crate) fn unsettled_len(&self) -> usize {
        self.open - self.settled
    }

    pub(crate) fn want(&mut self, slot: Slot) {
        self.pages.set(slot, |word| word.want |= bit(slot));
    }

    pub(crate) fn write_start(&mut self, slot: Slot) {
        let bit = bit(slot);
        let entry = self.pages.set(slot, |word| {
            word.want &= !bit;
            word.start_written |= bit;
            insert(&mut word.open, bit)
        });
        self.open += usize::from(entry);
    }

    /// An open entry from before: nothing of it is written on any stream.
    pub(crate) fn restore(&mut self, slot: Slot, settled: bool) {
        self.pages.set(slot, |word| {
            word.open |= bit(slot);
            word.settled |= if settled { bit(slot) } else { 0 };
        });
        self.open += 1;
        self.settled += usize::from(settled);
    }

    pub(crate) fn write_end(&mut self, slot: Slot) {
        self.pages.set(slot, |word| word.end_written |= bit(slot));
        self.unwritten.remove(slot);
    }

    /// The life has ended.
    pub(crate) fn decide(&mut self, slot: Slot) {
        if self.holds(slot) {
            self.unwritten.insert(slot);
        }
    }

    /// Says whether it was not settled before.
    pub(crate) fn settle_start(&mut self, slot: Slot) -> bool {
        let fresh = self.pages.set(slot, |word| insert(&mut word.settled, bit(slot)));
        self.settled += usize::from(fresh);
        fresh
    }

    /// Nothing of this life is due any more.
    pub(crate) fn close(&mut self, slot: Slot) {
        let bit = bit(slot);
        let Self { pages, open, settled, unwritten } = self;
        pages.clear(slot, |word| {
            word.want &= !bit;
            word.start_written &= !bit;
            word.end_written &= !bit;
            *open -= usize::from(remove(&mut word.open, bit));
            *settled -= usize::from(remove(&mut word.settled, bit));
        });
        unwritten.remove(slot);
    }

    /// A stream ended: nothing is written on the next one.
    pub(crate) fn forget_written(&mut self, ended: impl Fn(Slot) -> bool) {
        let words: Vec<_> = self.pages.words().collect();
        for (first, word) in words {
            for slot in slots(first, word.open | word.want).filter(|slot| ended(*slot)) {
                self.unwritten.insert(slot);
            }
            self.pages.set(first, |word| (word.start_written, word.end_written) = (0, 0));
        }
    }

    fn has(&self, slot: Slot, mark: impl Fn(Word) -> u64) -> bool {
        mark(self.pages.get(slot)) & bit(slot) != 0
    }

    fn all(&self, mark: impl Fn(Word) -> u64) -> impl Iterator<Item = Slot> {
        self.pages.words().flat_map(move |(first, word)| slots(first, mark(word)))
    }

    fn both(&self, lives: &Bits, mark: impl Fn(Word) -> u64) -> impl Iterator<Item = Slot> {
        self.pages.words().flat_map(move |(first, word)| slots(first, mark(word) & lives.word(first)))
    }
}

/// Sets the bit; says whether it was not set.
fn insert(word: &mut u64, bit: u64) -> bool {
    std::mem::replace(word, *word | bit) & bit == 0
}

/// Clears the bit; says whether it was set.
fn remove(word: &mut u64, bit: u64) -> bool {
    std::mem::replace(word, *word & !bit) & bit != 0
}
