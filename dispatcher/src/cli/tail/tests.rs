//! A tail against a scripted dispatcher on a real socket.

use std::{net::SocketAddr, time::Duration};

use clap::Parser as _;
use hookwire_protocol::v1::{
    Ack, AckStatus, BatchKind, Event, EventBatch, GoodbyeReason, SubscribeRequest, SubscribeResponse,
    hook_service_server::{HookService, HookServiceServer},
    subscribe_request,
    subscribe_response::{Goodbye, Message, Welcome},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, DuplexStream},
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, async_trait, transport::Server};

use super::{
    Args,
    lines::{Form, Lines},
    stop::{Asked, Stop},
};
use crate::cli::{Exit, Failure};

/// Generous: only a test that fails waits this long.
const LONG: Duration = Duration::from_secs(20);

/// Hands every stream to the test.
struct Scripted(mpsc::Sender<Peer>);

/// The dispatcher's end of one stream.
struct Peer {
    requests: Streaming<SubscribeRequest>,
    responses: mpsc::Sender<Result<SubscribeResponse, Status>>,
}

#[async_trait]
impl HookService for Scripted {
    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (responses, outbound) = mpsc::channel(16);
        let peer = Peer { requests: request.into_inner(), responses };
        self.0.send(peer).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

impl Peer {
    async fn send(&self, message: Message) {
        let response = SubscribeResponse { message: Some(message) };
        self.responses.send(Ok(response)).await.expect("the tail must be there");
    }

    async fn welcome(&mut self) -> subscribe_request::Hello {
        let Some(subscribe_request::Message::Hello(hello)) = self.next().await else {
            panic!("Hello comes first")
        };
        self.send(Message::Welcome(Welcome::default())).await;
        hello
    }

    /// A start, a message and an end, as one batch.
    async fn deliver(&self, first_seq: u64) {
        let event = |hook: &str| Event { hook: hook.to_owned(), ..Default::default() };
        let events = ["session_start", "message_received", "session_end"].map(event).to_vec();
        let batch = EventBatch { first_seq, kind: BatchKind::Live.into(), budget_ms: 1_000, events };
        self.send(Message::Events(batch)).await;
    }

    async fn goodbye(&self, reason: GoodbyeReason) {
        self.send(Message::Goodbye(Goodbye { reason: reason.into(), ..Default::default() })).await;
    }

    /// The tail's next message; None at its half-close.
    async fn next(&mut self) -> Option<subscribe_request::Message> {
        let request = timeout(LONG, self.requests.message()).await.expect("the tail must say something");
        request.expect("the transport must live").and_then(|request| request.message)
    }

    async fn ack(&mut self) -> Ack {
        match self.next().await {
            Some(subscribe_request::Message::Ack(ack)) => ack,
            other => panic!("expected an Ack, got {other:?}"),
        }
    }

    /// Expects a Goodbye that keeps what is owed, then the half-close; answers with the stream's end.
    async fn see_off(mut self) {
        let keep = subscribe_request::Goodbye { release: false };
        assert_eq!(self.next().await, Some(subscribe_request::Message::Goodbye(keep)));
        assert_eq!(self.next().await, None);
        self.goodbye(GoodbyeReason::Bye).await;
    }
}

/// A dispatcher that does what the test says.
struct Dispatcher {
    address: SocketAddr,
    peers: mpsc::Receiver<Peer>,
    server: JoinHandle<()>,
}

impl Dispatcher {
    async fn listen(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (handed, peers) = mpsc::channel(4);
        let service = HookServiceServer::new(Scripted(handed));
        let server = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            Server::builder().add_service(service).serve_with_incoming(incoming).await.expect("it serves");
        });
        Self { address, peers, server }
    }

    async fn peer(&mut self) -> Peer {
        timeout(LONG, self.peers.recv()).await.expect("a tail must come").expect("the server runs")
    }
}

/// A tail that runs, and what can be seen of it.
struct Running {
    outcome: JoinHandle<Result<(), Failure>>,
    lines: tokio::io::Lines<BufReader<DuplexStream>>,
    ask_to_stop: watch::Sender<Asked>,
}

#[derive(Debug, clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

