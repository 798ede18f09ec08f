//! One stream of a tail, from the dialling to its end.

use std::{
    future::pending,
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use hookwire_protocol::v1::{
    Ack, SubscribeRequest, SubscribeResponse,
    hook_service_client::HookServiceClient,
    subscribe_request::{self, Hello},
    subscribe_response::Message,
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    Tail,
    acks::{AckMode, Acks},
    lines::Show,
    numbered,
    reconnect::{Ending, Reconnect},
    stop::{Asked, Stop},
};
use crate::cli::client;

/// How long the dispatcher may take to answer the call, and then to send its Welcome.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing may have come before a stream is dry.
const DRY_AFTER: Duration = Duration::from_millis(500);

/// How long one that lets go of its name waits for its stream to run dry.
pub(super) const RUNS_DRY_WITHIN: Duration = Duration::from_secs(5);

/// How long the dispatcher may take to end a stream that is half-closed.
const FAREWELL: Duration = Duration::from_secs(2);

impl<S: Show> Tail<S> {
    /// One stream, to its end.
    ///
    /// # Errors
    /// When a line cannot be written, save that nobody reads it.
    pub(super) async fn stream(&mut self) -> io::Result<Ending> {
        let opened = tokio::select! {
            () = self.stop.asked() => return Ok(Ending::Left),
            opened = Call::open(&self.address, self.hello.clone()) => opened,
        };
        let call = match opened {
            Ok(call) => call,
            Err(ending) => return Ok(ending),
        };
        let stream = Stream {
            call,
            acks: Acks::new(self.mode),
            shows: &mut self.shows,
            reconnect: &mut self.reconnect,
            welcome_by: Some(Instant::now() + PATIENCE),
            releases: self.releases,
            released: &mut self.released,
            caught_up: false,
            leaving: None,
        };
        stream.run(&mut self.stop).await
    }
}

/// An open stream.
struct Stream<'a, S> {
    call: Call,
    acks: Acks,
    shows: &'a mut S,
    reconnect: &'a mut Reconnect,
    /// None once the Welcome is here.
    welcome_by: Option<Instant>,
    /// It lets go of what it is owed when it leaves.
    releases: bool,
    /// The dispatcher knows that it did.
    released: &'a mut bool,
    /// All that was kept before this stream has come.
    caught_up: bool,
    /// It leaves once nothing more comes.
    leaving: Option<Leaving>,
}

/// Asked to stop, with what is on its way still to be taken: who lets go of it would lose it.
struct Leaving {
    /// When something came last, or that was asked.
    heard: Instant,
    /// When it leaves, and keeps what it is owed, whatever still comes.
    by: Instant,
}

