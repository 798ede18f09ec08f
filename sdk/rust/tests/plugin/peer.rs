//! The scripted dispatcher: it says what the test tells it to, and reads what the plugin says.

use std::{collections::BTreeMap, future::Future, time::Duration};

use hookwire_sdk::{
    Plugin, PluginBuilder, RunError,
    wire::{
        Ack, AckStatus, BatchKind, CaughtUp, Event, EventBatch, GoodbyeReason, Session, SessionEnd,
        SessionStart, SubscribeRequest, SubscribeResponse,
        event::Payload,
        hook_service_server::{HookService, HookServiceServer},
        subscribe_request::{self, Hello, Message as Request},
        subscribe_response::{Goodbye, Message as Response, Welcome},
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint, Error, Server},
};

/// The dispatcher's side of all connections.
pub(crate) struct Peer {
    links: mpsc::Receiver<Link>,
    sockets: mpsc::Sender<DuplexStream>,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let (subscribed, links) = mpsc::channel(8);
        let (sockets, accepted) = mpsc::channel(8);
        let incoming = ReceiverStream::new(accepted).map(Ok::<DuplexStream, std::io::Error>);
        let service = HookServiceServer::new(Script { subscribed });
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { links, sockets }
    }

    /// A plugin that dials this peer.
    pub(crate) fn plugin(&self) -> PluginBuilder {
        let sockets = self.sockets.clone();
        Plugin::builder("test").connect_with(move || connect(sockets.clone()))
    }

    /// The next stream, up to its Hello.
    pub(crate) async fn accept(&mut self) -> (Link, Hello) {
        let mut link = self.links.recv().await.expect("the server runs");
        match link.request().await {
            Some(Request::Hello(hello)) => (link, hello),
            other => panic!("no Hello first: {other:?}"),
        }
    }

    /// The next stream, welcomed.
    pub(crate) async fn welcome(&mut self) -> Link {
        let (link, _) = self.accept().await;
        link.say(Response::Welcome(Welcome { ledger_id: "ledger".to_owned(), ..Default::default() })).await;
        link
    }

    /// How many streams wait to be accepted.
    pub(crate) fn waiting(&self) -> usize {
        self.links.len()
    }
}

async fn connect(sockets: mpsc::Sender<DuplexStream>) -> Result<Channel, Error> {
    let dial = tower::service_fn(move |_| {
        let sockets = sockets.clone();
        async move {
            let (ours, theirs) = duplex(1 << 16);
            sockets.send(theirs).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(TokioIo::new(ours))
        }
    });
    Endpoint::from_static("http://peer").connect_with_connector(dial).await
}

struct Script {
    subscribed: mpsc::Sender<Link>,
}

#[tonic::async_trait]
impl HookService for Script {
    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: tonic::Request<Streaming<SubscribeRequest>>,
    ) -> Result<tonic::Response<Self::SubscribeStream>, Status> {
        let (responses, outgoing) = mpsc::channel(64);
        let link = Link { requests: request.into_inner(), responses };
        self.subscribed.send(link).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(tonic::Response::new(ReceiverStream::new(outgoing)))
    }
}

/// One stream. Dropping it ends the stream.
pub(crate) struct Link {
    requests: Streaming<SubscribeRequest>,
    responses: mpsc::Sender<Result<SubscribeResponse, Status>>,
}

impl Link {
    pub(crate) async fn say(&self, message: Response) {
        let response = SubscribeResponse { message: Some(message) };
        self.responses.send(Ok(response)).await.expect("the stream is open");
    }

    pub(crate) async fn deliver(
        &self,
        first_seq: u64,
        kind: BatchKind,
        events: impl IntoIterator<Item = Event>,
    ) {
        let events = events.into_iter().collect();
        let batch = EventBatch { first_seq, kind: kind.into(), budget_ms: 1_000, events };
        self.say(Response::Events(batch)).await;
    }

    pub(crate) async fn live(&self, first_seq: u64, events: impl IntoIterator<Item = Event>) {
        self.deliver(first_seq, BatchKind::Live, events).await;
    }

