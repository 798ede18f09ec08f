//! What the plugin has in hand: received, and not yet answered.
//!
//! It outlives a stream. A handler that runs while the stream breaks goes on; when its event is delivered again,
//! that delivery waits for the same outcome instead of starting the handler twice.

use std::{future::Future, pin::pin, sync::Arc};

use hashbrown::HashMap;
use hookwire_protocol::{
    hook,
    v1::{Ack, DrainNotice, Event},
};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::{
    acks::Acks,
    begin::{Answer, Begun, Pace, finish, outcome_of},
    caught_up::CaughtUp,
    dedupe::{Memory, REMEMBERED},
    delivery::Delivery,
    lanes::{After, Lanes, Ticket},
    outcome::Outcome,
    routes::{Handler, Routes},
};

/// How much may be in hand before the stream is left unread. Starts and ends know no window: without this, a
/// plugin that is slow to handle them would hold them all in memory.
const IN_HAND: usize = 8_192;

/// How many answers may wait before they are sent although the input has not run dry.
const UNSENT: u64 = 512;

/// A delivery whose handler has not been begun.
struct Job {
    id: Arc<str>,
    /// Whether it can be delivered again once it is settled.
    remember: bool,
    handler: Handler<Delivery>,
    delivery: Delivery,
}

enum Finished {
    Delivery { ticket: Ticket, id: Arc<str>, remember: bool, outcome: Outcome },
    Drain(Outcome),
    CaughtUp(Outcome),
}

/// Whose delivery is being begun: the handler takes the delivery itself. Written over each time, and so for free.
#[derive(Default)]
struct Name {
    id: String,
    session: String,
}

impl Name {
    fn note(&mut self, id: &str, session: &str) {
        for (noted, now) in [(&mut self.id, id), (&mut self.session, session)] {
            noted.clear();
            noted.push_str(now);
        }
    }
}

/// The sweep at CaughtUp: nothing is read from when it is due until it is over.
enum Sweep {
    None,
    Due(CaughtUp),
    Running,
}

/// All that is in hand, and what is remembered of what was.
pub(crate) struct Work {
    routes: Routes,
    concurrency: usize,
    remember_all: bool,
    lanes: Lanes<Job>,
    /// By event id: the numbers on the current stream that its outcome answers.
    in_hand: HashMap<Arc<str>, Vec<u64>>,
    pace: Pace,
    name: Name,
    /// Handlers that wait, and the author's code for drains and for CaughtUp.
    running: JoinSet<Finished>,
    /// How many of them are handlers.
    handling: usize,
    sweep: Sweep,
    memory: Memory,
    acks: Acks,
}

impl Work {
    /// At most `concurrency` handlers run at once. `remember_all`: any event may come again, not only starts
    /// and ends.
    pub(crate) fn new(routes: Routes, concurrency: usize, remember_all: bool) -> Self {
        Self {
            routes,
            concurrency,
            remember_all,
            lanes: Lanes::default(),
            in_hand: HashMap::new(),
            pace: Pace::default(),
            name: Name::default(),
            running: JoinSet::new(),
            handling: 0,
            sweep: Sweep::None,
            memory: Memory::new(REMEMBERED),
            acks: Acks::default(),
        }
    }

    /// Whether the author wants to know when replay is over.
    pub(crate) fn sweeps(&self) -> bool {
        self.routes.caught_up.is_some()
    }

    /// The stream is over: its numbers mean nothing any more, nor does its CaughtUp.
    pub(crate) fn forget_stream(&mut self) {
        self.acks = Acks::default();
        self.in_hand.values_mut().for_each(Vec::clear);
        if let Sweep::Due(_) = self.sweep {
            self.sweep = Sweep::None;
        }
    }

    /// Takes deliveries in that came together, with consecutive numbers.
    pub(crate) fn take_batch(&mut self, first_seq: u64, deliveries: impl Iterator<Item = Delivery>) {
        self.pace.turn();
        let mut seq = first_seq;
        for delivery in deliveries {
            self.take_in(seq, delivery);
            seq = seq.wrapping_add(1);
        }
    }

    /// Takes one delivery in: it is answered from memory, joins the one in hand, is begun, or waits for its turn.
    fn take_in(&mut self, seq: u64, delivery: Delivery) {
        let remember = self.remember_all || delivery.is_lifecycle();
        if remember && let Some(outcome) = self.memory.recall(delivery.id()) {
            debug!(event = delivery.id(), "delivered again: answered as before");
            return self.acks.answer(seq, outcome.clone());
        }
        if let Some(in_hand) = self.in_hand.get_mut(delivery.id()) {
            return in_hand.push(seq);
        }
        // A plugin that listens to ends alone is sent the starts, too: they go together.
        let Some(handler) = self.routes.find(delivery.hook()) else {
            return self.acks.answer(seq, Outcome::Ok);
        };
        let (lane, after) = place(delivery.event());
        if self.handling < self.concurrency && self.lanes.is_free(lane, after) {
            self.name.note(delivery.id(), lane);
            let begun = self.pace.begin(handler, delivery);
            return self.take_down(seq, remember, begun);
        }
        let id: Arc<str> = delivery.id().into();
        self.in_hand.insert(id.clone(), vec![seq]);
        let (lane, handler) = (lane.into(), handler.clone());
        self.lanes.push(lane, after, Job { id, remember, handler, delivery });
    }

