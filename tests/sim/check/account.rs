//! One plugin's own record, read from its begin to its end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use hookwire_protocol::{
    hook,
    v1::{Ack, AckStatus, BatchKind, DrainSummary, Event, subscribe_response::Welcome},
};

use crate::{
    network::DISPATCHER,
    records::{Entry, Records, What},
};

/// An answer that was sent so long ago, with nothing wrong since, is surely durable.
const SURELY: Duration = Duration::from_millis(500);

/// Owed ends arrive within this after the return.
const RETURN: Duration = Duration::from_secs(5);

type Found = Result<(), String>;

/// A life that this plugin was handed the start of.
#[derive(Debug, Default)]
struct Life {
    gateway: String,
    boot: String,
    session: String,
    start_settled: Option<Duration>,
    /// Its start: no end will come.
    rejected: Option<Duration>,
    end_heard: Option<Duration>,
    end_settled: Option<Duration>,
}

/// What one delivery was, for its answer.
#[derive(Clone, Copy, Debug)]
enum Delivered {
    Start(u64),
    End(u64),
    Other,
}

#[derive(Debug, Default)]
struct Stream {
    number: u32,
    welcomed: Duration,
    /// Ends that its Welcome promised, and that are not heard yet.
    ends_owed: u64,
    last_seq: u64,
    caught_up: bool,
    unanswered: BTreeMap<u64, Delivered>,
    retried: BTreeSet<u64>,
    /// Lives whose end it has brought.
    ended: BTreeSet<u64>,
    session_seqs: BTreeMap<u64, u64>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Account<'a> {
    name: String,
    /// What it has not answered comes again, whatever it is.
    keeps_all: bool,
    records: &'a Records,
    lives: BTreeMap<u64, Life>,
    /// Lives of which an event was heard.
    spoke: BTreeSet<u64>,
    /// Ordinary events, by id.
    heard: HashMap<String, Duration>,
    ledger: Option<String>,
    stream_epochs: BTreeSet<u64>,
    /// When its newest stream was.
    welcomed: Duration,
    /// When it let go of everything. From then on it may not be known any more.
    releases: Vec<Duration>,
    /// By their numbers.
    streams: BTreeMap<u32, Stream>,
    /// The one that was welcomed last: what is heard on an older one is out of order, and its answers do not count.
    newest: u32,
    /// The one that is spoken of.
    stream: u32,
}

impl<'a> Account<'a> {
    pub(super) fn new(name: &str, keeps_all: bool, records: &'a Records) -> Self {
        Self {
            name: name.to_owned(),
            keeps_all,
            records,
            lives: BTreeMap::new(),
            spoke: BTreeSet::new(),
            heard: HashMap::new(),
            ledger: None,
            stream_epochs: BTreeSet::new(),
            welcomed: Duration::ZERO,
            releases: Vec::new(),
            streams: BTreeMap::new(),
            newest: 0,
            stream: 0,
        }
    }

    pub(super) fn enter(&mut self, entry: &Entry) -> Found {
        self.stream = entry.stream;
        self.ends_arrive_in_time(entry)?;
        match &entry.what {
            What::Welcome(welcome) => self.welcome(entry, welcome),
            What::Delivered { seq, kind, event } => self.deliver(entry.at, *seq, *kind, event),
            What::Released => {
                self.let_go(entry.at);
                Ok(())
            }
            What::CaughtUp => {
                self.stream().caught_up = true;
                Ok(())
            }
            What::Summary(summary) => self.summary(summary),
            What::Acked(ack) => {
                self.answer(entry.at, ack);
                Ok(())
            }
            What::Gap(_) | What::Notice(_) | What::Goodbye(_) => Ok(()),
        }
    }

    /// Whatever it was handed the start of has ended.
    pub(super) fn finish(&self) -> Vec<String> {
        let left =
            self.lives.iter().filter(|(_, life)| life.rejected.is_none() && life.end_settled.is_none());
        left.map(|(incarnation, life)| format!("{}/{incarnation} never ended: {life:?}", life.session))
            .collect()
    }

    /// When it closed its entries for this gateway's lives.
    pub(super) fn closed(&self, gateway: &str) -> impl Iterator<Item = Duration> {
        let lives = self.lives.values().filter(move |life| life.gateway == gateway);
        lives.filter_map(|life| life.end_settled.or(life.rejected))
    }

    /// Whether it let go of everything in this time.
    pub(super) fn released(&self, from: Duration, to: Duration) -> bool {
        self.releases.iter().any(|at| (from..=to).contains(at))
    }

