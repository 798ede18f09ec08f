//! An event's bytes: encoded once, straight from what the gateway sent, as an element of `EventBatch.events`.

use bytes::Bytes;
use hookwire_protocol::v1;
use itoa::Buffer;
use prost::{Message, encoding::encoded_len_varint};

use super::given;

/// `EventBatch.events`, length-delimited.
const ELEMENT: u8 = 4 << 3 | 2;

/// A tag and a varint, of a length or a number.
const MOST_BEFORE_TEXT: usize = 11;

/// The number and the suffix in an event's id.
const MOST_IN_ID: usize = 32;

/// What makes one event. Field numbers are those of `Event`; a test decodes what this writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) id: EventId<'a>,
    pub(crate) hook: &'a str,
    /// The gateway and the boot, as [`origin`] encodes them.
    pub(crate) origin: &'a [u8],
    pub(crate) session: Option<Session<'a>>,
    pub(crate) session_seq: u64,
    pub(crate) time_unix_nano: u64,
    pub(crate) traceparent: &'a str,
    pub(crate) synthetic: bool,
    pub(crate) late: bool,
    pub(crate) payload: Payload<'a>,
}

/// The session of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Session<'a> {
    Parts(SessionParts<'a>),
    /// The field, with its tag and length, as another event of the same life has it.
    Field(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionParts<'a> {
    pub(crate) id: &'a str,
    pub(crate) key: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) incarnation: u64,
}

