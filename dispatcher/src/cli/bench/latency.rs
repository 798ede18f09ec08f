//! How long deliveries took: bounded memory, three digits.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Whatever took longer counts as this.
const LONGEST: Duration = Duration::from_secs(60);

/// Nanoseconds since the Unix epoch.
pub(super) fn unix_nano() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// How many deliveries took how long.
pub(super) struct Latency(Histogram<u64>);

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Latency of {}", self.0.len())
    }
}

/// What is told of it, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Latency {
    /// Nothing was measured yet.
    pub(super) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).expect("a minute fits");
        Self(Histogram::new_with_bounds(1, longest, 3).expect("constant bounds"))
    }

    /// So many deliveries took so many nanoseconds.
    pub(super) fn record(&mut self, nanoseconds: u64, count: u64) {
        self.0.saturating_record_n(nanoseconds, count);
    }

    /// All of it, as pairs of nanoseconds and how many took them.
    pub(super) fn pairs(&self) -> Vec<(u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// None where nothing was measured.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let microseconds = |nanoseconds: u64| (nanoseconds / 100) as f64 / 10.0;
        let at = |quantile| microseconds(self.0.value_at_quantile(quantile));
        let quantiles =
            Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: microseconds(self.0.max()) };
        (!self.0.is_empty()).then_some(quantiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_measured_is_put_together() {
        let (mut one, mut two, mut both) = (Latency::new(), Latency::new(), Latency::new());
        (1..=500).for_each(|ms| one.record(ms * 1_000_000, 1));
        (501..=1_000).for_each(|ms| two.record(ms * 1_000_000, 1));
        for (nanoseconds, count) in [one.pairs(), two.pairs()].concat() {
            both.record(nanoseconds, count);
        }
        let quantiles = both.quantiles().unwrap();
        let is_near = |seen: f64, ms: f64| (seen / 1_000.0 - ms).abs() < ms / 500.0;
        assert!(is_near(quantiles.p50, 500.0) && is_near(quantiles.p99, 990.0), "{quantiles:?}");
        assert!(is_near(quantiles.p999, 999.0) && is_near(quantiles.max, 1_000.0), "{quantiles:?}");
    }

    #[test]
    fn nothing_measured_is_nothing() {
        assert_eq!(Latency::new().quantiles(), None);
    }

    #[test]
    fn the_longest_is_bounded() {
        let mut latency = Latency::new();
        latency.record(u64::MAX, 1);
        assert!((60e6..61e6).contains(&latency.quantiles().unwrap().max));
    }
}
