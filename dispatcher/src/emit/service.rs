//! `GatewayService`: a gateway in another process attaches, publishes and drains.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hookwire_protocol::v1::{
    self, AttachResponse, DrainRequest, DrainResponse, GoodbyeReason, StopReason, attach_response,
    drain_response,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{interval, timeout},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

use super::{
    boots::SourceId,
    given::{Malformed, Published},
    publish::Publication,
    route::{Message, Said},
};
use crate::{
    dispatcher::{HANDOVER_AFTER, HANDOVER_TEXT},
    drain::{DrainOrder, MAX_BUDGET, Ticket},
    machine::RECONNECT_AFTER,
    status::{as_status, unreadable},
    worker::{Command, Commands},
};

/// Receipts that wait for a gateway that does not read them; then it is not read either.
const RECEIPTS: usize = 16;

/// How often a drain's progress is told.
const PROGRESS: Duration = Duration::from_millis(100);

pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a gateway speaks.
#[derive(Clone, Debug)]
pub(crate) struct GatewayService {
    pub(crate) commands: Commands,
    pub(crate) sources: Sources,
    pub(crate) hello_timeout: Duration,
    pub(crate) drain_budget: Duration,
    /// The largest message of a gateway's.
    pub(crate) max_request_bytes: usize,
}

/// Numbers gateways' streams, whether they come over the wire or are embedded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Arc<AtomicU64>);

