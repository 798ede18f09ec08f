//! The one task that owns the machine. Everybody else sends it commands; it never waits for any of them.

pub(crate) mod commits;
mod gate;

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hookwire_protocol::v1::{
    self, GetStatusResponse, GoodbyeReason, StopReason, attach_request, attach_response, subscribe_request,
    subscribe_response,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tonic::Status;
use tracing::{error, info, warn};

use self::{commits::Commits, gate::Gate};
use crate::{
    crash,
    drain::{DrainOrder, HURRY, Ticket},
    emit::{boots::SourceId, publish::Publication, service::Ended},
    machine::{Effect, Machine, Now, Refused},
    queue::Lost,
    serve::{
        frame::Frame,
        outlet::{Outgoing, Outlet, Outlets, Room},
        stream::StreamId,
    },
    settle::{forget::Forgotten, journal::store::StoreError},
    status::as_status,
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
        ended: oneshot::Sender<Ended>,
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

/// Owns the machine.
#[derive(Debug)]
pub(crate) struct Worker {
    machine: Machine,
    gate: Gate,
    commands: mpsc::Receiver<Command>,
    urgent: mpsc::Receiver<Command>,
    ready: mpsc::UnboundedReceiver<StreamId>,
    outlets: Outlets,
    sources: HashMap<SourceId, oneshot::Sender<Ended>>,
    reports: HashMap<Ticket, oneshot::Sender<v1::DrainReport>>,
    /// Streams that have something to pull.
    dirty: BTreeSet<StreamId>,
    /// Who waits for plugins to be through, and until when.
    handover: Option<(Instant, oneshot::Sender<()>)>,
    farewell: Option<(Instant, oneshot::Sender<()>)>,
    began: Instant,
    /// What the journal failed of: nothing is taken in any more.
    fault: Option<Refused>,
    faults: watch::Sender<Option<Refused>>,
}

/// A worker and the way to speak to it. Without a journal, nothing survives it.
pub(crate) fn worker(machine: Machine, journal: Option<Commits>) -> (Commands, Worker) {
    let (queue, commands) = mpsc::channel(COMMANDS);
    let (urgent, urged) = mpsc::channel(1);
    let (ready, wakes) = mpsc::unbounded_channel();
    let (faults, failed) = watch::channel(None);
    let worker = Worker {
        machine,
        gate: Gate::new(journal),
        commands,
        urgent: urged,
        ready: wakes,
        outlets: Outlets::default(),
        sources: HashMap::new(),
        reports: HashMap::new(),
        dirty: BTreeSet::new(),
        handover: None,
        farewell: None,
        began: Instant::now(),
        fault: None,
        faults,
    };
    (Commands { queue, urgent, ready, faults: failed }, worker)
}

impl Worker {
    /// Runs until its farewell is said, or nobody can send commands any more; then the journal is another's to open.
    pub(crate) async fn run(mut self) {
        let farewell = self.serve_all().await;
        self.finish().await;
        // Where the journal failed, nobody is told that all is well.
        if let Some(done) = farewell.filter(|_| self.fault.is_none()) {
            let _ = done.send(()); // who asked may be gone
        }
    }

    /// Says who waits for the end.
    async fn serve_all(&mut self) -> Option<oneshot::Sender<()>> {
        let mut batch = Vec::with_capacity(COMMANDS_AT_ONCE);
        loop {
            let wake = self.next_wake();
            tokio::select! {
                // In this order: room in a transport is cheap to use, and a flood of commands must not hide the clock.
                biased;
                Some(command) = self.urgent.recv() => self.take(command),
                committed = self.gate.committed() => match committed {
                    Ok(()) => self.gate.open(&mut self.outlets),
                    Err(error) => self.fail(&error),
                },
                Some(stream) = self.ready.recv() => {
                    self.dirty.insert(stream);
                }
                () = sleep_until(wake.unwrap_or(self.began)), if wake.is_some() => self.tick(),
                count = self.commands.recv_many(&mut batch, COMMANDS_AT_ONCE) => {
                    if count == 0 {
                        return None;
                    }
                    batch.drain(..).for_each(|command| self.take(command));
                }
            }
            self.carry_out();
            self.serve();
            self.gate.commit(self.machine.ran());
            self.finish_handover();
            if let Some(done) = self.finish_farewell() {
                return Some(done);
            }
        }
    }

    /// What is still to be committed is.
    async fn finish(&mut self) {
        self.gate.flush();
        while !self.gate.is_at_rest() {
            self.gate.commit(self.machine.ran());
            match self.gate.committed().await {
                Ok(()) => self.gate.open(&mut self.outlets),
                Err(error) => self.fail(&error),
            }
        }
        self.gate.close().await;
    }

    fn next_wake(&self) -> Option<Instant> {
        let tick = self.machine.next_tick().filter(|_| self.fault.is_none()).map(|after| self.began + after);
        let farewell = self.farewell.as_ref().map(|(at, _)| *at);
        let handover = self.handover.as_ref().map(|(at, _)| *at);
        [tick, handover, farewell, self.gate.next_commit()].into_iter().flatten().min()
    }

    fn tick(&mut self) {
        if self.fault.is_none() {
            self.machine.tick(self.now());
        }
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.began.elapsed(), unix_nano: unix.as_nanos() as u64 }
    }

    fn take(&mut self, command: Command) {
        match self.fault.clone() {
            None => self.carry(command),
            Some(fault) => self.refuse(command, fault),
        }
    }

    fn carry(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Attach { source, hello, ended, reply } => {
                let answer = self.attach(now, source, &hello, ended);
                self.reply(reply, answer);
            }
            Command::Publish { source, publication, reply } => {
                let answer = self.machine.publish(now, source, &publication);
                self.reply(reply, answer);
            }
            Command::EmitterLost(lost) => self.machine.emitter_lost(lost),
            Command::Detach(source) => {
                if self.sources.remove(&source).is_some() {
                    info!(source = source.0, "gateway's stream ended");
                }
                self.machine.detach(now, source);
            }
            Command::Subscribe { stream, hello, outlet, reply } => {
                let answer = self.subscribe(now, stream, &hello, outlet);
                self.reply(reply, answer);
            }
            Command::Ack { stream, ack } => self.machine.ack(now, stream, &ack),
            Command::Leave { stream, release, status } => self.leave(now, stream, release, status),
            Command::Drain { order, reply, report } => {
                let answer = self.drain(now, &order, report);
                self.reply(reply, answer);
            }
            // What is only looked at waits for no disk.
            Command::Progress { ticket, reply } => drop(reply.send(self.machine.progress(now, ticket))),
            Command::Stop { reason, budget, report } => {
                let ticket = self.machine.stop(now, reason, budget);
                self.gate.end_is_near();
                self.reports.insert(ticket, report);
            }
            Command::Hurry => {
                self.machine.hurry(now);
                self.handover.iter_mut().for_each(|(at, _)| *at = (*at).min(Instant::now() + HURRY));
            }
            Command::HandOver { budget, done } => {
                self.machine.hand_over(now);
                self.gate.end_is_near();
                self.handover = Some((Instant::now() + budget, done));
            }
            Command::Farewell { goodbye, done } => {
                self.machine.farewell(now, &goodbye);
                self.gate.flush();
                self.farewell = Some((Instant::now() + FAREWELL, done));
            }
            Command::Status(reply) => drop(reply.send(self.machine.status(now))),
            Command::Forget { subscriber, reply } => {
                let answer = self.machine.forget(now, &subscriber);
                self.reply(reply, answer);
            }
        }
    }

    /// Whoever asked and has gone does not read the reply: that is no fault.
    fn reply<T: Send + 'static>(&mut self, reply: oneshot::Sender<T>, answer: T) {
        self.carry_out();
        self.gate.let_out(&mut self.outlets, move |_| {
            let _ = reply.send(answer);
        });
    }

    /// Nothing is taken in after the journal has failed; who asks is told.
    fn refuse(&mut self, command: Command, fault: Refused) {
        match command {
            Command::Attach { reply, .. } => drop(reply.send(Err(fault))),
            Command::Subscribe { reply, .. } => drop(reply.send(Err(fault))),
            Command::Drain { reply, .. } => drop(reply.send(Err(fault))),
            Command::Forget { reply, .. } => drop(reply.send(Err(fault))),
            Command::Status(reply) => {
                let status = self.machine.status(self.now());
                let _ = reply.send(GetStatusResponse { journal_failure: fault.to_string(), ..status });
            }
            Command::Farewell { done, .. } => self.farewell = Some((Instant::now() + FAREWELL, done)),
            // Who waits for these sees that no answer comes.
            Command::Publish { .. }
            | Command::Progress { .. }
            | Command::Stop { .. }
            | Command::HandOver { .. } => {}
            Command::EmitterLost(_)
            | Command::Detach(_)
            | Command::Ack { .. }
            | Command::Leave { .. }
            | Command::Hurry => {}
        }
    }

    /// What the machine says is not what the journal holds any more, and what was held back must never leave: all
    /// streams end, and nothing is taken in until another process has the ledger from the journal.
    fn fail(&mut self, error: &StoreError) {
        error!(%error, "the journal failed: nothing is taken in until a restart");
        let fault = Refused::Journal(error.to_string());
        self.fault = Some(fault.clone());
        self.faults.send_replace(Some(fault.clone()));
        self.gate.shut();
        self.handover = None;
        self.reports.clear();
        self.dirty.clear();
        let status = as_status(fault);
        for (_, ended) in self.sources.drain() {
            let _ = ended.send(Ended::Refused(status.clone()));
        }
        self.outlets.finish_all(|| Outgoing::End(status.clone()));
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
        ended: oneshot::Sender<Ended>,
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

    fn leave(&mut self, now: Now, stream: StreamId, release: bool, status: Option<Status>) {
        let refused = status.as_ref().map(Status::message);
        info!(stream = stream.0, release, refused, "plugin's stream ended");
        self.machine.leave(now, stream, release);
        self.carry_out();
        let last = status.map_or_else(bye, Outgoing::End);
        self.gate.let_out(&mut self.outlets, move |outlets| outlets.finish(stream, last));
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

    /// Carries out what the machine's calls left behind; what leaves the process waits for its records.
    fn carry_out(&mut self) {
        let step = &mut self.machine.step;
        self.gate.add(&mut step.records);
        for effect in std::mem::take(&mut step.effects) {
            self.take_effect(effect);
        }
    }

    fn take_effect(&mut self, effect: Effect) {
        let Self { gate, outlets, .. } = self;
        match effect {
            Effect::Ready(stream) => drop(self.dirty.insert(stream)),
            Effect::Dismiss(stream, last) => {
                gate.let_out(outlets, move |outlets| outlets.finish(stream, Outgoing::Frame(last)));
            }
            Effect::EndSource(source, reason) => {
                if let Some(ended) = self.sources.remove(&source) {
                    gate.let_out(outlets, move |_| drop(ended.send(Ended::Told(reason))));
                }
            }
            Effect::GatewayLost(gateway) => {
                warn!(gateway, "gateway lost: it was away for longer than its grace")
            }
            Effect::Forgotten(Forgotten { subscriber, why, entries, owed }) => {
                warn!(%subscriber, entries, owed, "subscriber forgotten: {why}")
            }
            Effect::Drained(ticket, report) => {
                let (ended, ms) = (report.sessions_ended, report.elapsed_ms);
                info!(scope = report.scope, sessions_ended = ended, elapsed_ms = ms, "drained");
                if let Some(waiting) = self.reports.remove(&ticket) {
                    gate.let_out(outlets, move |_| drop(waiting.send(report)));
                }
            }
        }
    }

    /// Gives every stream that has something to write as much as its transport takes now.
    fn serve(&mut self) {
        while let Some(stream) = self.dirty.pop_first() {
            let now = self.now();
            if self.fill(now, stream) {
                self.machine.leave(now, stream, false);
            }
            self.carry_out();
        }
    }

    /// Says whether the stream is over.
    fn fill(&mut self, now: Now, stream: StreamId) -> bool {
        loop {
            let place = match self.outlets.room(stream) {
                Room::For(place) => place,
                Room::None => return false,
                Room::Closed => {
                    self.outlets.forget(stream);
                    return true;
                }
            };
            let Some(frame) = self.machine.pull(now, stream) else { return false };
            let last = frame.last;
            self.carry_out();
            if self.machine.closings.under_way() {
                crash::point("frame-of-a-drain"); // those before it may have left
            }
            self.gate.let_out(&mut self.outlets, move |outlets| {
                place.fill(Outgoing::Frame(frame));
                if last {
                    outlets.forget(stream); // not before: a journal that fails ends those that are here
                }
            });
            if last {
                return true;
            }
        }
    }

    fn finish_handover(&mut self) {
        let quiet = self.handover.is_some() && self.machine.is_quiet() && self.gate.is_at_rest();
        let over = |(at, _): &mut (Instant, oneshot::Sender<()>)| quiet || *at <= Instant::now();
        if let Some((_, done)) = self.handover.take_if(over) {
            let _ = done.send(());
        }
    }

    fn finish_farewell(&mut self) -> Option<oneshot::Sender<()>> {
        let said = self.outlets.is_empty() && self.gate.is_at_rest();
        let over = |(at, _): &mut (Instant, oneshot::Sender<()>)| said || *at <= Instant::now();
        self.farewell.take_if(over).map(|(_, done)| done)
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
