//! What the dispatcher remembers of live sessions: resident memory with many of them less that with few, so that what
//! does not grow with sessions, such as the buffers of connections, cancels out.

use std::{collections::BTreeMap, time::Duration};

use hookwire_protocol::{
    hook,
    v1::{Event, Session, SessionStart, event::Payload},
};
use prost::Message as _;
use serde::Deserialize;

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::Label,
    load::session_id,
    process::Ear,
    report::names::DAEMON,
    results::{Metric, Row, Runtime, Scenario},
};

/// How long one bench may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The subscribers of the ledger that is asked about, and of the one that it is compared with.
const MANY: u32 = 32;
const ONE: u32 = 1;

/// Its sessions, and those that are compared with.
const SESSIONS: u64 = 100_000;
const FEWER: u64 = 20_000;

/// A ledger of many sessions and many subscribers.
#[derive(Debug)]
struct Ledger {
    sessions: u64,
    fewer: u64,
}

/// What `hookwire bench` prints, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Outcome {
    memory_bytes: Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct Memory {
    /// With every session started and acknowledged.
    dispatcher_loaded: u64,
    /// At its largest.
    dispatcher_peak: u64,
}

/// The one case.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    vec![Box::new(Ledger { sessions: bench.scaled(SESSIONS), fewer: bench.scaled(FEWER) })]
}

impl Case for Ledger {
    fn row(&self) -> Row {
        let note = "resident memory, by the difference to fewer sessions and to one subscriber";
        let label = Label { scenario: Scenario::Ledger, contender: DAEMON, note };
        label.row(Runtime::MultiThread, MANY, self.sessions, self.sessions)
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        if self.sessions <= self.fewer {
            return Err(Failure::NotMeasured("at this scale there is nothing to tell apart".to_owned()));
        }
        let memory = |subscribers, sessions| memory(bench, subscribers, sessions);
        let (with_many, largest) = self.slope(|sessions| memory(MANY, sessions))?;
        let (with_one, _) = self.slope(|sessions| memory(ONE, sessions))?;
        let pair = (with_many - with_one) / f64::from(MANY - ONE);
        let session = with_one - pair - start_event() as f64;
        Ok(BTreeMap::from([
            (Metric::BytesPerPair, pair),
            (Metric::BytesPerSession, session),
            (Metric::PeakMemoryBytes, largest as f64),
        ]))
    }
}

impl Ledger {
    /// Bytes for each session more, and the most that the process took.
    fn slope(&self, memory: impl Fn(u64) -> Result<Memory, Failure>) -> Result<(f64, u64), Failure> {
        let (many, fewer) = (memory(self.sessions)?, memory(self.fewer)?);
        let more = many.dispatcher_loaded as f64 - fewer.dispatcher_loaded as f64;
        Ok((more / (self.sessions - self.fewer) as f64, many.dispatcher_peak))
    }
}

/// Starts so many sessions and drains them: what the dispatcher took meanwhile.
fn memory(bench: &Bench, subscribers: u32, sessions: u64) -> Result<Memory, Failure> {
    let ear = Ear::until(PATIENCE);
    let (subscribers, sessions) = (subscribers.to_string(), sessions.to_string());
    let args = ["bench", "--json", "--mode", "drain", "--subscribers", &subscribers, "--sessions", &sessions];
    let mut process = ear.start(0, &bench.hookwire, args)?;
    let mut printed = None;
    while let Some(line) = ear.hear()?.line {
        printed = Some(line);
    }
    let printed = printed.ok_or_else(|| process.gone())?;
    let outcome: Result<Outcome, _> = serde_json::from_str(&printed);
    Ok(outcome.map_err(|error| Failure::Wrong(format!("{printed}: {error}")))?.memory_bytes)
}

/// The start that a live session keeps for whoever has to be told of it again: its fields are as long as the bench's.
fn start_event() -> usize {
    let uuid = session_id(0);
    let simple = uuid.replace('-', "");
    let session =
        Session { id: uuid.clone(), key: "abc".to_owned(), agent_id: String::new(), incarnation: SESSIONS };
    let event = Event {
        id: simple.clone(),
        hook: hook::SESSION_START.to_owned(),
        gateway_id: format!("bench-{simple}"),
        boot_id: uuid,
        session: Some(session),
        session_seq: 1,
        time_unix_nano: u64::MAX,
        payload: Some(Payload::SessionStart(SessionStart::default())),
        ..Event::default()
    };
    event.encoded_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_grow_with_sessions_cancels_out() {
        let ledger = Ledger { sessions: 100, fewer: 50 };
        let memory =
            |sessions: u64| Ok(Memory { dispatcher_loaded: 7_000 + 60 * sessions, dispatcher_peak: 9_000 });
        assert_eq!(ledger.slope(memory), Ok((60.0, 9_000)));
    }
}
