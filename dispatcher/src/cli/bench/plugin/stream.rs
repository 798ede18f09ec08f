//! One subscriber: a connection and a stream.

use std::{cell::RefCell, future::ready, rc::Rc, time::Duration};

use hookwire_protocol::v1::{
    Ack, EventBatch, SubscribeRequest, SubscribeResponse, WhenFull,
    hook_service_client::HookServiceClient,
    subscribe_request::{Goodbye, Hello, Message as Says},
    subscribe_response::Message,
};
use hookwire_sdk::MAX_MESSAGE_BYTES;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::{StreamExt as _, once, wrappers::ReceiverStream};
use tonic::Streaming;
use uuid::Uuid;

use super::{Args, tally::Tally};
use crate::cli::{
    Exit, Failure,
    bench::{
        dial::dial,
        latency::unix_nano,
        orders::{Orders, Phase},
    },
    client, names,
};

/// How long the dispatcher may take for each answer until the subscriber is caught up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the dispatcher may take to end a stream that is half-closed.
const FAREWELL: Duration = Duration::from_secs(5);

/// A subscriber that is caught up.
pub(super) struct Subscriber {
    args: Rc<Args>,
    tally: Rc<RefCell<Tally>>,
    index: usize,
    acks: mpsc::Sender<SubscribeRequest>,
    inbound: Streaming<SubscribeResponse>,
    /// The most that is left unacknowledged before it reads on.
    half_window: u64,
    /// The number of the last delivery.
    seq: u64,
    /// The number that was acknowledged last.
    acked: u64,
    /// How many of the deliveries and losses count: those of the bench's own gateway.
    count: u64,
}

impl Subscriber {
    /// Connects, subscribes, and waits until it is caught up.
    ///
    /// # Errors
    /// When nobody answers, or the dispatcher refuses.
    pub(super) async fn join(args: Rc<Args>, tally: Rc<RefCell<Tally>>, index: u32) -> Result<Self, Failure> {
        // One Ack waits at most: the next says more.
        let (acks, said) = mpsc::channel(1);
        // There from the first poll: nobody waits for headers before the Hello is sent.
        let hello = request(Says::Hello(hello(&args, index)));
        let goodbye = request(Says::Goodbye(Goodbye { release: true }));
        let requests = once(hello).chain(ReceiverStream::new(said)).chain(once(goodbye));
        let client = HookServiceClient::new(dial(&args.to).await?);
        let mut client = client.max_decoding_message_size(MAX_MESSAGE_BYTES);
        let inbound = client::answer(PATIENCE, client.subscribe(requests)).await?.into_inner();
        let index = index as usize;
        let mut joined =
            Self { args, tally, index, acks, inbound, half_window: 1, seq: 0, acked: 0, count: 0 };
        joined.catch_up().await?;
        Ok(joined)
    }

    async fn catch_up(&mut self) -> Result<(), Failure> {
        loop {
            match client::answer(PATIENCE, self.inbound.message()).await?.and_then(|it| it.message) {
                Some(Message::Welcome(welcome)) => {
                    self.half_window = u64::from(welcome.max_in_flight / 2).max(1);
                }
                Some(Message::CaughtUp(_)) => return Ok(()),
                message => self.take(message)?,
            }
        }
    }

    /// Takes and acknowledges what comes, until it is told to leave.
    pub(super) async fn run(mut self, mut orders: Orders) -> Result<(), Failure> {
        loop {
            let unacked = self.seq - self.acked;
            if unacked >= self.half_window {
                self.ack(false).await?;
                continue;
            }
            tokio::select! {
                biased;
                message = self.inbound.message() => {
                    let message = message.map_err(|status| client::failure(&status))?;
                    let before = self.seq;
                    self.take(message.and_then(|it| it.message))?;
                    self.work(self.seq - before).await;
                }
                // Only when the input has run dry.
                () = ready(()), if unacked > 0 => self.ack(true).await?,
                _ = orders.reach(Phase::Leave) => return self.leave().await,
            }
        }
    }

    /// Takes its time for so many events.
    async fn work(&self, events: u64) {
        if self.args.delay_us > 0 {
            sleep(Duration::from_micros(self.args.delay_us * events)).await;
        }
    }

    fn take(&mut self, message: Option<Message>) -> Result<(), Failure> {
        match message {
            Some(Message::Events(batch)) => self.receive(&batch),
            Some(Message::Gap(gap)) => {
                self.count += gap.count;
                self.tally.borrow_mut().lost(gap.count);
                if self.acked == self.seq {
                    // No Ack comes behind it that would tell.
                    return self.tally.borrow_mut().reached(self.index, self.count, true);
                }
            }
            Some(Message::Goodbye(goodbye)) => {
                let reason = names::goodbye_reason(goodbye.reason);
                return Err(Exit::Refused.because(format_args!("the dispatcher said goodbye: {reason}")));
            }
            None => return Err(Exit::Unavailable.because("the dispatcher has ended a plugin's stream")),
            Some(_) => {}
        }
        Ok(())
    }

    fn receive(&mut self, batch: &EventBatch) {
        let now = unix_nano();
        let mut tally = self.tally.borrow_mut();
        for event in batch.events.iter().filter(|event| event.gateway_id == self.args.gateway) {
            self.count += 1;
            if tally.measures(self.count) {
                tally.latency.record(now.saturating_sub(event.time_unix_nano), 1);
            }
        }
        self.seq = batch.first_seq + (batch.events.len() as u64).saturating_sub(1);
    }

    /// Acknowledges all that came.
    async fn ack(&mut self, is_dry: bool) -> Result<(), Failure> {
        let ack = Ack { through_seq: self.seq, exceptions: Vec::new() };
        let sent = self.acks.send(request(Says::Ack(ack))).await;
        sent.map_err(|_| Exit::Unavailable.because("the dispatcher takes no more acknowledgements"))?;
        self.acked = self.seq;
        self.tally.borrow_mut().reached(self.index, self.count, is_dry)
    }

    /// Acknowledges what is left, says Goodbye, and reads to the stream's end.
    async fn leave(mut self) -> Result<(), Failure> {
        if self.acked < self.seq {
            self.ack(true).await?;
        }
        // The half-close, with the Goodbye before it.
        drop(self.acks);
        let ended = async { while let Ok(Some(_)) = self.inbound.message().await {} };
        let late = |_| Exit::Unavailable.because("the dispatcher does not end the stream");
        timeout(FAREWELL, ended).await.map_err(late)
    }
}

fn request(message: Says) -> SubscribeRequest {
    SubscribeRequest { message: Some(message) }
}

fn hello(args: &Args, index: u32) -> Hello {
    let when_full = if args.disconnect { WhenFull::Disconnect } else { WhenFull::Unspecified };
    Hello {
        subscriber_id: format!("{}-{index}", args.name),
        when_full: when_full.into(),
        instance_id: Uuid::new_v4().to_string(),
        client_name: "hookwire-bench".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Hello::default()
    }
}
