//! An event as a gateway gave it, read where it lies: what is passed on is copied once, into the event that goes out.

use std::borrow::Cow;

use bytes::Bytes;
use hookwire_protocol::v1::{self, GatewayEvent, gateway_event};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

/// Events in one Publish: each may be an empty one of two bytes, and is refused in a sentence of its own.
const MAX_PUBLISHED: usize = 16 << 10;

/// `GatewayEvent.hook`, length-delimited.
const HOOK: u8 = 1 << 3 | 2;
/// `GatewayEvent.session`, length-delimited.
const SESSION: u8 = 2 << 3 | 2;
/// `GatewayEvent.time_unix_nano`, eight bytes.
const TIME: u8 = 3 << 3 | 1;
/// `GatewayEvent.traceparent`, length-delimited.
const TRACEPARENT: u8 = 4 << 3 | 2;
/// `GatewayEvent.json`, length-delimited.
const JSON: u8 = 5 << 3 | 2;

/// One event, borrowed from the message that it came in. Its texts are not looked at yet: most are known already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread<'a> {
    pub(crate) hook: &'a [u8],
    /// A `SessionRef`.
    pub(crate) session: Option<Cow<'a, [u8]>>,
    pub(crate) time_unix_nano: u64,
    traceparent: &'a [u8],
    pub(crate) payload: Option<Payload<'a>>,
    /// Of the whole event, in bytes.
    pub(crate) size: usize,
}

/// One event, borrowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given<'a> {
    pub(crate) hook: &'a str,
    pub(crate) session: Option<Named<'a>>,
    pub(crate) time_unix_nano: u64,
    pub(crate) traceparent: &'a str,
    pub(crate) payload: Option<Payload<'a>>,
    /// Of the whole event, in bytes.
    pub(crate) size: usize,
}

