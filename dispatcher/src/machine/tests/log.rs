//! Retention ALL by random schedules: whatever happens, a subscriber that asked for everything gets everything, in the
//! order in which it happened, until it has settled it.
//!
//! The truth is a list of facts in the order in which a gateway told them. What a subscriber is delivered is held against
//! it, on one stream and over all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hookwire_protocol::{
    hook,
    v1::{
        Ack, AckException, AckStatus, Event, EventBatch, GapCause, GatewayEvent, Publish, Retention,
        RetentionKind, SessionRef, StopReason, attach_request, event::Payload, gateway_event,
        subscribe_request, subscribe_response::Message,
    },
};
use proptest::prelude::*;

use super::{Checked, hostile, rule, wire};
use crate::{
    drain::DrainOrder,
    emit::boots::SourceId,
    machine::{Machine, Now, Settings},
    serve::stream::StreamId,
    settle::journal::{Record, image::Image},
};

/// Who asks for everything, and which hooks it wants of it.
const KEEPERS: [(&str, &[&str]); 3] =
    [("all", &["*"]), ("some", &["session_*", "tick"]), ("ticks", &["tick"])];

const HOOKS: [&str; 2] = ["tick", "tock"];

#[derive(Clone, Debug)]
enum Op {
    /// A session begins; where there is one of this name, it ends.
    Session(usize),
    /// Events of the newest session of this name, or of none.
    Events {
        session: Option<usize>,
        hook: usize,
        count: usize,
    },
    Connect {
        keeper: usize,
        window: u32,
    },
    Leave {
        keeper: usize,
    },
    Pull {
        keeper: usize,
        frames: usize,
    },
    Ack {
        keeper: usize,
        through: usize,
        ahead: Option<usize>,
    },
    Retry {
        keeper: usize,
        at: usize,
    },
    Drain {
        budget: u64,
    },
    Crash {
        kept: usize,
    },
    Wait {
        ms: u64,
    },
}

#[derive(Clone, Debug)]
struct Schedule {
    /// Each session has an id of its own; otherwise one follows the other under the same id.
    unique: bool,
    /// In bytes and in seconds.
    keeps: (u64, u32),
    ops: Vec<Op>,
}

fn op() -> impl Strategy<Value = Op> {
    let keeper = 0..KEEPERS.len();
    prop_oneof![
        4 => (0..3_usize).prop_map(Op::Session),
        6 => (prop::option::weighted(0.8, 0..3_usize), 0..HOOKS.len(), 1..6_usize)
            .prop_map(|(session, hook, count)| Op::Events { session, hook, count }),
        4 => (keeper.clone(), 1..6_u32).prop_map(|(keeper, window)| Op::Connect { keeper, window }),
        2 => keeper.clone().prop_map(|keeper| Op::Leave { keeper }),
        6 => (keeper.clone(), 1..6_usize).prop_map(|(keeper, frames)| Op::Pull { keeper, frames }),
        6 => (keeper.clone(), 0..9_usize, prop::option::of(0..9_usize))
            .prop_map(|(keeper, through, ahead)| Op::Ack { keeper, through, ahead }),
        1 => (keeper, 0..9_usize).prop_map(|(keeper, at)| Op::Retry { keeper, at }),
        1 => (0..2_000_u64).prop_map(|budget| Op::Drain { budget }),
        1 => (0..4_usize).prop_map(|kept| Op::Crash { kept }),
        2 => (1..2_500_u64).prop_map(|ms| Op::Wait { ms }),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let keeps = prop_oneof![3 => Just((1 << 30, 1_000_000)), 1 => (500..4_000_u64, 2..6_u32)];
    (any::<bool>(), keeps, prop::collection::vec(op(), 1..60)).prop_map(|(unique, keeps, ops)| Schedule {
        unique,
        keeps,
        ops,
    })
}

/// What a gateway told: of which life, and for an event its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    Start(u64),
    Event { life: u64, hook: usize },
    End(u64),
}

impl Fact {
    fn life(self) -> u64 {
        match self {
            Self::Start(life) | Self::End(life) | Self::Event { life, .. } => life,
        }
    }
}

/// A subscriber with retention ALL, as the truth sees it.
#[derive(Debug, Default)]
struct Keeper {
    /// The first fact behind its first Hello.
    since: Option<usize>,
    delivered: BTreeSet<usize>,
    /// Facts that it has settled, and by which call that was recorded.
    settled: BTreeMap<usize, usize>,
    /// Events and entries that it was told expired.
    expired: (u64, u64),
    stream: Option<Seen>,
}

