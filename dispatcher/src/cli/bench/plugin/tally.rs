//! How far the subscribers of a process have come, and what of it the parent is told.

use std::time::{Duration, Instant};

use super::Args;
use crate::cli::{
    Failure,
    bench::{
        latency::{Latency, unix_nano},
        lines::{FromPlugin, say},
    },
};

/// How long ago the parent must have heard of it, when the input has run dry.
const PAUSE: Duration = Duration::from_millis(100);

/// What the subscribers of one process have acknowledged.
#[derive(Debug)]
pub(super) struct Tally {
    /// The deliveries before what is measured.
    starts: u64,
    /// The last delivery that is measured.
    last: u64,
    /// How much is acknowledged before the parent hears of it amid a busy stream: it is the gateway's credit.
    step: u64,
    counts: Vec<u64>,
    lost: u64,
    said: u64,
    said_at: Instant,
    pub(super) latency: Latency,
}

impl Tally {
    /// Nothing was acknowledged yet.
    pub(super) fn new(Args { subscribers, starts, measured, step, .. }: &Args) -> Self {
        Self {
            starts: *starts,
            last: starts + measured,
            step: *step,
            counts: vec![0; *subscribers as usize],
            lost: 0,
            said: 0,
            said_at: Instant::now(),
            latency: Latency::new(),
        }
    }

    /// Whether the delivery with this number, from 1, is measured.
    pub(super) fn measures(&self, delivery: u64) -> bool {
        delivery > self.starts && delivery <= self.last
    }

    /// A subscriber was told that events are lost.
    pub(super) fn lost(&mut self, count: u64) {
        self.lost += count;
    }

    /// A subscriber has come so far. Tells the parent where that matters.
    ///
    /// # Errors
    /// When the parent is no more.
    pub(super) fn reached(&mut self, subscriber: usize, count: u64, is_dry: bool) -> Result<(), Failure> {
        self.counts[subscriber] = count;
        let by_all = self.counts.iter().copied().min().unwrap_or_default();
        if !self.is_news(by_all, is_dry) {
            return Ok(());
        }
        let was_measured = self.said >= self.last;
        (self.said, self.said_at) = (by_all, Instant::now());
        say(&FromPlugin::Acked { count: by_all, lost: self.lost })?;
        if by_all >= self.last && !was_measured {
            return say(&FromPlugin::Measured { at_unix_nano: unix_nano(), latency: self.latency.pairs() });
        }
        Ok(())
    }

    fn is_news(&self, by_all: u64, is_dry: bool) -> bool {
        let passed = |mark: u64| self.said < mark && by_all >= mark;
        passed(self.starts)
            || passed(self.last)
            || by_all >= self.said + self.step
            || (is_dry && by_all > self.said && self.said_at.elapsed() >= PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(starts: u64, measured: u64) -> Tally {
        let (to, name, gateway) = ("unix:/x".parse().unwrap(), "p".into(), "gw".into());
        let (step, delay_us, disconnect) = (1_024, 0, false);
        Tally::new(&Args { to, name, subscribers: 1, gateway, starts, measured, step, delay_us, disconnect })
    }

    #[test]
    fn the_parent_hears_of_what_matters() {
        let mut tally = tally(16, 10_000);
        assert!(!tally.is_news(15, false), "too little");
        assert!(tally.is_news(16, false), "the starts");
        tally.said = 16;
        assert!(!tally.is_news(1_039, false) && tally.is_news(1_040, false), "a step");
        tally.said = 10_000;
        assert!(!tally.is_news(10_015, false) && tally.is_news(10_016, false), "all that is measured");
    }

    #[test]
    fn a_dry_input_is_told_now_and_then() {
        let mut tally = tally(16, 10_000);
        tally.said = 16;
        assert!(!tally.is_news(20, true));
        tally.said_at -= PAUSE;
        assert!(tally.is_news(20, true) && !tally.is_news(20, false) && !tally.is_news(16, true));
    }

    #[test]
    fn starts_are_not_measured() {
        let tally = tally(2, 3);
        assert_eq!((1..=6).filter(|delivery| tally.measures(*delivery)).collect::<Vec<_>>(), [3, 4, 5]);
    }
}
