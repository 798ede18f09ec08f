//! One Attach stream, from its Hello to its loss.

use std::time::Duration;

use hookwire_protocol::v1::{
    AttachRequest, AttachResponse, GoodbyeReason, Publish, Receipt, attach_request, attach_response,
    attach_response::{Goodbye, Welcome},
    gateway_service_client::GatewayServiceClient,
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use super::setback::Setback;

/// How long a dispatcher may take to say Welcome.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// How long a dispatcher may take to end a stream that was half-closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// A stream that was welcomed.
#[derive(Debug)]
pub(in crate::cli) struct Link {
    outbound: mpsc::Sender<AttachRequest>,
    inbound: Streaming<AttachResponse>,
    opened: Instant,
}

/// What happens next on a stream.
#[derive(Debug)]
pub(in crate::cli) enum Heard {
    /// A batch can be sent.
    Room,
    /// Something was taken in.
    Receipt(Receipt),
    /// It is over.
    Lost(Setback),
}

/// Dials a dispatcher.
///
/// # Errors
/// When nobody answers.
pub(super) async fn dial(address: &Address) -> Result<GatewayServiceClient<Channel>, Setback> {
    let lost = |error| Setback::Lost(format!("nobody answers at {address}: {}", root_of(&error)));
    let client = GatewayServiceClient::new(address.connect().await.map_err(lost)?);
    Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// The innermost error: the outer ones only say that there is one.
fn root_of(error: &dyn std::error::Error) -> &dyn std::error::Error {
    error.source().map_or(error, root_of)
}

impl Link {
    /// Dials, says Hello and waits for the Welcome.
    ///
    /// # Errors
    /// When nobody answers, nobody says Welcome within 10 seconds, or the Hello is refused.
    pub(in crate::cli) async fn open(
        address: &Address,
        hello: attach_request::Hello,
    ) -> Result<(Self, Welcome), Setback> {
        let silent = |_| Setback::Lost(format!("{address} says no Welcome"));
        timeout(WELCOME_WITHIN, Self::attach(address, hello)).await.map_err(silent)?
    }

    async fn attach(address: &Address, hello: attach_request::Hello) -> Result<(Self, Welcome), Setback> {
        let mut client = dial(address).await?;
        // One batch waits here, no more: what is not sent yet is better off in the resend buffer.
        let (outbound, requests) = mpsc::channel(1);
        let hello = AttachRequest { message: Some(attach_request::Message::Hello(hello)) };
        // Hello is there before the call: a server may wait for it before it sends headers.
        outbound.try_send(hello).expect("the channel is new and has room for one");
        let mut inbound = client.attach(ReceiverStream::new(requests)).await?.into_inner();
        match inbound.message().await?.and_then(|response| response.message) {
            Some(attach_response::Message::Welcome(welcome)) => {
                Ok((Self { outbound, inbound, opened: Instant::now() }, welcome))
            }
            Some(attach_response::Message::Goodbye(goodbye)) => Err(goodbye.into()),
            Some(attach_response::Message::Receipt(_)) | None => {
                Err(Setback::Lost("the stream ended before it began".into()))
            }
        }
    }

    /// What happens next; room matters only to who has something to send. Dropping the future loses nothing.
    pub(in crate::cli) async fn next(&mut self, wants_room: bool) -> Heard {
        tokio::select! {
            biased; // Receipts first: they make room.
            response = self.inbound.message() => match response {
                Ok(Some(response)) => received(response),
                Ok(None) => Heard::Lost(Setback::Lost("the dispatcher ended the stream".into())),
                Err(status) => Heard::Lost(status.into()),
            },
            // A closed channel only says that the stream is lost; `inbound` says why.
            Ok(_) = self.outbound.reserve(), if wants_room => Heard::Room,
        }
    }

    /// Sends a batch, after [`Heard::Room`]. Where the stream was lost meanwhile, the next step says so.
    pub(in crate::cli) fn send(&self, publish: Publish) {
        let request = AttachRequest { message: Some(attach_request::Message::Publish(publish)) };
        let _ = self.outbound.try_send(request);
    }

    /// For how long it has been open.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Half-closes it and waits for its end, for a second at most.
    pub(in crate::cli) async fn close(&mut self) {
        self.outbound = mpsc::channel(1).0; // dropping the old one is the half-close
        let ended = async { while let Ok(Some(_)) = self.inbound.message().await {} };
        let _ = timeout(CLOSE_WITHIN, ended).await;
    }
}

fn received(response: AttachResponse) -> Heard {
    match response.message {
        Some(attach_response::Message::Receipt(receipt)) => Heard::Receipt(receipt),
        Some(attach_response::Message::Goodbye(goodbye)) => Heard::Lost(goodbye.into()),
        Some(attach_response::Message::Welcome(_)) | None => {
            Heard::Lost(Setback::Lost("the dispatcher said something out of place".into()))
        }
    }
}

impl From<Goodbye> for Setback {
    fn from(goodbye: Goodbye) -> Self {
        let text = format!("the dispatcher said Goodbye({:?}) {}", goodbye.reason(), goodbye.text);
        match goodbye.reason() {
            GoodbyeReason::Displaced => Self::Refused(text),
            _ => Self::Later { after: Duration::from_millis(goodbye.reconnect_after_ms.into()), text },
        }
    }
}
