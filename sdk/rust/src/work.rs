//! What the plugin has in hand: received, and not yet answered.
//!
//! It outlives a stream. A handler that runs while the stream breaks goes on; when its event is delivered again,
//! it waits for the same outcome instead of starting the handler twice.

use std::{future::Future, pin::pin, sync::Arc};

use hashbrown::HashMap;
use hookwire_protocol::v1::{Ack, DrainNotice};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::{
    acks::Acks,
    begin::{Answer, Begun, Pace, finish, outcome_of},
    case::{Case, Name, place, report},
    event::{Event, StreamFacts},
    lanes::{Lanes, Ticket},
    memory::Memory,
    outcome::Outcome,
    routes::{Handler, Routes},
    store::Store,
    sweep::Sweep,
};

/// How much may be in hand before the stream is left unread. Starts and ends know no window: without this, a
/// plugin that is slow to handle them would hold them all in memory.
const IN_HAND: usize = 8_192;

/// How many answers may wait before they are sent although the input has not run dry.
const UNSENT: u64 = 512;

/// An event whose handler has not been begun.
struct Job {
    case: Case,
    handler: Handler<Event>,
    event: Event,
}

enum Finished {
    Event { ticket: Ticket, case: Case, outcome: Outcome },
    Drain(Outcome),
    Sweep(Outcome),
}

/// The author's sweep: nothing is read from when it is due until it is over.
enum Sweeping {
    None,
    Due(Sweep),
    Running,
}

/// All that is in hand, and what is remembered of what was.
pub(crate) struct Work {
    routes: Routes,
    concurrency: usize,
    lanes: Lanes<Job>,
    /// By event id: the numbers on the current stream that its outcome answers.
    in_hand: HashMap<Arc<str>, Vec<u64>>,
    pace: Pace,
    name: Name,
    /// Handlers that wait, and the author's code for drains and for sweeps.
    running: JoinSet<Finished>,
    /// How many of them are handlers.
    handling: usize,
    sweeping: Sweeping,
    memory: Memory,
    /// What came up to CaughtUp, by arrival: once that is done, no answer of an earlier stream is needed any more.
    forget_behind: Option<u64>,
    acks: Acks,
}

impl Work {
    /// At most `concurrency` handlers run at once. `remember_all`: any event may come again, not only starts
    /// and ends.
    pub(crate) fn new(routes: Routes, concurrency: usize, remember_all: bool, store: Box<dyn Store>) -> Self {
        Self {
            routes,
            concurrency,
            lanes: Lanes::default(),
            in_hand: HashMap::new(),
            pace: Pace::default(),
            name: Name::default(),
            running: JoinSet::new(),
            handling: 0,
            sweeping: Sweeping::None,
            memory: Memory::new(store, remember_all),
            forget_behind: None,
            acks: Acks::default(),
        }
    }

    /// Whether the author wants to know when replay is over.
    pub(crate) fn sweeps(&self) -> bool {
        self.routes.sweep.is_some()
    }

    /// Another stream begins.
    pub(crate) fn begin_stream(&mut self, facts: Arc<StreamFacts>) {
        self.forget_stream();
        self.memory.begin_stream(facts);
    }

    /// The stream is over: its numbers mean nothing any more, nor does its CaughtUp.
    pub(crate) fn forget_stream(&mut self) {
        self.acks = Acks::default();
        self.in_hand.values_mut().for_each(Vec::clear);
        self.forget_behind = None;
        if let Sweeping::Due(_) = self.sweeping {
            self.sweeping = Sweeping::None;
        }
    }

    /// Takes events in that came together, with consecutive numbers.
    pub(crate) fn take_batch(&mut self, first_seq: u64, events: impl Iterator<Item = Event>) {
        self.pace.turn();
        let mut seq = first_seq;
        for event in events {
            self.take_in(seq, event);
            seq = seq.wrapping_add(1);
        }
    }

    /// Takes one event in: it is answered from memory, joins the one in hand, is begun, or waits for its turn.
    fn take_in(&mut self, seq: u64, event: Event) {
        let is_lifecycle = event.is_lifecycle();
        if let Some(outcome) = self.memory.recall(event.id(), is_lifecycle) {
            debug!(event = event.id(), "delivered again: answered as before");
            return self.acks.answer(seq, outcome);
        }
        if let Some(in_hand) = self.in_hand.get_mut(event.id()) {
            return in_hand.push(seq);
        }
        // A plugin that listens to ends alone is sent the starts, too: they go together.
        let Some(handler) = self.routes.find(event.hook()) else {
            return self.acks.answer(seq, Outcome::Ok);
        };
        let (lane, after) = place(event.wire());
        if self.handling < self.concurrency && self.lanes.is_free(lane, after) {
            self.name.note(&event, lane);
            let begun = self.pace.begin(handler, event);
            return self.take_down(seq, is_lifecycle, begun);
        }
        let case = Case::of(&event);
        self.in_hand.insert(case.id.clone(), vec![seq]);
        let (lane, handler) = (lane.into(), handler.clone());
        self.lanes.push(lane, after, Job { case, handler, event });
    }

