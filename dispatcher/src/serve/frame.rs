//! What goes to the transport: gRPC messages, framed here, so that an event's bytes are never encoded twice.

use bytes::{BufMut, Bytes, BytesMut};
use hookwire_protocol::v1::{self, BatchKind, subscribe_response};
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

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

/// Bytes that lie side by side.
#[derive(Debug)]
enum Run {
    /// A range of a chunk.
    Shared(Bytes, usize, usize),
    /// So many of [`Batch::copied`].
    Copied(usize),
}

/// A batch in the making: a list of runs.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) kind: BatchKind,
    first_seq: u64,
    budget_ms: u32,
    runs: Vec<Run>,
    /// The bytes of all runs that were copied.
    copied: Vec<u8>,
    events: usize,
    bytes: usize,
}

impl Batch {
    pub(crate) fn new(kind: BatchKind, first_seq: u64) -> Self {
        Self { kind, first_seq, budget_ms: 0, runs: Vec::new(), copied: Vec::new(), events: 0, bytes: 0 }
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

    /// Adds one event: a range of a chunk. What lies side by side in one chunk becomes one run.
    pub(crate) fn push(&mut self, chunk: &Bytes, start: usize, end: usize) {
        self.events += 1;
        self.bytes += end - start;
        match self.runs.last_mut() {
            Some(Run::Shared(last, _, until)) if *until == start && last.as_ptr() == chunk.as_ptr() => {
                *until = end
            }
            _ => self.runs.push(Run::Shared(chunk.clone(), start, end)),
        }
    }

    /// Adds one event that stands alone.
    pub(crate) fn push_one(&mut self, event: &Bytes) {
        if event.len() < SHARE_FROM { self.copy(event) } else { self.push(event, 0, event.len()) }
    }

    /// Adds one event that nobody shares.
    pub(crate) fn copy(&mut self, event: &[u8]) {
        self.events += 1;
        self.bytes += event.len();
        self.copied.extend_from_slice(event);
        match self.runs.last_mut() {
            Some(Run::Copied(length)) => *length += event.len(),
            _ => self.runs.push(Run::Copied(event.len())),
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
        Frame { pieces: pieces(buffer, self.runs, &self.copied), last: false }
    }

    fn copied_bytes(&self) -> usize {
        let size = |run: &Run| match run {
            Run::Shared(_, start, end) if end - start >= SHARE_FROM => 0,
            Run::Shared(_, start, end) => end - start,
            Run::Copied(length) => *length,
        };
        self.runs.iter().map(size).sum()
    }
}

fn pieces(mut buffer: BytesMut, runs: Vec<Run>, mut copied: &[u8]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    for run in runs {
        match run {
            Run::Copied(length) => {
                let (run, rest) = copied.split_at(length);
                buffer.put_slice(run);
                copied = rest;
            }
            Run::Shared(chunk, start, end) if end - start < SHARE_FROM => {
                buffer.put_slice(&chunk[start..end])
            }
            Run::Shared(chunk, start, end) => {
                pieces.push(buffer.split().freeze());
                pieces.push(chunk.slice(start..end));
            }
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
        batch.push(&other, 0, small.len());
        batch.push(&chunk, 0, small.len());
        batch.push(&chunk, small.len(), small.len() + large.len());
        batch.copy(&small);
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