/// How a gateway names a session: by id, or by the key alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) key: &'a str,
    pub(crate) agent_id: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload<'a> {
    Json(&'a [u8]),
    SessionStart(Cow<'a, v1::SessionStart>),
    SessionEnd(Cow<'a, v1::SessionEnd>),
    GatewayStart(Cow<'a, v1::GatewayStart>),
    GatewayStop(Cow<'a, v1::GatewayStop>),
}

/// Why bytes are no event.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("no protobuf message: {0}")]
    Protobuf(#[from] DecodeError),
    #[error("field {0} has another type")]
    Type(u32),
    #[error("a length points beyond the end")]
    Length,
    #[error("a text is not UTF-8")]
    Text,
    #[error("a Publish carries at most {MAX_PUBLISHED} events")]
    Many,
}

impl<'a> Unread<'a> {
    /// Finds the fields. Their numbers are those of `GatewayEvent`; a test holds it against what is generated from that.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut event = Self { size: bytes.len(), ..Self::default() };
        let mut rest = bytes;
        while let Some((tag, behind)) = rest.split_first() {
            // The fields that nearly every event has, as they are always written; the others after them.
            match *tag {
                HOOK => replace(&mut event.hook, delimited(&mut rest, behind)?)?,
                SESSION => event.names(delimited(&mut rest, behind)?),
                TIME => event.time_unix_nano = fixed64(&mut rest, behind)?,
                TRACEPARENT => replace(&mut event.traceparent, delimited(&mut rest, behind)?)?,
                JSON => event.payload = Some(Payload::Json(delimited(&mut rest, behind)?)),
                _ => event.merge_other(&mut rest)?,
            }
        }
        Ok(event)
    }

    /// A message that comes in parts is what they are one behind the other.
    fn names(&mut self, session: &'a [u8]) {
        self.session = Some(match self.session.take() {
            None => Cow::Borrowed(session),
            Some(before) => {
                let mut whole = before.into_owned();
                whole.extend_from_slice(session);
                Cow::Owned(whole)
            }
        });
    }

    fn merge_other(&mut self, rest: &mut &'a [u8]) -> Result<(), Malformed> {
        let (field, wire) = decode_key(rest)?;
        let behind = *rest;
        match (field, wire) {
            (1, WireType::LengthDelimited) => replace(&mut self.hook, delimited(rest, behind)?)?,
            (2, WireType::LengthDelimited) => self.names(delimited(rest, behind)?),
            (3, WireType::SixtyFourBit) => self.time_unix_nano = fixed64(rest, behind)?,
            (4, WireType::LengthDelimited) => replace(&mut self.traceparent, delimited(rest, behind)?)?,
            (5, WireType::LengthDelimited) => self.payload = Some(Payload::Json(delimited(rest, behind)?)),
            (6..=9, WireType::LengthDelimited) => {
                let message = delimited(rest, behind)?;
                self.payload = Some(typed(field, self.payload.take(), message)?);
            }
            (1..=9, _) => return Err(Malformed::Type(field)),
            _ => skip_field(wire, field, rest, DecodeContext::default())?,
        }
        Ok(())
    }

    pub(crate) fn traceparent(&self) -> Result<&'a str, Malformed> {
        utf8(self.traceparent)
    }

    /// Reads all of it.
    pub(crate) fn read(&self) -> Result<Given<'_>, Malformed> {
        Ok(Given {
            hook: utf8(self.hook)?,
            session: self.session.as_deref().map(Named::decode).transpose()?,
            time_unix_nano: self.time_unix_nano,
            traceparent: self.traceparent()?,
            payload: self.payload.clone(),
            size: self.size,
        })
    }
}

impl<'a> Named<'a> {
    fn decode(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut named = Self::default();
        while !rest.is_empty() {
            let (field, wire) = decode_key(&mut rest)?;
            let behind = rest;
            match (field, wire) {
                (1, WireType::LengthDelimited) => named.id = Some(utf8(delimited(&mut rest, behind)?)?),
                (2, WireType::LengthDelimited) => named.key = utf8(delimited(&mut rest, behind)?)?,
                (3, WireType::LengthDelimited) => named.agent_id = utf8(delimited(&mut rest, behind)?)?,
                (1..=3, _) => return Err(Malformed::Type(field)),
                _ => skip_field(wire, field, &mut rest, DecodeContext::default())?,
            }
        }
        Ok(named)
    }
}

/// A message of its own: rare, and read by what is generated. One that comes in parts is put together.
fn typed<'a>(field: u32, before: Option<Payload<'a>>, message: &[u8]) -> Result<Payload<'a>, DecodeError> {
    fn merged<'a, M: Message + Clone>(message: Cow<'a, M>, part: &[u8]) -> Result<Cow<'a, M>, DecodeError> {
        let mut message = message.into_owned();
        message.merge(part)?;
        Ok(Cow::Owned(message))
    }
    Ok(match (field, before) {
        (6, Some(Payload::SessionStart(start))) => Payload::SessionStart(merged(start, message)?),
        (6, _) => Payload::SessionStart(Cow::Owned(v1::SessionStart::decode(message)?)),
        (7, Some(Payload::SessionEnd(end))) => Payload::SessionEnd(merged(end, message)?),
        (7, _) => Payload::SessionEnd(Cow::Owned(v1::SessionEnd::decode(message)?)),
        (8, Some(Payload::GatewayStart(start))) => Payload::GatewayStart(merged(start, message)?),
        (8, _) => Payload::GatewayStart(Cow::Owned(v1::GatewayStart::decode(message)?)),
        (_, Some(Payload::GatewayStop(stop))) => Payload::GatewayStop(merged(stop, message)?),
        (_, _) => Payload::GatewayStop(Cow::Owned(v1::GatewayStop::decode(message)?)),
    })
}