/// What one stream has brought.
#[derive(Debug)]
struct Seen {
    id: StreamId,
    /// All facts that there were when it began.
    began: usize,
    caught_up: bool,
    /// By seq.
    deliveries: Vec<Option<usize>>,
    answered: BTreeSet<usize>,
    /// The last fact that had to be in its place.
    last: Option<usize>,
    written: BTreeSet<usize>,
    retried: BTreeSet<usize>,
}

struct World {
    machine: Machine,
    settings: Settings,
    unique: bool,
    now: Duration,
    published: u64,
    boots: u64,
    facts: Vec<Fact>,
    lives: u64,
    /// The newest session of each name, and its life while it lives.
    alive: [Option<u64>; 3],
    ids: BTreeMap<u64, String>,
    keepers: [Keeper; KEEPERS.len()],
    streams: u64,
    image: Image,
    /// What calls recorded that may be lost, and that nothing durable stands behind.
    tail: Vec<Vec<Record>>,
    /// How many calls recorded anything.
    calls: usize,
}

fn attach(machine: &mut Machine, now: Now, boot: u64) {
    let hello = attach_request::Hello {
        gateway_id: "gw".into(),
        boot_id: format!("boot {boot}"),
        emitter_id: "emitter".into(),
        ..Default::default()
    };
    machine.attach(now, SourceId(boot), &hello).expect("it may attach");
}

impl World {
    fn new(schedule: &Schedule) -> Self {
        let (retention_all_bytes, retention_age) = schedule.keeps;
        let settings = Settings { retention_all_bytes, retention_age, durable: true, ..hostile::settings() };
        let mut machine = Machine::new(settings.clone());
        attach(&mut machine, Now::default(), 1);
        Self {
            machine,
            settings,
            unique: schedule.unique,
            now: Duration::ZERO,
            published: 0,
            boots: 1,
            facts: Vec::new(),
            lives: 0,
            alive: [None; 3],
            ids: BTreeMap::new(),
            keepers: Default::default(),
            streams: 0,
            image: Image::default(),
            tail: Vec::new(),
            calls: 0,
        }
    }

    fn play(schedule: &Schedule) -> Checked<(u64, u64)> {
        let mut world = Self::new(schedule);
        for op in &schedule.ops {
            world.step(op).map_err(|error| format!("{op:?}: {error}"))?;
        }
        for keeper in 0..KEEPERS.len() {
            world.hears_all(keeper).map_err(|error| format!("at the end: {error}"))?;
        }
        let delivered = world.keepers.iter().map(|keeper| keeper.delivered.len() as u64).sum();
        Ok((delivered, world.keepers.iter().map(|keeper| keeper.expired.0 + keeper.expired.1).sum()))
    }

    fn step(&mut self, op: &Op) -> Checked {
        match *op {
            Op::Session(name) => self.session(name),
            Op::Events { session, hook, count } => self.events(session, hook, count),
            Op::Connect { keeper, window } => self.connect(keeper, window),
            Op::Leave { keeper } => {
                if let Some(stream) = self.keepers[keeper].stream.take() {
                    self.machine.leave(self.time(), stream.id, false);
                }
            }
            Op::Pull { keeper, frames } => {
                for _ in 0..frames {
                    self.pull(keeper)?;
                }
            }
            Op::Ack { keeper, through, ahead } => self.ack(keeper, through, ahead),
            Op::Retry { keeper, at } => self.retry(keeper, at),
            Op::Drain { budget } => self.drain(budget),
            Op::Crash { kept } => self.crash(kept)?,
            Op::Wait { ms } => {
                self.now += Duration::from_millis(ms);
                let now = self.time();
                self.machine.tick(now);
            }
        }
        self.commit();
        Ok(())
    }

    fn time(&self) -> Now {
        Now { mono: self.now, unix_nano: 1 }
    }

    /// All records of a call are durable before anything else happens, but those that may be lost.
    fn commit(&mut self) {
        let records = self.machine.take_step().records;
        if records.is_empty() {
            return;
        }
        let must = records.iter().any(|record| !record.may_be_lost());
        self.calls += 1;
        self.tail.push(records);
        if must {
            self.tail.drain(..).flatten().for_each(|record| self.image.apply(record));
        }
    }