    /// What became of the event that is noted in `name`. One that is done at once was never in hand.
    fn take_down(&mut self, seq: u64, is_lifecycle: bool, begun: Begun) {
        let Name { id, hook, session } = &self.name;
        match begun {
            Begun::Done(outcome) => {
                let outcome = self.memory.keep(id, is_lifecycle, outcome.of_event(is_lifecycle));
                report(id, hook, session, &outcome);
                self.acks.answer(seq, outcome);
            }
            Begun::Waits(answer) => {
                let case = Case { id: id.as_str().into(), hook: hook.as_str().into(), is_lifecycle };
                let ticket = self.lanes.enter(session.as_str().into());
                self.in_hand.insert(case.id.clone(), vec![seq]);
                self.wait_for(ticket, case, answer);
            }
        }
    }

    /// A drain begins: the author is told at once, whatever is in hand.
    pub(crate) fn drain_notice(&mut self, notice: DrainNotice) {
        let Some(handler) = &self.routes.drain else { return };
        self.pace.turn();
        match self.pace.begin(handler, notice) {
            Begun::Done(outcome) => report("", "on_drain", "", &outcome),
            Begun::Waits(answer) => {
                self.running.spawn(async move { Finished::Drain(finish(answer).await) });
            }
        }
    }

    /// Replay is over. Nothing of an earlier stream comes behind it.
    pub(crate) fn caught_up(&mut self) {
        self.forget_behind = Some(self.lanes.arrivals());
    }

    /// The author may sweep when all that came before is done.
    pub(crate) fn sweep(&mut self, sweep: Sweep) {
        self.sweeping = Sweeping::Due(sweep);
    }

    /// Whether more may be read.
    pub(crate) fn has_room(&self) -> bool {
        // The lanes count what is out, too; what runs beside them is the author's code for drains.
        let beside = self.running.len() - self.handling;
        self.lanes.len() + beside < IN_HAND
            && self.acks.pending() < UNSENT
            && matches!(self.sweeping, Sweeping::None)
    }

    /// Whether something is going on.
    pub(crate) fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// How many events are in hand.
    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether an Ack is due.
    pub(crate) fn has_answers(&self) -> bool {
        self.acks.pending() > 0
    }

    /// The Ack that is due.
    pub(crate) fn take_ack(&mut self) -> Option<Ack> {
        self.acks.take()
    }

    /// Begins whatever has its turn, up to the bound.
    pub(crate) fn start(&mut self) {
        if self.lanes.has_ready() {
            self.pace.turn();
        }
        while self.handling < self.concurrency
            && let Some((ticket, job)) = self.lanes.pop()
        {
            let Job { case, handler, event } = job;
            match self.pace.begin(&handler, event) {
                Begun::Done(outcome) => self.settle_event(ticket, case, outcome),
                Begun::Waits(answer) => self.wait_for(ticket, case, answer),
            }
        }
        if self.forget_behind.is_some_and(|arrivals| self.lanes.are_done(arrivals)) {
            self.forget_behind = None;
            self.memory.forget_earlier();
        }
        if self.lanes.len() == 0 {
            self.start_sweep();
        }
    }

    fn wait_for(&mut self, ticket: Ticket, case: Case, answer: Answer) {
        self.handling += 1;
        self.running.spawn(async move {
            let outcome = finish(answer).await;
            Finished::Event { ticket, case, outcome }
        });
    }

    fn start_sweep(&mut self) {
        let (Sweeping::Due(_), Some(handler)) = (&self.sweeping, self.routes.sweep.clone()) else { return };
        if let Sweeping::Due(sweep) = std::mem::replace(&mut self.sweeping, Sweeping::Running) {
            self.running.spawn(async move { Finished::Sweep(outcome_of(handler, sweep).await) });
        }
    }

    /// Waits until something is finished, takes that down, and starts what has its turn now. Returns at once
    /// where nothing is going on. May be dropped at any time.
    pub(crate) async fn turn(&mut self) {
        let mut finished = self.running.join_next().await;
        while let Some(joined) = finished {
            match joined {
                Ok(finished) => self.settle(finished),
                // Panics are caught and nothing is aborted: only a runtime that shuts down does this.
                Err(error) => warn!(%error, "a handler was cut off"),
            }
            finished = self.running.try_join_next();
        }
        self.start();
    }

    fn settle(&mut self, finished: Finished) {
        match finished {
            Finished::Event { ticket, case, outcome } => {
                self.handling -= 1;
                self.settle_event(ticket, case, outcome);
            }
            Finished::Drain(outcome) => report("", "on_drain", "", &outcome),
            Finished::Sweep(outcome) => {
                report("", "on_sweep", "", &outcome);
                self.sweeping = Sweeping::None;
            }
        }
    }

    fn settle_event(&mut self, ticket: Ticket, case: Case, outcome: Outcome) {
        let Case { id, hook, is_lifecycle } = case;
        let outcome = self.memory.keep(&id, is_lifecycle, outcome.of_event(is_lifecycle));
        report(&id, &hook, ticket.lane(), &outcome);
        for seq in self.in_hand.remove(&id).unwrap_or_default() {
            self.acks.answer(seq, outcome.clone());
        }
        self.lanes.done(ticket);
    }

    /// Waits for something else, while what is in hand goes on.
    pub(crate) async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            self.start();
            tokio::select! {
                biased; // the other first, or busy handlers could put it off for ever
                done = &mut other => return done,
                () = self.turn(), if self.is_busy() => {}
            }
        }
    }

    /// Finishes all that is in hand.
    pub(crate) async fn finish(&mut self) {
        self.start();
        while self.is_busy() {
            self.turn().await;
        }
    }
}
