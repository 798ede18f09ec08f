//! What goes to the transport: gRPC messages, framed here, so that an event's bytes are never encoded twice.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use hookwire_protocol::v1::{self, BatchKind, subscribe_response};
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

use crate::queue::run::Run;

/// gRPC's own prefix: not compressed, then the length (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const PREFIX_BYTES: usize = 5;

/// `SubscribeResponse.events`, length-delimited.
const EVENTS: u8 = 2 << 3 | 2;

/// A run of shared bytes at least this long is handed on as it is; below, copying it is cheaper than a frame of its own.
const SHARE_FROM: usize = 4096;

/// One gRPC message, in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) pieces: Vec<Bytes>,
    /// Nothing comes after it.
    pub(crate) last: bool,
}

impl Frame {
    /// Any message but a batch.
    pub(crate) fn control(message: subscribe_response::Message) -> Self {
        let last = matches!(message, subscribe_response::Message::Goodbye(_));
        let message = v1::SubscribeResponse { message: Some(message) };
        let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len());
        put_prefix(message.encoded_len(), &mut frame);
        // Cannot fail: the buffer grows.
        let _ = message.encode(&mut frame);
        Self { pieces: vec![frame.freeze()], last }
    }
}

/// A batch in the making: ranges of shared bytes.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) kind: BatchKind,
    first_seq: u64,
    budget_ms: u32,
    pieces: Vec<(Bytes, Range<usize>)>,
    events: usize,
    bytes: usize,
}

impl Batch {
    pub(crate) fn new(kind: BatchKind, first_seq: u64) -> Self {
        Self { kind, first_seq, budget_ms: 0, pieces: Vec::new(), events: 0, bytes: 0 }
    }

    pub(crate) fn set_budget_ms(&mut self, budget_ms: u32) {
        self.budget_ms = budget_ms;
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    pub(crate) fn events(&self) -> usize {
        self.events
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds events that lie side by side; where they go on where the last ones ended, they are one piece with those.
    pub(crate) fn push(&mut self, run: &Run) {
        let (bytes, start, end) = run.range();
        self.add(bytes, start..end, run.span.len());
    }

    /// Adds an event that stands alone.
    pub(crate) fn push_one(&mut self, event: &Bytes) {
        self.add(event, 0..event.len(), 1);
    }

    fn add(&mut self, bytes: &Bytes, range: Range<usize>, events: usize) {
        self.events += events;
        self.bytes += range.len();
        match self.pieces.last_mut() {
            Some((last, until)) if until.end == range.start && last.as_ptr() == bytes.as_ptr() => {
                until.end = range.end;
            }
            _ => self.pieces.push((bytes.clone(), range)),
        }
    }

    /// The finished message.
    pub(crate) fn frame(self) -> Frame {
        let head = [1 << 3, 2 << 3, 3 << 3].into_iter().zip([
            self.first_seq,
            self.kind as u64,
            self.budget_ms.into(),
        ]);
        let head_len: usize = head.clone().map(|(_, number)| 1 + encoded_len_varint(number)).sum();
        let inner = head_len + self.bytes;
        let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + 40 + self.copied_bytes());
        put_prefix(1 + encoded_len_varint(inner as u64) + inner, &mut buffer);
        buffer.put_u8(EVENTS);
        encode_varint(inner as u64, &mut buffer);
        for (tag, number) in head {
            buffer.put_u8(tag);
            encode_varint(number, &mut buffer);
        }
        Frame { pieces: pieces(buffer, self.pieces), last: false }
    }

    fn copied_bytes(&self) -> usize {
        self.pieces.iter().map(|(_, range)| range.len()).filter(|len| *len < SHARE_FROM).sum()
    }
}

fn pieces(mut buffer: BytesMut, shared: Vec<(Bytes, Range<usize>)>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    for (bytes, range) in shared {
        if range.len() < SHARE_FROM {
            buffer.put_slice(&bytes[range]);
        } else {
            pieces.push(buffer.split().freeze());
            pieces.push(bytes.slice(range));
        }
    }
    pieces.push(buffer.freeze());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn put_prefix(length: usize, buffer: &mut BytesMut) {
    buffer.put_u8(0);
    buffer.put_u32(length as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(frame: &Frame) -> v1::EventBatch {
        let whole = frame.pieces.concat();
        let length = u32::from_be_bytes([whole[1], whole[2], whole[3], whole[4]]);
        assert_eq!((whole[0], length as usize), (0, whole.len() - PREFIX_BYTES));
        match v1::SubscribeResponse::decode(&whole[PREFIX_BYTES..]).expect("a whole message").message {
            Some(subscribe_response::Message::Events(batch)) => batch,
            other => panic!("not a batch: {other:?}"),
        }
    }

    fn element(hook: &str, fill: usize) -> Vec<u8> {
        let event = v1::Event { hook: hook.into(), traceparent: "x".repeat(fill), ..Default::default() };
        v1::EventBatch { events: vec![event], ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn small_runs_are_copied_and_large_ones_shared() {
        let (small, large) = (element("small", 1), element("large", SHARE_FROM));
        let chunk = Bytes::from([small.clone(), large.clone(), small.clone()].concat());
        let other = Bytes::from(small.clone());
        let mut batch = Batch::new(BatchKind::Live, 41);
        batch.set_budget_ms(1500);
        batch.push_one(&other);
        batch.add(&chunk, 0..small.len(), 1);
        batch.add(&chunk, small.len()..small.len() + large.len(), 1);
        batch.push_one(&other);
        assert_eq!(batch.events(), 4);
        let frame = batch.frame();
        // The two that lie side by side in one chunk are one shared piece.
        assert_eq!(frame.pieces[1].as_ptr(), chunk.as_ptr());
        assert_eq!(frame.pieces.len(), 3);
        let batch = decode(&frame);
        assert_eq!((batch.first_seq, batch.kind(), batch.budget_ms), (41, BatchKind::Live, 1500));
        let hooks: Vec<_> = batch.events.iter().map(|event| event.hook.as_str()).collect();
        assert_eq!(hooks, ["small", "small", "large", "small"]);
    }

    #[test]
    fn a_goodbye_is_the_last_frame() {
        let goodbye = subscribe_response::Message::Goodbye(subscribe_response::Goodbye::default());
        assert!(Frame::control(goodbye).last);
        assert!(!Frame::control(subscribe_response::Message::CaughtUp(v1::CaughtUp::default())).last);
    }
}
