//! How the values of settings are written.

use std::{path::PathBuf, str::FromStr, time::Duration};

use super::{Durability, OnTerm};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};

/// On the wire, durations are milliseconds in 32 bits.
const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);

/// Anything shorter would have us pinging, or giving up, all the time.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// What a message needs beside one event.
const ENVELOPE_BYTES: usize = 1 << 20;

/// An address.
pub(super) fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error: hookwire_sdk::InvalidAddress| error.to_string())
}

/// True or false.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// What the journal survives.
pub(super) fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "power" => Ok(Durability::Power),
        "process" => Ok(Durability::Process),
        _ => Err(format!("{text:?} is neither power nor process")),
    }
}

/// What a signal means.
pub(super) fn on_term(text: &str) -> Result<OnTerm, String> {
    match text {
        "drain" => Ok(OnTerm::Drain),
        "handover" => Ok(OnTerm::Handover),
        _ => Err(format!("{text:?} is neither drain nor handover")),
    }
}

/// A file's path; empty is none.
pub(super) fn path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.is_empty()).then(|| text.into()))
}

/// A duration, also none at all.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is no duration: write 500ms, 2s or 1m"))?;
    if duration > LONGEST {
        return Err(format!("{text:?} is longer than 49 days"));
    }
    Ok(duration)
}

/// A duration that something waits for again and again, or that a peer has to answer in.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        short if short < SHORTEST_INTERVAL => Err(format!("{text:?} is shorter than 10ms")),
        interval => Ok(interval),
    }
}

/// How many; at least one.
pub(super) fn count<N: FromStr + PartialEq + From<u8>>(text: &str) -> Result<N, String> {
    match text.parse() {
        Ok(count) if count != N::from(0) => Ok(count),
        _ => Err(format!("{text:?} is no number from 1 up that fits")),
    }
}

/// A size in bytes; at least one.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((text, 0));
    let bytes = digits.trim_end().parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is no size: write bytes, or 64KiB, 16MiB, 1GiB"))
}

/// The size of an event that clients can still take in.
pub(super) fn message_bytes(text: &str) -> Result<usize, String> {
    match bytes(text)? {
        large if large > MAX_MESSAGE_BYTES - ENVELOPE_BYTES => Err(format!("{text:?} is more than 63MiB")),
        bytes => Ok(bytes),
    }
}