    fn welcome(&mut self, entry: &Entry, welcome: &Welcome) -> Found {
        let Welcome { stream_epoch, ledger_id, known, ends_owed, .. } = welcome;
        ensure(!self.stream_epochs.contains(stream_epoch), || {
            format!("its stream_epoch, {stream_epoch:x}, was another's")
        })?;
        // Where two come at once, the older may be welcomed last.
        if self.stream_epochs.last() < Some(stream_epoch) {
            self.newest = entry.stream;
        }
        self.stream_epochs.insert(*stream_epoch);
        *self.stream() =
            Stream { number: entry.stream, welcomed: entry.at, ends_owed: *ends_owed, ..Stream::default() };
        let before = self.ledger.replace(ledger_id.clone());
        ensure(before.as_ref().is_none_or(|before| before == ledger_id), || "another ledger".to_owned())?;
        let forgotten = before.is_none() || self.releases.last().is_some_and(|at| self.welcomed <= *at);
        self.welcomed = entry.at;
        ensure(forgotten || *known, || "it is not known any more".to_owned())
    }

    fn ends_arrive_in_time(&mut self, entry: &Entry) -> Found {
        let Stream { number, welcomed, ends_owed, .. } = *self.stream();
        let due = welcomed + RETURN;
        if ends_owed == 0 || entry.stream != number || entry.at < due {
            return Ok(());
        }
        self.stream().ends_owed = 0; // said once
        let undisturbed = self.records.undisturbed(&self.name, welcomed, due);
        ensure(!undisturbed, || format!("{ends_owed} owed ends are missing after {RETURN:?}"))
    }

    fn deliver(&mut self, at: Duration, seq: u64, kind: BatchKind, event: &Event) -> Found {
        let expected = self.stream().last_seq + 1;
        self.stream().last_seq = seq;
        let incarnation = event.session.as_ref().map_or(0, |session| session.incarnation);
        let delivered = match event.hook.as_str() {
            hook::SESSION_START => Delivered::Start(incarnation),
            hook::SESSION_END => Delivered::End(incarnation),
            _ => Delivered::Other,
        };
        self.stream().unanswered.insert(seq, delivered);
        ensure(seq == expected, || format!("seq {expected} is missing"))?;
        let stream = self.stream();
        let (again, caught_up) = (stream.retried.contains(&incarnation), stream.caught_up);
        ensure(kind != BatchKind::Redelivered || !caught_up || again, || {
            "redelivered behind CaughtUp".to_owned()
        })?;
        let found = match delivered {
            Delivered::Start(_) => self.start(at, kind, event),
            Delivered::End(_) => self.end(at, incarnation),
            Delivered::Other => self.other(at, incarnation, event),
        };
        if self.stream == self.newest { found } else { Ok(()) }
    }

    fn start(&mut self, at: Duration, kind: BatchKind, event: &Event) -> Found {
        let session = event.session.clone().unwrap_or_default();
        let incarnation = session.incarnation;
        ensure(incarnation > 0, || "a start without an incarnation".to_owned())?;
        let Some(life) = self.lives.get(&incarnation) else {
            let waits = self.not_ended_before(&event.gateway_id, &session.id, incarnation);
            let (gateway, boot) = (event.gateway_id.clone(), event.boot_id.clone());
            self.lives.insert(incarnation, Life { gateway, boot, session: session.id, ..Life::default() });
            ensure(!self.spoke.contains(&incarnation), || "its event came before it".to_owned())?;
            return ensure(kind != BatchKind::Live || waits.is_none(), || {
                format!("the end of the life before it, {waits:?}, was not heard")
            });
        };
        ensure(kind != BatchKind::Live, || "a second start that says it just happened".to_owned())?;
        let settled = life.start_settled.is_some_and(|settled| self.surely(settled, at));
        ensure(kind != BatchKind::Redelivered || !settled, || "its start was settled for good".to_owned())?;
        let ended = life.end_heard.is_some_and(|ended| self.records.undisturbed(DISPATCHER, ended, at));
        ensure(!ended, || "a start behind its end".to_owned())
    }

    /// An earlier life of the same id that was not heard to end.
    fn not_ended_before(&self, gateway: &str, session: &str, incarnation: u64) -> Option<u64> {
        let same = |life: &Life| life.gateway == gateway && life.session == session;
        let open = |life: &Life| life.rejected.is_none() && life.end_heard.is_none();
        let mut earlier = self.lives.range(..incarnation);
        earlier.find(|(_, life)| same(life) && open(life)).map(|(number, _)| *number)
    }

    fn end(&mut self, at: Duration, incarnation: u64) -> Found {
        let settled_before = |life: &Life| life.end_settled.is_some_and(|settled| self.surely(settled, at));
        let life = self.lives.get(&incarnation).ok_or("an end without a start")?;
        let (start_settled, again) = (life.start_settled.is_some(), settled_before(life));
        let first = life.end_heard.is_none();
        let stream = self.stream();
        stream.ended.insert(incarnation);
        stream.ends_owed = stream.ends_owed.saturating_sub(u64::from(first));
        if let Some(life) = self.lives.get_mut(&incarnation) {
            life.end_heard.get_or_insert(at);
        }
        ensure(start_settled, || "its start was never settled".to_owned())?;
        ensure(!again, || "it was settled for good".to_owned())
    }

