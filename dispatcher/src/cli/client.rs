//! What the short client commands share: a runtime, a connection, and how a gRPC status ends a command.

use std::{future::Future, time::Duration};

use hookwire_sdk::is_refusal;
use tokio::time::timeout;
use tonic::{Status, transport::Channel};

use super::{Exit, Failure, Target};

/// Runs a command to its end on this thread.
pub(super) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::Fault.because(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(command);
    // Nobody waits for a write to a stdout that is not read.
    runtime.shutdown_background();
    outcome
}

/// Connects to the dispatcher.
///
/// # Errors
/// [`Exit::Unavailable`] when nobody answers.
pub(super) async fn connect(target: &Target) -> Result<Channel, Failure> {
    target.to.connect().await.map_err(|error| {
        Exit::Unavailable.because(format!("nobody answers at {}: {}", target.to, innermost(&error)))
    })
}

/// Waits for one answer, at most this long.
///
/// # Errors
/// [`Exit::Unavailable`] when none comes, [`Exit::Refused`] when it is a refusal.
pub(super) async fn answer<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Failure> {
    match timeout(patience, call).await {
        Ok(answer) => answer.map_err(|status| failure(&status)),
        Err(_) => Err(Exit::Unavailable.because(format!("no answer within {patience:?}"))),
    }
}

/// How a status ends a command.
pub(super) fn failure(status: &Status) -> Failure {
    if is_refusal(status) { refused(status) } else { Exit::Unavailable.because(says(status)) }
}

/// A refusal, in the other side's words.
pub(super) fn refused(status: &Status) -> Failure {
    Exit::Refused.because(format!("refused: {}", says(status)))
}

/// A status's text, or its code's where it has none.
pub(super) fn says(status: &Status) -> String {
    if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() }
}

/// The cause behind an error: tonic's own text is only "transport error".
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_refusal_or_nobody_there() {
        let not_found = failure(&Status::not_found("no gateway \"x\""));
        assert_eq!((not_found.exit, &*not_found.text), (Exit::Refused, "refused: no gateway \"x\""));
        assert_eq!(failure(&Status::unavailable("stopping")).exit, Exit::Unavailable);
        assert_eq!(failure(&Status::unknown("")).exit, Exit::Unavailable);
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_nobody_there() {
        let mute = std::future::pending::<Result<(), Status>>();
        let failure = answer(Duration::ZERO, mute).await.expect_err("must give up");
        assert_eq!(failure.exit, Exit::Unavailable);
    }
}
