//! The world around the machine: plays a schedule on it and on the model, and compares what comes out.

mod crash;
mod gateways;
mod plugins;
mod quiet;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Add,
    time::Duration,
};

use hookwire_protocol::v1::{self, GoodbyeReason, StopReason, subscribe_response::Message};

use super::{
    Checked,
    journal::{Journal, Output},
    model::{
        BUDGET, FORGET_AFTER, GRACE, Model, Order, RETENTION_AGE, RETENTION_BYTES, RETRY_AFTER,
        RETRY_AFTER_MAX, WINDOW,
    },
    rule,
    schedule::{Fired, GATEWAYS, Op, PLUGINS, Schedule},
    wire,
};
use crate::{
    drain::{DrainOrder, Ticket},
    emit::boots::SourceId,
    machine::{Effect, Machine, Now, Settings},
    serve::stream::StreamId,
    settle::journal::Record,
};

pub(super) const LEDGER: &str = "ledger";

/// The wall clock's time at the machine's beginning.
const UNIX_NANO: u64 = 1_700_000_000_000_000_000;

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) model: Model,
    journal: Journal,
    /// How long the present process has run.
    now: Duration,
    /// How long those before it did.
    ran_before: Duration,
    settings: Settings,
    /// How many crashes there are still to come.
    crashes_to_come: usize,
    /// How many lives there were at the last crash.
    lives_before: u64,
    /// How many boots of each gateway there were.
    boots: [u64; GATEWAYS.len()],
    /// Streams of gateways that have their place, by gateway and emitter.
    sources: BTreeMap<(usize, usize), SourceId>,
    /// Streams of gateways that have lost it.
    gone: Vec<SourceId>,
    /// What each emitter of each boot has published.
    published: BTreeMap<(usize, u64, usize), Vec<(u64, Fired)>>,
    streams: BTreeMap<usize, StreamId>,
    old_streams: BTreeMap<usize, StreamId>,
    /// Streams that were said to have something to pull.
    ready: BTreeSet<StreamId>,
    /// The last seq that has left for each stream.
    left: BTreeMap<StreamId, u64>,
    /// Drains whose report is awaited.
    tickets: Vec<(Ticket, usize)>,
    numbers: u64,
    seen: Seen,
    /// Everything that was pulled, by plugin, where somebody wants to read it.
    pub(super) heard: Option<Vec<(usize, Message)>>,
    pub(super) reports: Vec<v1::DrainReport>,
}

/// What was played, to show that schedules reach what they are to reach.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    starts: u64,
    ends: u64,
    redelivered: u64,
    announced: u64,
    others: u64,
    gaps: u64,
    goodbyes: u64,
    reports: u64,
    carried_over: u64,
    expired: u64,
    forgotten: u64,
    crashes: u64,
    lives_restored: u64,
    redelivered_over_a_crash: u64,
    reconciled: u64,
}

/// What a call is to do to streams.
#[derive(Default)]
struct Expected {
    ended: BTreeMap<SourceId, GoodbyeReason>,
    dismissed: Option<StreamId>,
}

impl World {
    pub(super) fn new(lag: usize, queue: usize) -> Self {
        let settings = Settings {
            ledger_id: LEDGER.to_owned(),
            epoch: 3,
            durable: true,
            ack_timeout: Duration::from_secs(3),
            drain_budget: BUDGET,
            gateway_grace: GRACE,
            retry_after: RETRY_AFTER,
            retry_after_max: RETRY_AFTER_MAX,
            retention_age: RETENTION_AGE as u32,
            retention_bytes: RETENTION_BYTES,
            retention_all_bytes: RETENTION_BYTES,
            forget_after: FORGET_AFTER as u32,
            queue_events: queue,
            queue_bytes: 1 << 20,
            max_in_flight: WINDOW,
            max_event_bytes: 1 << 16,
        };
        Self {
            machine: Machine::new(settings.clone()),
            model: Model::default(),
            journal: Journal::new(lag),
            now: Duration::ZERO,
            ran_before: Duration::ZERO,
            settings,
            crashes_to_come: 0,
            lives_before: 0,
            boots: [0; GATEWAYS.len()],
            sources: BTreeMap::new(),
            gone: Vec::new(),
            published: BTreeMap::new(),
            streams: BTreeMap::new(),
            old_streams: BTreeMap::new(),
            ready: BTreeSet::new(),
            left: BTreeMap::new(),
            tickets: Vec::new(),
            numbers: 0,
            seen: Seen::default(),
            heard: None,
            reports: Vec::new(),
        }
    }