    fn publish(&mut self, events: Vec<GatewayEvent>) {
        let first_publish_seq = self.published + 1;
        self.published += events.len() as u64;
        let publish = Publish { first_publish_seq, events };
        let receipt = self.machine.publish(self.time(), SourceId(self.boots), &publish.into());
        assert_eq!(receipt.expect("it is attached").refused, []);
    }

    fn event(&self, hook: &str, life: Option<u64>, payload: Option<gateway_event::Payload>) -> GatewayEvent {
        let id = life.map(|life| self.ids[&life].clone());
        let session = id.map(|id| SessionRef { id: Some(id), ..Default::default() });
        GatewayEvent { hook: hook.into(), session, payload, ..Default::default() }
    }

    fn session(&mut self, name: usize) {
        if let Some(life) = self.alive[name].take() {
            self.facts.push(Fact::End(life));
            let end = self.event(hook::SESSION_END, Some(life), None);
            return self.publish(vec![end]);
        }
        self.lives += 1;
        let life = self.lives;
        let id = if self.unique { format!("session {life}") } else { format!("name {name}") };
        self.ids.insert(life, id);
        self.alive[name] = Some(life);
        self.facts.push(Fact::Start(life));
        let start = self.event(hook::SESSION_START, Some(life), None);
        self.publish(vec![start]);
    }

    fn events(&mut self, session: Option<usize>, hook: usize, count: usize) {
        let life = session.and_then(|name| self.alive[name]);
        let mut events = Vec::new();
        for _ in 0..count {
            let number = self.facts.len();
            self.facts.push(Fact::Event { life: life.unwrap_or(0), hook });
            let json = gateway_event::Payload::Json(format!("{{\"fact\":{number}}}").into_bytes().into());
            events.push(self.event(HOOKS[hook], life, Some(json)));
        }
        self.publish(events);
    }

    fn connect(&mut self, keeper: usize, window: u32) {
        self.streams += 1;
        let id = StreamId(self.streams);
        let (name, hooks) = KEEPERS[keeper];
        let hello = subscribe_request::Hello {
            subscriber_id: name.into(),
            hooks: hooks.iter().map(ToString::to_string).collect(),
            max_in_flight: window,
            retention: Some(Retention { kind: RetentionKind::All.into(), ..Default::default() }),
            ..Default::default()
        };
        self.machine.subscribe(self.time(), id, &hello).expect("it may subscribe");
        let began = self.facts.len();
        let keeper = &mut self.keepers[keeper];
        keeper.since.get_or_insert(began);
        keeper.stream = Some(Seen {
            id,
            began,
            caught_up: false,
            deliveries: Vec::new(),
            answered: BTreeSet::new(),
            last: None,
            written: BTreeSet::new(),
            retried: BTreeSet::new(),
        });
    }

    fn drain(&mut self, budget: u64) {
        let order = DrainOrder {
            gateway: Some("gw".into()),
            boot: None,
            reason: StopReason::Restart,
            budget: Duration::from_millis(budget),
            restart_expected: Duration::ZERO,
        };
        self.machine.drain(self.time(), &order).expect("it is live");
        let mut ended: Vec<_> = self.alive.iter_mut().filter_map(Option::take).collect();
        ended.sort_unstable();
        self.facts.extend(ended.into_iter().map(Fact::End));
        self.boots += 1;
        self.published = 0;
        let now = self.time();
        attach(&mut self.machine, now, self.boots);
    }

    fn crash(&mut self, kept: usize) -> Checked {
        self.commit();
        let lost = self.tail.split_off(kept.min(self.tail.len()));
        self.calls -= lost.len();
        self.tail.drain(..).flatten().for_each(|record| self.image.apply(record));
        for keeper in &mut self.keepers {
            keeper.stream = None;
            keeper.settled.retain(|_, calls| *calls <= self.calls);
        }
        self.settings.epoch += 1;
        self.image.ran = self.machine.ran();
        let restored = Machine::restore(self.settings.clone(), self.image.clone());
        self.machine = restored.map_err(|error| error.to_string())?;
        self.now = Duration::ZERO;
        let now = self.time();
        attach(&mut self.machine, now, self.boots);
        Ok(())
    }

