//! An event's bytes: encoded once, straight from what the gateway sent, as an element of `EventBatch.events`.

use bytes::{BufMut, Bytes, BytesMut};
use hookwire_protocol::v1;
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

/// `EventBatch.events`, length-delimited.
const ELEMENT: u8 = 4 << 3 | 2;

/// What makes one event. Field numbers are those of `Event`; a test decodes what this writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) id: EventId<'a>,
    pub(crate) hook: &'a str,
    pub(crate) gateway: &'a str,
    pub(crate) boot: &'a str,
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

/// Encodes events one behind the other, with a scratch buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    scratch: Vec<u8>,
}

impl Encoder {
    /// Appends an element to the chunk; says how many bytes it took.
    pub(crate) fn append(&mut self, parts: &Parts<'_>, chunk: &mut BytesMut) -> u32 {
        self.scratch.clear();
        put_event(parts, &mut self.scratch);
        let before = chunk.len();
        chunk.reserve(self.scratch.len() + 6);
        chunk.put_u8(ELEMENT);
        encode_varint(self.scratch.len() as u64, chunk);
        chunk.put_slice(&self.scratch);
        (chunk.len() - before) as u32
    }

    /// An element of its own.
    pub(crate) fn encode(&mut self, parts: &Parts<'_>) -> Bytes {
        let mut chunk = BytesMut::new();
        self.append(parts, &mut chunk);
        chunk.freeze()
    }
}

fn put_event(parts: &Parts<'_>, out: &mut Vec<u8>) {
    put_id(parts.id, out);
    put_text(2, parts.hook, out);
    put_text(3, parts.gateway, out);
    put_text(4, parts.boot, out);
    if let Some(session) = &parts.session {
        put_session(session, out);
    }
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
}

fn put_id(id: EventId<'_>, out: &mut Vec<u8>) {
    use std::io::Write as _;
    out.put_u8(1 << 3 | 2);
    let length_at = out.len();
    out.put_u8(0);
    let written = match id {
        EventId::Start { ledger, incarnation } => write!(out, "{ledger}-{incarnation}-start"),
        EventId::End { ledger, incarnation } => write!(out, "{ledger}-{incarnation}-end"),
        EventId::Stop { boot } => write!(out, "{boot}-stop"),
        EventId::Published { emitter, publish_seq } => write!(out, "{emitter}-{publish_seq}"),
    };
    debug_assert!(written.is_ok(), "a Vec takes all that is written to it");
    let length = out.len() - length_at - 1;
    debug_assert!(length < 0x80, "ids are digests and numbers: one byte holds their length");
    out[length_at] = length as u8;
}

fn put_session(session: &SessionParts<'_>, out: &mut Vec<u8>) {
    let length = text_len(session.id) + text_len(session.key) + text_len(session.agent);
    let number = if session.incarnation == 0 { 0 } else { 1 + encoded_len_varint(session.incarnation) };
    out.put_u8(5 << 3 | 2);
    encode_varint((length + number) as u64, out);
    put_text(1, session.id, out);
    put_text(2, session.key, out);
    put_text(3, session.agent, out);
    put_number(4, session.incarnation, out);
}

/// The size of a text field with a number below 16.
fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { 1 + encoded_len_varint(text.len() as u64) + text.len() }
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
        gateway: "gw",
        boot: "b1",
        session: Some(SessionParts { id: "s1", key: "agent:main", agent: "main", incarnation: 1000 }),
        session_seq: 7,
        time_unix_nano: 1_795_343_860_866_000_000,
        traceparent: "00-25066da7d1bfcd66baad101be018d35f-8cc5759d2e75d1d1-01",
        synthetic: true,
        late: true,
        payload: Payload::Json(br#"{"a":1}"#),
    };

    fn decode(parts: &Parts<'_>) -> v1::Event {
        let element = Encoder::default().encode(parts);
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
        assert_eq!(Encoder::default().encode(&PARTS), batch.encode_to_vec());
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
