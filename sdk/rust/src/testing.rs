//! Drives a plugin from memory, for its author's tests: no dispatcher and no transport, but the same code below them.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use hookwire_sdk::{Event, Outcome, Plugin, testing::Driven, wire::SessionEndReason};
//!
//! let plugin = Plugin::builder("audit").on("session_*", |event: Event| async move {
//!     if event.session_end().is_some() { Outcome::accepted() } else { Outcome::ok() }
//! });
//! let mut driven = Driven::new(plugin);
//! assert_eq!(driven.start("s1").await, Outcome::Ok);
//! assert_eq!(driven.end("s1", SessionEndReason::Reset).await, Outcome::Accepted);
//! # }
//! ```

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hookwire_protocol::{
    hook,
    v1::{
        self as wire, Ack, AckException, AckStatus, BatchKind, DrainNotice, Session, SessionEnd,
        SessionEndReason, SessionStart, event::Payload,
    },
};
use tokio::time::Instant;

use crate::{
    event::{Event, StreamFacts},
    outcome::Outcome,
    plugin::PluginBuilder,
    sweep::Sweep,
    work::Work,
};

/// The ledger, the gateway and its boot.
const LEDGER: &str = "test-ledger";
const GATEWAY: &str = "test";
const BOOT: &str = "test-boot";

/// The budget of each batch.
const BUDGET: Duration = Duration::from_secs(30);

/// A plugin on a stream of its own.
pub struct Driven {
    work: Work,
    announces: bool,
    stream: Arc<StreamFacts>,
    seq: u64,
    /// What the plugin said on this stream, by number.
    through: u64,
    said: BTreeMap<u64, Outcome>,
    /// The live sessions, by id.
    alive: HashMap<String, Life>,
    lives: u64,
    /// Starts and ends that are not settled, in order.
    owed: Vec<wire::Event>,
    /// Lives that were named on this stream.
    named: HashSet<u64>,
    events: u64,
}

struct Life {
    session: Session,
    last_seq: u64,
}

impl Driven {
    /// The plugin is welcomed, by a dispatcher that does not know it. Its address, its name and its filters mean
    /// nothing here: it is handed whatever the test says.
    pub fn new(plugin: PluginBuilder) -> Self {
        let announces = plugin.announces();
        let mut driven = Self {
            work: plugin.into_work(),
            announces,
            stream: Arc::default(),
            seq: 0,
            through: 0,
            said: BTreeMap::new(),
            alive: HashMap::new(),
            lives: 0,
            owed: Vec::new(),
            named: HashSet::new(),
            events: 0,
        };
        driven.open_stream();
        driven
    }

    /// A session of this id starts, another life of it where it is alive: what the plugin says to that.
    pub async fn start(&mut self, session_id: &str) -> Outcome {
        self.start_as(Session { id: session_id.to_owned(), ..Default::default() }).await
    }

    /// A session with a key and an agent starts; its incarnation is the next.
    pub async fn start_as(&mut self, session: Session) -> Outcome {
        self.lives += 1;
        let session = Session { incarnation: self.lives, ..session };
        self.alive.insert(session.id.clone(), Life { session: session.clone(), last_seq: 1 });
        let payload = Payload::SessionStart(SessionStart::default());
        let id = format!("start-{}", session.incarnation);
        self.deliver(of_session(id, hook::SESSION_START, session, 1, payload), BatchKind::Live).await
    }

    /// Something happens in a live session: what the plugin says to that.
    ///
    /// # Panics
    /// Where the session is not alive.
    pub async fn event(&mut self, hook: &str, session_id: &str, json: &str) -> Outcome {
        self.events += 1;
        let id = format!("event-{}", self.events);
        let life = self.alive.get_mut(session_id).expect("the session is alive");
        life.last_seq += 1;
        let (session, seq) = (life.session.clone(), life.last_seq);
        let payload = Payload::Json(json.to_owned().into());
        self.deliver(of_session(id, hook, session, seq, payload), BatchKind::Live).await
    }

    /// A live session ends: what the plugin says to that.
    ///
    /// # Panics
    /// Where the session is not alive, or the plugin has not settled its start: no dispatcher sends an end then.
    pub async fn end(&mut self, session_id: &str, reason: SessionEndReason) -> Outcome {
        let Life { session, last_seq } = self.alive.remove(session_id).expect("the session is alive");
        let start = format!("start-{}", session.incarnation);
        assert!(self.owed.iter().all(|event| event.id != start), "{session_id}: its start is not settled");
        let payload = Payload::SessionEnd(SessionEnd {
            reason: reason.into(),
            disposition: reason.disposition().into(),
            last_session_seq: last_seq,
            ..Default::default()
        });
        let id = format!("end-{}", session.incarnation);
        self.deliver(of_session(id, hook::SESSION_END, session, last_seq + 1, payload), BatchKind::Live).await
    }