/// Where an event's stable id comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventId<'a> {
    /// A start of this ledger's.
    Start { ledger: &'a str, incarnation: u64 },
    /// An end of this ledger's.
    End { ledger: &'a str, incarnation: u64 },
    /// The stop of a boot that did not say it itself.
    Stop { boot: &'a str },
    /// Any other: a digest of (gateway, boot, emitter), and the number it was published under.
    Published { emitter: &'a str, publish_seq: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    None,
    Json(&'a [u8]),
    SessionStart(&'a v1::SessionStart),
    SessionEnd(&'a v1::SessionEnd),
    GatewayStart(&'a v1::GatewayStart),
    GatewayStop(&'a v1::GatewayStop),
}

impl<'a> From<Option<&'a given::Payload<'_>>> for Payload<'a> {
    fn from(given: Option<&'a given::Payload<'_>>) -> Self {
        match given {
            None => Self::None,
            Some(given::Payload::Json(json)) => Self::Json(json),
            Some(given::Payload::SessionStart(start)) => Self::SessionStart(start),
            Some(given::Payload::SessionEnd(end)) => Self::SessionEnd(end),
            Some(given::Payload::GatewayStart(start)) => Self::GatewayStart(start),
            Some(given::Payload::GatewayStop(stop)) => Self::GatewayStop(stop),
        }
    }
}

/// Bytes that were made room for, being written one behind the other.
struct Writer<'a> {
    room: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.room[self.at] = byte;
        self.at += 1;
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.room[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline]
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    #[inline]
    fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.delimited(field, text.as_bytes());
        }
    }

    #[inline]
    fn delimited(&mut self, field: u8, bytes: &[u8]) {
        self.byte(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }

    fn number(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.byte(field << 3);
            self.varint(number);
        }
    }

    fn message(&mut self, field: u8, message: &impl Message) {
        self.byte(field << 3 | 2);
        self.varint(message.encoded_len() as u64);
        let mut room = &mut self.room[self.at..];
        // Cannot fail: there is room for all of it.
        let _ = message.encode(&mut room);
        self.at += message.encoded_len();
    }
}

/// What every event of one boot has in common.
pub(crate) fn origin(gateway: &str, boot: &str) -> Box<[u8]> {
    let mut room = vec![0; 2 * MOST_BEFORE_TEXT + gateway.len() + boot.len()];
    let mut origin = Writer { room: &mut room, at: 0 };
    origin.text(3, gateway);
    origin.text(4, boot);
    let end = origin.at;
    room.truncate(end);
    room.into()
}

/// Elements, one behind the other, in room that is made ahead: it is cleared by the lot, not by the event.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    room: Vec<u8>,
    used: usize,
}

impl Elements {
    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// So many bytes are expected.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        if self.room.len() < self.used + bytes {
            self.room.resize(self.used + bytes, 0);
        }
    }

    pub(crate) fn append(&mut self, parts: &Parts<'_>) {
        let most = most(parts);
        if self.room.len() < self.used + most {
            self.reserve(most.max(self.room.len()));
        }
        // Nearly all events have a length of two bytes: that much room is left for it.
        let mut out = Writer { room: &mut self.room[self.used..], at: 3 };
        put_event(parts, &mut out);
        let (length, end) = (out.at - 3, out.at);
        let head = 1 + encoded_len_varint(length as u64);
        if head != 3 {
            out.room.copy_within(3..end, head);
        }
        out.at = 0;
        out.byte(ELEMENT);
        out.varint(length as u64);
        self.used += head + length;
    }

    /// All of them; none is left.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut elements = std::mem::take(&mut self.room);
        elements.truncate(std::mem::take(&mut self.used));
        elements
    }
}

/// An element of its own.
pub(crate) fn encode(parts: &Parts<'_>) -> Bytes {
    let mut element = Elements::default();
    element.append(parts);
    Bytes::from(element.take().into_boxed_slice())
}

/// The most bytes that the element can have.
fn most(parts: &Parts<'_>) -> usize {
    let session = parts.session.map_or(0, |session| match session {
        Session::Parts(it) => it.id.len() + it.key.len() + it.agent.len(),
        Session::Field(field) => field.len(),
    });
    let payload = match parts.payload {
        Payload::None => 0,
        Payload::Json(json) => json.len(),
        Payload::SessionStart(message) => message.encoded_len(),
        Payload::SessionEnd(message) => message.encoded_len(),
        Payload::GatewayStart(message) => message.encoded_len(),
        Payload::GatewayStop(message) => message.encoded_len(),
    };
    let id = match parts.id {
        EventId::Start { ledger: name, .. } | EventId::End { ledger: name, .. } => name.len(),
        EventId::Stop { boot: name } | EventId::Published { emitter: name, .. } => name.len(),
    };
    let texts = id + parts.hook.len() + parts.origin.len() + parts.traceparent.len() + session + payload;
    // The element, five texts outside of the session and three in it, the session, and five numbers; an id's number.
    texts + 15 * MOST_BEFORE_TEXT + MOST_IN_ID
}

fn put_event(parts: &Parts<'_>, out: &mut Writer<'_>) {
    put_id(parts.id, out);
    out.text(2, parts.hook);
    out.bytes(parts.origin);
    match &parts.session {
        Some(Session::Parts(session)) => put_session(session, out),
        Some(Session::Field(field)) => out.bytes(field),
        None => {}
    }
    out.number(6, parts.session_seq);
    if parts.time_unix_nano != 0 {
        out.byte(7 << 3 | 1);
        out.bytes(&parts.time_unix_nano.to_le_bytes());
    }
    out.text(8, parts.traceparent);
    out.number(9, parts.synthetic.into());
    out.number(10, parts.late.into());
    match parts.payload {
        Payload::None => {}
        Payload::Json(json) => out.delimited(11, json),
        Payload::SessionStart(message) => out.message(12, message),
        Payload::SessionEnd(message) => out.message(13, message),
        Payload::GatewayStart(message) => out.message(14, message),
        Payload::GatewayStop(message) => out.message(15, message),
    }
}

fn put_id(id: EventId<'_>, out: &mut Writer<'_>) {
    let mut digits = Buffer::new();
    let (name, number, suffix) = match id {
        EventId::Start { ledger, incarnation } => (ledger, Some(incarnation), "-start"),
        EventId::End { ledger, incarnation } => (ledger, Some(incarnation), "-end"),
        EventId::Stop { boot } => (boot, None, "-stop"),
        EventId::Published { emitter, publish_seq } => (emitter, Some(publish_seq), ""),
    };
    let number = number.map_or("", |number| digits.format(number));
    let dash = usize::from(!number.is_empty());
    out.byte(1 << 3 | 2);
    out.varint((name.len() + dash + number.len() + suffix.len()) as u64);
    out.bytes(name.as_bytes());
    out.bytes(&b"-"[..dash]);
    out.bytes(number.as_bytes());
    out.bytes(suffix.as_bytes());
}

fn put_session(session: &SessionParts<'_>, out: &mut Writer<'_>) {
    let length = text_len(session.id) + text_len(session.key) + text_len(session.agent);
    out.byte(5 << 3 | 2);
    out.varint((length + number_len(session.incarnation)) as u64);
    out.text(1, session.id);
    out.text(2, session.key);
    out.text(3, session.agent);
    out.number(4, session.incarnation);
}

/// The size of a text field with a number below 16.
fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { 1 + encoded_len_varint(text.len() as u64) + text.len() }
}

