//! What is asked of the worker, and how it comes to it.

use std::{future::pending, time::Duration};

use hookwire_protocol::v1::{
    self, GoodbyeReason, StopReason, attach_request, attach_response, subscribe_request, subscribe_response,
};
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use crate::{
    drain::{DrainOrder, Ticket},
    emit::{boots::SourceId, publish::Publication},
    machine::Refused,
    queue::Lost,
    serve::{outlet::Outlet, stream::StreamId},
    settle::forget::Forgotten,
};

/// Commands that may wait: a peer that floods waits for its own turn.
pub(super) const COMMANDS: usize = 256;

/// What is asked of the worker.
#[derive(Debug)]
pub(crate) enum Command {
    Attach {
        source: SourceId,
        hello: attach_request::Hello,
        /// Dropped with the stream, or where the journal fails.
        ended: oneshot::Sender<GoodbyeReason>,
        reply: oneshot::Sender<Result<attach_response::Welcome, Refused>>,
    },
    Publish {
        source: SourceId,
        publication: Publication,
        reply: oneshot::Sender<Option<v1::Receipt>>,
    },
    /// An embedded emitter had no room for these.
    EmitterLost(Lost),
    Detach(SourceId),
    Subscribe {
        stream: StreamId,
        hello: subscribe_request::Hello,
        outlet: Outlet,
        reply: oneshot::Sender<Result<(), Refused>>,
    },
    Ack {
        stream: StreamId,
        ack: v1::Ack,
    },
    Leave {
        stream: StreamId,
        release: bool,
        /// Why the stream was refused; without it the plugin went by itself.
        status: Option<Status>,
    },
    Drain {
        order: DrainOrder,
        reply: oneshot::Sender<Result<Ticket, Refused>>,
        report: oneshot::Sender<v1::DrainReport>,
    },
    Progress {
        ticket: Ticket,
        reply: oneshot::Sender<Option<v1::DrainProgress>>,
    },
    Stop {
        reason: StopReason,
        budget: Duration,
        report: oneshot::Sender<v1::DrainReport>,
    },
    Hurry,
    /// Takes nothing in any more; answered when every plugin has answered what there was for it, or the budget is spent.
    HandOver {
        budget: Duration,
        done: oneshot::Sender<()>,
    },
    /// Ends every stream, and the worker: answered when the last frame has left, or soon after, and the journal is closed.
    Farewell {
        goodbye: subscribe_response::Goodbye,
        done: oneshot::Sender<()>,
    },
    Status(oneshot::Sender<v1::GetStatusResponse>),
    /// Lets go of all that a subscriber is owed.
    Forget {
        subscriber: String,
        reply: oneshot::Sender<Result<Forgotten, Refused>>,
    },
}

/// Sends commands to the worker.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    queue: mpsc::Sender<Command>,
    /// The end does not stand in line behind whoever floods us.
    urgent: mpsc::Sender<Command>,
    /// Streams whose transport has room again: at most one message a stream.
    ready: mpsc::UnboundedSender<StreamId>,
    faults: watch::Receiver<Option<Refused>>,
}

impl Commands {
    /// Waits for room; says nothing where the worker is gone, since whoever waits for a reply sees that there.
    pub(crate) async fn send(&self, command: Command) {
        let _ = self.line(&command).send(command).await;
    }

    /// Sends a command that is answered; `None` where the worker is gone.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let command = command(reply);
        self.line(&command).send(command).await.ok()?;
        answer.await.ok()
    }

    fn line(&self, command: &Command) -> &mpsc::Sender<Command> {
        match command {
            Command::Stop { .. } | Command::Hurry | Command::HandOver { .. } | Command::Farewell { .. } => {
                &self.urgent
            }
            _ => &self.queue,
        }
    }

    /// Why no answer came: the journal has failed, or the worker has stopped.
    pub(crate) fn closed(&self) -> Refused {
        self.faults.borrow().clone().unwrap_or(Refused::Stopping)
    }

    /// Returns once the journal has failed. Whoever waits for that keeps no worker alive.
    pub(crate) fn failed(&self) -> impl Future<Output = ()> + use<> {
        let mut faults = self.faults.clone();
        async move {
            if faults.wait_for(Option::is_some).await.is_err() {
                pending().await // the worker has stopped in order
            }
        }
    }

    /// Who tells the worker that a transport has room.
    pub(crate) fn ready(&self) -> mpsc::UnboundedSender<StreamId> {
        self.ready.clone()
    }
}

/// The worker's end of [`Commands`].
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) queue: mpsc::Receiver<Command>,
    pub(super) urgent: mpsc::Receiver<Command>,
    pub(super) ready: mpsc::UnboundedReceiver<StreamId>,
    /// What the journal failed of, for everybody to see.
    pub(super) faults: watch::Sender<Option<Refused>>,
}

/// Both ends.
pub(super) fn channel() -> (Commands, Inbox) {
    let (queue, queued) = mpsc::channel(COMMANDS);
    let (urgent, urged) = mpsc::channel(1);
    let (ready, wakes) = mpsc::unbounded_channel();
    let (faults, failed) = watch::channel(None);
    let inbox = Inbox { queue: queued, urgent: urged, ready: wakes, faults };
    (Commands { queue, urgent, ready, faults: failed }, inbox)
}