    /// Answers so many of what is unanswered in order, and perhaps one ahead of its turn.
    fn ack(&mut self, keeper: usize, through: usize, ahead: Option<usize>) {
        let now = self.time();
        let Keeper { stream: Some(stream), settled, .. } = &mut self.keepers[keeper] else { return };
        let open: Vec<_> =
            (1..=stream.deliveries.len()).filter(|seq| !stream.answered.contains(seq)).collect();
        let through = through.checked_sub(1).and_then(|at| open.get(at.min(open.len().checked_sub(1)?)));
        let ahead = ahead.and_then(|at| open.get(at)).copied();
        let upto = through.map_or(0, |seq| *seq);
        let exceptions = ahead.map(|seq| AckException {
            seq: seq as u64,
            status: AckStatus::Ok.into(),
            ..Default::default()
        });
        let ack = Ack { through_seq: upto as u64, exceptions: exceptions.into_iter().collect() };
        let answered: Vec<_> = open.into_iter().filter(|seq| *seq <= upto || Some(*seq) == ahead).collect();
        self.machine.ack(now, stream.id, &ack);
        let calls = self.calls + usize::from(!self.machine.step.records.is_empty());
        for seq in answered {
            stream.answered.insert(seq);
            if let Some(fact) = stream.deliveries[seq - 1] {
                settled.entry(fact).or_insert(calls);
            }
        }
    }

    fn retry(&mut self, keeper: usize, at: usize) {
        let now = self.time();
        let Some(stream) = &mut self.keepers[keeper].stream else { return };
        let retried = |seq: &usize| {
            let fact = stream.deliveries[seq - 1].map(|fact| self.facts[fact]);
            !stream.answered.contains(seq) && matches!(fact, Some(Fact::Start(_) | Fact::End(_)))
        };
        let Some(seq) = (1..=stream.deliveries.len()).filter(retried).nth(at) else { return };
        stream.answered.insert(seq);
        stream.retried.extend(stream.deliveries[seq - 1]);
        let retry = AckException { seq: seq as u64, status: AckStatus::Retry.into(), ..Default::default() };
        self.machine.ack(now, stream.id, &Ack { through_seq: 0, exceptions: vec![retry] });
    }

    /// Reads one message; says whether there was one.
    fn pull(&mut self, keeper: usize) -> Checked<bool> {
        let Some(id) = self.keepers[keeper].stream.as_ref().map(|stream| stream.id) else { return Ok(false) };
        let Some(frame) = self.machine.pull(self.time(), id) else { return Ok(false) };
        self.commit();
        match wire::decode(&frame)? {
            Message::Welcome(welcome) => {
                let expired = welcome.expired.unwrap_or_default();
                self.tell_expired(keeper, expired.events, expired.entries);
                rule!(welcome.retention.is_some_and(|it| it.kind() == RetentionKind::All), "{welcome:?}");
            }
            Message::Gap(gap) => match gap.cause() {
                GapCause::EventsExpired => self.tell_expired(keeper, gap.count, 0),
                GapCause::Expired => self.tell_expired(keeper, 0, gap.count),
                _ => return Err(format!("it has lost something: {gap:?}")),
            },
            Message::CaughtUp(_) => self.keepers[keeper].stream.as_mut().unwrap().caught_up = true,
            Message::Events(batch) => self.hears(keeper, batch)?,
            _ => {}
        }
        Ok(true)
    }

    fn tell_expired(&mut self, keeper: usize, events: u64, entries: u64) {
        let expired = &mut self.keepers[keeper].expired;
        *expired = (expired.0 + events, expired.1 + entries);
    }

    fn hears(&mut self, keeper: usize, batch: EventBatch) -> Checked {
        for event in batch.events {
            let fact = self.fact(&event);
            let Some(fact) = fact else {
                self.keepers[keeper].stream.as_mut().unwrap().deliveries.push(None); // gateway_stop
                continue;
            };
            self.hears_fact(keeper, fact).map_err(|error| format!("fact {fact}, {event:?}: {error}"))?;
        }
        Ok(())
    }

    fn fact(&self, event: &Event) -> Option<usize> {
        let life = event.session.as_ref().map_or(0, |session| session.incarnation);
        let is = |fact: Fact| self.facts.iter().position(|it| *it == fact);
        match &event.payload {
            Some(Payload::SessionStart(_)) => is(Fact::Start(life)),
            Some(Payload::SessionEnd(_)) => is(Fact::End(life)),
            Some(Payload::Json(json)) => {
                let text = std::str::from_utf8(json).unwrap();
                text.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()
            }
            _ => None,
        }
    }