impl Running {
    fn start(to: SocketAddr, flags: &[&str]) -> Self {
        let to = to.to_string();
        let words = ["tail", "--to", &to, "--as", "audit", "--json"];
        let args = CommandLine::parse_from(words.iter().chain(flags)).args;
        let (out, read) = tokio::io::duplex(1 << 16);
        let (ask_to_stop, stop) = Stop::pair();
        let mut tail = args.tail(Lines::new(Form::Json, out), stop);
        let outcome = tokio::spawn(async move { tail.run().await });
        Self { outcome, lines: BufReader::new(read).lines(), ask_to_stop }
    }

    /// The type and hook of the next line.
    async fn line(&mut self) -> String {
        let line = timeout(LONG, self.lines.next_line()).await.expect("a line must come");
        let line: serde_json::Value =
            serde_json::from_str(&line.expect("readable").expect("not the end")).expect("JSON");
        match line["hook"].as_str() {
            Some(hook) => hook.to_owned(),
            None => line["type"].as_str().expect("every line has a type").to_owned(),
        }
    }

    async fn ends(self) -> Result<(), Exit> {
        let outcome = timeout(LONG, self.outcome).await.expect("the tail must end");
        outcome.expect("no panic").map_err(|failure| failure.exit)
    }
}

/// A dispatcher, a tail that it has welcomed, and their stream.
async fn attached(flags: &[&str]) -> (Dispatcher, Running, Peer) {
    let mut dispatcher = Dispatcher::listen("127.0.0.1:0").await;
    let tail = Running::start(dispatcher.address, flags);
    let mut peer = dispatcher.peer().await;
    peer.welcome().await;
    (dispatcher, tail, peer)
}

fn statuses(ack: &Ack) -> Vec<(u64, AckStatus)> {
    ack.exceptions.iter().map(|exception| (exception.seq, exception.status())).collect()
}

#[tokio::test]
async fn hello_says_what_was_asked_for() {
    let mut dispatcher = Dispatcher::listen("127.0.0.1:0").await;
    let flags = ["--hook", "session_*", "--hook", "gateway_*", "--announce", "--window", "7"];
    let _tail = Running::start(dispatcher.address, &flags);
    let hello = dispatcher.peer().await.welcome().await;
    assert_eq!(hello.subscriber_id, "audit");
    assert_eq!(hello.hooks, ["session_*", "gateway_*"]);
    assert!(hello.announce);
    assert_eq!(hello.max_in_flight, 7);
}

