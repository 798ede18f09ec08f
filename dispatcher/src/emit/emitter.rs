//! The embedded gateway's side: an emitter that never blocks.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, Refusal, attach_request},
};
use prost::Message as _;
use tokio::sync::{
    Notify,
    mpsc::{self, error::SendError},
    oneshot,
};

use super::{boots::SourceId, given::Given, publish::Publication};
use crate::{
    machine::Refused,
    queue::Lost,
    worker::{Command, Commands},
};

/// Bytes of ordinary events that may wait between an emitter and the worker. Starts and ends always have room.
const MAX_WAITING_BYTES: u64 = 16 << 20;

/// Events that are handed to the worker at once.
const BATCH: usize = 256;

/// Hands events over from any thread, without ever waiting. Cheap to clone; the stream ends with the last clone.
#[derive(Clone, Debug)]
pub struct Emitter {
    events: mpsc::UnboundedSender<Box<Emitted>>,
    room: Arc<Room>,
}

#[derive(Debug, Default)]
struct Room {
    waiting_bytes: AtomicU64,
    lost_events: AtomicU64,
    lost_bytes: AtomicU64,
    /// Something was lost: that is told although nothing else may follow.
    full: Notify,
    /// Why nothing more is taken in, once that is so.
    over: OnceLock<NotTaken>,
}

/// An event on its way to the worker; in a box, since it passes through several hands.
#[derive(Debug)]
pub(crate) struct Emitted {
    event: GatewayEvent,
    bytes: usize,
    /// `None` once the carrier has it.
    receipt: Option<oneshot::Sender<Result<(), NotTaken>>>,
}

impl Emitted {
    /// The event, to be taken in.
    pub(crate) fn given(&self) -> Given<'_> {
        Given::of(&self.event, self.bytes)
    }

    fn refuse(self, why: &NotTaken) {
        if let Some(receipt) = self.receipt {
            let _ = receipt.send(Err(why.clone())); // whoever emitted it may not care
        }
    }
}

/// Why an event was not taken in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It is not to be sent again: the text says what is wrong with it.
    #[error("{}", .0.text)]
    Refused(Refusal),
    /// More was emitted than could be taken in; the loss is counted, and told to the plugins.
    #[error("the emitter's buffer of {MAX_WAITING_BYTES} bytes is full")]
    Full,
    /// The dispatcher has stopped, or a newer boot has taken this one's place: this had no effect.
    #[error("the dispatcher takes nothing more in from this boot")]
    Closed,
    /// The journal has failed; the text says of what. What was on its way then may be in it or not, and nothing behind
    /// that is. The next process goes on from what is in it: its first emitter ends what was left open.
    #[error("this may be lost: {0}")]
    Journal(String),
}

/// What became of an event: a future that can be dropped.
///
/// Ready means: a lifecycle effect is as durable as the ledger is, any other event is queued or counted as lost.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<(), NotTaken>>);

impl Future for Receipt {
    type Output = Result<(), NotTaken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(NotTaken::Closed)))
    }
}

impl Room {
    async fn tell_lost(&self, commands: &Commands) {
        let lost = Lost {
            events: self.lost_events.swap(0, Ordering::Relaxed),
            bytes: self.lost_bytes.swap(0, Ordering::Relaxed),
        };
        if lost.events > 0 {
            commands.send(Command::EmitterLost(lost)).await;
        }
    }

    /// Nothing more is taken in: whoever waits is told why, and whoever emits from now on.
    fn close(
        &self,
        refused: Refused,
        receipts: Vec<oneshot::Sender<Result<(), NotTaken>>>,
        waiting: &mut mpsc::UnboundedReceiver<Box<Emitted>>,
    ) {
        let why = match refused {
            fault @ Refused::Journal(_) => NotTaken::Journal(fault.to_string()),
            _ => NotTaken::Closed,
        };
        let why = self.over.get_or_init(|| why);
        for receipt in receipts {
            let _ = receipt.send(Err(why.clone())); // whoever emitted it may not care
        }
        waiting.close();
        while let Ok(emitted) = waiting.try_recv() {
            emitted.refuse(why);
        }
    }
}

