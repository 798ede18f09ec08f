//! An event's bytes: encoded once, straight from what the gateway sent, as an element of `EventBatch.events`.

use bytes::{BufMut, Bytes};
use hookwire_protocol::v1;
use itoa::Buffer;
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

use super::given;

/// `EventBatch.events`, length-delimited.
const ELEMENT: u8 = 4 << 3 | 2;

/// What makes one event. Field numbers are those of `Event`; a test decodes what this writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) id: EventId<'a>,
    pub(crate) hook: &'a str,
    /// The gateway and the boot, as [`origin`] encodes them.
    pub(crate) origin: &'a [u8],
    pub(crate) session: Option<SessionParts<'a>>,
    pub(crate) session_seq: u64,
    pub(crate) time_unix_nano: u64,
    pub(crate) traceparent: &'a str,
    pub(crate) synthetic: bool,
    pub(crate) late: bool,
    pub(crate) payload: Payload<'a>,
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

/// What every event of one boot has in common.
pub(crate) fn origin(gateway: &str, boot: &str) -> Box<[u8]> {
    let mut origin = Vec::new();
    put_text(3, gateway, &mut origin);
    put_text(4, boot, &mut origin);
    origin.into()
}

/// Where an element's session names its agent and its key, counted from the element's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    agent: (u32, u16),
    key: (u32, u16),
}

impl Names {
    /// The agent and the key, of the element that ends where these bytes do.
    pub(crate) fn read<'a>(&self, until_end: &'a [u8]) -> (&'a str, &'a str) {
        let text = |(back, length): (u32, u16)| {
            let from = until_end.len() - back as usize;
            std::str::from_utf8(&until_end[from..from + usize::from(length)]).unwrap_or_default()
        };
        (text(self.agent), text(self.key))
    }
}

/// Appends an element; says where it names its session, if it does.
pub(crate) fn append(parts: &Parts<'_>, out: &mut Vec<u8>) -> Option<Names> {
    let start = out.len();
    // Nearly all events have a length of two bytes: that much room is left for it.
    out.extend([ELEMENT, 0, 0]);
    let session_end = put_event(parts, out);
    let length = out.len() - start - 3;
    let names = parts.session.map(|session| names(&session, out.len() - session_end));
    if let 0x80..0x4000 = length {
        out[start + 1] = length as u8 | 0x80;
        out[start + 2] = (length >> 7) as u8;
    } else {
        let mut varint = Vec::new();
        encode_varint(length as u64, &mut varint);
        out.splice(start + 1..start + 3, varint);
    }
    names
}

/// Where the names stand in a session that ends so many bytes before its element does.
fn names(session: &SessionParts<'_>, behind: usize) -> Names {
    let agent = behind + number_len(session.incarnation) + session.agent.len();
    let key = agent + text_len(session.agent) - session.agent.len() + session.key.len();
    // Names are at most a kilobyte, as whatever takes them in makes sure.
    let place = |back: usize, text: &str| (back as u32, text.len() as u16);
    Names { agent: place(agent, session.agent), key: place(key, session.key) }
}

/// An element of its own.
pub(crate) fn encode(parts: &Parts<'_>) -> Bytes {
    let mut element = Vec::new();
    append(parts, &mut element);
    element.into()
}

/// Says where the session ends.
fn put_event(parts: &Parts<'_>, out: &mut Vec<u8>) -> usize {
    put_id(parts.id, out);
    put_text(2, parts.hook, out);
    out.put_slice(parts.origin);
    if let Some(session) = &parts.session {
        put_session(session, out);
    }
    let session_end = out.len();
    put_number(6, parts.session_seq, out);
    if parts.time_unix_nano != 0 {
        out.put_u8(7 << 3 | 1);
        out.put_u64_le(parts.time_unix_nano);
    }
    put_text(8, parts.traceparent, out);
    put_number(9, parts.synthetic.into(), out);
    put_number(10, parts.late.into(), out);
    match parts.payload {
        Payload::None => {}
        Payload::Json(json) => put_bytes(11, json, out),
        Payload::SessionStart(message) => put_message(12, message, out),
        Payload::SessionEnd(message) => put_message(13, message, out),
        Payload::GatewayStart(message) => put_message(14, message, out),
        Payload::GatewayStop(message) => put_message(15, message, out),
    }
    session_end
}

fn put_id(id: EventId<'_>, out: &mut Vec<u8>) {
    let mut digits = Buffer::new();
    let (name, number, suffix) = match id {
        EventId::Start { ledger, incarnation } => (ledger, Some(incarnation), "-start"),
        EventId::End { ledger, incarnation } => (ledger, Some(incarnation), "-end"),
        EventId::Stop { boot } => (boot, None, "-stop"),
        EventId::Published { emitter, publish_seq } => (emitter, Some(publish_seq), ""),
    };
    let number = number.map_or("", |number| digits.format(number));
    let dash = usize::from(!number.is_empty());
    out.put_u8(1 << 3 | 2);
    encode_varint((name.len() + dash + number.len() + suffix.len()) as u64, out);
    out.put_slice(name.as_bytes());
    out.extend(&b"-"[..dash]);
    out.put_slice(number.as_bytes());
    out.put_slice(suffix.as_bytes());
}

fn put_session(session: &SessionParts<'_>, out: &mut Vec<u8>) {
    let length = text_len(session.id) + text_len(session.key) + text_len(session.agent);
    out.put_u8(5 << 3 | 2);
    encode_varint((length + number_len(session.incarnation)) as u64, out);
    put_text(1, session.id, out);
    put_text(2, session.key, out);
    put_text(3, session.agent, out);
    put_number(4, session.incarnation, out);
}

/// The size of a text field with a number below 16.
fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { 1 + encoded_len_varint(text.len() as u64) + text.len() }
}

fn number_len(number: u64) -> usize {
    if number == 0 { 0 } else { 1 + encoded_len_varint(number) }
}

fn put_text(field: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes(field, text.as_bytes(), out);
    }
}

fn put_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.put_u8(field << 3 | 2);
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}

fn put_number(field: u8, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        out.put_u8(field << 3);
        encode_varint(number, out);
    }
}

fn put_message(field: u8, message: &impl Message, out: &mut Vec<u8>) {
    out.put_u8(field << 3 | 2);
    encode_varint(message.encoded_len() as u64, out);
    // Cannot fail: a Vec grows.
    let _ = message.encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts<'static> = Parts {
        id: EventId::Published { emitter: "0123456789abcdef", publish_seq: 300 },
        hook: "message_received",
        // gateway_id "gw", boot_id "b1"
        origin: b"\x1a\x02gw\x22\x02b1",
        session: Some(SessionParts { id: "s1", key: "agent:main", agent: "main", incarnation: 1000 }),
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
            let mut out = b"before".to_vec();
            append(&parts, &mut out);
            assert_eq!(out[6..], batch.encode_to_vec());
        }
    }

    #[test]
    fn names_are_found_again() {
        let long = "k".repeat(20_000);
        for (agent, key, incarnation) in
            [("main", "agent:main", 1000), ("", "", 0), ("a", "", 1), ("", "k", 0), ("b", &long[..200], 1)]
        {
            let session = Some(SessionParts { id: "s1", key, agent, incarnation });
            for payload in
                [Payload::None, Payload::Json(&long.as_bytes()[..100]), Payload::Json(long.as_bytes())]
            {
                let mut out = b"before".to_vec();
                let names = append(&Parts { session, payload, ..PARTS }, &mut out).expect("a session");
                assert_eq!(names.read(&out), (agent, key));
            }
        }
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
