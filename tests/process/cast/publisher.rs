//! A gateway's client that keeps the contract, and knows of what it has a receipt.

use std::{collections::VecDeque, time::Duration};

use hookwire_protocol::{
    hook,
    v1::{
        AttachRequest, AttachResponse, GatewayEvent, Publish, Receipt, SessionEnd, SessionEndReason,
        SessionRef, attach_request, attach_response, gateway_event::Payload,
        gateway_service_client::GatewayServiceClient,
    },
};
use hookwire_sdk::Address;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::process::DEADLINE;

/// Between two attempts to attach.
const AGAIN: Duration = Duration::from_millis(20);

/// A hook that is no more than observed.
const MESSAGE: &str = "message_received";

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Publisher {
    events: mpsc::UnboundedSender<GatewayEvent>,
    /// The last publish_seq that has a receipt.
    receipted: watch::Receiver<u64>,
    fired: u64,
    task: AbortHandle,
}

impl Publisher {
    /// Attaches, and again whenever its stream is lost, always as the same emitter.
    pub(crate) fn start(address: Address, gateway: &str, boot: &str) -> Self {
        let hello = attach_request::Hello {
            gateway_id: gateway.to_owned(),
            boot_id: boot.to_owned(),
            emitter_id: "emitter-1".to_owned(),
            ..Default::default()
        };
        let (events, fired) = mpsc::unbounded_channel();
        let (receipts, receipted) = watch::channel(0);
        let link = Link { address, hello, fired, receipts, first: 1, durable: 0, pending: VecDeque::new() };
        let task = tokio::spawn(link.run()).abort_handle();
        Self { events, receipted, fired: 0, task }
    }

    /// Hands it an event.
    pub(crate) fn fire(&mut self, event: GatewayEvent) {
        self.fired += 1;
        self.events.send(event).expect("it lives as long as this");
    }

    /// Waits for the receipts of all that was fired.
    pub(crate) async fn settle(&mut self) {
        let fired = self.fired;
        let settled = timeout(DEADLINE, self.receipted.wait_for(|through| *through == fired)).await;
        settled.unwrap_or_else(|_| panic!("no receipt through {fired}")).expect("it has not panicked");
    }

    /// It hangs up, for good.
    pub(crate) fn stop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What outlives its streams.
struct Link {
    address: Address,
    hello: attach_request::Hello,
    fired: mpsc::UnboundedReceiver<GatewayEvent>,
    receipts: watch::Sender<u64>,
    /// The publish_seq of the first that is pending.
    first: u64,
    /// The publish_seq of the last start or end that has a receipt: no crash takes it back.
    durable: u64,
    pending: VecDeque<GatewayEvent>,
}

type Stream = (mpsc::Sender<AttachRequest>, Streaming<AttachResponse>);

impl Link {
    async fn run(mut self) {
        loop {
            if let Some(stream) = self.attach().await {
                self.serve(stream).await;
            }
            sleep(AGAIN).await;
        }
    }

    async fn attach(&mut self) -> Option<Stream> {
        let mut client = GatewayServiceClient::new(self.address.connect().await.ok()?);
        let (outbound, requests) = mpsc::channel(64);
        outbound.try_send(say(attach_request::Message::Hello(self.hello.clone()))).unwrap();
        let mut inbound = client.attach(ReceiverStream::new(requests)).await.ok()?.into_inner();
        match inbound.message().await.ok()??.message? {
            attach_response::Message::Welcome(welcome) => {
                let (after, durable) = (welcome.resume_after, self.durable);
                assert!(after >= durable, "{durable} had a receipt, and is lost: {welcome:?}");
                self.settle(&Receipt { through_publish_seq: welcome.resume_after, refused: Vec::new() });
                Some((outbound, inbound))
            }
            _ => None,
        }
    }

    /// Until the stream is lost.
    async fn serve(&mut self, (outbound, mut inbound): Stream) {
        let again: Vec<_> = self.pending.iter().cloned().collect();
        let mut sent = again.is_empty() || outbound.send(publish(self.first, again)).await.is_ok();
        while sent {
            tokio::select! {
                response = inbound.message() => match response {
                    Ok(Some(response)) => match response.message {
                        Some(attach_response::Message::Receipt(receipt)) => self.settle(&receipt),
                        _ => return, // a Goodbye
                    },
                    _ => return,
                },
                Some(event) = self.fired.recv() => {
                    self.pending.push_back(event.clone());
                    let seq = self.first + self.pending.len() as u64 - 1;
                    sent = outbound.send(publish(seq, vec![event])).await.is_ok();
                }
            }
        }
    }

    fn settle(&mut self, receipt: &Receipt) {
        assert!(receipt.refused.is_empty(), "{receipt:?}");
        while self.first <= receipt.through_publish_seq {
            let event = self.pending.pop_front();
            let event = event.unwrap_or_else(|| panic!("a receipt for what was never sent: {receipt:?}"));
            if event.hook != MESSAGE {
                self.durable = self.first;
            }
            self.first += 1;
        }
        self.receipts.send_replace(self.first - 1);
    }
}

fn say(message: attach_request::Message) -> AttachRequest {
    AttachRequest { message: Some(message) }
}

fn publish(first_publish_seq: u64, events: Vec<GatewayEvent>) -> AttachRequest {
    say(attach_request::Message::Publish(Publish { first_publish_seq, events }))
}

/// A session begins.
pub(crate) fn start(id: &str) -> GatewayEvent {
    event(hook::SESSION_START, id, None)
}

/// A session ends.
pub(crate) fn end(id: &str, reason: SessionEndReason) -> GatewayEvent {
    let end = SessionEnd { reason: reason.into(), ..Default::default() };
    event(hook::SESSION_END, id, Some(Payload::SessionEnd(end)))
}

/// Something happens in a session; `name` is for whoever waits for it.
pub(crate) fn message(id: &str, name: &str) -> GatewayEvent {
    let json = serde_json::json!({ "name": name }).to_string();
    event(MESSAGE, id, Some(Payload::Json(json.into())))
}

fn event(hook: &str, id: &str, payload: Option<Payload>) -> GatewayEvent {
    let session = SessionRef { id: Some(id.to_owned()), ..Default::default() };
    GatewayEvent { hook: hook.to_owned(), session: Some(session), payload, ..Default::default() }
}
