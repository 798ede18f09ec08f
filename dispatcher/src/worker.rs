//! The one task that owns the machine. Everybody else sends it commands; it never waits for any of them.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hookwire_protocol::v1::{
    self, GoodbyeReason, StopReason, attach_request, attach_response, subscribe_request, subscribe_response,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tonic::Status;
use tracing::{info, warn};

use crate::{
    drain::{DrainOrder, Ticket},
    emit::{boots::SourceId, publish::Publication},
    machine::{Effect, Machine, Now, Refused, Settings},
    queue::Lost,
    serve::{
        frame::Frame,
        outlet::{Outgoing, Outlet, Outlets},
        stream::StreamId,
    },
};

/// Commands that may wait: a peer that floods waits for its own turn.
const COMMANDS: usize = 256;

/// Commands that are taken at once, before streams are served again.
const COMMANDS_AT_ONCE: usize = 64;

/// How long what is written last may take to leave, once the dispatcher stops.
const FAREWELL: Duration = Duration::from_millis(100);

/// What is asked of the worker.
#[derive(Debug)]
pub(crate) enum Command {
    Attach {
        source: SourceId,
        hello: attach_request::Hello,
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
    /// Ends every stream; answered when the last frame has left, or soon after.
    Farewell {
        goodbye: subscribe_response::Goodbye,
        done: oneshot::Sender<()>,
    },
    Status(oneshot::Sender<v1::GetStatusResponse>),
}

/// Sends commands to the worker.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    queue: mpsc::Sender<Command>,
    /// The end does not stand in line behind whoever floods us.
    urgent: mpsc::Sender<Command>,
    /// Streams whose transport has room again: at most one message a stream.
    ready: mpsc::UnboundedSender<StreamId>,
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
            Command::Stop { .. } | Command::Hurry | Command::Farewell { .. } => &self.urgent,
            _ => &self.queue,
        }
    }

    /// Who tells the worker that a transport has room.
    pub(crate) fn ready(&self) -> mpsc::UnboundedSender<StreamId> {
        self.ready.clone()
    }
}

/// Owns the machine.
#[derive(Debug)]
pub(crate) struct Worker {
    machine: Machine,
    commands: mpsc::Receiver<Command>,
    urgent: mpsc::Receiver<Command>,
    ready: mpsc::UnboundedReceiver<StreamId>,
    outlets: Outlets,
    sources: HashMap<SourceId, oneshot::Sender<GoodbyeReason>>,
    reports: HashMap<Ticket, oneshot::Sender<v1::DrainReport>>,
    /// Streams that have something to pull.
    dirty: BTreeSet<StreamId>,
    farewell: Option<(Instant, oneshot::Sender<()>)>,
    began: Instant,
}

/// A worker and the way to speak to it.
pub(crate) fn worker(settings: Settings) -> (Commands, Worker) {
    let (queue, commands) = mpsc::channel(COMMANDS);
    let (urgent, urged) = mpsc::channel(1);
    let (ready, wakes) = mpsc::unbounded_channel();
    let worker = Worker {
        machine: Machine::new(settings),
        commands,
        urgent: urged,
        ready: wakes,
        outlets: Outlets::default(),
        sources: HashMap::new(),
        reports: HashMap::new(),
        dirty: BTreeSet::new(),
        farewell: None,
        began: Instant::now(),
    };
    (Commands { queue, urgent, ready }, worker)
}

