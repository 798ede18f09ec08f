//! The gateway's Attach stream: publishes go out without waiting for receipts.

use std::time::Duration;

use hookwire_protocol::v1::{
    AttachRequest, AttachResponse, GatewayEvent, Publish,
    attach_request::{self, Hello},
    attach_response::Message,
    gateway_service_client::GatewayServiceClient,
};
use hookwire_sdk::MAX_MESSAGE_BYTES;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::cli::{Exit, Failure, client};

/// Publishes that wait for the transport; more would only hide a transport that is slow.
const WAITING: usize = 16;

/// How long a dispatcher may take to answer a Hello.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sending half.
#[derive(Debug)]
pub(super) struct Link {
    outbound: mpsc::Sender<AttachRequest>,
    taken: watch::Receiver<u64>,
    sent: u64,
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Receipts {
    inbound: Streaming<AttachResponse>,
    taken: watch::Sender<u64>,
}

/// Attaches a new boot of a gateway.
///
/// # Errors
/// When nobody answers, or the dispatcher refuses.
pub(super) async fn attach(channel: Channel, hello: Hello) -> Result<(Link, Receipts), Failure> {
    let (outbound, requests) = mpsc::channel(WAITING);
    let hello = AttachRequest { message: Some(attach_request::Message::Hello(hello)) };
    // There before the call: a server may wait for it before it sends headers.
    outbound.try_send(hello).expect("the channel is new");
    let mut client = GatewayServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let call = client.attach(ReceiverStream::new(requests));
    let mut inbound = client::answer(PATIENCE, call).await?.into_inner();
    let first = client::answer(PATIENCE, inbound.message()).await?;
    if !matches!(first, Some(AttachResponse { message: Some(Message::Welcome(_)) })) {
        return Err(Exit::Refused.because("the dispatcher does not say Welcome"));
    }
    let (sender, taken) = watch::channel(0);
    Ok((Link { outbound, taken, sent: 0 }, Receipts { inbound, taken: sender }))
}

impl Link {
    /// Waits until the transport takes another Publish: what is fired meanwhile goes with it.
    ///
    /// # Errors
    /// When the stream is lost.
    pub(super) async fn room(&self) -> Result<(), Failure> {
        self.outbound.reserve().await.map(drop).map_err(|_| lost())
    }

    /// Sends events, once there is room.
    ///
    /// # Errors
    /// When the stream is lost.
    pub(super) async fn publish(&mut self, events: Vec<GatewayEvent>) -> Result<(), Failure> {
        let first_publish_seq = self.sent + 1;
        self.sent += events.len() as u64;
        let publish = attach_request::Message::Publish(Publish { first_publish_seq, events });
        self.outbound.send(AttachRequest { message: Some(publish) }).await.map_err(|_| lost())
    }

    /// How many events were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Waits until all but so many of the events are taken in.
    ///
    /// # Errors
    /// When the stream is lost.
    pub(super) async fn taken_but(&mut self, count: u64) -> Result<(), Failure> {
        let through = self.sent.saturating_sub(count);
        self.taken.wait_for(|taken| *taken >= through).await.map(drop).map_err(|_| lost())
    }
}

impl Receipts {
    /// Reads them until something is wrong. Returned is what.
    pub(super) async fn read(mut self) -> Failure {
        loop {
            let message = match self.inbound.message().await {
                Ok(response) => response.and_then(|response| response.message),
                Err(status) => return client::failure(&status),
            };
            match message {
                Some(Message::Receipt(receipt)) => {
                    if let Some(refusal) = receipt.refused.first() {
                        return Exit::Refused.because(format_args!("an event was refused: {}", refusal.text));
                    }
                    self.taken.send_replace(receipt.through_publish_seq);
                }
                _ => return lost(),
            }
        }
    }
}

fn lost() -> Failure {
    Exit::Unavailable.because("the dispatcher has ended the gateway's stream")
}
