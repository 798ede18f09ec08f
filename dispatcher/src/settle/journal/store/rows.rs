//! The rows that are protobuf messages: fields may be added, and none may change its number or meaning.

use bytes::Bytes;
use hookwire_protocol::v1::{self, SessionEndReason, subscribe_request::Hello};
use prost::Message;

use crate::{
    emit::boots::HeldStop,
    queue::Lost,
    settle::{
        backlog::Parts,
        journal::{
            RanSeconds, Untold,
            image::{EndImage, EndedImage, EntryState, GatewayImage, LifeImage, LotImage, SubscriberImage},
        },
    },
};

#[derive(Clone, PartialEq, Message)]
pub(super) struct GatewayRow {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) boot: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) over: Vec<String>,
    #[prost(message, optional, tag = "4")]
    pub(super) stop: Option<StopRow>,
    #[prost(bool, tag = "5")]
    pub(super) stop_told: bool,
}

/// A gateway's own gateway_stop.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StopRow {
    #[prost(message, optional, tag = "1")]
    payload: Option<v1::GatewayStop>,
    #[prost(fixed64, tag = "2")]
    time_unix_nano: u64,
    #[prost(string, tag = "3")]
    traceparent: String,
    #[prost(string, tag = "4")]
    emitter: String,
    #[prost(uint64, tag = "5")]
    publish_seq: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EndedRow {
    #[prost(uint64, tag = "1")]
    pub(super) number: u64,
    #[prost(uint64, tag = "2")]
    pub(super) incarnation: u64,
    #[prost(enumeration = "SessionEndReason", tag = "3")]
    pub(super) reason: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubscriberRow {
    #[prost(message, optional, tag = "1")]
    pub(super) hello: Option<Hello>,
    #[prost(uint64, tag = "2")]
    pub(super) stream_epoch: u64,
    #[prost(uint32, optional, tag = "3")]
    pub(super) away_since: Option<RanSeconds>,
    #[prost(uint64, tag = "4")]
    pub(super) expired: u64,
    #[prost(uint64, tag = "5")]
    pub(super) expired_events: u64,
    #[prost(uint64, tag = "6")]
    pub(super) expired_events_bytes: u64,
    #[prost(uint64, tag = "7")]
    pub(super) expired_bytes: u64,
}

impl SubscriberRow {
    pub(super) fn set_expired(&mut self, untold: Untold) {
        let Untold { entries, events } = untold;
        (self.expired, self.expired_bytes) = (entries.events, entries.bytes);
        (self.expired_events, self.expired_events_bytes) = (events.events, events.bytes);
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LifeRow {
    #[prost(uint32, tag = "1")]
    pub(super) gateway: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) start: Bytes,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) wanted: Vec<u32>,
    #[prost(uint32, tag = "4")]
    pub(super) started: RanSeconds,
    #[prost(uint64, tag = "5")]
    pub(super) position: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EndRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) event: Bytes,
    #[prost(enumeration = "SessionEndReason", tag = "2")]
    pub(super) reason: i32,
    #[prost(uint32, tag = "3")]
    pub(super) decided: RanSeconds,
    #[prost(uint64, tag = "4")]
    pub(super) position: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LotRow {
    #[prost(uint64, repeated, tag = "1")]
    pub(super) positions: Vec<u64>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) events: Bytes,
    #[prost(uint32, tag = "3")]
    pub(super) taken_in: RanSeconds,
}

/// Which events of a lot are kept: the first and the last place of each part, one behind the other.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KeptRow {
    #[prost(uint64, repeated, tag = "1")]
    pub(super) places: Vec<u64>,
}

impl From<&HeldStop> for StopRow {
    fn from(stop: &HeldStop) -> Self {
        Self {
            payload: Some(stop.payload.clone()),
            time_unix_nano: stop.time_unix_nano,
            traceparent: stop.traceparent.clone(),
            emitter: stop.emitter.to_string(),
            publish_seq: stop.publish_seq,
        }
    }
}

impl From<StopRow> for HeldStop {
    fn from(row: StopRow) -> Self {
        Self {
            payload: row.payload.unwrap_or_default(),
            time_unix_nano: row.time_unix_nano,
            traceparent: row.traceparent,
            emitter: row.emitter.into(),
            publish_seq: row.publish_seq,
        }
    }
}

impl From<GatewayRow> for GatewayImage {
    fn from(row: GatewayRow) -> Self {
        Self {
            id: row.id.into(),
            boot: row.boot.into(),
            over: row.over.into_iter().map(Into::into).collect(),
            stop: row.stop.map(Into::into),
            stop_told: row.stop_told,
            ..Self::default()
        }
    }
}

impl From<SubscriberRow> for SubscriberImage {
    fn from(row: SubscriberRow) -> Self {
        Self {
            hello: row.hello.unwrap_or_default(),
            stream_epoch: row.stream_epoch,
            away_since: row.away_since,
            expired: Untold {
                entries: Lost { events: row.expired, bytes: row.expired_bytes },
                events: Lost { events: row.expired_events, bytes: row.expired_events_bytes },
            },
        }
    }
}

impl From<LifeRow> for LifeImage {
    fn from(row: LifeRow) -> Self {
        Self {
            gateway: row.gateway,
            start: row.start,
            wanted: row.wanted.into(),
            started: row.started,
            position: row.position,
            end: None,
        }
    }
}

impl TryFrom<EndRow> for EndImage {
    type Error = String;

    fn try_from(row: EndRow) -> Result<Self, String> {
        let EndRow { event, decided, position, .. } = row;
        Ok(Self { reason: reason(row.reason)?, event, decided, position })
    }
}

impl From<LotRow> for LotImage {
    fn from(row: LotRow) -> Self {
        Self { positions: row.positions.into(), events: row.events, taken_in: row.taken_in }
    }
}

impl From<&Parts> for KeptRow {
    fn from(parts: &Parts) -> Self {
        Self { places: parts.iter().flat_map(|(first, last)| [*first, *last]).collect() }
    }
}

impl TryFrom<KeptRow> for Parts {
    type Error = String;

    fn try_from(row: KeptRow) -> Result<Self, String> {
        let (parts, rest) = row.places.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a part has a first place, and no last".to_owned());
        }
        Ok(parts.iter().map(|[first, last]| (*first, *last)).collect())
    }
}

impl TryFrom<EndedRow> for EndedImage {
    type Error = String;

    fn try_from(row: EndedRow) -> Result<Self, String> {
        Ok(Self { number: row.number, incarnation: row.incarnation, reason: reason(row.reason)? })
    }
}

fn reason(number: i32) -> Result<SessionEndReason, String> {
    SessionEndReason::try_from(number).map_err(|_| format!("no end has the reason {number}"))
}

/// The byte of an entry.
pub(super) fn state_byte(state: EntryState) -> u8 {
    match state {
        EntryState::Open => 1,
        EntryState::StartSettled => 2,
        EntryState::Closed => 3,
    }
}

/// What an entry's byte says.
pub(super) fn state_of(byte: u8) -> Result<EntryState, String> {
    match byte {
        1 => Ok(EntryState::Open),
        2 => Ok(EntryState::StartSettled),
        3 => Ok(EntryState::Closed),
        other => Err(format!("no entry is in the state {other}")),
    }
}