/// Takes a length and so many bytes off `from`; what is behind them is the rest.
#[inline]
fn delimited<'a>(rest: &mut &'a [u8], from: &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, from) = match from {
        [length @ 0..0x80, from @ ..] => (usize::from(*length), from),
        mut from => (usize::try_from(decode_varint(&mut from)?).map_err(|_| Malformed::Length)?, from),
    };
    let (value, behind) = from.split_at_checked(length).ok_or(Malformed::Length)?;
    *rest = behind;
    Ok(value)
}

/// The later of two wins, if both are texts.
fn replace<'a>(text: &mut &'a [u8], by: &'a [u8]) -> Result<(), Malformed> {
    utf8(std::mem::replace(text, by)).map(drop)
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Text)
}

fn fixed64<'a>(rest: &mut &'a [u8], from: &'a [u8]) -> Result<u64, Malformed> {
    let (value, behind) = from.split_first_chunk().ok_or(Malformed::Length)?;
    *rest = behind;
    Ok(u64::from_le_bytes(*value))
}

impl<'a> Given<'a> {
    /// An event that was never encoded; it would have so many bytes.
    pub(crate) fn of(event: &'a GatewayEvent, size: usize) -> Self {
        use gateway_event::Payload as Owned;
        let named = |session: &'a v1::SessionRef| Named {
            id: session.id.as_deref(),
            key: &session.key,
            agent_id: &session.agent_id,
        };
        Self {
            hook: &event.hook,
            session: event.session.as_ref().map(named),
            time_unix_nano: event.time_unix_nano,
            traceparent: &event.traceparent,
            payload: event.payload.as_ref().map(|payload| match payload {
                Owned::Json(json) => Payload::Json(json),
                Owned::SessionStart(start) => Payload::SessionStart(Cow::Borrowed(start)),
                Owned::SessionEnd(end) => Payload::SessionEnd(Cow::Borrowed(end)),
                Owned::GatewayStart(start) => Payload::GatewayStart(Cow::Borrowed(start)),
                Owned::GatewayStop(stop) => Payload::GatewayStop(Cow::Borrowed(stop)),
            }),
            size,
        }
    }
}

/// A `Publish` as it came over the wire: it is known where its events lie, not what they say.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) first_publish_seq: u64,
    body: Bytes,
    /// Where each event begins and ends.
    events: Vec<(u32, u32)>,
}

impl Published {
    /// Finds the events in the bytes of a `Publish`.
    pub(crate) fn read(body: Bytes) -> Result<Self, Malformed> {
        let (mut first_publish_seq, mut events) = (0, Vec::new());
        let mut rest = &body[..];
        while !rest.is_empty() {
            match decode_key(&mut rest)? {
                (1, WireType::Varint) => first_publish_seq = decode_varint(&mut rest)?,
                (2, WireType::LengthDelimited) => {
                    let behind = rest;
                    let event = delimited(&mut rest, behind)?;
                    let end = body.len() - rest.len();
                    if events.len() == MAX_PUBLISHED {
                        return Err(Malformed::Many);
                    }
                    events.push(((end - event.len()) as u32, end as u32));
                }
                (field @ 1..=2, _) => return Err(Malformed::Type(field)),
                (field, wire) => skip_field(wire, field, &mut rest, DecodeContext::default())?,
            }
        }
        Ok(Self { first_publish_seq, body, events })
    }