impl Worker {
    /// Runs until nobody can send commands any more.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(COMMANDS_AT_ONCE);
        loop {
            let tick = self.next_wake();
            tokio::select! {
                // In this order: room in a transport is cheap to use, and a flood of commands must not hide the clock.
                biased;
                Some(command) = self.urgent.recv() => self.take(command),
                Some(stream) = self.ready.recv() => {
                    self.dirty.insert(stream);
                }
                () = sleep_until(tick.unwrap_or(self.began)), if tick.is_some() => {
                    self.machine.tick(self.now());
                }
                count = self.commands.recv_many(&mut batch, COMMANDS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|command| self.take(command));
                }
            }
            self.carry_out();
            self.serve();
            self.finish_farewell();
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let tick = self.machine.next_tick().map(|after| self.began + after);
        let farewell = self.farewell.as_ref().map(|(at, _)| *at);
        tick.into_iter().chain(farewell).min()
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.began.elapsed(), unix_nano: unix.as_nanos() as u64 }
    }

    /// Whoever asked and has gone does not read the reply: that is no fault.
    fn take(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Attach { source, hello, ended, reply } => {
                let _ = reply.send(self.attach(now, source, &hello, ended));
            }
            Command::Publish { source, publication, reply } => {
                let _ = reply.send(self.machine.publish(now, source, &publication));
            }
            Command::EmitterLost(lost) => self.machine.emitter_lost(lost),
            Command::Detach(source) => {
                if self.sources.remove(&source).is_some() {
                    info!(source = source.0, "gateway's stream ended");
                }
                self.machine.detach(now, source);
            }
            Command::Subscribe { stream, hello, outlet, reply } => {
                let _ = reply.send(self.subscribe(now, stream, &hello, outlet));
            }
            Command::Ack { stream, ack } => self.machine.ack(now, stream, &ack),
            Command::Leave { stream, release, status } => {
                let refused = status.as_ref().map(Status::message);
                info!(stream = stream.0, release, refused, "plugin's stream ended");
                self.machine.leave(now, stream, release);
                self.outlets.finish(stream, status.map_or_else(bye, Outgoing::End));
            }
            Command::Drain { order, reply, report } => {
                let _ = reply.send(self.drain(now, &order, report));
            }
            Command::Progress { ticket, reply } => {
                let _ = reply.send(self.machine.progress(now, ticket));
            }
            Command::Stop { reason, budget, report } => {
                let ticket = self.machine.stop(now, reason, budget);
                self.reports.insert(ticket, report);
            }
            Command::Hurry => self.machine.hurry(now),
            Command::Farewell { goodbye, done } => {
                self.machine.farewell(now, &goodbye);
                self.farewell = Some((Instant::now() + FAREWELL, done));
            }
            Command::Status(reply) => {
                let _ = reply.send(self.machine.status(now));
            }
        }
    }

    /// Whoever asks for drain after drain and waits for none must not leave all of that behind.
    fn forget_who_left(&mut self) {
        let machine = &mut self.machine;
        self.reports.retain(|ticket, waiting| {
            let gone = waiting.is_closed();
            if gone {
                machine.forget_waiter(*ticket);
            }
            !gone
        });
    }

    fn attach(
        &mut self,
        now: Now,
        source: SourceId,
        hello: &attach_request::Hello,
        ended: oneshot::Sender<GoodbyeReason>,
    ) -> Result<attach_response::Welcome, Refused> {
        let outcome = self.machine.attach(now, source, hello);
        let (gateway, boot) = (&hello.gateway_id, &hello.boot_id);
        match &outcome {
            Ok(_) => {
                info!(gateway, boot, source = source.0, "gateway attached");
                self.sources.insert(source, ended);
            }
            Err(refused) => warn!(gateway, boot, %refused, "gateway refused"),
        }
        outcome
    }

    fn subscribe(
        &mut self,
        now: Now,
        stream: StreamId,
        hello: &subscribe_request::Hello,
        outlet: Outlet,
    ) -> Result<(), Refused> {
        let outcome = self.machine.subscribe(now, stream, hello);
        let (subscriber, instance) = (&hello.subscriber_id, &hello.instance_id);
        match &outcome {
            Ok(()) => {
                info!(subscriber, instance, stream = stream.0, "plugin subscribed");
                self.outlets.insert(stream, outlet);
            }
            Err(refused) => warn!(subscriber, instance, %refused, "plugin refused"),
        }
        outcome
    }

    fn drain(
        &mut self,
        now: Now,
        order: &DrainOrder,
        report: oneshot::Sender<v1::DrainReport>,
    ) -> Result<Ticket, Refused> {
        self.forget_who_left();
        let ticket = self.machine.drain(now, order);
        info!(?order, refused = ticket.as_ref().err().map(ToString::to_string), "drain asked for");
        if let Ok(ticket) = ticket {
            self.reports.insert(ticket, report);
        }
        ticket
    }

    /// Carries out what the machine's calls left behind.
    fn carry_out(&mut self) {
        // In memory there is nothing to wait for: what is recorded is as durable as it will be.
        let step = self.machine.take_step();
        for effect in step.effects {
            match effect {
                Effect::Ready(stream) => {
                    self.dirty.insert(stream);
                }
                Effect::Dismiss(stream, last) => self.outlets.finish(stream, Outgoing::Frame(last)),
                Effect::EndSource(source, reason) => {
                    if let Some(ended) = self.sources.remove(&source) {
                        let _ = ended.send(reason);
                    }
                }
                Effect::GatewayLost(gateway) => {
                    warn!(gateway, "gateway lost: it was away for longer than its grace")
                }
                Effect::Drained(ticket, report) => {
                    let (ended, ms) = (report.sessions_ended, report.elapsed_ms);
                    info!(scope = report.scope, sessions_ended = ended, elapsed_ms = ms, "drained");
                    if let Some(waiting) = self.reports.remove(&ticket) {
                        let _ = waiting.send(report);
                    }
                }
            }
        }
    }

    /// Gives every stream that has something to write as much as its transport takes now.
    fn serve(&mut self) {
        while let Some(stream) = self.dirty.pop_first() {
            let now = self.now();
            let machine = &mut self.machine;
            let gone = self.outlets.fill(stream, || machine.pull(now, stream));
            if gone {
                self.machine.leave(now, stream, false);
            }
            self.carry_out();
        }
    }

    fn finish_farewell(&mut self) {
        let over =
            |(at, _): &mut (Instant, oneshot::Sender<()>)| self.outlets.is_empty() || *at <= Instant::now();
        if let Some((_, done)) = self.farewell.take_if(over) {
            let _ = done.send(());
        }
    }
}

/// The answer to a plugin that goes.
fn bye() -> Outgoing {
    let goodbye = subscribe_response::Goodbye {
        reason: GoodbyeReason::Bye.into(),
        reconnect_after_ms: 0,
        text: String::new(),
    };
    Outgoing::Frame(Frame::control(subscribe_response::Message::Goodbye(goodbye)))
}

#[cfg(test)]
mod tests;
