//! The way to the dispatcher: one stream after another, and the waits between them.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use hookwire_protocol::v1::{Receipt, attach_request::Hello, attach_response::Welcome};
use hookwire_sdk::Address;
use tokio::time::{Instant, sleep_until};

use super::{
    attach::{Heard, Link},
    setback::Setback,
};

/// How a boot stands with its dispatcher.
pub(super) enum Line {
    /// Attached.
    Open(Box<Link>),
    /// Not to be dialled before then.
    Waiting(Instant),
    Dialing(Attempt),
}

type Attempt = Pin<Box<dyn Future<Output = Result<(Link, Welcome), Setback>> + Send>>;

/// What happens next.
#[derive(Debug)]
pub(super) enum Step {
    /// A batch can be sent.
    Room,
    /// Something was taken in.
    Receipt(Receipt),
    /// The stream is over, or could not be opened.
    Lost(Setback),
    /// It is time to dial.
    Dial,
    /// The dispatcher is back.
    Welcome(Box<Link>, Welcome),
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(link) => f.debug_tuple("Open").field(link).finish(),
            Self::Waiting(until) => f.debug_tuple("Waiting").field(until).finish(),
            Self::Dialing(_) => f.write_str("Dialing"),
        }
    }
}

impl Line {
    /// Begins to dial.
    pub(super) fn dial(address: &Address, hello: Hello) -> Self {
        let address = address.clone();
        Self::Dialing(Box::pin(async move { Link::open(&address, hello).await }))
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// For how long the stream has been open, where there is one.
    pub(super) fn age(&self) -> Duration {
        match self {
            Self::Open(link) => link.age(),
            Self::Waiting(_) | Self::Dialing(_) => Duration::ZERO,
        }
    }

    /// What happens next; room matters only to who has something to send. Dropping the future loses nothing. Behind
    /// [`Step::Lost`], [`Step::Dial`] and [`Step::Welcome`] the line has to be replaced.
    pub(super) async fn step(&mut self, wants_room: bool) -> Step {
        match self {
            Self::Open(link) => match link.next(wants_room).await {
                Heard::Room => Step::Room,
                Heard::Receipt(receipt) => Step::Receipt(receipt),
                Heard::Lost(setback) => Step::Lost(setback),
            },
            Self::Waiting(until) => {
                sleep_until(*until).await;
                Step::Dial
            }
            Self::Dialing(attempt) => match attempt.await {
                Ok((link, welcome)) => Step::Welcome(Box::new(link), welcome),
                Err(setback) => Step::Lost(setback),
            },
        }
    }
}
