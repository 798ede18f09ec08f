//! What a call of the machine leaves behind is carried out, and streams are filled.

use tracing::{info, warn};

use super::Worker;
use crate::{
    crash,
    machine::{Effect, Now},
    serve::{
        outlet::{Outgoing, Room},
        stream::StreamId,
    },
    settle::forget::Forgotten,
};

impl Worker {
    /// Carries out what the machine's calls left behind; what leaves the process waits for its records.
    pub(super) fn carry_out(&mut self) {
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
                    gate.let_out(outlets, move |_| {
                        let _ = ended.send(reason); // its reader may be gone
                    });
                }
            }
            Effect::GatewayLost(gateway) => {
                warn!(gateway, "gateway lost: it was away for longer than its grace")
            }
            Effect::ListDropped { gateway, why } => {
                warn!(gateway, "its list of live sessions is dropped: {why}")
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
    pub(super) fn serve(&mut self) {
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
}
