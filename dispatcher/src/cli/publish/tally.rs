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
}

impl Tally {
    /// Counts a line that came to nothing, and says why.
    pub(super) fn reject(&mut self, line: u64, why: impl fmt::Display) {
        self.rejected += 1;
        anstream::eprintln!("hookwire: line {line}: {why}");
    }

    /// Counts what a receipt settled.
    pub(super) fn count(&mut self, settled: Settled) {
        self.published += settled.taken;
        for (line, refusal) in settled.refused {
            self.reject(line, format_args!("refused ({:?}): {}", refusal.code(), refusal.text));
        }
    }
}
