//! The limit: length, bytes, length, bytes, as many in one write as are due; the number of what was taken comes back
//! whenever the input runs dry. With and without the protobuf work on both sides.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hookwire_protocol::v1::Event;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use super::link::{self, Listener, Reader};
use crate::{
    load::Source,
    role::{BoxError, Received, Report, Stage},
};

/// Events in one write: about 64 KiB.
const WRITE_EVENTS: u64 = 256;

/// What one read may bring, in bytes.
const READ_BYTES: usize = 256 << 10;

/// No event of ours is larger; a length beyond it is a fault of the framing.
const MAX_FRAME: usize = 1 << 20;

/// Puts one event behind what is to be written.
pub(super) trait Encode: Send + 'static {
    fn put(&mut self, source: &mut Source, out: &mut BytesMut);
}

/// Bytes that were made once; only the time in them changes.
pub(super) struct Copied(Option<Vec<u8>>);

/// Every event is made and encoded.
pub(super) struct Encoded;

impl Copied {
    pub(super) fn new() -> Self {
        Self(None)
    }
}

impl Encode for Copied {
    fn put(&mut self, source: &mut Source, out: &mut BytesMut) {
        match &self.0 {
            None => {
                // Its time leads the frame: the limit looks for nothing in the bytes that it carries.
                let event = source.event();
                let mut bytes = event.encode_to_vec();
                bytes[..8].copy_from_slice(&event.time_unix_nano.to_le_bytes());
                put_frame(out, &bytes);
                self.0 = Some(bytes);
            }
            Some(bytes) => {
                out.put_u32(bytes.len() as u32);
                out.put_u64_le(source.time());
                out.put_slice(&bytes[8..]);
            }
        }
    }
}

impl Encode for Encoded {
    fn put(&mut self, source: &mut Source, out: &mut BytesMut) {
        let event = source.event();
        out.put_u32(event.encoded_len() as u32);
        event.encode(out).expect("a BytesMut grows");
    }
}

/// The time in a frame of [`Copied`].
pub(super) fn copied_time(mut frame: Bytes) -> Result<u64, BoxError> {
    Ok(frame.try_get_u64_le()?)
}

/// The time in a frame of [`Encoded`].
pub(super) fn decoded_time(frame: Bytes) -> Result<u64, BoxError> {
    Ok(Event::decode(frame)?.time_unix_nano)
}

/// The same bytes to every subscriber, one after the other.
pub(super) async fn produce(mut stage: Stage, mut encode: impl Encode) -> Result<Report, BoxError> {
    let load = stage.role.load;
    let listener = Listener::bind(&stage.role.address).await?;
    stage.ready(&listener.address()?);
    let (mut writers, mut acks) = (Vec::new(), JoinSet::new());
    for _ in 0..load.subscribers {
        let (reader, writer) = listener.accept().await?;
        writers.push(writer);
        acks.spawn(acknowledged(reader, load.events));
    }
    let mut source = Source::new(load);
    stage.go().await;
    let mut bytes = BytesMut::new();
    loop {
        let due = source.due(WRITE_EVENTS).await;
        if due == 0 {
            break;
        }
        (0..due).for_each(|_| encode.put(&mut source, &mut bytes));
        for writer in &mut writers {
            writer.write_all(&bytes).await?;
        }
        bytes.clear();
    }
    while let Some(taken) = acks.join_next().await {
        taken??;
    }
    Ok(Report::sent(source.sent()))
}

/// Ends when everything is acknowledged.
async fn acknowledged(mut reader: Reader, events: u64) -> Result<(), BoxError> {
    while reader.read_u64().await? < events {}
    Ok(())
}

pub(super) async fn consume(
    stage: Stage,
    time: fn(Bytes) -> Result<u64, BoxError>,
) -> Result<Report, BoxError> {
    let (mut reader, mut writer) = link::connect(&stage.role.address).await?;
    stage.ready("");
    let mut received = Received::new(stage.role.load);
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    while !received.is_complete() {
        bytes.reserve(READ_BYTES);
        if reader.read_buf(&mut bytes).await? == 0 {
            return Err("the producer has hung up".into());
        }
        while let Some(frame) = take_frame(&mut bytes)? {
            received.take(time(frame)?);
        }
        writer.write_u64(received.events()).await?;
    }
    Ok(Report::received(received))
}

fn put_frame(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

/// The next whole frame, if it is here.
fn take_frame(bytes: &mut BytesMut) -> Result<Option<Bytes>, BoxError> {
    let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_FRAME {
        return Err(format!("a frame of {length} bytes").into());
    }
    if bytes.len() < 4 + length {
        return Ok(None);
    }
    bytes.advance(4);
    Ok(Some(bytes.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Load;

    const LOAD: Load = Load { events: 3, subscribers: 1, sessions: 2, rate: None, ends: false };

    fn framed(mut encode: impl Encode) -> (Source, BytesMut) {
        let (mut source, mut bytes) = (Source::new(LOAD), BytesMut::new());
        (0..LOAD.events).for_each(|_| encode.put(&mut source, &mut bytes));
        (source, bytes)
    }

    fn received(mut bytes: BytesMut, time: fn(Bytes) -> Result<u64, BoxError>) -> Received {
        let mut received = Received::new(LOAD);
        while let Some(frame) = take_frame(&mut bytes).unwrap() {
            received.take(time(frame).unwrap());
        }
        received
    }

    #[test]
    fn what_is_framed_is_taken() {
        let (source, bytes) = framed(Copied::new());
        assert_eq!(received(bytes, copied_time).tally(), source.sent());
        let (source, bytes) = framed(Encoded);
        assert_eq!(received(bytes, decoded_time).tally(), source.sent());
    }

    #[test]
    fn a_frame_waits_for_its_last_byte() {
        let (_, bytes) = framed(Encoded);
        let length = 4 + 246;
        for here in 0..length {
            let mut part = BytesMut::from(&bytes[..here]);
            assert_eq!(take_frame(&mut part).unwrap(), None);
            assert_eq!(part.len(), here, "nothing is lost");
        }
        assert!(take_frame(&mut BytesMut::from(&bytes[..length])).unwrap().is_some());
    }

    #[test]
    fn a_frame_that_cannot_be_is_an_error() {
        assert!(take_frame(&mut BytesMut::from(&[0xff; 8][..])).is_err());
    }
}