    /// What became of the delivery that is noted in `name`. One that is done at once was never in hand.
    fn take_down(&mut self, seq: u64, remember: bool, begun: Begun) {
        let Name { id, session } = &self.name;
        match begun {
            Begun::Done(outcome) => {
                report(id, session, &outcome);
                if remember {
                    self.memory.remember(id.as_str().into(), outcome.clone());
                }
                self.acks.answer(seq, outcome);
            }
            Begun::Waits(answer) => {
                let id: Arc<str> = id.as_str().into();
                let ticket = self.lanes.enter(session.as_str().into());
                self.in_hand.insert(id.clone(), vec![seq]);
                self.wait_for(ticket, id, remember, answer);
            }
        }
    }

    /// A drain begins: the author is told at once, whatever is in hand.
    pub(crate) fn drain_notice(&mut self, notice: DrainNotice) {
        if let Some(handler) = self.routes.drain.clone() {
            self.running.spawn(async move { Finished::Drain(outcome_of(handler, notice).await) });
        }
    }

    /// Replay is over: the author is told when all that came before is done.
    pub(crate) fn caught_up(&mut self, caught_up: CaughtUp) {
        self.sweep = Sweep::Due(caught_up);
    }

    /// Whether more may be read.
    pub(crate) fn has_room(&self) -> bool {
        // The lanes count what is out, too; what runs beside them is the author's code for drains.
        let beside = self.running.len() - self.handling;
        self.lanes.len() + beside < IN_HAND
            && self.acks.pending() < UNSENT
            && matches!(self.sweep, Sweep::None)
    }

    /// Whether something is going on.
    pub(crate) fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// How many deliveries are in hand.
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
            let Job { id, remember, handler, delivery } = job;
            match self.pace.begin(&handler, delivery) {
                Begun::Done(outcome) => self.settle_delivery(ticket, id, remember, outcome),
                Begun::Waits(answer) => self.wait_for(ticket, id, remember, answer),
            }
        }
        if self.lanes.len() == 0 {
            self.start_sweep();
        }
    }

    fn wait_for(&mut self, ticket: Ticket, id: Arc<str>, remember: bool, answer: Answer) {
        self.handling += 1;
        self.running.spawn(async move {
            let outcome = finish(answer).await;
            Finished::Delivery { ticket, id, remember, outcome }
        });
    }

    fn start_sweep(&mut self) {
        let (Sweep::Due(_), Some(handler)) = (&self.sweep, self.routes.caught_up.clone()) else { return };
        if let Sweep::Due(caught_up) = std::mem::replace(&mut self.sweep, Sweep::Running) {
            self.running.spawn(async move { Finished::CaughtUp(outcome_of(handler, caught_up).await) });
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
            Finished::Delivery { ticket, id, remember, outcome } => {
                self.handling -= 1;
                self.settle_delivery(ticket, id, remember, outcome);
            }
            Finished::Drain(outcome) => report("on_drain", "", &outcome),
            Finished::CaughtUp(outcome) => {
                report("on_caught_up", "", &outcome);
                self.sweep = Sweep::None;
            }
        }
    }

    fn settle_delivery(&mut self, ticket: Ticket, id: Arc<str>, remember: bool, outcome: Outcome) {
        report(&id, ticket.lane(), &outcome);
        for seq in self.in_hand.remove(&id).unwrap_or_default() {
            self.acks.answer(seq, outcome.clone());
        }
        if remember {
            self.memory.remember(id, outcome);
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

/// Where an event belongs. Events without a session keep their order among themselves. A gateway's stop comes
/// after all that came before it: handlers close databases there.
fn place(event: &Event) -> (&str, After) {
    let lane = event.session.as_ref().map_or("", |s| if s.id.is_empty() { &s.key } else { &s.id });
    let after = if event.hook == hook::GATEWAY_STOP { After::All } else { After::Lane };
    (lane, after)
}

fn report(what: &str, session: &str, outcome: &Outcome) {
    if let Outcome::Retry { text, .. } | Outcome::Reject { text, .. } = outcome {
        let rejected = matches!(outcome, Outcome::Reject { .. });
        warn!(event = what, session, rejected, reason = text, "not done");
    }
}