impl Emitter {
    /// Hands an event over. Never blocks, whatever any subscriber does.
    pub fn emit(&self, event: GatewayEvent) -> Receipt {
        let (receipt, answer) = oneshot::channel();
        let size = event.encoded_len();
        let bytes = size as u64;
        let lifecycle =
            matches!(event.hook.as_str(), hook::SESSION_START | hook::SESSION_END | hook::GATEWAY_STOP);
        let waiting = self.room.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > MAX_WAITING_BYTES && !lifecycle {
            self.room.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.room.lost_events.fetch_add(1, Ordering::Relaxed);
            self.room.lost_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.room.full.notify_one();
            let _ = receipt.send(Err(NotTaken::Full)); // the caller may not care
            return Receipt(answer);
        }
        let emitted = Box::new(Emitted { event, bytes: size, receipt: Some(receipt) });
        if let Err(SendError(emitted)) = self.events.send(emitted) {
            emitted.refuse(self.room.over.get().unwrap_or(&NotTaken::Closed));
        }
        Receipt(answer)
    }
}

/// Attaches an emitter to the worker, and starts the task that carries its events there.
pub(crate) async fn attach(
    commands: Commands,
    source: SourceId,
    hello: attach_request::Hello,
) -> Result<Emitter, Refused> {
    let (ended, _end) = oneshot::channel();
    let welcome = commands.ask(|reply| Command::Attach { source, hello, ended, reply }).await;
    let welcome = welcome.ok_or_else(|| commands.closed())??;
    let (events, waiting) = mpsc::unbounded_channel();
    let room = Arc::new(Room::default());
    tokio::spawn(carry(commands, source, welcome.resume_after, waiting, Arc::clone(&room)));
    Ok(Emitter { events, room })
}

async fn carry(
    commands: Commands,
    source: SourceId,
    mut last: u64,
    mut waiting: mpsc::UnboundedReceiver<Box<Emitted>>,
    room: Arc<Room>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = tokio::select! {
            count = waiting.recv_many(&mut batch, BATCH) => count,
            () = room.full.notified() => {
                room.tell_lost(&commands).await;
                continue;
            }
        };
        room.tell_lost(&commands).await; // before what was emitted behind it
        if count == 0 {
            break;
        }
        let mut events = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
        let bytes: usize = events.iter().map(|emitted| emitted.bytes).sum();
        room.waiting_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        let receipts: Vec<_> = events.iter_mut().filter_map(|emitted| emitted.receipt.take()).collect();
        let first_publish_seq = last + 1;
        last += events.len() as u64;
        let publication = Publication::Embedded { first_publish_seq, events };
        let receipt = commands.ask(|reply| Command::Publish { source, publication, reply }).await;
        let Some(receipt) = receipt.flatten() else {
            room.close(commands.closed(), receipts, &mut waiting);
            break;
        };
        answer(receipts, first_publish_seq, receipt.refused);
    }
    commands.send(Command::Detach(source)).await;
}

/// Whoever emitted may have dropped the receipt.
fn answer(receipts: Vec<oneshot::Sender<Result<(), NotTaken>>>, first: u64, refused: Vec<Refusal>) {
    let mut refused = refused.into_iter().peekable();
    for (publish_seq, receipt) in (first..).zip(receipts) {
        let refusal = refused.next_if(|refusal| refusal.publish_seq == publish_seq);
        let _ = receipt.send(refusal.map_or(Ok(()), |refusal| Err(NotTaken::Refused(refusal))));
    }
}

#[cfg(test)]
impl From<hookwire_protocol::v1::Publish> for Publication {
    /// As if an embedded emitter had published it.
    fn from(publish: hookwire_protocol::v1::Publish) -> Self {
        let emitted =
            |event: GatewayEvent| Box::new(Emitted { bytes: event.encoded_len(), event, receipt: None });
        let events = publish.events.into_iter().map(emitted).collect();
        Self::Embedded { first_publish_seq: publish.first_publish_seq, events }
    }
}

#[cfg(test)]
mod tests;
