//! How long to wait before the next attempt to connect. Pure, but for the dice.

use std::time::Duration;

/// Where the bound begins: the longest first wait.
const FIRST: Duration = Duration::from_millis(100);

/// Where the bound stays at first: a dispatcher that is being upgraded is back in seconds, and so are its plugins.
const SOON: Duration = Duration::from_millis(400);

/// For so many attempts: about five seconds.
const EAGER: u32 = 25;

/// Where the bound stops growing.
const LONGEST: Duration = Duration::from_secs(10);

/// Full jitter: each wait is anything from nothing to a bound that doubles. A dispatcher that comes back then
/// meets its plugins one by one, not all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    bound: Duration,
    attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST, attempts: 0 }
    }
}

impl Backoff {
    /// The next wait.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let bound = self.bound;
        self.attempts = self.attempts.saturating_add(1);
        self.bound = (bound * 2).min(if self.attempts < EAGER { SOON } else { LONGEST });
        rand::random_range(Duration::ZERO..=bound)
    }

    /// Whether the last wait was the first of an outage: that one is worth a person's while.
    pub(crate) fn is_first(&self) -> bool {
        self.attempts == 1
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
    fn the_bound_doubles_in_two_stages_and_begins_anew() {
        let mut backoff = Backoff::default();
        let mut bounds = Vec::new();
        for _ in 0..EAGER + 6 {
            let bound = backoff.bound;
            assert!(backoff.next_wait() <= bound);
            assert_eq!(backoff.is_first(), bounds.is_empty());
            bounds.push(bound.as_millis());
        }
        assert_eq!(bounds[..4], [100, 200, 400, 400]);
        assert_eq!(bounds[EAGER as usize - 1..], [400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.bound, FIRST);
    }
}
