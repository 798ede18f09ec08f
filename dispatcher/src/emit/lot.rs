//! Events that are taken in one behind the other go to the queues together: a lot.

use std::sync::Arc;

use bytes::Bytes;

use super::encode::Elements;
use crate::queue::run::{Item, Run};

/// A lot that has come to this size is fanned out before the rest of its batch: what a slow reader holds, it holds by
/// the lot, and a few bytes from a gateway can make an event of kilobytes.
pub(super) const LOT_BYTES: usize = 64 << 10;

/// The events that are being taken in, and go to the queues together.
#[derive(Debug, Default)]
pub(crate) struct Lot {
    /// The encoded events.
    pub(super) elements: Elements,
    pub(crate) items: Vec<Item>,
    /// How many events are still to come.
    pub(super) to_come: usize,
    /// The mean size of the events of the lot before, in bytes.
    mean: usize,
}

impl Lot {
    /// Counts what is known of the events, too: a tiny event is smaller than that.
    pub(super) fn is_full(&self) -> bool {
        self.elements.len() + size_of_val(&*self.items) >= LOT_BYTES
    }

    /// Makes room for what is to come, if that is like what came before.
    pub(super) fn make_room(&mut self) {
        let expected = (self.to_come + 1) * self.mean;
        self.elements.reserve((expected + expected / 8).min(LOT_BYTES + LOT_BYTES / 8));
    }

    /// What was taken in, as one run.
    pub(crate) fn close(&mut self) -> Run {
        self.mean = self.elements.len() / self.items.len().max(1);
        let mut bytes = self.elements.take();
        // What a queue holds is bounded by what its events need, not by what was set aside for them.
        if bytes.capacity() / 2 > bytes.len() {
            bytes.shrink_to_fit();
        }
        let items: Arc<[Item]> = self.items.drain(..).collect();
        Run::new(items, Bytes::from(bytes))
    }
}
