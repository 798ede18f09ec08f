//! What goes to the transport: gRPC messages, framed here, so that an event's bytes are never encoded twice.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use hookwire_protocol::v1::{self, BatchKind, subscribe_response};
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

use super::pull::MAX_BATCH_BYTES;
use crate::queue::run::Run;

/// gRPC's own prefix: not compressed, then the length (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const PREFIX_BYTES: usize = 5;

/// The most that can stand before a batch's events: the prefix, a length, and three numbers.
const HEAD_BYTES: usize = PREFIX_BYTES + 4 * 11;

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
enum Piece {
    /// A range of what others have, too.
    Shared(Bytes, Range<usize>),
    /// So many of [`Batch::copied`].
    Copied(usize),
}

/// A batch in the making.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) kind: BatchKind,
    first_seq: u64,
    budget_ms: u32,
    pieces: Vec<Piece>,
    /// Room for what stands before the events, then all that is copied.
    copied: Vec<u8>,
    events: usize,
    bytes: usize,
}

impl Batch {
    pub(crate) fn new(kind: BatchKind, first_seq: u64) -> Self {
        Self {
            kind,
            first_seq,
            budget_ms: 0,
            pieces: Vec::new(),
            copied: vec![0; HEAD_BYTES],
            events: 0,
            bytes: 0,
        }
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

    /// Adds events that others get, too; where they go on where the last ones ended, they are one piece with those.
    pub(crate) fn push(&mut self, run: &Run) {
        let (bytes, start, end) = run.range();
        self.count(run.span.len(), end - start);
        match self.pieces.last_mut() {
            Some(Piece::Shared(last, range)) if range.end == start && last.as_ptr() == bytes.as_ptr() => {
                range.end = end;
            }
            _ => {
                self.copy_if_small();
                self.pieces.push(Piece::Shared(bytes.clone(), start..end));
            }
        }
    }

    /// Adds one event that nobody shares.
    pub(crate) fn copy(&mut self, event: &[u8]) {
        self.count(1, event.len());
        self.copy_if_small();
        self.append(event);
    }

    fn count(&mut self, events: usize, bytes: usize) {
        self.events += events;
        self.bytes += bytes;
    }

    /// The last piece does not grow any more: where it is small, it is copied.
    fn copy_if_small(&mut self) {
        let small = |piece: &mut Piece| matches!(piece, Piece::Shared(_, range) if range.len() < SHARE_FROM);
        if let Some(Piece::Shared(bytes, range)) = self.pieces.pop_if(small) {
            self.append(&bytes[range]);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.copied.capacity() - self.copied.len() < bytes.len() {
            // One event is often alone; a second one seldom comes without many.
            self.copied.reserve(if self.events == 1 {
                bytes.len()
            } else {
                MAX_BATCH_BYTES.max(bytes.len())
            });
        }
        self.copied.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Piece::Copied(length)) => *length += bytes.len(),
            _ => self.pieces.push(Piece::Copied(bytes.len())),
        }
    }

    /// The finished message.
    pub(crate) fn frame(mut self) -> Frame {
        self.copy_if_small();
        let head = self.head();
        let start = HEAD_BYTES - head.len();
        self.copied[start..HEAD_BYTES].copy_from_slice(&head);
        if self.copied.capacity() / 2 > self.copied.len() {
            self.copied.shrink_to_fit(); // a transport may hold many small ones
        }
        let (copied, mut start, mut end) = (Bytes::from(self.copied), start, HEAD_BYTES);
        let mut pieces = Vec::with_capacity(self.pieces.len() + 1);
        for piece in self.pieces {
            match piece {
                Piece::Copied(length) => end += length,
                Piece::Shared(bytes, range) => {
                    pieces.push(copied.slice(start..end));
                    pieces.push(bytes.slice(range));
                    start = end;
                }
            }
        }
        pieces.push(copied.slice(start..end));
        pieces.retain(|piece| !piece.is_empty());
        Frame { pieces, last: false }
    }

    /// What stands before the events.
    fn head(&self) -> Vec<u8> {
        let numbers = [self.first_seq, self.kind as u64, self.budget_ms.into()];
        let numbers_len: usize = numbers.iter().map(|number| 1 + encoded_len_varint(*number)).sum();
        let inner = numbers_len + self.bytes;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        put_prefix(1 + encoded_len_varint(inner as u64) + inner, &mut head);
        head.put_u8(EVENTS);
        encode_varint(inner as u64, &mut head);
        for (field, number) in (1..).zip(numbers) {
            head.put_u8(field << 3);
            encode_varint(number, &mut head);
        }
        head
    }
}

fn put_prefix(length: usize, buffer: &mut impl BufMut) {
    buffer.put_u8(0);
    buffer.put_u32(length as u32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::run::tests::run;

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

    /// Runs of one event each, side by side.
    fn runs(events: &[&[u8]]) -> Vec<Run> {
        let mut positions = 0..;
        let sizes: Vec<_> =
            events.iter().map(|event| (positions.next().unwrap_or(0), 1, event.len() as u32)).collect();
        run(&sizes).with_bytes(events.concat().into()).singles().collect()
    }

    #[test]
    fn small_pieces_are_copied_and_large_ones_shared() {
        let (small, large) = (element("small", 1), element("large", SHARE_FROM));
        let lot = runs(&[&small, &large, &small]);
        let mut batch = Batch::new(BatchKind::Live, 41);
        batch.set_budget_ms(1500);
        batch.copy(&small);
        batch.push(&lot[0]);
        batch.push(&lot[1]);
        batch.push(&runs(&[&small])[0]);
        batch.copy(&small);
        batch.push(&lot[0]);
        assert_eq!(batch.events(), 6);
        let frame = batch.frame();
        // The two that lie side by side are one shared piece.
        assert_eq!(frame.pieces[1].as_ptr(), lot[0].range().0.as_ptr());
        assert_eq!(frame.pieces.len(), 3);
        let batch = decode(&frame);
        assert_eq!((batch.first_seq, batch.kind(), batch.budget_ms), (41, BatchKind::Live, 1500));
        let hooks: Vec<_> = batch.events.iter().map(|event| event.hook.as_str()).collect();
        assert_eq!(hooks, ["small", "small", "large", "small", "small", "small"]);
    }

    #[test]
    fn the_largest_numbers_have_room() {
        let mut batch = Batch::new(BatchKind::Redelivered, u64::MAX);
        batch.set_budget_ms(u32::MAX);
        batch.push(&runs(&[&element("large", 3 << 20)])[0]);
        assert_eq!(decode(&batch.frame()).first_seq, u64::MAX);
    }

    #[test]
    fn a_goodbye_is_the_last_frame() {
        let goodbye = subscribe_response::Message::Goodbye(subscribe_response::Goodbye::default());
        assert!(Frame::control(goodbye).last);
        assert!(!Frame::control(subscribe_response::Message::CaughtUp(v1::CaughtUp::default())).last);
    }
}
