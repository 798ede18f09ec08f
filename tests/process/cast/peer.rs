//! gRPC clients of our own: they say what no honest client says, or stop listening.

use hookwire_protocol::{
    codec::OnePiece,
    v1::{
        Ack, AttachRequest, AttachResponse, Publish, SubscribeRequest, SubscribeResponse, attach_request,
        attach_response, gateway_service_client::GatewayServiceClient,
        hook_service_client::HookServiceClient, subscribe_request, subscribe_response,
    },
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use http::uri::PathAndQuery;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, client::Grpc};

use super::process::DEADLINE;

/// Requests that may wait for the transport.
const REQUESTS: usize = 1024;

/// What a plugin says.
pub(crate) type Say = subscribe_request::Message;

/// What a plugin hears.
pub(crate) type Hear = subscribe_response::Message;

/// A plugin's stream.
#[derive(Debug)]
pub(crate) struct Plugin {
    outbound: mpsc::Sender<SubscribeRequest>,
    inbound: Streaming<SubscribeResponse>,
}

impl Plugin {
    /// Opens a stream, and says this first, if anything.
    pub(crate) async fn open(address: &Address, first: Option<Say>) -> Self {
        let (outbound, requests) = mpsc::channel(REQUESTS);
        if let Some(message) = first {
            outbound.try_send(SubscribeRequest { message: Some(message) }).unwrap();
        }
        let call = async {
            let mut client = HookServiceClient::new(address.connect().await.unwrap())
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
                .max_decoding_message_size(MAX_MESSAGE_BYTES);
            client.subscribe(ReceiverStream::new(requests)).await.unwrap().into_inner()
        };
        let inbound = timeout(DEADLINE, call).await.expect("the call is answered at once");
        Self { outbound, inbound }
    }

    /// Opens a stream, says Hello and reads until it has caught up.
    pub(crate) async fn subscribe(address: &Address, hello: subscribe_request::Hello) -> Self {
        let mut plugin = Self::open(address, Some(Say::Hello(hello))).await;
        plugin.until("CaughtUp", |message| matches!(message, Hear::CaughtUp(_))).await;
        plugin
    }

    /// Says something; on a stream that is over, nobody hears it.
    pub(crate) async fn say(&self, message: Say) {
        let _ = self.outbound.send(SubscribeRequest { message: Some(message) }).await;
    }

    /// Acknowledges everything up to there.
    pub(crate) async fn ack(&self, through_seq: u64) {
        self.say(Say::Ack(Ack { through_seq, exceptions: Vec::new() })).await;
    }

    /// The next message; an error once the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Hear, Status> {
        let next = timeout(DEADLINE, self.inbound.message()).await;
        let next = next.unwrap_or_else(|_| panic!("nothing came within {DEADLINE:?}"))?;
        next.and_then(|response| response.message).ok_or_else(|| Status::ok("the stream has ended"))
    }

    /// Reads until that message has come.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Hear) -> bool) -> Hear {
        let mut heard = Vec::new();
        loop {
            match self.next().await {
                Ok(message) if wanted(&message) => return message,
                Ok(message) => heard.push(message),
                Err(status) => panic!("no {what}, but {status:?} after {heard:#?}"),
            }
        }
    }

    /// Reads to the end of the stream: its status.
    pub(crate) async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

/// The Hello of a plugin that wants everything.
pub(crate) fn hello(name: &str) -> subscribe_request::Hello {
    subscribe_request::Hello {
        subscriber_id: name.to_owned(),
        instance_id: format!("{name}-1"),
        ..Default::default()
    }
}

/// A gateway's stream.
#[derive(Debug)]
pub(crate) struct Emitter {
    outbound: mpsc::Sender<AttachRequest>,
    inbound: Streaming<AttachResponse>,
}

impl Emitter {
    /// Attaches the gateway `raw`, always as the same emitter; the last publish_seq that was taken in is there, too.
    pub(crate) async fn attach(address: &Address) -> (Self, u64) {
        let hello = attach_request::Hello {
            gateway_id: "raw".to_owned(),
            boot_id: "boot-1".to_owned(),
            emitter_id: "emitter-1".to_owned(),
            ..Default::default()
        };
        let (outbound, requests) = mpsc::channel(REQUESTS);
        outbound.try_send(request(attach_request::Message::Hello(hello))).unwrap();
        let call = async {
            let mut client = GatewayServiceClient::new(address.connect().await.unwrap())
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            client.attach(ReceiverStream::new(requests)).await.unwrap().into_inner()
        };
        let inbound = timeout(DEADLINE, call).await.expect("the call is answered at once");
        let mut emitter = Self { outbound, inbound };
        match emitter.next().await {
            Ok(attach_response::Message::Welcome(welcome)) => (emitter, welcome.resume_after),
            other => panic!("no Welcome: {other:?}"),
        }
    }

    /// Says something.
    pub(crate) async fn say(&self, message: attach_request::Message) {
        self.outbound.send(request(message)).await.unwrap();
    }

    /// Publishes, and waits for what comes of it.
    pub(crate) async fn publish(&mut self, publish: Publish) -> Result<attach_response::Message, Status> {
        self.say(attach_request::Message::Publish(publish)).await;
        self.next().await
    }

    /// The next message; an error once the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<attach_response::Message, Status> {
        let next = timeout(DEADLINE, self.inbound.message()).await;
        let next = next.unwrap_or_else(|_| panic!("nothing came within {DEADLINE:?}"))?;
        next.and_then(|response| response.message).ok_or_else(|| Status::ok("the stream has ended"))
    }
}

fn request(message: attach_request::Message) -> AttachRequest {
    AttachRequest { message: Some(message) }
}

/// A request whose parts are bytes that nobody has looked at. The first part of every request is its Hello.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Unchecked {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) hello: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) second: Option<Vec<u8>>,
}

/// Sends such requests, and waits for the status that the call ends with.
pub(crate) async fn call_unchecked(
    address: &Address,
    path: &'static str,
    requests: Vec<Unchecked>,
) -> Status {
    let (channel, codec) = (address.connect().await.unwrap(), OnePiece::<Unchecked, Unchecked>::default());
    let (outbound, stream) = mpsc::channel(REQUESTS);
    requests.into_iter().for_each(|request| outbound.try_send(request).unwrap());
    let call = async {
        let mut grpc = Grpc::new(channel).max_encoding_message_size(MAX_MESSAGE_BYTES);
        grpc.ready().await.unwrap();
        let request = Request::new(ReceiverStream::new(stream));
        let response = grpc.streaming(request, PathAndQuery::from_static(path), codec).await;
        let mut responses = response?.into_inner();
        while responses.message().await?.is_some() {}
        Ok::<_, Status>(Status::ok("the stream has ended"))
    };
    let ended = timeout(DEADLINE, call).await.expect("the call ends");
    drop(outbound); // it did not end because we were done
    ended.unwrap_or_else(|status| status)
}

/// Asserts a status: its code, and that its text says what was wrong.
pub(crate) fn says(status: &Status, code: Code, text: &str) {
    assert!(status.code() == code && status.message().contains(text), "not {code:?} {text:?}: {status:?}");
}
