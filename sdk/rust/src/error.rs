//! Why a plugin cannot go on.

use std::io;

use tonic::{Code, Status};

use crate::address::InvalidAddress;

/// Why [`run`](crate::PluginBuilder::run) gave up. A lost connection is no reason: that one is dialled again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing was subscribed to: [`on`](crate::PluginBuilder::on) was never called.
    #[error("no handler: call on() at least once")]
    NoHandler,
    /// `HOOKWIRE_ADDR` holds no address.
    #[error("HOOKWIRE_ADDR: {0}")]
    Address(#[from] InvalidAddress),
    /// The signal handlers could not be installed.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
    /// Another process runs under this plugin's name now. Coming back would displace it in turn.
    #[error("displaced by another process of the same name{}", in_words(text))]
    Displaced {
        /// The dispatcher's own words, often empty.
        text: String,
    },
    /// The dispatcher does not want this plugin as it is; asking again would not help.
    #[error("refused by the dispatcher: {}: {}", .0.code(), .0.message())]
    Refused(Box<Status>),
}

fn in_words(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Whether a dispatcher understood, and said no: asking again with the same words would only be refused again. Any
/// other status is one of a transport, or of a dispatcher that is not there now.
pub fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange // larger than a message may be
            | Code::Unimplemented
            | Code::Unauthenticated
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_no_or_nobody_there() {
        let is_refusal = |code| is_refusal(&Status::new(code, ""));
        for code in [Code::InvalidArgument, Code::AlreadyExists, Code::FailedPrecondition, Code::OutOfRange] {
            assert!(is_refusal(code), "{code:?}");
        }
        for code in
            [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled, Code::ResourceExhausted]
        {
            assert!(!is_refusal(code), "{code:?}");
        }
    }
}
