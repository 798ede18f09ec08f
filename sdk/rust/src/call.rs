//! The call that opens a stream: the generated client's, but for how it reads.
//!
//! That one decodes out of a buffer behind several layers, byte by byte. A message is taken out of it as a whole
//! here, which copies nothing, and decoded out of one piece of memory: the same messages, for much less work.

use bytes::Buf;
use hookwire_protocol::v1::{SubscribeRequest, SubscribeResponse};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    IntoStreamingRequest, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};
use tonic_prost::ProstEncoder;

use crate::{MAX_MESSAGE_BYTES, outcome::in_full};

const SUBSCRIBE: &str = "/hookwire.v1.HookService/Subscribe";

/// Opens a stream. What is queued before is sent without waiting for an answer.
pub(crate) async fn subscribe(
    channel: Channel,
    requests: mpsc::Receiver<SubscribeRequest>,
) -> Result<Streaming<SubscribeResponse>, Status> {
    let mut client = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    client.ready().await.map_err(|error| Status::unavailable(in_full(&error)))?;
    let requests = ReceiverStream::new(requests).into_streaming_request();
    let response = client.streaming(requests, PathAndQuery::from_static(SUBSCRIBE), InOnePiece).await?;
    Ok(response.into_inner())
}

/// Writes as a generated client does, and reads each message out of one piece of memory.
#[derive(Debug)]
struct InOnePiece;

impl Codec for InOnePiece {
    type Encode = SubscribeRequest;
    type Decode = SubscribeResponse;
    type Encoder = ProstEncoder<SubscribeRequest>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self
    }
}

impl Decoder for InOnePiece {
    type Item = SubscribeResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<SubscribeResponse>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        // The status of a generated client.
        SubscribeResponse::decode(message).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
