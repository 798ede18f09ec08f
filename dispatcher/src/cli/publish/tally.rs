//! What became of the lines: counted, and told on stderr where it was not taken in.

use std::fmt;

use serde::Serialize;

use super::resend::Settled;

/// The result line.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Events that the dispatcher took in.
    pub(super) published: u64,
    /// Lines that were skipped here, or refused by the dispatcher.
    pub(super) rejected: u64,
    /// Lines that no gateway said: the dispatcher makes them again. Left out where there are none.
    #[serde(skip_serializing_if = "is_none")]
    pub(super) synthetic: u64,
    /// Events that there was no room for while the dispatcher was away. Left out where there are none.
    #[serde(skip_serializing_if = "is_none")]
    pub(super) lost: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// Counts a line that came to nothing, and says why.
    pub(super) fn reject(&mut self, line: u64, why: impl fmt::Display) {
        self.rejected += 1;
        anstream::eprintln!("hookwire: line {line}: {why}");
    }

    /// Counts events that were let go of, and says so the first time.
    pub(super) fn lose(&mut self, events: u64) {
        if self.lost == 0 && events > 0 {
            anstream::eprintln!("hookwire: what waits for the dispatcher is too much: events are lost");
        }
        self.lost += events;
    }

    /// Counts what a receipt settled.
    pub(super) fn count(&mut self, settled: Settled) {
        self.published += settled.taken;
        for (line, refusal) in settled.refused {
            self.reject(line, format_args!("refused ({:?}): {}", refusal.code(), refusal.text));
        }
    }
}
