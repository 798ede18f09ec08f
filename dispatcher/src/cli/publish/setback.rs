//! What can go wrong between a gateway and its dispatcher, and for how long to try again.

use std::time::Duration;

use hookwire_sdk::is_refusal;
use tokio::time::{Instant, sleep};
use tonic::Status;

use crate::cli::{Exit, Failure};

/// For how long a dispatcher may be out of reach.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// The first wait between two tries; it doubles …
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// … up to here.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why an attempt came to nothing: whether to try again lives in the variant.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Setback {
    /// The transport or the dispatcher is gone: it may be back.
    #[error("{0}")]
    Lost(String),
    /// The dispatcher said when to come back.
    #[error("{text}")]
    Later {
        /// Not before this has passed.
        after: Duration,
        /// For a person to read.
        text: String,
    },
    /// The dispatcher does not want this gateway.
    #[error("{0}")]
    Refused(String),
}

impl From<Status> for Setback {
    fn from(status: Status) -> Self {
        let text = format!("{}: {}", status.code(), status.message());
        if is_refusal(&status) { Self::Refused(text) } else { Self::Lost(text) }
    }
}

impl Setback {
    /// What the command ends with when there is no other try.
    pub(in crate::cli) fn into_failure(self) -> Failure {
        match self {
            Self::Refused(text) => Exit::Refused.because(text),
            Self::Lost(text) | Self::Later { text, .. } => Exit::Unavailable.because(text),
        }
    }
}

/// How much longer to try: 30 seconds from the first setback after the last success.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failing_since: Option<Instant>,
    tries: u32,
}

impl Patience {
    /// Something worked.
    pub(super) fn renew(&mut self) {
        *self = Self::default();
    }

    /// Waits until it is time to try again.
    ///
    /// # Errors
    /// At once when the setback is a refusal, or when everything has failed for 30 seconds.
    pub(super) async fn wait_out(&mut self, setback: Setback) -> Result<(), Failure> {
        sleep(self.bear(setback)?).await;
        Ok(())
    }

    /// How long to wait before the next try; the first of them is told on stderr.
    ///
    /// # Errors
    /// As [`Patience::wait_out`].
    pub(super) fn bear(&mut self, setback: Setback) -> Result<Duration, Failure> {
        let Some(wait) = self.next_wait(&setback, Instant::now()) else { return Err(setback.into_failure()) };
        if self.tries == 1 {
            anstream::eprintln!("hookwire: {setback}; trying again for {} s", GIVE_UP_AFTER.as_secs());
        }
        Ok(wait)
    }

    /// For how long nothing has worked; `None` where the last try did.
    pub(super) fn failing_for(&self) -> Option<Duration> {
        self.failing_since.map(|since| since.elapsed())
    }

    fn next_wait(&mut self, setback: &Setback, now: Instant) -> Option<Duration> {
        let asked = match setback {
            Setback::Refused(_) => return None,
            Setback::Later { after, .. } => *after,
            Setback::Lost(_) => Duration::ZERO,
        };
        let failing_for = now.duration_since(*self.failing_since.get_or_insert(now));
        let left = GIVE_UP_AFTER.checked_sub(failing_for).filter(|left| !left.is_zero())?;
        let wait = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(self.tries.min(8)));
        self.tries += 1;
        // Full jitter: many gateways that lost one dispatcher must not come back as one.
        Some((asked + wait.mul_f64(rand::random_range(0.0..=1.0))).min(left))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn lost() -> Setback {
        Setback::Lost("gone".into())
    }

    #[test]
    fn it_waits_longer_each_time_and_then_gives_up() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        let mut now = start;
        let mut waits = Vec::new();
        while let Some(wait) = patience.next_wait(&lost(), now) {
            waits.push(wait);
            now += wait;
        }
        assert_eq!(now - start, GIVE_UP_AFTER, "the last try is at the very end");
        assert!(waits[0] <= FIRST_WAIT);
        assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT));
    }

    #[test]
    fn a_success_renews_it() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        patience.next_wait(&lost(), start);
        assert_eq!(patience.next_wait(&lost(), start + GIVE_UP_AFTER), None);
        patience.renew();
        assert!(patience.next_wait(&lost(), start + GIVE_UP_AFTER).is_some());
    }

    #[test]
    fn it_comes_back_when_it_is_told_to_but_not_after_giving_up() {
        let later = |secs| Setback::Later { after: Duration::from_secs(secs), text: String::new() };
        let now = Instant::now();
        let wait = Patience::default().next_wait(&later(3), now);
        assert!(wait.is_some_and(|wait| wait >= Duration::from_secs(3)));
        assert_eq!(Patience::default().next_wait(&later(300), now), Some(GIVE_UP_AFTER));
    }

    #[test]
    fn a_refusal_into_failure() {
        for code in
            [Code::InvalidArgument, Code::FailedPrecondition, Code::AlreadyExists, Code::PermissionDenied]
        {
            let setback = Setback::from(Status::new(code, "no"));
            assert_eq!(Patience::default().next_wait(&setback, Instant::now()), None);
            assert_eq!(setback.into_failure().exit, Exit::Refused);
        }
        for code in [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled] {
            assert_eq!(Setback::from(Status::new(code, "gone")).into_failure().exit, Exit::Unavailable);
        }
    }
}
