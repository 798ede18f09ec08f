//! Quantiles of how long deliveries took.

use serde::{Deserialize, Serialize};

use crate::clock::unix_ns;

/// Every latency of a run, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u64>);

/// The latencies that are quoted, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half are at most this.
    pub p50: u64,
    /// 99 % are at most this.
    pub p99: u64,
    /// 99.9 % are at most this.
    pub p999: u64,
}

impl Latencies {
    /// Something that was stamped with [`unix_ns`] is here.
    pub fn arrived(&mut self, stamp: u64) {
        self.0.push(unix_ns().saturating_sub(stamp));
    }

    /// None where nothing arrived.
    pub fn quantiles(&self) -> Option<Quantiles> {
        Quantiles::of(self.0.iter().map(|&latency| (latency, 1)))
    }
}

impl Quantiles {
    /// Of pairs: a latency in nanoseconds, and how many took that long. None where nothing did.
    pub fn of(pairs: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable();
        let at = |per_mille| percentile(&pairs, per_mille);
        Some(Self { p50: at(500)?, p99: at(990)?, p999: at(999)? })
    }
}

/// The nearest rank: the smallest sample that so many per mille of all samples do not exceed.
fn percentile(sorted: &[(u64, u64)], per_mille: u64) -> Option<u64> {
    let all: u64 = sorted.iter().map(|&(_, count)| count).sum();
    let rank = (all * per_mille).div_ceil(1000).max(1);
    let mut passed = 0;
    let mut found = sorted.iter().filter(|&&(_, count)| {
        passed += count;
        passed >= rank
    });
    found.next().map(|&(latency, _)| latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_that_was_taken() {
        let samples: Vec<_> = (1..=1000).map(|latency| (latency, 1)).collect();
        assert_eq!(percentile(&samples, 500), Some(500));
        assert_eq!(percentile(&samples, 990), Some(990));
        assert_eq!(percentile(&samples, 999), Some(999));
        assert_eq!(percentile(&[(7, 1)], 999), Some(7));
        assert_eq!(percentile(&[(1, 1), (2, 1)], 500), Some(1));
        assert_eq!(percentile(&[(1, 9), (2, 0), (3, 1)], 900), Some(1));
        assert_eq!(percentile(&[(1, 9), (2, 0), (3, 1)], 901), Some(3));
        assert_eq!(percentile(&[], 500), None);
    }

    #[test]
    fn no_arrival_has_no_quantiles() {
        assert_eq!(Latencies::default().quantiles(), None);
    }
}
