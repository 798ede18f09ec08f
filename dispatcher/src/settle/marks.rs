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

    /// Whether the subscriber is due anything of this life.
    pub(crate) fn holds(&self, slot: Slot) -> bool {
        self.want.has(slot) || self.open.has(slot)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = Slot> + '_ {
        self.open.iter()
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
        ] {
            bits.remove(slot);
        }
    }

    /// A stream ended or began: nothing is written on it.
    pub(crate) fn forget_written(&mut self) {
        self.start_written.clear();
        self.end_written.clear();
    }
}