    fn other(&mut self, at: Duration, incarnation: u64, event: &Event) -> Found {
        // What needs no journal is published again to a dispatcher that has forgotten it.
        let before = self.heard.insert(event.id.clone(), at);
        let again = before.is_some_and(|before| self.records.undisturbed(DISPATCHER, before, at));
        ensure(!again || self.keeps_all, || "it comes twice".to_owned())?;
        if event.late || incarnation == 0 {
            return Ok(());
        }
        self.spoke.insert(incarnation);
        let last = self.stream().session_seqs.insert(incarnation, event.session_seq).unwrap_or(0);
        ensure(event.session_seq > last, || format!("session_seq {} behind {last}", event.session_seq))?;
        // With retention ALL both come again, where neither was answered: on each stream in their order.
        let heard = |life: &Life| life.end_heard.is_some() && !self.keeps_all;
        let settled = |life: &Life| life.end_settled.is_some_and(|settled| self.surely(settled, at));
        let ended = self.lives.get(&incarnation).is_some_and(|life| heard(life) || settled(life));
        let ended = ended || self.streams[&self.stream].ended.contains(&incarnation);
        ensure(!ended, || "it is not late, and behind the end".to_owned())
    }

    /// When nothing is carried over, nothing of this gateway is open here.
    fn summary(&self, summary: &DrainSummary) -> Found {
        let DrainSummary { owed, acked, accepted, rejected, timed_out, unreachable, retried, .. } = *summary;
        let carried_over = timed_out + unreachable + retried;
        ensure(summary.carried_over == carried_over, || "carried over does not add up".to_owned())?;
        ensure(owed == acked + accepted + rejected + carried_over, || "owed does not add up".to_owned())?;
        let of_gateway = self.lives.iter().filter(|(_, life)| life.gateway == summary.gateway_id);
        let until_then =
            of_gateway.filter(|(_, life)| boot_number(&life.boot) <= boot_number(&summary.boot_id));
        let open = until_then.filter(|(_, life)| life.rejected.is_none() && life.end_settled.is_none());
        let open: Vec<_> = open.map(|(incarnation, _)| *incarnation).collect();
        ensure(carried_over > 0 || open.is_empty(), || {
            format!("nothing is carried over, but {open:?} are open")
        })
    }

    /// Exceptions first, then everything up to `through_seq`.
    fn answer(&mut self, at: Duration, ack: &Ack) {
        for exception in &ack.exceptions {
            if let Some(delivered) = self.stream().unanswered.remove(&exception.seq) {
                self.settle(at, delivered, exception.status());
            }
        }
        let later = self.stream().unanswered.split_off(&(ack.through_seq + 1));
        for (_, delivered) in std::mem::replace(&mut self.stream().unanswered, later) {
            self.settle(at, delivered, AckStatus::Ok);
        }
    }

    fn settle(&mut self, at: Duration, delivered: Delivered, status: AckStatus) {
        let (Delivered::Start(incarnation) | Delivered::End(incarnation)) = delivered else { return };
        if self.stream != self.newest {
            return;
        }
        if status == AckStatus::Retry {
            self.stream().retried.insert(incarnation);
            return;
        }
        let Some(life) = self.lives.get_mut(&incarnation) else { return };
        match (delivered, status) {
            (Delivered::Start(_), AckStatus::Reject) => life.rejected = Some(at),
            (Delivered::Start(_), _) => {
                life.rejected = None;
                life.start_settled.get_or_insert(at);
            }
            _ => _ = life.end_settled.get_or_insert(at),
        }
    }

    /// No end is owed to it, where this arrives.
    fn let_go(&mut self, at: Duration) {
        self.releases.push(at);
        let open = self.lives.values_mut().filter(|life| life.end_settled.is_none());
        open.for_each(|life| _ = life.rejected.get_or_insert(at));
    }

    fn stream(&mut self) -> &mut Stream {
        self.streams.entry(self.stream).or_default()
    }

    /// Whether what was answered then is durable by now, whatever happened, and was not let go of.
    fn surely(&self, answered: Duration, now: Duration) -> bool {
        let since = now > answered + SURELY && !self.released(answered, now);
        since && self.records.undisturbed(&self.name, answered, answered + SURELY)
    }
}

/// Boots of a gateway are numbered.
fn boot_number(boot: &str) -> u32 {
    boot.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

pub(super) fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(complaint()) }
}