fn number_len(number: u64) -> usize {
    if number == 0 { 0 } else { 1 + encoded_len_varint(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts<'static> = Parts {
        id: EventId::Published { emitter: "0123456789abcdef", publish_seq: 300 },
        hook: "message_received",
        // gateway_id "gw", boot_id "b1"
        origin: b"\x1a\x02gw\x22\x02b1",
        session: Some(Session::Parts(SessionParts {
            id: "s1",
            key: "agent:main",
            agent: "main",
            incarnation: 1000,
        })),
        session_seq: 7,
        time_unix_nano: 1_795_343_860_866_000_000,
        traceparent: "00-25066da7d1bfcd66baad101be018d35f-8cc5759d2e75d1d1-01",
        synthetic: true,
        late: true,
        payload: Payload::Json(br#"{"a":1}"#),
    };

    fn decode(parts: &Parts<'_>) -> v1::Event {
        let element = encode(parts);
        let mut batch = v1::EventBatch::decode(element).expect("an element is a batch without a header");
        assert_eq!(batch.events.len(), 1);
        batch.events.remove(0)
    }

    #[test]
    fn every_field_arrives() {
        let wire = v1::Event {
            id: "0123456789abcdef-300".into(),
            hook: "message_received".into(),
            gateway_id: "gw".into(),
            boot_id: "b1".into(),
            session: Some(v1::Session {
                id: "s1".into(),
                key: "agent:main".into(),
                agent_id: "main".into(),
                incarnation: 1000,
            }),
            session_seq: 7,
            time_unix_nano: 1_795_343_860_866_000_000,
            traceparent: "00-25066da7d1bfcd66baad101be018d35f-8cc5759d2e75d1d1-01".into(),
            synthetic: true,
            late: true,
            payload: Some(v1::event::Payload::Json(Bytes::from_static(br#"{"a":1}"#))),
        };
        assert_eq!(decode(&PARTS), wire);
        // Not only readable: byte for byte what any protobuf encoder writes.
        let batch = v1::EventBatch { events: vec![wire], ..Default::default() };
        assert_eq!(encode(&PARTS), batch.encode_to_vec());
    }

    #[test]
    fn lengths_of_any_size_are_written_as_any_encoder_writes_them() {
        for size in [0, 1, 100, 127, 128, 16_000, 16_384, 3_000_000] {
            let json = vec![b'x'; size];
            let parts = Parts {
                origin: &origin("gw", ""),
                session: None,
                traceparent: "",
                payload: Payload::Json(&json),
                ..PARTS
            };
            let batch = v1::EventBatch { events: vec![decode(&parts)], ..Default::default() };
            let mut elements = Elements::default();
            elements.append(&PARTS);
            let before = elements.len();
            elements.append(&parts);
            let elements = elements.take();
            assert_eq!(elements[..before], encode(&PARTS));
            assert_eq!(elements[before..], batch.encode_to_vec());
        }
    }

    #[test]
    fn a_field_is_taken_as_it_is() {
        let whole = encode(&PARTS);
        let field =
            whole.windows(20).find(|field| field.starts_with(b"\x2a\x19\x0a\x02s1")).map(<[u8]>::as_ptr);
        let at = field.map(|field| field as usize - whole.as_ptr() as usize).expect("it has a session");
        let session = Some(Session::Field(&whole[at..at + 2 + 0x19]));
        assert_eq!(encode(&Parts { session, ..PARTS }), whole);
    }

    #[test]
    fn typed_payloads_and_absent_fields_arrive() {
        let end = v1::SessionEnd { reason: 2, disposition: 1, last_session_seq: 9, ..Default::default() };
        let parts = Parts {
            id: EventId::End { ledger: "l", incarnation: 5 },
            session: None,
            traceparent: "",
            time_unix_nano: 0,
            late: false,
            payload: Payload::SessionEnd(&end),
            ..PARTS
        };
        let event = decode(&parts);
        assert_eq!((event.id.as_str(), event.session, event.late), ("l-5-end", None, false));
        assert_eq!(event.payload, Some(v1::event::Payload::SessionEnd(end)));
    }
}