    pub(crate) async fn again(&self, first_seq: u64, events: impl IntoIterator<Item = Event>) {
        self.deliver(first_seq, BatchKind::Redelivered, events).await;
    }

    pub(crate) async fn caught_up(&self) {
        self.say(Response::CaughtUp(CaughtUp::default())).await;
    }

    pub(crate) async fn goodbye(self, reason: GoodbyeReason, reconnect_after: Duration) {
        let reconnect_after_ms = reconnect_after.as_millis() as u32;
        self.say(Response::Goodbye(Goodbye {
            reason: reason.into(),
            reconnect_after_ms,
            text: "so long".to_owned(),
        }))
        .await;
    }

    pub(crate) async fn fail(self, status: Status) {
        self.responses.send(Err(status)).await.expect("the stream is open");
    }

    /// What the plugin says next; `None` once it has half-closed.
    pub(crate) async fn request(&mut self) -> Option<Request> {
        let request = self.requests.message().await.expect("the stream is open");
        request.map(|request| request.message.expect("no empty request"))
    }

    pub(crate) async fn ack(&mut self) -> Ack {
        match self.request().await {
            Some(Request::Ack(ack)) => ack,
            other => panic!("no Ack: {other:?}"),
        }
    }

    /// Reads Acks until so many deliveries are answered, and no more than that.
    pub(crate) async fn answers(&mut self, count: usize) -> BTreeMap<u64, AckStatus> {
        let mut answers = BTreeMap::new();
        while answers.len() < count {
            let ack = self.ack().await;
            for exception in &ack.exceptions {
                answers.entry(exception.seq).or_insert(exception.status());
            }
            for seq in 1..=ack.through_seq {
                answers.entry(seq).or_insert(AckStatus::Ok);
            }
        }
        assert_eq!(answers.len(), count, "{answers:?}");
        answers
    }

    /// The plugin's last words: Goodbye, keeping what it is owed, and half-close.
    pub(crate) async fn parting(mut self) {
        let keep = subscribe_request::Goodbye { release: false };
        assert_eq!(self.request().await, Some(Request::Goodbye(keep)));
        assert_eq!(self.request().await, None);
    }
}

/// A plugin that runs until told to stop.
pub(crate) struct Running {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
}

pub(crate) fn run(plugin: PluginBuilder) -> Running {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let until = async move {
        // A test that ends without stopping drops the sender: that is no signal.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    Running { stop, task: tokio::spawn(plugin.run_until(until)) }
}

impl Running {
    /// Sends the signal; how it ends can be awaited.
    pub(crate) fn stop(self) -> impl Future<Output = Result<(), RunError>> {
        self.stop.send(()).expect("the plugin runs");
        async { self.task.await.expect("the plugin does not panic") }
    }

    /// How it ends by itself.
    pub(crate) async fn end(self) -> Result<(), RunError> {
        self.task.await.expect("the plugin does not panic")
    }
}

/// Long enough, in virtual time, for everything that can happen to have happened.
pub(crate) async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn of_session(name: &str, id: String, hook: &str, incarnation: u64, payload: Payload) -> Event {
    Event {
        id,
        hook: hook.to_owned(),
        session: Some(Session { id: name.to_owned(), incarnation, ..Default::default() }),
        payload: Some(payload),
        ..Default::default()
    }
}

pub(crate) fn start(session: &str, incarnation: u64) -> Event {
    let payload = Payload::SessionStart(SessionStart::default());
    of_session(session, format!("start-{incarnation}"), "session_start", incarnation, payload)
}

pub(crate) fn end(session: &str, incarnation: u64) -> Event {
    let payload = Payload::SessionEnd(SessionEnd::default());
    of_session(session, format!("end-{incarnation}"), "session_end", incarnation, payload)
}

pub(crate) fn message(session: &str, id: &str) -> Event {
    let payload = Payload::Json(r#"{"text":"hello"}"#.into());
    of_session(session, id.to_owned(), "message_received", 1, payload)
}

pub(crate) fn without_session(hook: &str, id: &str) -> Event {
    Event { id: id.to_owned(), hook: hook.to_owned(), ..Default::default() }
}