    /// Any event at all: what the plugin says to it. A start or an end that it does not settle comes again with
    /// [`reconnect`](Self::reconnect).
    pub async fn deliver(&mut self, event: wire::Event, kind: BatchKind) -> Outcome {
        self.seq += 1;
        self.named.extend(event.session.as_ref().map(|session| session.incarnation));
        let handed = Event {
            wire: event.clone(),
            kind,
            facts: self.stream.clone(),
            received: Instant::now(),
            budget: BUDGET,
        };
        let is_lifecycle = handed.is_lifecycle();
        self.work.take_batch(self.seq, std::iter::once(handed));
        let outcome = self.answer(self.seq).await;
        self.owed.retain(|owed| owed.id != event.id);
        if is_lifecycle && !outcome.settles() {
            self.owed.push(event);
        }
        outcome
    }

    /// The gateway begins to stop: returns when the plugin's `on_drain` has. Until [`drained`](Self::drained), events
    /// are [draining](Event::draining).
    pub async fn drain(&mut self, budget: Duration) {
        let notice = DrainNotice {
            gateway_id: GATEWAY.to_owned(),
            boot_id: BOOT.to_owned(),
            budget_ms: u32::try_from(budget.as_millis()).unwrap_or(u32::MAX),
            ends_owed: self.alive.len() as u64,
            ..Default::default()
        };
        self.stream.drains.begin(&notice);
        self.work.drain_notice(notice);
        self.work.finish().await;
    }

    /// The drain is over.
    pub fn drained(&mut self) {
        self.stream.drains.end(GATEWAY);
    }

    /// The stream breaks and another one opens, on which what the plugin has not settled comes again: what it says to
    /// each, by event id. Behind it comes [`caught_up`](Self::caught_up).
    pub async fn reconnect(&mut self) -> Vec<(String, Outcome)> {
        self.open_stream();
        let mut answers = Vec::new();
        for event in std::mem::take(&mut self.owed) {
            let id = event.id.clone();
            answers.push((id, self.deliver(event, BatchKind::Redelivered).await));
        }
        answers
    }

    /// Replay is over: every live session is named where the plugin announces, then its `on_sweep` runs.
    pub async fn caught_up(&mut self) {
        if self.announces {
            let mut alive: Vec<_> = self.alive.values().map(|life| life.session.clone()).collect();
            alive.sort_by_key(|session| session.incarnation);
            for session in alive {
                let payload = Payload::SessionStart(SessionStart::default());
                let id = format!("start-{}", session.incarnation);
                let start = of_session(id, hook::SESSION_START, session, 1, payload);
                self.deliver(start, BatchKind::Announced).await;
            }
        }
        self.work.caught_up();
        if self.work.sweeps() {
            let (facts, announced) = (self.stream.clone(), self.announces);
            let known = self.stream.stream_epoch > 1;
            self.work.sweep(Sweep { facts, known, announced, named: self.named.clone() });
        }
        self.work.finish().await;
    }

    fn open_stream(&mut self) {
        self.stream = Arc::new(StreamFacts {
            ledger_id: LEDGER.to_owned(),
            stream_epoch: self.stream.stream_epoch + 1,
            ..Default::default()
        });
        self.work.begin_stream(self.stream.clone());
        (self.seq, self.through) = (0, 0);
        self.said.clear();
        self.named.clear();
    }

    async fn answer(&mut self, seq: u64) -> Outcome {
        loop {
            self.work.start();
            while let Some(ack) = self.work.take_ack() {
                self.hear(ack);
            }
            if let Some(outcome) = self.said.remove(&seq) {
                return outcome;
            }
            if seq <= self.through {
                return Outcome::Ok;
            }
            self.work.turn().await;
        }
    }

    fn hear(&mut self, ack: Ack) {
        self.through = self.through.max(ack.through_seq);
        self.said.extend(ack.exceptions.into_iter().map(|exception| (exception.seq, outcome(exception))));
    }
}

fn outcome(said: AckException) -> Outcome {
    let after = (said.retry_after_ms > 0).then(|| Duration::from_millis(said.retry_after_ms.into()));
    match said.status() {
        AckStatus::Unspecified | AckStatus::Ok => Outcome::Ok,
        AckStatus::Accepted => Outcome::Accepted,
        AckStatus::Retry => Outcome::Retry { after, text: said.text },
        AckStatus::Reject => Outcome::Reject { code: said.code, text: said.text },
    }
}

fn of_session(id: String, hook: &str, session: Session, session_seq: u64, payload: Payload) -> wire::Event {
    wire::Event {
        id,
        hook: hook.to_owned(),
        gateway_id: GATEWAY.to_owned(),
        boot_id: BOOT.to_owned(),
        session: Some(session),
        session_seq,
        payload: Some(payload),
        ..Default::default()
    }
}