    /// Plays a whole schedule, and what follows until nothing more is due.
    pub(super) fn play(schedule: &Schedule) -> Checked<Self> {
        let mut world = Self::new(schedule.lag, schedule.queue);
        world.crashes_to_come = schedule.ops.iter().filter(|op| matches!(op, Op::Crash { .. })).count();
        for (at, op) in schedule.ops.iter().enumerate() {
            world.step(op).map_err(|error| format!("at {at}, {op:?}:\n  {error}"))?;
        }
        world.fall_silent().map_err(|error| format!("at the end:\n  {error}"))?;
        Ok(world)
    }

    /// Plays one thing.
    pub(super) fn step(&mut self, op: &Op) -> Checked {
        match op {
            Op::Attach { gateway, emitter } => {
                self.boots[*gateway] = self.boots[*gateway].max(1);
                self.attach(*gateway, self.boots[*gateway], *emitter, None)
            }
            Op::Boot { gateway, emitter } => {
                self.boots[*gateway] += 1;
                self.attach(*gateway, self.boots[*gateway], *emitter, None)
            }
            Op::Reconcile { gateway, emitter, boot, list } => {
                let boots = &mut self.boots[*gateway];
                *boots = (*boots + u64::from(*boot)).max(1);
                self.attach(*gateway, self.boots[*gateway], *emitter, Some(list))
            }
            Op::OldBoot { gateway } => self.attach_old_boot(*gateway),
            Op::Detach { gateway, emitter } => self.detach(*gateway, *emitter),
            Op::Publish { gateway, emitter, events } => self.publish(*gateway, *emitter, events),
            Op::Lose { gateway, emitter, events } => {
                self.fire(*gateway, *emitter, events);
                Ok(())
            }
            Op::Resend { gateway, emitter, back } => self.resend(*gateway, *emitter, *back),
            Op::Subscribe { plugin, hello } => self.subscribe(*plugin, hello),
            Op::Leave { plugin, release } => self.leave(*plugin, *release),
            Op::Pull { plugin, frames } => self.pull(*plugin, *frames).map(drop),
            Op::Serve { plugin } => self.serve(*plugin).map(drop),
            Op::Ack { plugin, ack } => self.ack(*plugin, ack),
            Op::Postpone { plugin, times } => self.postpone(*plugin, *times),
            Op::AckOld { plugin } => self.ack_old(*plugin),
            Op::Forget { plugin } => self.forget(*plugin),
            Op::Wait { ms } => self.wait(Duration::from_millis(*ms)),
            Op::Drain { gateway, restart, budget, wrong_boot } => {
                self.drain(*gateway, *restart, *budget, *wrong_boot)
            }
            Op::Stop { restart, budget } => self.stop(*restart, *budget),
            Op::Hurry => {
                self.machine.hurry(self.time());
                self.model.hurry();
                self.compare(vec![], Expected::default())
            }
            Op::Crash { committed, kept } => self.crash(*committed, *kept),
        }
    }