    /// The bytes of each event, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = &[u8]> {
        self.events.iter().map(|(start, end)| &self.body[*start as usize..*end as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = GatewayEvent> {
        let text = || "[a-zé]{0,20}";
        let session = (prop::option::of(text()), text(), text());
        let session = session.prop_map(|(id, key, agent_id)| v1::SessionRef { id, key, agent_id });
        let payload = prop_oneof![
            any::<Vec<u8>>().prop_map(|json| gateway_event::Payload::Json(json.into())),
            (0..5, text()).prop_map(|(reason, other)| {
                let end = v1::SessionEnd { reason, session_file: other, ..Default::default() };
                gateway_event::Payload::SessionEnd(end)
            }),
            text().prop_map(|resumed_from| {
                let start = v1::SessionStart { resumed_from, ..Default::default() };
                gateway_event::Payload::SessionStart(start)
            }),
            Just(gateway_event::Payload::GatewayStart(v1::GatewayStart::default())),
            (0..3).prop_map(|reason| {
                gateway_event::Payload::GatewayStop(v1::GatewayStop { reason, ..Default::default() })
            }),
        ];
        (text(), prop::option::of(session), any::<u64>(), text(), prop::option::of(payload)).prop_map(
            |(hook, session, time_unix_nano, traceparent, payload)| GatewayEvent {
                hook,
                session,
                time_unix_nano,
                traceparent,
                payload,
            },
        )
    }

    /// Reads it as what is generated does, and refuses what that refuses.
    fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
        let unread = Unread::decode(bytes);
        match (GatewayEvent::decode(bytes), unread.as_ref().map(Unread::read)) {
            (Ok(event), Ok(Ok(given))) => {
                prop_assert_eq!(given, Given::of(&event, bytes.len()));
            }
            (Err(_), Ok(Err(_)) | Err(_)) => {}
            (generated, given) => prop_assert!(false, "{generated:?} {given:?}"),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn an_event_is_read_as_the_generated_code_reads_it(one in event(), other in event()) {
            agrees(&one.encode_to_vec())?;
            // One behind the other is one event: the later wins, messages are merged.
            agrees(&[one.encode_to_vec(), other.encode_to_vec()].concat())?;
        }

        #[test]
        fn so_is_what_is_broken(one in event(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let mut bytes = one.encode_to_vec();
            for (at, byte) in flips {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            agrees(&bytes)?;
        }

        #[test]
        fn so_is_anything(bytes: Vec<u8>) {
            agrees(&bytes)?;
            let generated = v1::Publish::decode(&bytes[..]);
            match Published::read(bytes.into()) {
                Ok(published) => {
                    let events: Option<Vec<_>> =
                        published.events().map(|event| Unread::decode(event).ok()?.read().ok().map(|it| it.size)).collect();
                    prop_assert_eq!(events.map(|it| it.len()), generated.ok().map(|it| it.events.len()));
                }
                Err(_) => prop_assert!(generated.is_err()),
            }
        }
    }

    fn length(of: usize) -> Vec<u8> {
        let mut length = Vec::new();
        prost::encoding::encode_varint(of as u64, &mut length);
        length
    }

    #[test]
    fn a_session_in_a_million_parts_is_read_at_once() {
        let mut bytes = v1::SessionRef { key: "k".repeat(1 << 20), ..Default::default() }.encode_to_vec();
        bytes = [b"\x12".to_vec(), length(bytes.len()), bytes].concat();
        bytes.extend(b"\x12\x00".repeat(1 << 20));
        let event = Unread::decode(&bytes).expect("an event");
        assert_eq!(event.session.map(|session| session.len()), Some((1 << 20) + 4));
    }

    #[test]
    fn a_publish_has_so_many_events_and_no_more() {
        let publish = |events| Published::read(b"\x12\x00".repeat(events).into());
        assert_eq!(publish(MAX_PUBLISHED).expect("a Publish").events().count(), MAX_PUBLISHED);
        assert!(matches!(publish(MAX_PUBLISHED + 1), Err(Malformed::Many)));
    }

    #[test]
    fn a_publish_may_say_its_number_last() {
        let event = GatewayEvent { hook: "tick".into(), ..Default::default() };
        let mut bytes =
            v1::Publish { first_publish_seq: 0, events: vec![event.clone(), event] }.encode_to_vec();
        bytes.extend(v1::Publish { first_publish_seq: 7, events: vec![] }.encode_to_vec());
        let published = Published::read(bytes.into()).expect("a Publish");
        let hooks: Vec<_> =
            published.events().map(|event| Unread::decode(event).expect("an event").hook).collect();
        assert_eq!((published.first_publish_seq, hooks), (7, vec![&b"tick"[..], b"tick"]));
    }
}