impl Sources {
    pub(crate) fn next(&self) -> SourceId {
        SourceId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl GatewayService {
    pub(super) fn attach(&self, inbound: Streaming<Said>) -> Responses<AttachResponse> {
        let (responses, outbound) = mpsc::channel(RECEIPTS);
        let (source, commands) = (self.sources.next(), self.commands.clone());
        tokio::spawn(Reader { source, commands, inbound, responses }.run(self.hello_timeout));
        Box::pin(ReceiverStream::new(outbound))
    }

    pub(super) async fn drain(&self, request: DrainRequest) -> Result<Responses<DrainResponse>, Status> {
        let order = order(request, self.drain_budget);
        let (report, awaited) = oneshot::channel();
        let ticket = self.commands.ask(|reply| Command::Drain { order, reply, report }).await;
        let ticket = ticket.ok_or_else(|| as_status(self.commands.closed()))?.map_err(as_status)?;
        let (responses, outbound) = mpsc::channel(1);
        tokio::spawn(tell_progress(self.commands.clone(), ticket, awaited, responses));
        Ok(Box::pin(ReceiverStream::new(outbound)))
    }
}

fn order(request: DrainRequest, default: Duration) -> DrainOrder {
    let named = |text: String| (!text.is_empty()).then_some(text);
    let reason = match request.reason() {
        StopReason::Unspecified => StopReason::Shutdown,
        reason => reason,
    };
    let budget = request.budget_ms.map_or(default, |ms| Duration::from_millis(ms.into())).min(MAX_BUDGET);
    let restart_expected = Duration::from_millis(request.restart_expected_ms.into());
    DrainOrder {
        gateway: named(request.gateway_id),
        boot: named(request.boot_id),
        reason,
        budget,
        restart_expected,
    }
}

async fn tell_progress(
    commands: Commands,
    ticket: Ticket,
    mut awaited: oneshot::Receiver<v1::DrainReport>,
    responses: mpsc::Sender<Result<DrainResponse, Status>>,
) {
    let mut ticks = interval(PROGRESS);
    let say = |message| Ok(DrainResponse { message: Some(message) });
    loop {
        tokio::select! {
            biased; // the report ends it
            report = &mut awaited => {
                let last = report.map(drain_response::Message::Report).map_err(|_| as_status(commands.closed())).and_then(say);
                let _ = responses.send(last).await; // who asked may be gone: the drain is done all the same
                return;
            }
            () = responses.closed() => return, // the drain goes on all the same
            _ = ticks.tick() => {
                let progress = commands.ask(|reply| Command::Progress { ticket, reply }).await.flatten();
                if let Some(progress) = progress {
                    // One who does not read misses some of it.
                    let _ = responses.try_send(say(drain_response::Message::Progress(progress)));
                }
            }
        }
    }
}

/// Reads one gateway's stream.
struct Reader {
    source: SourceId,
    commands: Commands,
    inbound: Streaming<Said>,
    responses: mpsc::Sender<Result<AttachResponse, Status>>,
}

impl Reader {
    async fn run(mut self, hello_timeout: Duration) {
        let (ended, mut end) = oneshot::channel();
        let (responses, failed) = (self.responses.clone(), self.commands.failed());
        let outcome = tokio::select! {
            biased; // what was published in time is still taken in
            outcome = self.talk(ended, hello_timeout) => outcome,
            Ok(reason) = &mut end => Err(Ended::Told(reason)),
            () = failed => Err(Ended::Refused(as_status(self.commands.closed()))),
            () = responses.closed() => Ok(()), // the connection is gone
        };
        // Whoever went without waiting for its Welcome may have been taken in; where it was not, this says nothing.
        self.commands.send(Command::Detach(self.source)).await;
        let last = match outcome {
            Ok(()) => return,
            Err(Ended::Refused(status)) => Err(status),
            Err(Ended::Told(reason)) => Ok(goodbye(reason)),
        };
        // Gives up with the connection, like any other send.
        let _ = self.responses.send(last).await;
    }

    async fn talk(
        &mut self,
        ended: oneshot::Sender<GoodbyeReason>,
        hello_timeout: Duration,
    ) -> Result<(), Ended> {
        self.hello(ended, hello_timeout).await.map_err(Ended::Refused)?;
        self.read().await
    }

    async fn hello(
        &mut self,
        ended: oneshot::Sender<GoodbyeReason>,
        hello_timeout: Duration,
    ) -> Result<(), Status> {
        let first = timeout(hello_timeout, self.inbound.message()).await.map_err(|_| {
            Status::deadline_exceeded(format!("no Hello came within {hello_timeout:?} of the call"))
        })?;
        let hello = match first.map_err(unreadable)?.and_then(Said::message) {
            Some(Message::Hello(hello)) => hello,
            _ => return Err(Status::invalid_argument("the first message of a stream is its Hello")),
        };
        let source = self.source;
        let attached = self.commands.ask(|reply| Command::Attach { source, hello, ended, reply }).await;
        let welcome = attached.ok_or_else(|| as_status(self.commands.closed()))?.map_err(as_status)?;
        let _ = self.say(attach_response::Message::Welcome(welcome)).await;
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Ended> {
        loop {
            let message = match self.inbound.message().await {
                Ok(Some(request)) => request.message(),
                Ok(None) => return Ok(()),
                Err(status) => return Err(Ended::Refused(unreadable(status))),
            };
            match message {
                Some(Message::Publish(body)) => {
                    let source = self.source;
                    let publication = Publication::Wire(Published::read(body).map_err(malformed)?);
                    let receipt =
                        self.commands.ask(|reply| Command::Publish { source, publication, reply }).await;
                    // No receipt: the stream has lost its place, and is told so in a moment.
                    if let Some(receipt) = receipt.flatten() {
                        let _ = self.say(attach_response::Message::Receipt(receipt)).await;
                    }
                }
                Some(Message::Hello(_)) => {
                    let status = Status::invalid_argument("a stream has one Hello, its first message");
                    return Err(Ended::Refused(status));
                }
                Some(Message::Both) => {
                    let status = Status::invalid_argument("a message is a Hello or a Publish, not both");
                    return Err(Ended::Refused(status));
                }
                // A kind of message that only a later version knows.
                None => {}
            }
        }
    }

    async fn say(&self, message: attach_response::Message) -> Result<(), ()> {
        self.responses.send(Ok(AttachResponse { message: Some(message) })).await.map_err(drop)
    }
}

/// Why a gateway's stream ended, where it did not end by itself.
#[derive(Debug)]
enum Ended {
    Refused(Status),
    Told(GoodbyeReason),
}

fn malformed(malformed: Malformed) -> Ended {
    Ended::Refused(Status::invalid_argument(format!("unreadable Publish: {malformed}")))
}

fn goodbye(reason: GoodbyeReason) -> AttachResponse {
    let (after, text) = match reason {
        GoodbyeReason::Displaced => {
            (Duration::ZERO, "a newer boot, or a newer stream of this emitter, has attached")
        }
        GoodbyeReason::Handover => (HANDOVER_AFTER, HANDOVER_TEXT),
        _ => (RECONNECT_AFTER, "the dispatcher is stopping"),
    };
    let goodbye = attach_response::Goodbye {
        reason: reason.into(),
        reconnect_after_ms: after.as_millis() as u32,
        text: text.to_owned(),
    };
    AttachResponse { message: Some(attach_response::Message::Goodbye(goodbye)) }
}