    fn time(&self) -> Now {
        // The wall clock jumps, by an hour and back: nothing but the times of events may go by it.
        let jump = Duration::from_hours(u64::from(self.now.as_millis().is_multiple_of(3)));
        let unix_nano = UNIX_NANO + (self.ran_before + self.now + jump).as_nanos() as u64;
        Now { mono: self.now, unix_nano }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Lets time pass, and ticks whenever the machine asks for it.
    fn wait(&mut self, time: Duration) -> Checked {
        let until = self.now + time;
        loop {
            let (asked, due) = (self.machine.next_tick(), self.model.next_due());
            let slept = due.is_some_and(|due| asked.is_none_or(|asked| asked > due.max(self.now)));
            rule!(!slept, "something is due at {due:?}, and the machine sleeps until {asked:?}");
            self.now = asked.map_or(until, |asked| asked.clamp(self.now, until));
            self.machine.tick(self.time());
            self.learn_sizes(); // what is decided now may be too much at once
            self.model.tick(self.now);
            self.compare(vec![], Expected::default())?;
            if self.now == until {
                return Ok(());
            }
        }
    }

    fn drain(&mut self, gateway: Option<usize>, restart: bool, budget: u64, wrong_boot: bool) -> Checked {
        let (reason, budget) = (reason(restart), Duration::from_millis(budget));
        let restart_expected = Duration::from_secs(if restart { 20 } else { 0 });
        let wrong_boot = wrong_boot && gateway.is_some();
        let order = DrainOrder {
            gateway: gateway.map(|gateway| GATEWAYS[gateway].to_owned()),
            boot: wrong_boot.then(|| "never".to_owned()),
            reason,
            budget,
            restart_expected,
        };
        let ticket = self.machine.drain(self.time(), &order);
        let drain = match wrong_boot {
            true => Err(()),
            false => self.model.drain(Order { gateway, reason, budget, restart_expected }, false),
        };
        rule!(ticket.is_ok() == drain.is_ok(), "{ticket:?}, the model says {drain:?}");
        self.tickets.extend(ticket.ok().zip(drain.ok()));
        self.compare(vec![], Expected::default())
    }

    fn stop(&mut self, restart: bool, budget: u64) -> Checked {
        let (reason, budget) = (reason(restart), Duration::from_millis(budget));
        let ticket = self.machine.stop(self.time(), reason, budget);
        let order = Order { gateway: None, reason, budget, restart_expected: Duration::ZERO };
        let drain = self.model.drain(order, true).unwrap();
        self.tickets.push((ticket, drain));
        let ended = std::mem::take(&mut self.sources).into_values();
        let ended = ended.map(|source| (source, GoodbyeReason::Stopping)).collect();
        self.compare(vec![], Expected { ended, dismissed: None })
    }

    /// After a call: its effects are those that the model expects, and the ledger is the model's.
    fn compare(&mut self, outputs: Vec<Output>, expected: Expected) -> Checked {
        self.learn_sizes();
        let step = self.machine.take_step();
        let (crashes, model) = (self.crashes_to_come > 0, &self.model);
        self.journal
            .append(step.records, self.machine.ran(), outputs, || crashes.then(|| Box::new(model.clone())));
        let mut ended = BTreeMap::new();
        let mut dismissed = None;
        let mut reports = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Ready(stream) => drop(self.ready.insert(stream)),
                Effect::EndSource(source, reason) => drop(ended.insert(source, reason)),
                Effect::Dismiss(stream, frame) => {
                    let message = wire::decode(&frame)?;
                    let displaced = matches!(&message, Message::Goodbye(goodbye)
                        if goodbye.reason() == GoodbyeReason::Displaced);
                    rule!(displaced && dismissed.is_none(), "dismissed with {message:?}");
                    dismissed = Some(stream);
                }
                Effect::GatewayLost(_) | Effect::ListDropped { .. } | Effect::Forgotten(_) => {} // for the log
                Effect::Drained(ticket, report) => reports.push((ticket, report)),
            }
        }
        rule!(ended == expected.ended, "ended are {ended:?}, not {:?}", expected.ended);
        rule!(dismissed == expected.dismissed, "dismissed is {dismissed:?}, not {:?}", expected.dismissed);
        self.compare_reports(reports)?;
        self.compare_ledgers()?;
        for (stream, seq) in self.journal.commit()? {
            self.left.insert(stream, seq);
        }
        Ok(())
    }

    /// The model does not encode events: their size is what it takes from the machine, and which of two ends was decided
    /// first.
    fn learn_sizes(&mut self) {
        for record in &self.machine.step.records {
            match record {
                Record::Started { incarnation, event, .. } => {
                    self.model.start_sizes.insert(*incarnation, event.len() as u64);
                }
                Record::Decided { incarnation, event, .. } => {
                    let place = self.model.end_sizes.values().map(|(place, _)| place + 1).max().unwrap_or(0);
                    self.model.end_sizes.entry(*incarnation).or_insert((place, event.len() as u64));
                }
                _ => {}
            }
        }
    }

    /// Each drain is reported once, when the model says so, in the model's numbers.
    fn compare_reports(&mut self, reports: Vec<(Ticket, v1::DrainReport)>) -> Checked {
        let mut due = std::mem::take(&mut self.model.reports);
        for (ticket, mut report) in reports {
            let at = self.tickets.iter().position(|(awaited, _)| *awaited == ticket);
            let (_, drain) = at.map(|at| self.tickets.remove(at)).ok_or("a report that nobody awaits")?;
            let at = due.iter().position(|(number, _)| *number == drain);
            let (_, expected) = at.map(|at| due.remove(at)).ok_or(format!("too early: {report:?}"))?;
            for row in &mut report.subscribers {
                let settled = row.acked + row.accepted + row.rejected;
                rule!(row.owed == settled + row.carried_over, "it does not add up: {row:?}");
                rule!(row.slowest.take().is_some() == (settled > 0), "slowest of {row:?}");
                self.seen.carried_over += row.carried_over;
            }
            rule!(report == expected, "{report:?}\n  is not\n  {expected:?}");
            self.seen.reports += 1;
            self.reports.push(report);
        }
        rule!(due.is_empty(), "reports are due: {due:?}");
        self.model.forget_finished();
        Ok(())
    }

    fn compare_ledgers(&self) -> Checked {
        let alive = self.model.alive().count();
        let live = self.machine.lives.live();
        rule!(live == alive, "{live} lives, the model has {alive}");
        for (ix, plugin) in &self.model.plugins {
            let ix_there = self.machine.registry.find(PLUGINS[*ix]).ok_or("a plugin is forgotten")?;
            let marks = &self.machine.registry.get(ix_there).unwrap().marks;
            let there = (marks.open_len(), marks.unsettled_len());
            let unsettled = plugin.entries.values().filter(|settled| !**settled).count();
            let here = (plugin.entries.len(), unsettled);
            rule!(there == here, "{} has {there:?} open and unsettled; not {here:?}", PLUGINS[*ix]);
            let (there, here) = (marks.wanted().count(), plugin.wanted.len());
            rule!(there == here, "{} is due {there} starts, not {here}", PLUGINS[*ix]);
            let account = &self.machine.registry.get(ix_there).unwrap().account;
            let (there, here) = (account.bytes, self.model.owed_bytes(*ix));
            rule!(there == here, "{} is owed {there} bytes, not {here}", PLUGINS[*ix]);
        }
        rule!(self.machine.registry.len() == self.model.plugins.len(), "somebody is not forgotten");
        Ok(())
    }

    pub(super) fn seen(&self) -> Seen {
        let counters = &self.machine.counters;
        let reconciled = counters.sessions_ended_by_reconciling + counters.sessions_started_by_reconciling;
        let (expired, forgotten) = (self.model.expired, self.model.forgotten);
        Seen { reconciled, expired, forgotten, ..self.seen }
    }
}

fn reason(restart: bool) -> StopReason {
    if restart { StopReason::Restart } else { StopReason::Shutdown }
}

impl Add for Seen {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            starts: self.starts + other.starts,
            ends: self.ends + other.ends,
            redelivered: self.redelivered + other.redelivered,
            announced: self.announced + other.announced,
            others: self.others + other.others,
            gaps: self.gaps + other.gaps,
            goodbyes: self.goodbyes + other.goodbyes,
            reports: self.reports + other.reports,
            carried_over: self.carried_over + other.carried_over,
            expired: self.expired + other.expired,
            forgotten: self.forgotten + other.forgotten,
            crashes: self.crashes + other.crashes,
            lives_restored: self.lives_restored + other.lives_restored,
            redelivered_over_a_crash: self.redelivered_over_a_crash + other.redelivered_over_a_crash,
            reconciled: self.reconciled + other.reconciled,
        }
    }
}