impl<S: Show> Stream<'_, S> {
    async fn run(mut self, stop: &mut Stop) -> io::Result<Ending> {
        loop {
            match self.step(stop).await {
                Ok(None) => {}
                Ok(Some(Ending::Left)) => {
                    self.leave().await;
                    return Ok(Ending::Left);
                }
                Ok(Some(Ending::Goodbye(goodbye))) => {
                    self.half_close(None).await;
                    return Ok(Ending::Goodbye(goodbye));
                }
                Ok(Some(lost)) => return Ok(lost),
                Err(error) => {
                    self.releases = false;
                    self.leave().await;
                    // Nobody reads any more: that is how a pipe says stop.
                    return if error.kind() == ErrorKind::BrokenPipe { Ok(Ending::Left) } else { Err(error) };
                }
            }
        }
    }

    async fn step(&mut self, stop: &mut Stop) -> io::Result<Option<Ending>> {
        let (by, dry_at) = (self.leaving.as_ref().map(|leaving| leaving.by), self.dry_at());
        let asked = if by.is_none() { Asked::Once } else { Asked::Twice };
        tokio::select! {
            biased;
            // First: a stop does not wait for a busy stream.
            () = stop.times(asked) => Ok(self.asked_to_leave()),
            () = at(by) => Ok(Some(self.keep_and_leave())),
            // Before the input: a delay is not stretched by a busy stream either.
            () = at(self.acks.next_due()) => {
                self.acks.ripen(Instant::now());
                self.answer();
                Ok(None)
            }
            // Before the Acks: they are said when the input has run dry.
            message = self.call.inbound.message(), if !self.acks.is_full() => self.take(message).await,
            is_open = has_room(&self.call.outbound), if self.acks.is_due() => {
                if is_open {
                    self.answer();
                } else {
                    // Nobody takes answers any more; the stream's own end, still to be read, says why.
                    self.acks = Acks::new(AckMode::Never);
                }
                Ok(None)
            }
            () = at(self.welcome_by) => Ok(Some(Ending::Lost(format!("no Welcome within {PATIENCE:?}")))),
            // Last: what has come is taken first.
            () = at(dry_at) => Ok(Some(Ending::Left)),
        }
    }

    fn asked_to_leave(&mut self) -> Option<Ending> {
        if !self.releases || self.leaving.is_some() {
            return Some(self.keep_and_leave());
        }
        let now = Instant::now();
        self.leaving = Some(Leaving { heard: now, by: now + RUNS_DRY_WITHIN });
        None
    }

    /// There may be more to come: it is not let go of.
    fn keep_and_leave(&mut self) -> Ending {
        self.releases = false;
        Ending::Left
    }

    /// When one that is leaving has nothing more to wait for.
    fn dry_at(&self) -> Option<Instant> {
        self.leaving.as_ref().filter(|_| self.caught_up).map(|leaving| leaving.heard + DRY_AFTER)
    }

    /// Sends the Ack that is due, if there is room for it; what finds none stays due.
    fn answer(&mut self) {
        if let Ok(room) = self.call.outbound.try_reserve()
            && let Some(due) = self.acks.take()
        {
            room.send(ack(due));
        }
    }

    /// Prints a message, then remembers what there is to answer.
    async fn take(
        &mut self,
        message: Result<Option<SubscribeResponse>, Status>,
    ) -> io::Result<Option<Ending>> {
        let message = match message {
            Ok(Some(SubscribeResponse { message: Some(message) })) => message,
            Ok(Some(SubscribeResponse { message: None })) => return Ok(None), // of a newer version
            Ok(None) => return Ok(Some(Ending::Lost("the stream ended without a Goodbye".to_owned()))),
            Err(status) => return Ok(Some(Ending::Status(status))),
        };
        self.shows.show(&message).await?;
        if let Some(leaving) = &mut self.leaving {
            leaving.heard = Instant::now();
        }
        match message {
            Message::Welcome(_) => {
                self.welcome_by = None;
                self.reconnect.welcomed();
            }
            Message::Events(batch) => {
                let now = Instant::now();
                for (seq, event) in numbered(&batch) {
                    self.acks.printed(seq, &event.hook, now);
                }
            }
            Message::Goodbye(goodbye) => return Ok(Some(Ending::Goodbye(goodbye))),
            Message::CaughtUp(_) => self.caught_up = true,
            Message::Gap(_) | Message::DrainNotice(_) | Message::DrainSummary(_) => {}
        }
        Ok(None)
    }

    /// Answers everything that is printed and says Goodbye. What this plugin is owed is kept for it, or let go of.
    async fn leave(mut self) {
        self.acks.ripen_all();
        let goodbye = subscribe_request::Goodbye { release: self.releases };
        self.half_close(Some(goodbye)).await;
    }

    /// Sends what is due, closes this direction, and waits for the other one's end, which shows that it arrived.
    async fn half_close(mut self, goodbye: Option<subscribe_request::Goodbye>) {
        let Call { mut inbound, outbound } = self.call;
        let releases = goodbye.is_some_and(|goodbye| goodbye.release);
        let farewell = async {
            let acks = self.acks.take().map(ack);
            let goodbye = goodbye.map(|goodbye| request(subscribe_request::Message::Goodbye(goodbye)));
            for last in acks.into_iter().chain(goodbye) {
                outbound.send(last).await.ok()?;
            }
            drop(outbound);
            while let Some(SubscribeResponse { message }) = inbound.message().await.ok()? {
                // An event that comes now could not be answered: it is not printed either.
                let shown = message.filter(|message| !matches!(message, Message::Events(_)));
                if let Some(message) = shown
                    && self.shows.show(&message).await.is_err()
                {
                    return None;
                }
            }
            Some(())
        };
        // It is over either way: late, or with nobody there to say it to.
        let arrived = matches!(timeout(FAREWELL, farewell).await, Ok(Some(())));
        *self.released = releases && arrived;
    }
}

/// The two directions of an open call.
struct Call {
    inbound: Streaming<SubscribeResponse>,
    outbound: mpsc::Sender<SubscribeRequest>,
}

impl Call {
    /// Dials and says Hello.
    async fn open(address: &Address, hello: Hello) -> Result<Self, Ending> {
        let channel = address
            .connect()
            .await
            .map_err(|error| Ending::Lost(format!("{address}: {}", client::innermost(&error))))?;
        let (outbound, requests) = mpsc::channel(4);
        // Queued before the call: some servers send their headers only after the first message.
        let hello = request(subscribe_request::Message::Hello(hello));
        outbound.try_send(hello).expect("a fresh channel has room");
        let mut client = HookServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        match timeout(PATIENCE, client.subscribe(ReceiverStream::new(requests))).await {
            Ok(Ok(response)) => Ok(Self { inbound: response.into_inner(), outbound }),
            Ok(Err(status)) => Err(Ending::Status(status)),
            Err(_) => Err(Ending::Lost(format!("no answer to the call within {PATIENCE:?}"))),
        }
    }
}

fn request(message: subscribe_request::Message) -> SubscribeRequest {
    SubscribeRequest { message: Some(message) }
}

fn ack(ack: Ack) -> SubscribeRequest {
    request(subscribe_request::Message::Ack(ack))
}

/// Returns when one more message fits, or with false when nobody takes them any more. Cancel-safe.
async fn has_room(outbound: &mpsc::Sender<SubscribeRequest>) -> bool {
    outbound.reserve().await.is_ok()
}

/// That moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}