#[tokio::test]
async fn what_is_acked_is_printed() {
    let (_dispatcher, mut tail, mut peer) = attached(&[]).await;
    peer.deliver(1).await;
    assert_eq!(peer.ack().await, Ack { through_seq: 3, exceptions: vec![] });
    for expected in ["welcome", "session_start", "message_received", "session_end"] {
        assert_eq!(tail.line().await, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_printed_is_not_acked() {
    let (_dispatcher, tail, mut peer) = attached(&[]).await;
    drop(tail.lines); // nobody reads any more
    peer.deliver(1).await;
    let keep = subscribe_request::Goodbye { release: false };
    assert_eq!(peer.next().await, Some(subscribe_request::Message::Goodbye(keep)));
    drop(peer);
    let outcome = timeout(LONG, tail.outcome).await.expect("the tail must end").expect("no panic");
    assert!(outcome.is_ok());
}

#[tokio::test]
async fn every_mode_answers_in_its_way() {
    let (accept, reject, retry) = (AckStatus::Accepted, AckStatus::Reject, AckStatus::Retry);
    let cases = [
        ("accept", vec![(1, accept), (2, accept), (3, accept)]),
        ("reject", vec![(1, reject), (2, reject), (3, reject)]),
        ("retry", vec![(1, retry), (3, retry)]),
        ("delay:20ms", vec![]),
    ];
    for (mode, expected) in cases {
        let (_dispatcher, _tail, mut peer) = attached(&["--ack", mode]).await;
        peer.deliver(1).await;
        let ack = peer.ack().await;
        assert_eq!((ack.through_seq, statuses(&ack)), (3, expected), "{mode}");
    }
}

#[tokio::test]
async fn a_stop_answers_what_is_printed_whatever_its_delay() {
    let (_dispatcher, mut tail, mut peer) = attached(&["--ack", "delay:1h"]).await;
    peer.deliver(1).await;
    while tail.line().await != "session_end" {}
    tail.ask_to_stop.send_replace(Asked::Once);
    assert_eq!(peer.ack().await.through_seq, 3);
    peer.see_off().await;
    assert_eq!(tail.line().await, "goodbye");
    assert_eq!(tail.ends().await, Ok(()));
}

#[tokio::test]
async fn never_means_never() {
    let (_dispatcher, mut tail, peer) = attached(&["--ack", "never"]).await;
    peer.deliver(1).await;
    while tail.line().await != "session_end" {}
    tail.ask_to_stop.send_replace(Asked::Once);
    peer.see_off().await; // the Goodbye is the next thing it says
    assert_eq!(tail.ends().await, Ok(()));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_mute_dispatcher() {
    let (_dispatcher, tail, _peer) = attached(&[]).await;
    tail.ask_to_stop.send_replace(Asked::Once);
    assert_eq!(tail.ends().await, Ok(()));
}

#[tokio::test]
async fn a_lost_transport_is_reconnected_as_the_same_process() {
    let mut dispatcher = Dispatcher::listen("127.0.0.1:0").await;
    let _tail = Running::start(dispatcher.address, &[]);
    let mut first = dispatcher.peer().await;
    let instance_id = first.welcome().await.instance_id;
    first.responses.send(Err(Status::unavailable("cut"))).await.expect("the tail must be there");
    drop(first);
    let again = dispatcher.peer().await.welcome().await;
    assert_eq!((again.instance_id, again.subscriber_id.as_str()), (instance_id, "audit"));
}

#[tokio::test]
async fn a_dispatcher_that_comes_back_on_its_port_is_found() {
    let (dispatcher, mut tail, peer) = attached(&[]).await;
    assert_eq!(tail.line().await, "welcome");
    let address = dispatcher.address.to_string();
    drop(peer); // the stream just ends
    dispatcher.server.abort();
    let _ = dispatcher.server.await;
    let mut successor = Dispatcher::listen(&address).await;
    successor.peer().await.welcome().await;
    assert_eq!(tail.line().await, "welcome");
}

#[tokio::test]
async fn nobody_there_at_first_is_the_end() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("a bound address");
    drop(free);
    assert_eq!(Running::start(address, &["--follow"]).ends().await, Err(Exit::Unavailable));
}

#[tokio::test]
async fn a_dispatcher_that_is_stopping_at_first_is_the_end() {
    let mut dispatcher = Dispatcher::listen("127.0.0.1:0").await;
    let tail = Running::start(dispatcher.address, &[]);
    let peer = dispatcher.peer().await;
    peer.responses.send(Err(Status::unavailable("stopping"))).await.expect("the tail must be there");
    assert_eq!(tail.ends().await, Err(Exit::Unavailable));
}

#[tokio::test]
async fn a_refusal_is_the_end() {
    let mut dispatcher = Dispatcher::listen("127.0.0.1:0").await;
    let tail = Running::start(dispatcher.address, &["--follow"]);
    let peer = dispatcher.peer().await;
    peer.responses.send(Err(Status::already_exists("newer"))).await.expect("the tail must be there");
    assert_eq!(tail.ends().await, Err(Exit::Refused));
}

#[tokio::test]
async fn goodbyes_end_it_or_bring_it_back() {
    let (mut stopping, tail, peer) = attached(&[]).await;
    peer.goodbye(GoodbyeReason::Stopping).await;
    drop(peer);
    assert_eq!(tail.ends().await, Ok(()));
    assert!(stopping.peers.try_recv().is_err(), "it must not come back");

    let (_dispatcher, tail, peer) = attached(&["--follow"]).await;
    peer.goodbye(GoodbyeReason::Displaced).await;
    drop(peer);
    assert_eq!(tail.ends().await, Err(Exit::Refused));

    for (reason, flags) in [
        (GoodbyeReason::Stopping, &["--follow"][..]),
        (GoodbyeReason::Handover, &[]),
        (GoodbyeReason::Slow, &[]),
    ] {
        let (mut dispatcher, _tail, peer) = attached(flags).await;
        peer.goodbye(reason).await;
        drop(peer);
        dispatcher.peer().await.welcome().await;
    }
}

#[tokio::test]
async fn what_is_due_is_answered_behind_a_goodbye() {
    let (_dispatcher, tail, mut peer) = attached(&[]).await;
    peer.deliver(1).await;
    peer.goodbye(GoodbyeReason::Stopping).await;
    assert_eq!(peer.ack().await.through_seq, 3);
    assert_eq!(peer.next().await, None);
    drop(peer);
    assert_eq!(tail.ends().await, Ok(()));
}
