//! `HookService`: one task reads what a plugin says; the response is the stream's [`Outflow`](super::outlet::Outflow).
//!
//! By hand instead of generated: the response's bytes are framed by the worker, and must not be copied again.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hookwire_protocol::{
    codec::OnePieceDecoder,
    v1::{SubscribeRequest, hook_service_server, subscribe_request::Message},
};
use http::{Request, Response, header};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Status, Streaming, body::Body, server::NamedService};
use tower::Service;

use super::{
    outlet::{Outgoing, Outlet, outlet},
    stream::StreamId,
};
use crate::{
    status::{as_status, unreadable},
    worker::{Command, Commands},
};

/// The largest message of a plugin's: a Hello with its patterns, or an Ack with its exceptions.
const MAX_REQUEST_BYTES: usize = 256 << 10;

const SUBSCRIBE: &str = "/hookwire.v1.HookService/Subscribe";

/// What a plugin speaks.
#[derive(Clone, Debug)]
pub(crate) struct HookService {
    commands: Commands,
    hello_timeout: Duration,
    streams: Arc<AtomicU64>,
}

impl HookService {
    pub(crate) fn new(commands: Commands, hello_timeout: Duration) -> Self {
        Self { commands, hello_timeout, streams: Arc::default() }
    }

    fn subscribe(&self, body: Body) -> Response<Body> {
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let inbound = Streaming::new_request(OnePieceDecoder::default(), body, None, Some(MAX_REQUEST_BYTES));
        let (outlet, outflow, end) = outlet(stream, self.commands.ready());
        let reader = Reader { stream, commands: self.commands.clone(), inbound, told: false };
        tokio::spawn(reader.run(outlet, end, self.hello_timeout));
        let mut response = Response::new(Body::new(outflow));
        response.headers_mut().insert(header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
        response
    }
}

impl NamedService for HookService {
    const NAME: &'static str = hook_service_server::SERVICE_NAME;
}

impl Service<Request<Body>> for HookService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(if request.uri().path() == SUBSCRIBE {
            self.subscribe(request.into_body())
        } else {
            Status::unimplemented(format!("HookService has no {}", request.uri().path())).into_http()
        }))
    }
}

/// Reads one stream.
struct Reader {
    stream: StreamId,
    commands: Commands,
    inbound: Streaming<SubscribeRequest>,
    /// The worker may have heard of it.
    told: bool,
}

impl Reader {
    async fn run(mut self, outlet: Outlet, end: mpsc::Sender<Outgoing>, hello_timeout: Duration) {
        let last = tokio::select! {
            biased; // what was said in time still counts
            last = self.talk(outlet, hello_timeout) => last,
            () = end.closed() => Ok((false, None)), // nobody reads the response any more, nor waits for a Welcome
        };
        match last {
            Ok((release, status)) if self.told => {
                self.commands.send(Command::Leave { stream: self.stream, release, status }).await
            }
            Ok(_) => {}
            // Gives up with the body: a peer that reads nothing ends with its connection.
            Err(status) => drop(end.send(Outgoing::End(status)).await),
        }
    }

    /// Reads until the plugin goes, as [`Reader::read`] says; an error is why it is not let in.
    async fn talk(
        &mut self,
        outlet: Outlet,
        hello_timeout: Duration,
    ) -> Result<(bool, Option<Status>), Status> {
        self.hello(outlet, hello_timeout).await?;
        Ok(self.read().await)
    }

    async fn hello(&mut self, outlet: Outlet, hello_timeout: Duration) -> Result<(), Status> {
        let first = timeout(hello_timeout, self.inbound.message()).await.map_err(|_| {
            Status::deadline_exceeded(format!("no Hello came within {hello_timeout:?} of the call"))
        })?;
        let hello = match first.map_err(unreadable)?.and_then(|request| request.message) {
            Some(Message::Hello(hello)) => hello,
            _ => return Err(Status::invalid_argument("the first message of a stream is its Hello")),
        };
        self.told = true;
        let stream = self.stream;
        let subscribed = self.commands.ask(|reply| Command::Subscribe { stream, hello, outlet, reply }).await;
        subscribed.ok_or_else(|| self.commands.closed()).flatten().map_err(as_status)
    }

    /// Reads until the plugin goes: whether it lets go of what it is owed, and what was wrong with what it said.
    async fn read(&mut self) -> (bool, Option<Status>) {
        loop {
            let message = match self.inbound.message().await {
                Ok(Some(request)) => request.message,
                Ok(None) => return (false, None),
                Err(status) => return (false, Some(unreadable(status))),
            };
            match message {
                Some(Message::Ack(ack)) => {
                    self.commands.send(Command::Ack { stream: self.stream, ack }).await
                }
                Some(Message::Goodbye(goodbye)) => return (goodbye.release, None),
                Some(Message::Hello(_)) => {
                    let status = Status::invalid_argument("a stream has one Hello, its first message");
                    return (false, Some(status));
                }
                // A kind of message that only a later version knows.
                None => {}
            }
        }
    }
}
