//! What each command does: a call of the machine, and an answer that waits for what it rests on.

use hookwire_protocol::v1::{
    self, GetStatusResponse, GoodbyeReason, attach_request, attach_response, subscribe_request,
    subscribe_response,
};
use tokio::{sync::oneshot, time::Instant};
use tonic::Status;
use tracing::{info, warn};

use super::{FAREWELL, Worker, commands::Command};
use crate::{
    drain::{DrainOrder, HURRY, Ticket},
    emit::boots::SourceId,
    machine::{Now, Refused},
    serve::{
        frame::Frame,
        outlet::{Outgoing, Outlet},
        stream::StreamId,
    },
};

impl Worker {
    pub(super) fn carry(&mut self, command: Command) {
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
    pub(super) fn refuse(&mut self, command: Command, fault: Refused) {
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
