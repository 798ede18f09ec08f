//! What a handler says about one event.

use std::{error::Error, time::Duration};

use hookwire_protocol::v1::{AckException, AckStatus};

/// Any error of a handler's.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What became of one event. [`Ok`](Outcome::Ok) and [`Accepted`](Outcome::Accepted) are promises: it
/// survives this process's crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done.
    Ok,
    /// Persisted, and finished later.
    Accepted,
    /// Not now: deliver it again. Only a start or an end is; on any other event it counts as a rejection.
    Retry {
        /// Not before this; none leaves it to the dispatcher.
        after: Option<Duration>,
        /// For a person to read.
        text: String,
    },
    /// Never again. A rejected start gets no end.
    Reject {
        /// Short, for machines.
        code: String,
        /// For a person to read.
        text: String,
    },
    /// The handler failed: a retry of a start or an end, a rejection of any other event.
    Failed {
        /// For a person to read.
        text: String,
    },
}

/// The code of a rejection that was a failure.
const EXCEPTION: &str = "exception";

impl Outcome {
    /// Done, and it survives a crash. What `()` means, too.
    pub fn ok() -> Self {
        Self::Ok
    }

    /// Persisted, so that it survives a crash; the work itself is done later.
    pub fn accepted() -> Self {
        Self::Accepted
    }

    /// Deliver it again when the dispatcher sees fit.
    pub fn retry(text: impl Into<String>) -> Self {
        Self::Retry { after: None, text: text.into() }
    }

    /// Deliver it again, but not before `after`; the wire counts in milliseconds.
    pub fn retry_after(after: Duration, text: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), text: text.into() }
    }

    /// Never deliver it again. What the error [`Reject`] means, too.
    pub fn reject(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Reject { code: code.into(), text: text.into() }
    }

    /// The handler failed. What any error and a panic mean, too.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed { text: text.into() }
    }

    /// What is said of an event of this kind: a failure is put down to it.
    pub(crate) fn of_event(self, is_lifecycle: bool) -> Self {
        match self {
            Self::Failed { text } if is_lifecycle => Self::Retry { after: None, text },
            Self::Failed { text } => Self::Reject { code: EXCEPTION.to_owned(), text },
            said => said,
        }
    }

    /// Whether the event is settled by it: all but a retry, and a failure that may be one.
    pub(crate) fn settles(&self) -> bool {
        !matches!(self, Self::Retry { .. } | Self::Failed { .. })
    }

    /// The wire's form of it.
    pub(crate) fn into_exception(self, seq: u64) -> AckException {
        let blank = AckException { seq, ..Default::default() };
        match self {
            Self::Ok => AckException { status: AckStatus::Ok.into(), ..blank },
            Self::Accepted => AckException { status: AckStatus::Accepted.into(), ..blank },
            Self::Failed { .. } => self.of_event(true).into_exception(seq),
            Self::Retry { after, text } => AckException {
                status: AckStatus::Retry.into(),
                retry_after_ms: after.map_or(0, whole_millis),
                text: cut(text),
                ..blank
            },
            Self::Reject { code, text } => {
                AckException { status: AckStatus::Reject.into(), code: cut(code), text: cut(text), ..blank }
            }
        }
    }
}

/// Rounded up, because 0 would leave the delay to the dispatcher.
fn whole_millis(after: Duration) -> u32 {
    u32::try_from(after.as_nanos().div_ceil(1_000_000).max(1)).unwrap_or(u32::MAX)
}

/// An answer is a line, not a log: an Ack is full of them.
fn cut(mut text: String) -> String {
    const LONGEST: usize = 256;
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

/// The error that says "never again": whether to retry lives in the error. It counts wherever it stands in
/// the chain of sources, so it may be wrapped.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Reject {
    code: String,
    text: String,
}

impl Reject {
    /// A short code for machines, a text for people.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}

/// What a handler may return: `()`, an [`Outcome`], or a `Result` of either. An error is a retry of a start or an end and
/// a rejection of any other event, with the code `exception`, unless it is a [`Reject`].
pub trait IntoOutcome {
    /// Makes an outcome of it.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Ok
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: IntoOutcome, E: Into<BoxError>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => of_error(error.into()),
        }
    }
}

fn of_error(error: BoxError) -> Outcome {
    match chain(error.as_ref()).find_map(|error| error.downcast_ref::<Reject>()) {
        Some(reject) => Outcome::reject(&reject.code, &reject.text),
        None => Outcome::failed(in_full(error.as_ref())),
    }
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error with its causes in words: many say nothing by themselves.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] Reject);

    #[test]
    fn an_error_is_a_failure_unless_it_is_a_reject() {
        let plain: Result<(), BoxError> = Err("disk full".into());
        assert_eq!(plain.into_outcome(), Outcome::failed("disk full"));

        let reject: Result<(), Reject> = Err(Reject::new("bad", "no such agent"));
        assert_eq!(reject.into_outcome(), Outcome::reject("bad", "no such agent"));

        let wrapped: Result<Outcome, Wrapped> = Err(Wrapped(Reject::new("bad", "inside")));
        assert_eq!(wrapped.into_outcome(), Outcome::reject("bad", "inside"));
    }

    #[test]
    fn a_failure_is_put_down_to_the_event() {
        let failed = Outcome::failed("disk full");
        assert_eq!(failed.clone().of_event(true), Outcome::retry("disk full"));
        assert_eq!(failed.of_event(false), Outcome::reject("exception", "disk full"));
        assert_eq!(Outcome::Accepted.of_event(false), Outcome::Accepted);
    }

    #[test]
    fn a_result_may_carry_an_outcome() {
        let accepted: Result<Outcome, BoxError> = Ok(Outcome::accepted());
        assert_eq!(accepted.into_outcome(), Outcome::Accepted);
        assert_eq!(Ok::<(), BoxError>(()).into_outcome(), Outcome::Ok);
    }

    #[test]
    fn a_delay_never_becomes_the_default() {
        let ms = |after| Outcome::retry_after(after, "").into_exception(1).retry_after_ms;
        assert_eq!(ms(Duration::ZERO), 1);
        assert_eq!(ms(Duration::from_micros(1_001)), 2);
        assert_eq!(ms(Duration::MAX), u32::MAX);
        assert_eq!(Outcome::retry("").into_exception(1).retry_after_ms, 0);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = Outcome::retry("ä".repeat(1_000)).into_exception(1).text;
        assert_eq!(text, "ä".repeat(128));
    }
}
