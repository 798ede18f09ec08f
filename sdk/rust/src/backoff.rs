//! How long to wait before the next attempt to connect. Pure, but for the dice.

use std::time::Duration;

/// Where the bound begins: the longest first wait.
const FIRST: Duration = Duration::from_millis(100);

/// Where the bound stops growing.
const LONGEST: Duration = Duration::from_secs(10);

/// Full jitter: each wait is anything from nothing to a bound that doubles. A dispatcher that comes back then
/// meets its plugins one by one, not all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST }
    }
}

impl Backoff {
    /// The next wait.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(LONGEST);
        rand::random_range(Duration::ZERO..=bound)
    }

    /// After a success: begin anew.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_begins_anew() {
        let mut backoff = Backoff::default();
        let mut bounds = Vec::new();
        for _ in 0..9 {
            let bound = backoff.bound;
            assert!(backoff.next_wait() <= bound);
            bounds.push(bound.as_millis());
        }
        assert_eq!(bounds, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.bound, FIRST);
    }
}