    fn hears_fact(&mut self, keeper: usize, at: usize) -> Checked {
        let (facts, unique) = (&self.facts, self.unique);
        let keeper = &mut self.keepers[keeper];
        rule!(!keeper.settled.contains_key(&at), "it was settled");
        rule!(keeper.since.is_some_and(|since| since <= at), "from before its first Hello");
        let stream = keeper.stream.as_mut().unwrap();
        stream.deliveries.push(Some(at));
        keeper.delivered.insert(at);
        if stream.retried.remove(&at) {
            return Ok(()); // a RETRY has no place
        }
        rule!(stream.written.insert(at), "twice on one stream");
        let (fact, life) = (facts[at], facts[at].life());
        let of_life = |other: &&usize| life > 0 && facts[**other].life() == life;
        let behind = stream.written.iter().filter(of_life).find(|other| **other > at);
        rule!(behind.is_none(), "behind {behind:?} of its session");
        let late = stream.caught_up && at < stream.began && unique && stream.retried.is_empty();
        // An end waits for its start to be settled, and its place may be over by then.
        let waits = matches!(fact, Fact::End(_))
            && stream.written.iter().any(|other| facts[*other] == Fact::Start(life));
        if unique && !waits {
            rule!(stream.last.is_none_or(|last| last < at), "out of its place, behind {:?}", stream.last);
            rule!(!late, "from before the stream, behind CaughtUp");
            stream.last = Some(at);
        }
        Ok(())
    }

    /// Whether a subscriber is to get this, for all that happens.
    fn is_due(&self, keeper: usize, at: usize) -> bool {
        let Some(since) = self.keepers[keeper].since else { return false };
        let hooks = KEEPERS[keeper].1;
        let began =
            |life| self.facts.iter().position(|it| *it == Fact::Start(life)).is_some_and(|at| at >= since);
        at >= since
            && match self.facts[at] {
                Fact::Start(_) => hooks != ["tick"],
                Fact::End(life) => hooks != ["tick"] && began(life),
                Fact::Event { hook, .. } => hooks[0] == "*" || HOOKS[hook] == "tick",
            }
    }

    /// It comes, and answers all that it gets, until there is nothing more.
    fn hears_all(&mut self, keeper: usize) -> Checked {
        if self.keepers[keeper].stream.is_none() {
            self.connect(keeper, 3);
        }
        let mut idle = 0;
        while idle < 3 {
            if idle > 0 {
                self.now += Duration::from_secs(1); // what was answered RETRY is due
                let now = self.time();
                self.machine.tick(now);
            }
            let heard = self.pull(keeper)?;
            self.ack(keeper, usize::MAX, None);
            self.commit();
            idle = if heard { 0 } else { idle + 1 };
        }
        let it = &self.keepers[keeper];
        let due = (0..self.facts.len()).filter(|at| self.is_due(keeper, *at));
        let missing: Vec<_> = due.filter(|at| !it.delivered.contains(at)).collect();
        let (events, entries) = it.expired;
        let ends = missing.iter().filter(|at| matches!(self.facts[**at], Fact::End(_))).count() as u64;
        let others = missing.len() as u64 - ends;
        // A start that was never handed over counts with its end; an entry is an end that does not come.
        rule!(
            others <= events && ends <= events + entries,
            "{missing:?} never came: {:?} expired",
            it.expired
        );
        let there = self.machine.registry.find(KEEPERS[keeper].0).unwrap();
        let size = self.machine.registry.get(there).unwrap().backlog.size();
        rule!(size.events == 0 && size.bytes == 0, "{size:?} is left");
        Ok(())
    }
}

#[test]
fn everything_comes_in_the_order_in_which_it_happened() {
    use std::{cell::Cell, io::Write as _};

    use proptest::test_runner::{Config, TestRunner};

    let sums = Cell::new((0, 0));
    let cases = std::env::var("HOOKWIRE_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000);
    let config = Config { cases, source_file: Some(file!()), ..Config::default() };
    let outcome = TestRunner::new(config).run(&schedules(), |schedule| {
        let (delivered, expired) = World::play(&schedule).map_err(TestCaseError::fail)?;
        sums.set((sums.get().0 + delivered, sums.get().1 + expired));
        Ok(())
    });
    let (delivered, expired) = sums.get();
    let _ = writeln!(std::io::stderr(), "{cases} logs: {delivered} delivered, {expired} expired");
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
