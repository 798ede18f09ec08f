//! How messages are read off a gRPC stream: each out of one piece of memory.
//!
//! tonic's stock codec decodes out of a buffer behind several layers, byte by byte. To take the message out of that as a
//! whole copies nothing, and saves about a fifth of what reading a batch of events costs.

use std::{fmt, marker::PhantomData};

use bytes::Buf;
use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// Writes `T` as any generated client or server does, and reads `U` in one piece.
pub struct OnePiece<T, U>(PhantomData<fn() -> (T, U)>);

/// Reads `U` in one piece.
pub struct OnePieceDecoder<U>(PhantomData<fn() -> U>);

impl<T, U> Codec for OnePiece<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = OnePieceDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        OnePieceDecoder::default()
    }
}

impl<U: Message + Default> Decoder for OnePieceDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        // The status of tonic's own.
        U::decode(message).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<T, U> Default for OnePiece<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<U> Default for OnePieceDecoder<U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> fmt::Debug for OnePiece<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnePiece")
    }
}

impl<U> fmt::Debug for OnePieceDecoder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnePieceDecoder")
    }
}
