//! What one subscriber is due, as a few bits a life.

use super::{bits::Bits, lives::Slot};

/// The bits of one subscriber. What is due can always be computed from these and from whether the life has ended:
///
/// ```text
///             start is written          plugin answers            end is written, answered
///   want ─────────────────────▶ open ─────────────────▶ settled ─────────────────▶ (nothing)
///     └─ away or drained, and the life ended ─▶ (nothing)
/// ```
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Its start is to be written; there is no entry yet.
    want: Bits,
    /// It was handed the start, and the end is not settled: the open entries.
    open: Bits,
    /// Open entries whose start is settled.
    settled: Bits,
    /// Starts that were written on the present stream.
    start_written: Bits,
    /// Ends that were written on the present stream.
    end_written: Bits,
    /// Ends that are decided, due (now, or once the start is settled), and not written on the present stream.
    unwritten: Bits,
}

impl Marks {
    pub(crate) fn wants(&self, slot: Slot) -> bool {
        self.want.has(slot)
    }

    pub(crate) fn is_open(&self, slot: Slot) -> bool {
        self.open.has(slot)
    }

    pub(crate) fn is_settled(&self, slot: Slot) -> bool {
        self.settled.has(slot)
    }

    pub(crate) fn start_is_written(&self, slot: Slot) -> bool {
        self.start_written.has(slot)
    }

    pub(crate) fn end_is_written(&self, slot: Slot) -> bool {
        self.end_written.has(slot)
    }

    /// Lives that have ended and whose end is still to be written on this stream.
    pub(crate) fn unwritten(&self) -> &Bits {
        &self.unwritten
    }

    /// Whether the subscriber is due anything of this life.
    pub(crate) fn holds(&self, slot: Slot) -> bool {
        self.want.has(slot) || self.open.has(slot)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = Slot> + '_ {
        self.open.iter()
    }

    /// Open entries of these lives.
    pub(crate) fn open_of<'a>(&'a self, lives: &'a Bits) -> impl Iterator<Item = Slot> + 'a {
        self.open.both(lives)
    }

    /// Those of these lives whose start is to be written.
    pub(crate) fn wanted_of<'a>(&'a self, lives: &'a Bits) -> impl Iterator<Item = Slot> + 'a {
        self.want.both(lives)
    }

    pub(crate) fn open_len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn unsettled_len(&self) -> usize {
        self.open.len() - self.settled.len()
    }

    pub(crate) fn wanted(&self) -> impl Iterator<Item = Slot> + '_ {
        self.want.iter()
    }

    pub(crate) fn want(&mut self, slot: Slot) {
        self.want.insert(slot);
    }

    pub(crate) fn write_start(&mut self, slot: Slot) {
        self.want.remove(slot);
        self.open.insert(slot);
        self.start_written.insert(slot);
    }

    pub(crate) fn write_end(&mut self, slot: Slot) {
        self.end_written.insert(slot);
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
        self.settled.insert(slot)
    }

    /// Nothing of this life is due any more.
    pub(crate) fn close(&mut self, slot: Slot) {
        for bits in [
            &mut self.want,
            &mut self.open,
            &mut self.settled,
            &mut self.start_written,
            &mut self.end_written,
            &mut self.unwritten,
        ] {
            bits.remove(slot);
        }
    }

    /// A stream ended: nothing is written on the next one.
    pub(crate) fn forget_written(&mut self, ended: impl Fn(Slot) -> bool) {
        self.start_written.clear();
        self.end_written.clear();
        for slot in self.open.iter().chain(self.want.iter()).filter(|slot| ended(*slot)) {
            self.unwritten.insert(slot);
        }
    }
}
