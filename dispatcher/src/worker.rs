//! The one task that owns the machine. Everybody else sends it commands; it never waits for any of them.

mod carry;
mod commands;
pub(crate) mod commits;
mod effects;
mod gate;

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hookwire_protocol::v1::{self, GoodbyeReason};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tracing::error;

pub(crate) use self::commands::{Command, Commands};
use self::{commands::Inbox, commits::Commits, gate::Gate};
use crate::{
    drain::Ticket,
    emit::boots::SourceId,
    machine::{Machine, Now, Refused},
    serve::{
        outlet::{Outgoing, Outlets},
        stream::StreamId,
    },
    settle::journal::store::StoreError,
    status::as_status,
};

/// Commands that are taken at once, before streams are served again.
const COMMANDS_AT_ONCE: usize = 64;

/// How long what is written last may take to leave, once the dispatcher stops.
const FAREWELL: Duration = Duration::from_millis(100);

/// Owns the machine.
#[derive(Debug)]
pub(crate) struct Worker {
    machine: Machine,
    gate: Gate,
    inbox: Inbox,
    outlets: Outlets,
    sources: HashMap<SourceId, oneshot::Sender<GoodbyeReason>>,
    reports: HashMap<Ticket, oneshot::Sender<v1::DrainReport>>,
    /// Streams that have something to pull.
    dirty: BTreeSet<StreamId>,
    /// Who waits for plugins to be through, and until when.
    handover: Option<(Instant, oneshot::Sender<()>)>,
    farewell: Option<(Instant, oneshot::Sender<()>)>,
    began: Instant,
    /// What the journal failed of: nothing is taken in any more.
    fault: Option<Refused>,
}

/// A worker and the way to speak to it. Without a journal, nothing survives it.
pub(crate) fn worker(machine: Machine, journal: Option<Commits>) -> (Commands, Worker) {
    let (commands, inbox) = commands::channel();
    let worker = Worker {
        machine,
        gate: Gate::new(journal),
        inbox,
        outlets: Outlets::default(),
        sources: HashMap::new(),
        reports: HashMap::new(),
        dirty: BTreeSet::new(),
        handover: None,
        farewell: None,
        began: Instant::now(),
        fault: None,
    };
    (commands, worker)
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
                Some(command) = self.inbox.urgent.recv() => self.take(command),
                committed = self.gate.committed() => match committed {
                    Ok(()) => self.gate.open(&mut self.outlets),
                    Err(error) => self.fail(&error),
                },
                Some(stream) = self.inbox.ready.recv() => {
                    self.dirty.insert(stream);
                }
                () = sleep_until(wake.unwrap_or(self.began)), if wake.is_some() => self.tick(),
                count = self.inbox.queue.recv_many(&mut batch, COMMANDS_AT_ONCE) => {
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

    /// What the machine says is not what the journal holds any more, and what was held back must never leave: all
    /// streams end, and nothing is taken in until another process has the ledger from the journal.
    fn fail(&mut self, error: &StoreError) {
        error!(%error, "the journal failed: nothing is taken in until a restart");
        let fault = Refused::Journal(error.to_string());
        self.fault = Some(fault.clone());
        self.inbox.faults.send_replace(Some(fault.clone()));
        self.gate.shut();
        self.handover = None;
        self.reports.clear();
        self.dirty.clear();
        self.sources.clear(); // gateways' readers see the fault themselves
        let status = as_status(fault);
        self.outlets.finish_all(|| Outgoing::End(status.clone()));
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

#[cfg(test)]
mod tests;
