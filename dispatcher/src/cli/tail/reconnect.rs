//! What follows the end of a stream: the command's end, or the next stream after a while.

use std::time::Duration;

use hookwire_protocol::v1::{GoodbyeReason, subscribe_response::Goodbye};
use hookwire_sdk::is_refusal;
use tonic::Status;

use crate::cli::{Exit, Failure, client, term};

/// The first wait after a lost transport, at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait after a lost transport.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The dispatcher said Goodbye.
    Goodbye(Goodbye),
    /// The stream ended with a status.
    Status(Status),
    /// The transport is gone, or never was there: why.
    Lost(String),
    /// We left: we were asked to, or nobody reads our lines any more.
    Left,
}

/// Decides whether there is a next stream, and when.
#[derive(Debug)]
pub(super) struct Reconnect {
    /// Come back after Goodbye(STOPPING), too.
    follow: bool,
    /// A dispatcher has welcomed this process at least once.
    welcomed: bool,
    /// Streams in a row that were lost before their Welcome.
    failures: u32,
}

impl Reconnect {
    /// No stream yet.
    pub(super) fn new(follow: bool) -> Self {
        Self { follow, welcomed: false, failures: 0 }
    }

    /// The dispatcher has sent its Welcome.
    pub(super) fn welcomed(&mut self) {
        self.welcomed = true;
        self.failures = 0;
    }

    /// How long to wait for the next stream, or None when the command has ended well.
    ///
    /// # Errors
    /// [`Exit::Refused`] when refused or displaced, [`Exit::Unavailable`] when nobody ever answered.
    pub(super) fn after(&mut self, ending: Ending) -> Result<Option<Duration>, Failure> {
        match ending {
            Ending::Left => Ok(None),
            Ending::Goodbye(goodbye) => self.after_goodbye(&goodbye),
            Ending::Status(status) if is_refusal(&status) => Err(client::refused(&status)),
            Ending::Status(status) => self.after_loss(&client::says(&status)),
            Ending::Lost(why) => self.after_loss(&why),
        }
    }

    fn after_goodbye(&mut self, goodbye: &Goodbye) -> Result<Option<Duration>, Failure> {
        match goodbye.reason() {
            GoodbyeReason::Stopping if !self.follow => Ok(None),
            GoodbyeReason::Displaced => {
                Err(Exit::Refused.because(format!("displaced by a newer stream: {}", goodbye.text)))
            }
            _ => {
                // Those who were told the same do not all come at the same moment.
                let wait = Duration::from_millis(goodbye.reconnect_after_ms.into());
                Ok(Some(wait + jittered(FIRST_WAIT)))
            }
        }
    }

    fn after_loss(&mut self, why: &str) -> Result<Option<Duration>, Failure> {
        if !self.welcomed {
            return Err(Exit::Unavailable.because(format!("nobody answers: {}", term::clean(why))));
        }
        if self.failures == 0 {
            // Once a loss, not once an attempt.
            term::say(format!("connection lost, coming back: {}", term::clean(why)));
        }
        let longest = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        Ok(Some(jittered(longest)))
    }
}

/// Between half of it and all of it.
fn jittered(longest: Duration) -> Duration {
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goodbye(reason: GoodbyeReason, reconnect_after_ms: u32) -> Ending {
        Ending::Goodbye(Goodbye { reason: reason.into(), reconnect_after_ms, ..Default::default() })
    }

    fn exit(outcome: Result<Option<Duration>, Failure>) -> Option<Exit> {
        outcome.err().map(|failure| failure.exit)
    }

    fn wait(outcome: Result<Option<Duration>, Failure>) -> Duration {
        outcome.expect("not the end").expect("a next stream")
    }

    #[test]
    fn only_the_first_loss_is_the_end() {
        let mut reconnect = Reconnect::new(false);
        assert_eq!(exit(reconnect.after(Ending::Lost("refused".into()))), Some(Exit::Unavailable));
        assert_eq!(exit(reconnect.after(Ending::Status(Status::unavailable("")))), Some(Exit::Unavailable));
        reconnect.welcomed();
        assert!(matches!(reconnect.after(Ending::Lost("reset".into())), Ok(Some(_))));
        assert!(matches!(reconnect.after(Ending::Status(Status::unavailable(""))), Ok(Some(_))));
    }

    #[test]
    fn waits_grow_to_their_bound_and_start_over() {
        let mut reconnect = Reconnect::new(false);
        reconnect.welcomed();
        let mut next = || wait(reconnect.after(Ending::Lost(String::new())));
        let first = next();
        assert!((FIRST_WAIT / 2..=FIRST_WAIT).contains(&first), "{first:?}");
        for _ in 0..50 {
            assert!(next() <= LONGEST_WAIT);
        }
        assert!(next() >= LONGEST_WAIT / 2);
        reconnect.welcomed();
        assert!(wait(reconnect.after(Ending::Lost(String::new()))) <= FIRST_WAIT);
    }

    #[test]
    fn a_stopping_dispatcher_is_followed_only_on_request() {
        assert!(matches!(Reconnect::new(false).after(goodbye(GoodbyeReason::Stopping, 9)), Ok(None)));
        let wait = wait(Reconnect::new(true).after(goodbye(GoodbyeReason::Stopping, 5_000)));
        assert!(wait >= Duration::from_millis(5_000) && wait <= Duration::from_millis(5_100), "{wait:?}");
    }

    #[test]
    fn a_handover_is_followed_and_a_displacement_never() {
        for follow in [false, true] {
            let mut reconnect = Reconnect::new(follow);
            assert!(matches!(reconnect.after(goodbye(GoodbyeReason::Handover, 0)), Ok(Some(_))));
            assert_eq!(exit(reconnect.after(goodbye(GoodbyeReason::Displaced, 0))), Some(Exit::Refused));
        }
    }

    #[test]
    fn a_refusal_is_the_end_whenever_it_comes() {
        let mut reconnect = Reconnect::new(true);
        reconnect.welcomed();
        for status in [
            Status::invalid_argument("x"),
            Status::failed_precondition("x"),
            Status::already_exists("x"),
            Status::permission_denied("x"),
        ] {
            assert_eq!(exit(reconnect.after(Ending::Status(status))), Some(Exit::Refused));
        }
        assert!(matches!(reconnect.after(Ending::Left), Ok(None)));
    }
}
