//! What a session costs in memory while it lives, and that nothing of it stays once its end is settled everywhere.
//!
//! Bytes are counted as they are asked for, by this thread alone: the figures are the same in every run.

use std::time::Duration;

use allocation_counter::measure;
use hookwire_protocol::{
    hook,
    v1::{Ack, GatewayEvent, Publish, SessionRef, StopReason, attach_request, subscribe_request},
};

use crate::{
    config::Config,
    dispatcher::settings,
    drain::DrainOrder,
    emit::boots::SourceId,
    machine::{Effect, Machine, Now},
    serve::stream::StreamId,
};

const SESSIONS: u64 = 100_000;

/// Sessions that start, or ends that are pulled, before anybody answers.
const AT_ONCE: u64 = 250;

/// What a session may cost beyond its own event, in bytes.
const MOST_FOR_A_SESSION: f64 = 60.0;

/// What a session may cost for each subscriber, in bytes.
const MOST_FOR_A_PAIR: f64 = 2.0;

/// What may stay, in bytes: buffers that are used again.
const MOST_THAT_STAYS: i64 = 64 << 10;

/// What may stay for each subscriber, in bytes.
const MOST_THAT_STAYS_EACH: i64 = 8 << 10;

/// A gateway with many sessions, and subscribers that want them all and answer everything.
struct Load {
    machine: Machine,
    subscribers: u64,
    published: u64,
    boots: u64,
}

impl Load {
    fn new(subscribers: u64) -> Self {
        let machine = Machine::new(settings(&Config::default()));
        let mut load = Self { machine, subscribers, published: 0, boots: 0 };
        load.boot();
        for stream in 0..subscribers {
            let hello = subscribe_request::Hello {
                subscriber_id: format!("plugin-{stream}"),
                instance_id: "instance".to_owned(),
                ..Default::default()
            };
            load.machine.subscribe(Now::default(), StreamId(stream), &hello).expect("it may subscribe");
        }
        load.all_answer(usize::MAX);
        load
    }

    fn boot(&mut self) {
        self.boots += 1;
        self.published = 0;
        let hello = attach_request::Hello {
            gateway_id: "gateway".to_owned(),
            boot_id: format!("boot-{}", self.boots),
            emitter_id: "emitter".to_owned(),
            ..Default::default()
        };
        self.machine.attach(Now::default(), SourceId(self.boots), &hello).expect("it may attach");
        self.machine.take_step();
    }

    fn start(&mut self, sessions: u64) {
        for first in (0..sessions).step_by(AT_ONCE as usize) {
            let events = (first..sessions.min(first + AT_ONCE)).map(session_start).collect();
            let publish = Publish { first_publish_seq: self.published + 1, events };
            self.published += publish.events.len() as u64;
            let receipt = self.machine.publish(Now::default(), SourceId(self.boots), &publish.into());
            assert_eq!(receipt.expect("it is attached").refused, []);
            self.machine.take_step();
            self.all_answer(usize::MAX);
        }
    }

    /// Drains the gateway until nothing is owed.
    fn drain(&mut self) {
        let order = DrainOrder {
            gateway: Some("gateway".to_owned()),
            boot: None,
            reason: StopReason::Restart,
            budget: Duration::from_secs(2),
            restart_expected: Duration::ZERO,
        };
        self.machine.drain(Now::default(), &order).expect("it is attached");
        let mut drained = false;
        self.machine.take_step();
        while !drained {
            let effects = self.all_answer(1);
            drained = effects.iter().any(|effect| {
                matches!(effect, Effect::Drained(_, report)
                if report.subscribers.iter().all(|row| row.acked == row.owed && row.owed > 0))
            });
        }
        self.all_answer(usize::MAX);
    }

    /// Every subscriber reads at most so many messages, then answers all that it has read.
    fn all_answer(&mut self, messages: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        for stream in (0..self.subscribers).map(StreamId) {
            for _ in 0..messages {
                if self.machine.pull(Now::default(), stream).is_none() {
                    break;
                }
            }
            let ack = Ack { through_seq: self.written(stream), ..Default::default() };
            self.machine.ack(Now::default(), stream, &ack);
            effects.extend(self.machine.take_step().effects);
        }
        effects
    }

    /// The number of the last delivery on a stream.
    fn written(&mut self, stream: StreamId) -> u64 {
        let ix = self.machine.streams[&stream];
        self.machine.registry.at(ix).stream.as_ref().map_or(0, |stream| stream.next_seq() - 1)
    }

    /// The sessions' own events, in bytes.
    fn own(&self) -> i64 {
        self.machine.lives.iter().map(|(_, life)| life.start().len() as i64).sum()
    }
}

fn session_start(number: u64) -> GatewayEvent {
    let session = SessionRef {
        id: Some(format!("{:08x}-5a1e-4c1e-9a55-{number:012x}", number * 0x9e37_79b1 % (1 << 32))),
        key: format!("agent:main:web:{number:012}"),
        agent_id: "main".to_owned(),
    };
    GatewayEvent { hook: hook::SESSION_START.to_owned(), session: Some(session), ..Default::default() }
}

/// What the sessions cost beyond their own events, in bytes; and what is left of that after their ends.
fn cost(subscribers: u64) -> (i64, i64) {
    let mut load = Load::new(subscribers);
    let lived = measure(|| load.start(SESSIONS)).bytes_current - load.own();
    let own = load.own();
    let ended = measure(|| {
        load.drain();
        load.boot(); // with the old one goes what it has ended itself
    });
    assert_eq!(load.machine.lives.held(), 0);
    (lived, lived + own + ended.bytes_current)
}

#[test]
fn a_session_costs_little_and_leaves_nothing() {
    let [(one, _), (eight, _), (many, left)] = [1, 8, 32].map(cost);
    let sessions = SESSIONS as f64;
    let pair = (many - one) as f64 / (31.0 * sessions);
    let session = one as f64 / sessions - pair;
    let eight = eight as f64 / sessions;
    println!("{session:.1} bytes a session, {pair:.2} for each subscriber ({eight:.1} with 8); {left} stay");
    assert!(pair <= MOST_FOR_A_PAIR, "{pair} bytes for each session and subscriber");
    assert!(session <= MOST_FOR_A_SESSION, "{session} bytes for each session");
    assert!(left <= MOST_THAT_STAYS + 32 * MOST_THAT_STAYS_EACH, "{left} bytes stay");
}

/// Run it under a profiler, with two numbers of sessions: what differs is what a session costs.
#[test]
#[ignore = "a measurement"]
fn many_start_and_are_drained() {
    let sessions = std::env::var("HOOKWIRE_SESSIONS").map_or(SESSIONS, |text| text.parse().unwrap());
    let mut load = Load::new(32);
    load.start(sessions);
    load.drain();
}
