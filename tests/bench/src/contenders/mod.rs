//! Who is compared. Each has a producer and a consumer; what it means to be delivered is the same for all: received,
//! decoded, acknowledged.

mod credit;
pub mod embedded;
mod http;
mod jetstream;
mod link;
mod nats;
mod raw;
mod redis;
mod resp;
mod stream;
mod unary;

use serde::{Deserialize, Serialize};

use crate::role::{BoxError, Report, Side, Stage};

/// How many calls a producer has under way where every event is a call.
const CALLS_IN_FLIGHT: usize = 64;

/// Code that prost made of `proto/peers.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)] // generated: its comments are in the .proto
mod peers {
    tonic::include_proto!("hookwire.bench.peers");
}

/// Who is compared in two processes of this crate's, and a broker between some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// Frames of bytes over TCP or a Unix socket: the limit.
    Raw,
    /// The same with each event encoded and decoded: the fair limit.
    Protobuf,
    /// gRPC, a call for each event.
    Unary,
    /// gRPC, a stream with a message for each event and one for each answer.
    PerEvent,
    /// HTTP/1.1, a POST for each event.
    Http,
    /// Core NATS; what is acknowledged is said by the consumer.
    Nats,
    /// NATS with JetStream.
    JetStream,
    /// Redis Streams.
    Redis,
    /// Hookwire in the gateway's process. Only a producer: its plugin is the `hookwire` binary's.
    Embedded,
}

impl Contender {
    /// Plays one side to its end.
    ///
    /// # Errors
    /// Whatever the network or the other side does wrong.
    pub async fn play(self, side: Side, stage: Stage) -> Result<Report, BoxError> {
        use Side::{Consumer, Producer};
        match (self, side) {
            (Self::Raw, Producer) => raw::produce(stage, raw::Copied::new()).await,
            (Self::Raw, Consumer) => raw::consume(stage, raw::copied_time).await,
            (Self::Protobuf, Producer) => raw::produce(stage, raw::Encoded).await,
            (Self::Protobuf, Consumer) => raw::consume(stage, raw::decoded_time).await,
            (Self::Unary, Producer) => unary::produce(stage).await,
            (Self::Unary, Consumer) => unary::consume(stage).await,
            (Self::PerEvent, Producer) => stream::produce(stage).await,
            (Self::PerEvent, Consumer) => stream::consume(stage).await,
            (Self::Http, Producer) => http::produce(stage).await,
            (Self::Http, Consumer) => http::consume(stage).await,
            (Self::Nats, Producer) => nats::produce(stage).await,
            (Self::Nats, Consumer) => nats::consume(stage).await,
            (Self::JetStream, Producer) => jetstream::produce(stage).await,
            (Self::JetStream, Consumer) => jetstream::consume(stage).await,
            (Self::Redis, Producer) => redis::produce(stage).await,
            (Self::Redis, Consumer) => redis::consume(stage).await,
            (Self::Embedded, Producer) => embedded::produce(stage).await,
            (Self::Embedded, Consumer) => Err("its plugin is the hookwire binary's".into()),
        }
    }

    /// Which side is set up first: it listens, or what it takes is kept for it from then on.
    pub fn first(self) -> Side {
        match self {
            Self::Unary | Self::Http => Side::Consumer, // the plugin is a server
            Self::Nats | Self::JetStream | Self::Redis => Side::Consumer, // a subscription is there before its events
            _ => Side::Producer,
        }
    }
}
