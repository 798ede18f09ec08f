//! Between the plugin and the real dispatcher: passes every message on, writes all of it down, and can lie a little.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hookwire_protocol::v1::{
    GoodbyeReason, SubscribeRequest, SubscribeResponse,
    event::Payload,
    hook_service_client::HookServiceClient,
    hook_service_server::HookService,
    subscribe_request::Message as Said,
    subscribe_response::{Goodbye, Message as Told},
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::record::{Record, Stream};

/// Messages on their way in one direction.
const BUFFER: usize = 64;

/// How long a plugin that was told to go is listened to.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A number that no enum of the wire has.
const NEVER_HEARD_OF: i32 = 4_711;

/// What is done to messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lies {
    /// Acks are written down, and go no further.
    pub(super) swallow_acks: bool,
    /// Enums have values that nobody knows.
    pub(super) strange_enums: bool,
}

/// What is said to the plugin that its dispatcher did not say.
#[derive(Clone, Debug)]
pub(super) struct Say {
    pub(super) message: Option<Told>,
    /// The stream ends behind it.
    pub(super) last: bool,
}

/// See the [module](self). Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Relay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    record: watch::Sender<Record>,
    lies: watch::Sender<Lies>,
    says: broadcast::Sender<Say>,
    upstream: Mutex<Address>,
    log: PathBuf,
}

impl Relay {
    /// To the dispatcher there; the plugin's effect log is that file.
    pub(super) fn new(upstream: Address, log: PathBuf) -> Self {
        Self(Arc::new(Shared {
            record: watch::Sender::default(),
            lies: watch::Sender::default(),
            says: broadcast::Sender::new(BUFFER),
            upstream: Mutex::new(upstream),
            log,
        }))
    }

    /// What was seen so far, and what comes.
    pub(super) fn record(&self) -> watch::Receiver<Record> {
        self.0.record.subscribe()
    }

    /// What is done to messages from now on.
    pub(super) fn lie(&self, lies: Lies) {
        self.0.lies.send_replace(lies);
    }

    /// Says something on every stream.
    pub(super) fn say(&self, message: Option<Told>) {
        // Nobody may be listening.
        let _ = self.0.says.send(Say { message, last: false });
    }

    /// Says Goodbye on every stream, and ends it.
    pub(super) fn say_goodbye(&self, reason: GoodbyeReason, reconnect_after: Duration) {
        let reconnect_after_ms = u32::try_from(reconnect_after.as_millis()).unwrap_or(u32::MAX);
        let goodbye = Goodbye { reason: reason.into(), reconnect_after_ms, text: String::new() };
        let _ = self.0.says.send(Say { message: Some(Told::Goodbye(goodbye)), last: true });
    }

    /// From now on, streams go to another dispatcher.
    pub(super) fn turn_to(&self, upstream: Address) {
        *self.0.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    fn upstream(&self) -> Address {
        self.0.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin(&self, first: &SubscribeRequest) -> usize {
        let subscriber = match &first.message {
            Some(Said::Hello(hello)) => hello.subscriber_id.clone(),
            _ => String::new(),
        };
        let mut number = 0;
        self.0.record.send_modify(|record| {
            number = record.streams.len();
            record.streams.push(Stream::new(subscriber));
        });
        number
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Stream)) {
        self.0.record.send_modify(|record| change(&mut record.streams[number]));
    }

    fn log_length(&self) -> u64 {
        fs::metadata(&self.0.log).map_or(0, |file| file.len())
    }

    /// One stream, to its end.
    async fn carry(self, mut plugin: Streaming<SubscribeRequest>, down: Down) {
        let Ok(Some(first)) = plugin.message().await else { return };
        let number = self.begin(&first);
        let (up, requests) = mpsc::channel(BUFFER);
        let opened = async {
            up.send(first).await.map_err(|_| Status::internal("nobody takes Hello"))?;
            let channel = self.upstream().connect().await;
            let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
            let mut client = HookServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            client.subscribe(ReceiverStream::new(requests)).await
        };
        match opened.await {
            Ok(opened) => {
                let says = self.0.says.subscribe();
                tokio::select! {
                    () = self.to_plugin(number, opened.into_inner(), says, &down) => {
                        // Its answers behind a Goodbye are worth hearing.
                        let _ = timeout(LAST_WORDS, self.to_nobody(number, &mut plugin)).await;
                    }
                    () = self.to_dispatcher(number, &mut plugin, up) => {}
                }
            }
            Err(status) => {
                let _ = down.send(Err(status)).await;
            }
        }
        self.note(number, |stream| stream.ended = Some(Instant::now()));
    }

    async fn to_plugin(
        &self,
        number: usize,
        mut dispatcher: Streaming<SubscribeResponse>,
        mut says: broadcast::Receiver<Say>,
        down: &Down,
    ) {
        loop {
            let (message, last) = tokio::select! {
                response = dispatcher.message() => match response {
                    Ok(Some(response)) => (self.twisted(response.message), false),
                    Ok(None) => return,
                    Err(status) => {
                        let _ = down.send(Err(status)).await;
                        return;
                    }
                },
                Ok(say) = says.recv() => (say.message, say.last),
            };
            // Before it is sent: its answer must find it.
            if let Some(message) = &message {
                self.note(number, |stream| stream.told(message));
            }
            if down.send(Ok(SubscribeResponse { message })).await.is_err() || last {
                return;
            }
        }
    }

    async fn to_dispatcher(
        &self,
        number: usize,
        plugin: &mut Streaming<SubscribeRequest>,
        up: mpsc::Sender<SubscribeRequest>,
    ) {
        loop {
            match plugin.message().await {
                Ok(Some(request)) => {
                    self.hear(number, &request);
                    let swallowed =
                        self.0.lies.borrow().swallow_acks && matches!(request.message, Some(Said::Ack(_)));
                    if !swallowed && up.send(request).await.is_err() {
                        return;
                    }
                }
                // Half-closed: what the dispatcher says to that still goes to the plugin.
                Ok(None) => {
                    self.note(number, Stream::half_closed);
                    drop(up);
                    return std::future::pending().await;
                }
                Err(_) => return,
            }
        }
    }

    /// Writes down what the plugin says, and passes nothing on.
    async fn to_nobody(&self, number: usize, plugin: &mut Streaming<SubscribeRequest>) {
        while let Ok(Some(request)) = plugin.message().await {
            self.hear(number, &request);
        }
    }

    fn hear(&self, number: usize, request: &SubscribeRequest) {
        let log = self.log_length();
        if let Some(message) = &request.message {
            self.note(number, |stream| stream.said(message, log));
        }
    }

    fn twisted(&self, mut message: Option<Told>) -> Option<Told> {
        if !self.0.lies.borrow().strange_enums {
            return message;
        }
        match &mut message {
            Some(Told::Events(batch)) => {
                batch.kind = NEVER_HEARD_OF;
                for event in &mut batch.events {
                    if let Some(Payload::SessionEnd(end)) = &mut event.payload {
                        (end.reason, end.disposition) = (NEVER_HEARD_OF, NEVER_HEARD_OF);
                    }
                }
            }
            Some(Told::Gap(gap)) => gap.cause = NEVER_HEARD_OF,
            Some(Told::DrainNotice(notice)) => notice.reason = NEVER_HEARD_OF,
            _ => {}
        }
        message
    }
}

type Down = mpsc::Sender<Result<SubscribeResponse, Status>>;

#[async_trait]
impl HookService for Relay {
    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        // Headers go at once, as the dispatcher's do.
        let (down, responses) = mpsc::channel(BUFFER);
        tokio::spawn(self.clone().carry(request.into_inner(), down));
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
