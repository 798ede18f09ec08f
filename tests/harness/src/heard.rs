//! What a plugin hears, one thing at a time.

use std::fmt;

use hookwire_protocol::v1::{
    BatchKind, CaughtUp, DrainNotice, DrainSummary, Event, Gap, SessionEnd, SessionStart, event::Payload,
    subscribe_response::Goodbye,
};
use tonic::Code;

/// One event as it was delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its number on this stream.
    pub seq: u64,
    /// Where its batch came from.
    pub kind: BatchKind,
    /// What its batch said of the time there is, in milliseconds.
    pub budget_ms: u32,
    /// The event itself.
    pub event: Event,
}

impl Delivery {
    /// The session's id, empty where there is none.
    pub fn session_id(&self) -> &str {
        self.event.session.as_ref().map_or("", |session| &session.id)
    }

    /// The session's incarnation, 0 where there is none.
    pub fn incarnation(&self) -> u64 {
        self.event.session.as_ref().map_or(0, |session| session.incarnation)
    }

    /// What a session_start carries.
    ///
    /// # Panics
    /// On any other event.
    pub fn start(&self) -> &SessionStart {
        match &self.event.payload {
            Some(Payload::SessionStart(start)) => start,
            _ => panic!("no session_start: {self}"),
        }
    }

    /// What a session_end carries.
    ///
    /// # Panics
    /// On any other event.
    pub fn end(&self) -> &SessionEnd {
        match &self.event.payload {
            Some(Payload::SessionEnd(end)) => end,
            _ => panic!("no session_end: {self}"),
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            BatchKind::Unspecified => "unspecified ",
            BatchKind::Live => "",
            BatchKind::Announced => "announced ",
            BatchKind::Redelivered => "redelivered ",
        };
        write!(f, "#{} {kind}{}", self.seq, self.event.hook)?;
        if let Some(session) = &self.event.session {
            write!(f, " {}/{}", session.id, session.incarnation)?;
        }
        if self.event.late { f.write_str(" late") } else { Ok(()) }
    }
}

/// One thing a plugin heard; batches are taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event.
    Delivery(Box<Delivery>),
    /// Replay and announcements are done.
    CaughtUp(CaughtUp),
    /// Something was lost.
    Gap(Gap),
    /// A gateway is about to stop.
    DrainNotice(DrainNotice),
    /// How that went.
    DrainSummary(DrainSummary),
    /// The stream is about to end.
    Goodbye(Goodbye),
    /// The stream ended, with this status and its text.
    Closed(Code, String),
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(delivery) => delivery.fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}
