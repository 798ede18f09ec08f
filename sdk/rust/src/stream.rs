//! One stream: from the dial to the last word.

use std::{collections::HashSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use hookwire_protocol::v1::{
    EventBatch, GapCause, GoodbyeReason, SubscribeRequest, SubscribeResponse,
    hook_service_client::HookServiceClient,
    subscribe_request::{self, Hello, Message as Request},
    subscribe_response::{Goodbye, Message as Response, Welcome},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tracing::{debug, info, warn};

use crate::{
    MAX_MESSAGE_BYTES,
    error::{RunError, is_refusal},
    event::{Event, StreamFacts},
    outcome::in_full,
    plugin::Connector,
    sweep::Sweep,
    work::Work,
};

/// How long dialling, Hello and Welcome may take together.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the last words may take, on either side.
const PARTING: Duration = Duration::from_secs(1);

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// We were told to stop, and what was in hand is finished or out of time.
    Stopped,
    /// Dialling again would not help.
    ForGood(RunError),
    /// Dial again, after this much and some jitter.
    Lost {
        /// For the log.
        why: String,
        /// What the dispatcher asked for.
        wait: Duration,
    },
}

impl Ended {
    fn lost(why: impl Into<String>) -> Self {
        Self::Lost { why: why.into(), wait: Duration::ZERO }
    }

    fn by_status(status: Status) -> Self {
        if status.code() == Code::AlreadyExists {
            return Self::ForGood(RunError::Displaced { text: status.message().to_owned() });
        }
        if is_refusal(&status) {
            return Self::ForGood(RunError::Refused(Box::new(status)));
        }
        Self::lost(format!("{}: {}", status.code(), status.message()))
    }

    fn by_goodbye(goodbye: Goodbye) -> Self {
        let reason = goodbye.reason();
        if reason == GoodbyeReason::Displaced {
            return Self::ForGood(RunError::Displaced { text: goodbye.text });
        }
        let wait = Duration::from_millis(goodbye.reconnect_after_ms.into());
        Self::Lost { why: format!("goodbye: {} {}", reason.as_str_name(), goodbye.text), wait }
    }
}

/// A stream that was welcomed.
#[derive(Debug)]
pub(crate) struct Stream {
    outgoing: mpsc::Sender<SubscribeRequest>,
    incoming: Streaming<SubscribeResponse>,
    facts: Arc<StreamFacts>,
    known: bool,
    announced: bool,
    /// Lives that were named so far: until CaughtUp, and where the author wants to know.
    named: Option<HashSet<u64>>,
}

impl Stream {
    /// Dials, says Hello and waits for the Welcome.
    pub(crate) async fn open(connect: &Connector, hello: Hello) -> Result<Self, Ended> {
        let announced = hello.announce;
        let shaken = timeout(HANDSHAKE, shake_hands(connect, hello)).await;
        let (outgoing, incoming, welcome) = shaken.map_err(|_| Ended::lost("no Welcome in time"))??;
        greet(&welcome);
        let Welcome { ledger_id, stream_epoch, .. } = welcome;
        let facts = StreamFacts { ledger_id, stream_epoch, ..Default::default() };
        Ok(Self { outgoing, incoming, facts: Arc::new(facts), known: welcome.known, announced, named: None })
    }

    /// Takes in what comes and answers it, until the stream ends or `stop` says so. When told to stop, what is
    /// in hand has `grace` to finish.
    pub(crate) async fn serve(
        mut self,
        work: &mut Work,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        grace: Duration,
    ) -> Ended {
        work.begin_stream(self.facts.clone());
        self.named = work.sweeps().then(HashSet::new);
        loop {
            work.start();
            tokio::select! {
                // In this order: stop is never put off; what is finished makes room; Acks come last, so they go
                // out when the input has run dry, or when too many wait and `has_room` is false.
                biased;
                () = stop.as_mut() => return self.leave(work, grace).await,
                () = work.turn(), if work.is_busy() => {}
                message = self.incoming.message(), if work.has_room() => {
                    if let Some(ended) = self.take(message, work) {
                        return ended;
                    }
                }
                heard = has_space(&self.outgoing), if work.has_answers() => {
                    if heard {
                        self.send_ack(work);
                    } else {
                        // It broke. What has arrived is still worth taking in: an end may not come again.
                        work.forget_stream();
                    }
                }
            }
        }
    }

    /// Takes one message; the stream's end, if it is that.
    fn take(&mut self, message: Result<Option<SubscribeResponse>, Status>, work: &mut Work) -> Option<Ended> {
        let message = match message {
            Ok(Some(message)) => message.message?,
            Ok(None) => return Some(Ended::lost("closed without a goodbye")),
            Err(status) => return Some(Ended::by_status(status)),
        };
        match message {
            Response::Events(batch) => self.take_batch(batch, work),
            Response::CaughtUp(caught_up) => {
                debug!(replayed = caught_up.replayed, announced = caught_up.announced, "caught up");
                self.catch_up(work);
            }
            Response::Gap(gap) if gap.cause() == GapCause::Expired => {
                warn!(sessions = gap.count, "expired: their ends will not come");
            }
            Response::Gap(gap) => {
                warn!(count = gap.count, bytes = gap.bytes, cause = gap.cause().as_str_name(), "events lost");
            }
            Response::DrainNotice(notice) => {
                info!(
                    gateway = notice.gateway_id,
                    owed = notice.ends_owed,
                    budget_ms = notice.budget_ms,
                    "drain"
                );
                self.facts.drains.begin(&notice);
                work.drain_notice(notice);
            }
            Response::DrainSummary(summary) => {
                let (owed, carried_over) = (summary.owed, summary.carried_over);
                info!(gateway = summary.gateway_id, owed, carried_over, "drained");
                self.facts.drains.end(&summary.gateway_id);
            }
            Response::Goodbye(goodbye) => return Some(Ended::by_goodbye(goodbye)),
            Response::Welcome(_) => warn!("a second Welcome, ignored"),
        }
        None
    }

    fn take_batch(&mut self, batch: EventBatch, work: &mut Work) {
        let kind = batch.kind();
        let received = Instant::now();
        let budget = Duration::from_millis(batch.budget_ms.into());
        let events = batch.events.into_iter().map(|wire| {
            if let (Some(named), Some(session)) = (&mut self.named, &wire.session) {
                named.insert(session.incarnation);
            }
            Event { wire, kind, facts: self.facts.clone(), received, budget }
        });
        work.take_batch(batch.first_seq, events);
    }

    fn catch_up(&mut self, work: &mut Work) {
        work.caught_up();
        if let Some(named) = self.named.take() {
            let (facts, known, announced) = (self.facts.clone(), self.known, self.announced);
            work.sweep(Sweep { facts, known, announced, named });
        }
    }

    /// Takes nothing more, finishes what is in hand, acknowledges it, says Goodbye and hangs up.
    async fn leave(mut self, work: &mut Work, grace: Duration) -> Ended {
        info!(in_hand = work.len(), "stopping");
        let finished = timeout_at(Instant::now() + grace, self.finish(work)).await;
        if finished.is_err() {
            warn!(in_hand = work.len(), "out of time: what is in hand will be delivered again");
        }
        if timeout(PARTING, self.say_goodbye(work)).await.is_ok() {
            // Until the dispatcher has answered, the last Ack may still be on its way out of this process.
            drop(self.outgoing);
            last_word(&mut self.incoming).await;
        }
        Ended::Stopped
    }

    /// Finishes what is in hand. Its Acks go out meanwhile: whoever drains is waiting for them.
    async fn finish(&mut self, work: &mut Work) {
        work.start();
        while work.is_busy() {
            tokio::select! {
                biased; // as in `serve`
                () = work.turn() => {}
                heard = has_space(&self.outgoing), if work.has_answers() => {
                    if !heard {
                        return work.finish().await;
                    }
                    self.send_ack(work);
                }
            }
        }
    }

    async fn say_goodbye(&mut self, work: &mut Work) {
        while has_space(&self.outgoing).await {
            if !work.has_answers() {
                return self.send(Request::Goodbye(subscribe_request::Goodbye { release: false }));
            }
            self.send_ack(work);
        }
    }

    fn send_ack(&self, work: &mut Work) {
        if let Some(ack) = work.take_ack() {
            self.send(Request::Ack(ack));
        }
    }

    /// Sends into space that is there. It can still fail, where the stream has just broken: then nothing is
    /// lost, since what it would have answered comes again.
    fn send(&self, message: Request) {
        if self.outgoing.try_send(request(message)).is_err() {
            debug!("the stream broke under an answer");
        }
    }
}

/// Waits until the transport takes more; `false` when it never will.
async fn has_space(outgoing: &mpsc::Sender<SubscribeRequest>) -> bool {
    outgoing.reserve().await.is_ok()
}

/// Reads on only to learn how the stream ends. What still comes unread was never answered: it comes again.
async fn last_word(incoming: &mut Streaming<SubscribeResponse>) -> Ended {
    let listen = async {
        loop {
            match incoming.message().await {
                Ok(Some(SubscribeResponse { message: Some(Response::Goodbye(goodbye)) })) => {
                    return Ended::by_goodbye(goodbye);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ended::lost("closed without a goodbye"),
                Err(status) => return Ended::by_status(status),
            }
        }
    };
    timeout(PARTING, listen).await.unwrap_or_else(|_| Ended::lost("nobody hears us"))
}

type Shaken = (mpsc::Sender<SubscribeRequest>, Streaming<SubscribeResponse>, Welcome);

async fn shake_hands(connect: &Connector, hello: Hello) -> Result<Shaken, Ended> {
    let channel = connect().await.map_err(|error| Ended::lost(in_full(error.as_ref())))?;
    // Small: what the transport does not take yet is better merged into the next Ack.
    let (outgoing, requests) = mpsc::channel(2);
    // Before the call: some servers send their headers only with their first message, which is the Welcome.
    outgoing.try_send(request(Request::Hello(hello))).map_err(|_| Ended::lost("no room for Hello"))?;
    let mut client = HookServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let response = client.subscribe(ReceiverStream::new(requests)).await.map_err(Ended::by_status)?;
    let mut incoming = response.into_inner();
    let first = incoming.message().await.map_err(Ended::by_status)?;
    match first.and_then(|first| first.message) {
        Some(Response::Welcome(welcome)) => Ok((outgoing, incoming, welcome)),
        Some(Response::Goodbye(goodbye)) => Err(Ended::by_goodbye(goodbye)),
        _ => Err(Ended::lost("it did not begin with a Welcome")),
    }
}

fn greet(welcome: &Welcome) {
    let Welcome { ledger_id, stream_epoch, known, ends_owed, .. } = welcome;
    info!(ledger_id, stream_epoch, known, ends_owed, "welcome");
    if !welcome.unknown_hooks.is_empty() {
        warn!(hooks = ?welcome.unknown_hooks, "no such hooks there, so far");
    }
    if let Some(expired) = welcome.expired.filter(|expired| expired.entries + expired.events > 0) {
        warn!(sessions = expired.entries, events = expired.events, "expired while away");
    }
}

fn request(message: Request) -> SubscribeRequest {
    SubscribeRequest { message: Some(message) }
}
