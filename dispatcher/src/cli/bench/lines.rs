//! What the processes of a bench say to each other: one JSON object a line, on stdin and stdout.
//!
//! ```text
//! gateway  ◀── start, fire, drain ── parent           each when everything before it is over
//! gateway  ◀── acked ─────────────── parent ◀── acked ── plugins        so far, by the slowest: the gateway's credit
//! gateway  ─── ready, fired, published, drained ──▶ parent ◀── ready, measured ── plugins
//! ```
//!
//! What counts is one series of deliveries to every subscriber: the starts, then what is measured (the events, or in
//! a drain the ends). The end of its stdin tells a process to leave, also when the parent is no more.
//!
//! ```text
//! bench-plugin  --to ADDR --name NAME --subscribers K --gateway ID --starts S --measured M --step N
//!               [--delay-us D] [--disconnect]
//! bench-gateway --to ADDR --name ID --sessions S --events N --payload BYTES --credit C [--rate R [--singly]]
//! ```

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::cli::{Exit, Failure};

/// From a plugin process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromPlugin {
    /// All its subscribers are caught up.
    Ready,
    /// How many deliveries each of its subscribers has acknowledged or was told lost, at least.
    Acked {
        count: u64,
        /// Events that were told lost, of all its subscribers together.
        lost: u64,
    },
    /// All its subscribers have acknowledged all that is measured.
    Measured {
        /// When it sent the last of these acknowledgements, in nanoseconds since the Unix epoch.
        at_unix_nano: u64,
        /// From an event's time to its receipt: pairs of nanoseconds and how many events took them.
        latency: Vec<(u64, u64)>,
    },
}

/// From the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromGateway {
    /// It is attached.
    Ready,
    /// The first event goes out now.
    Fired {
        /// Nanoseconds since the Unix epoch.
        at_unix_nano: u64,
        /// The event's size as it is published.
        event_bytes: u64,
    },
    /// All starts, and then all events, are taken in: so many so far.
    Published { count: u64 },
    /// Its drain is reported.
    Drained(Drained),
}

/// How a drain went, seen from the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Drained {
    /// When it was asked for, in nanoseconds since the Unix epoch.
    pub(super) at_unix_nano: u64,
    /// Ends that were owed to the subscribers of this bench, and settled.
    pub(super) ends: u64,
    /// From the report.
    pub(super) elapsed_ms: u32,
    /// From the report.
    pub(super) last_ack_ms: Option<u32>,
    /// From the call to the report.
    pub(super) wall_ms: f64,
}

/// To the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToGateway {
    /// Start the sessions.
    Start,
    /// Fire the events.
    Fire,
    /// Drain.
    Drain,
    /// So many deliveries are acknowledged by every subscriber.
    Acked { count: u64 },
}

/// A message as its line.
pub(super) fn write(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("numbers and strings always serialize")
}

/// Says something to the parent.
///
/// # Errors
/// When it is no more.
pub(super) fn say(message: &impl Serialize) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", write(message))
        .and_then(|()| stdout.flush())
        .map_err(|error| Exit::Fault.because(format_args!("nobody listens: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let measured = FromPlugin::Measured { at_unix_nano: 7, latency: vec![(1_000, 2), (3_000, 1)] };
        let line = write(&measured);
        assert_eq!(line, r#"{"type":"measured","at_unix_nano":7,"latency":[[1000,2],[3000,1]]}"#);
        assert_eq!(serde_json::from_str::<FromPlugin>(&line).unwrap(), measured);
        let drained = Drained { at_unix_nano: 1, ends: 2, elapsed_ms: 3, last_ack_ms: None, wall_ms: 4.5 };
        let drained = FromGateway::Drained(drained);
        assert_eq!(serde_json::from_str::<FromGateway>(&write(&drained)).unwrap(), drained);
        assert_eq!(write(&ToGateway::Acked { count: 9 }), r#"{"type":"acked","count":9}"#);
    }
}
