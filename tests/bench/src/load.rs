//! The events that everybody carries, when they are due, and the proof that each came exactly once.

use std::time::Duration;

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{Disposition, Event, Session, SessionEnd, SessionEndReason, event::Payload},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::clock::unix_ns;

/// The hook of an ordinary event. Its length makes the encoded event 246 bytes.
pub const HOOK: &str = "message_sent";

/// An ordinary event, encoded, in bytes.
pub const EVENT_BYTES: u32 = 246;

/// The JSON of an ordinary event, in bytes.
pub const JSON_BYTES: usize = 180;

/// Sessions that the events belong to, where their number is not what is measured.
pub const SESSIONS: u64 = 16;

/// What is to be carried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Events that are emitted; every subscriber takes each.
    pub events: u64,
    /// How many take them.
    pub subscribers: u32,
    /// The sessions that they belong to, in turns.
    pub sessions: u64,
    /// Events a second, on an absolute schedule; none means as many as will go.
    pub rate: Option<u64>,
    /// Whether they are ends of sessions instead of ordinary events.
    pub ends: bool,
}

/// How many came, and which: the order does not matter, a twin and a gap do not make up for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub events: u64,
    /// The wrapping sum of their times, each one scattered over 64 bits.
    pub checksum: u64,
}

/// Makes the events of a load, each when it is due.
#[derive(Debug)]
pub struct Source {
    load: Load,
    sessions: Vec<String>,
    json: Bytes,
    next: u64,
    began: Option<Instant>,
    sent: Tally,
}

impl Load {
    /// Deliveries in all.
    pub fn deliveries(&self) -> u64 {
        self.events * u64::from(self.subscribers)
    }
}

impl Tally {
    /// Counts an event by its time, which no other event of the run has.
    pub fn add(&mut self, time: u64) {
        self.events += 1;
        self.checksum = self.checksum.wrapping_add(scatter(time));
    }
}

impl Source {
    /// Nothing is due before the first [`Source::due`].
    pub fn new(load: Load) -> Self {
        let sessions = (0..load.sessions.max(1)).map(session_id).collect();
        Self { load, sessions, json: json(), next: 0, began: None, sent: Tally::default() }
    }

    /// Waits until at least one event is due, and says how many are, `at_most` at once: 0 is the end.
    pub async fn due(&mut self, at_most: u64) -> u64 {
        let left = (self.load.events - self.next).min(at_most);
        let Some(rate) = self.load.rate.filter(|_| left > 0) else { return left };
        let began = *self.began.get_or_insert_with(Instant::now);
        sleep_until(began + Duration::from_nanos(self.next * 1_000_000_000 / rate)).await;
        let due = began.elapsed().as_nanos() as u64 * rate / 1_000_000_000 + 1;
        due.saturating_sub(self.next).clamp(1, left)
    }

    /// The next event's time alone, for whoever carries bytes that it has made before.
    pub fn time(&mut self) -> u64 {
        let time = match self.load.rate {
            Some(_) => unix_ns(),
            None => self.next + 1,
        };
        self.next += 1;
        self.sent.add(time);
        time
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        let index = (self.next % self.sessions.len() as u64) as usize;
        let session = Session { id: self.sessions[index].clone(), ..Session::default() };
        let (hook, payload) = match self.load.ends {
            false => (HOOK, Payload::Json(self.json.clone())),
            true => (hook::SESSION_END, Payload::SessionEnd(end())),
        };
        let time_unix_nano = self.time();
        Event {
            hook: hook.to_owned(),
            session: Some(session),
            time_unix_nano,
            payload: Some(payload),
            ..Event::default()
        }
    }

    /// What was made so far.
    pub fn sent(&self) -> Tally {
        self.sent
    }
}

/// A session's id: 36 characters, like a UUID.
pub fn session_id(index: u64) -> String {
    format!("{:08x}-5e55-4000-8000-{index:012x}", index as u32)
}

fn end() -> SessionEnd {
    SessionEnd {
        reason: SessionEndReason::Shutdown.into(),
        disposition: Disposition::Suspended.into(),
        ..SessionEnd::default()
    }
}

/// An ordinary hook's own fields.
pub fn json() -> Bytes {
    let head = r#"{"channelId":"telegram","to":"42","success":true,"content":""#;
    let tail = r#""}"#;
    let text = "x".repeat(JSON_BYTES - head.len() - tail.len());
    Bytes::from([head, &text, tail].concat())
}

/// The finalizer of splitmix64: neighbours come out far apart, and sums of them do not meet by chance.
fn scatter(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    const LOAD: Load = Load { events: 10, subscribers: 2, sessions: 3, rate: None, ends: false };

    #[test]
    fn an_event_has_the_size_that_is_quoted() {
        assert_eq!(json().len(), JSON_BYTES);
        assert_eq!(session_id(99).len(), 36);
        assert_eq!(Source::new(LOAD).event().encoded_len(), EVENT_BYTES as usize);
    }

    #[test]
    fn a_twin_does_not_make_up_for_a_gap() {
        let tally = |times: &[u64]| {
            let mut tally = Tally::default();
            times.iter().for_each(|&time| tally.add(time));
            tally
        };
        assert_eq!(tally(&[1, 2, 3]), tally(&[3, 1, 2]));
        assert_ne!(tally(&[1, 2, 3]), tally(&[1, 1, 3]));
        assert_ne!(tally(&[1, 2, 3]), tally(&[2, 2, 2]));
        assert_ne!(tally(&[1, 2, 3]), tally(&[1, 2]));
    }

    #[tokio::test]
    async fn a_source_ends_with_its_load() {
        let mut source = Source::new(LOAD);
        assert_eq!(source.due(6).await, 6);
        (0..6).for_each(|_| drop(source.event()));
        assert_eq!(source.due(6).await, 4);
        (0..4).for_each(|_| drop(source.event()));
        assert_eq!(source.due(6).await, 0);
        assert_eq!(source.sent().events, LOAD.events);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paced_source_keeps_an_absolute_schedule() {
        let mut source = Source::new(Load { rate: Some(1000), ..LOAD });
        assert_eq!(source.due(9).await, 1);
        source.time();
        tokio::time::advance(Duration::from_millis(4)).await; // whoever is late does not move the rest
        assert_eq!(source.due(9).await, 4);
    }
}
