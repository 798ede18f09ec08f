//! The plugin's side: the ledger's entries, and what one stream has carried.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use hookwire_protocol::v1::{self, AckStatus, StopReason};

use super::{
    Kept, Model, RETRY_AFTER, RETRY_AFTER_MAX, WINDOW,
    closing::{ClosingId, Outcome},
};
use crate::machine::tests::schedule::{Hello, Wants};

#[derive(Clone, Debug)]
pub(in crate::machine::tests) struct Plugin {
    pub(in crate::machine::tests) wants: Wants,
    pub(in crate::machine::tests) stream: Option<Stream>,
    /// Lives it was handed a start for and whose end is not settled, and whether that start is.
    pub(in crate::machine::tests) entries: BTreeMap<u64, bool>,
    /// Lives whose start it is still to be handed.
    pub(in crate::machine::tests) wanted: BTreeSet<u64>,
    /// Those that it did not want when they began, and that were put off when they were to be announced.
    pub(in crate::machine::tests) put_off: BTreeSet<u64>,
    /// Lives whose start a drain has cancelled: nothing of them is delivered any more.
    pub(in crate::machine::tests) cancelled: BTreeSet<u64>,
    /// Other events that it was to get and that were neither delivered nor counted as lost yet.
    pub(in crate::machine::tests) outstanding: u64,
    /// Those that it got, by number.
    pub(in crate::machine::tests) had: BTreeSet<u64>,
    /// Ends that were written to it on any stream.
    pub(in crate::machine::tests) ends_written: BTreeSet<u64>,
    /// The last session_seq by life.
    pub(in crate::machine::tests) session_seqs: BTreeMap<u64, u64>,
    /// Boots whose gateway_stop it got.
    pub(in crate::machine::tests) stops_had: BTreeSet<(usize, String)>,
    /// What is kept for it, at most.
    pub(in crate::machine::tests) kept: Kept,
    /// Entries that expired; how many of them it was not told of yet, and how many other events.
    pub(in crate::machine::tests) expired: BTreeSet<u64>,
    pub(in crate::machine::tests) untold: (u64, u64),
    /// In whole seconds.
    pub(in crate::machine::tests) away_since: Option<u64>,
    instance: usize,
    displaced: BTreeSet<usize>,
}

/// One stream, as far as it was pulled.
#[derive(Clone, Debug, Default)]
pub(in crate::machine::tests) struct Stream {
    /// By the clock.
    pub(in crate::machine::tests) began: u64,
    pub(in crate::machine::tests) announce: bool,
    pub(in crate::machine::tests) window: usize,
    pub(in crate::machine::tests) may_be_slow: bool,
    /// What its Welcome has to say.
    pub(in crate::machine::tests) known: bool,
    pub(in crate::machine::tests) ends_owed: u64,
    pub(in crate::machine::tests) starts_to_replay: u64,
    pub(in crate::machine::tests) welcomed: bool,
    pub(in crate::machine::tests) caught_up: bool,
    pub(in crate::machine::tests) goodbye: bool,
    /// Starts and ends that CaughtUp waits for.
    pub(in crate::machine::tests) replay_starts: BTreeSet<u64>,
    pub(in crate::machine::tests) replay_ends: BTreeSet<u64>,
    pub(in crate::machine::tests) replayed: u64,
    pub(in crate::machine::tests) announced: u64,
    pub(in crate::machine::tests) deliveries: Vec<Delivery>,
    pub(in crate::machine::tests) starts: BTreeSet<u64>,
    pub(in crate::machine::tests) ends: BTreeSet<u64>,
    /// Lives that were answered RETRY and are to be written again, and when.
    pub(in crate::machine::tests) retries: BTreeMap<u64, Duration>,
    /// Lives that were ever answered RETRY here.
    pub(in crate::machine::tests) retried: BTreeSet<u64>,
    /// How many times in a row.
    in_a_row: BTreeMap<u64, u32>,
    /// In no order: gateways that are lost at the same moment have none.
    pub(in crate::machine::tests) stops: Vec<Stop>,
    /// What drains have to say, in order.
    pub(in crate::machine::tests) notices: VecDeque<v1::DrainNotice>,
    pub(in crate::machine::tests) summaries: VecDeque<v1::DrainSummary>,
}

/// A gateway_stop that is due.
#[derive(Clone, Debug)]
pub(in crate::machine::tests) struct Stop {
    pub(in crate::machine::tests) closing: ClosingId,
    pub(in crate::machine::tests) gateway: usize,
    pub(in crate::machine::tests) boot: String,
    /// The gateway's own, by number; `None`: one in its place.
    pub(in crate::machine::tests) own: Option<u64>,
    pub(in crate::machine::tests) reason: StopReason,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::machine::tests) struct Delivery {
    pub(in crate::machine::tests) what: Delivered,
    pub(in crate::machine::tests) answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine::tests) enum Delivered {
    Start(u64),
    End(u64),
    Event {
        /// It surely takes a place in the window.
        windowed: bool,
    },
    Stop(ClosingId),
}

impl Plugin {
    fn new(hello: &Hello) -> Self {
        Self {
            wants: hello.wants,
            stream: None,
            entries: BTreeMap::new(),
            wanted: BTreeSet::new(),
            put_off: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            outstanding: 0,
            had: BTreeSet::new(),
            ends_written: BTreeSet::new(),
            session_seqs: BTreeMap::new(),
            stops_had: BTreeSet::new(),
            kept: Kept::granted(0, 0),
            expired: BTreeSet::new(),
            untold: (0, 0),
            away_since: None,
            instance: hello.instance,
            displaced: BTreeSet::new(),
        }
    }

    /// This start is not to be handed to it any more: it was, or never will be.
    pub(in crate::machine::tests) fn handed_or_not(&mut self, life: u64) {
        self.wanted.remove(&life);
        self.put_off.remove(&life);
    }

    /// The dispatcher has died: what no journal holds is gone.
    pub(super) fn forget_process(&mut self) {
        self.stream = None;
        self.outstanding = 0;
        self.displaced.clear();
        for life in std::mem::take(&mut self.put_off) {
            self.wanted.remove(&life);
        }
    }
}

impl Model {
    /// Whether it is taken, and whether an older stream ends by it.
    pub(in crate::machine::tests) fn subscribe(&mut self, ix: usize, hello: &Hello) -> Result<bool, ()> {
        if self.stopping {
            return Err(());
        }
        let known = self.plugins.contains_key(&ix);
        let plugin = self.plugins.entry(ix).or_insert_with(|| Plugin::new(hello));
        let connected = plugin.stream.is_some();
        if connected {
            if plugin.displaced.contains(&hello.instance) {
                return Err(());
            }
            if plugin.instance != hello.instance {
                plugin.displaced.insert(plugin.instance);
            }
            self.end_stream(ix);
        }
        let began = self.tick_clock();
        let plugin = self.plugins.get_mut(&ix).unwrap();
        (plugin.instance, plugin.wants) = (hello.instance, hello.wants);
        (plugin.kept, plugin.away_since) = (Kept::granted(hello.keep_ms, hello.keep_bytes), None);
        let (lives, wants) = (&self.lives, hello.wants);
        let unwanted =
            |life: &&u64| !(wants.lifecycle() && wants.session(lives[life].key, lives[life].agent));
        let unwanted: Vec<_> = plugin.wanted.iter().filter(unwanted).copied().collect();
        let ended = |life: &&u64| lives[life].end.is_some();
        let replay_ends: BTreeSet<_> = plugin.entries.keys().filter(ended).copied().collect();
        let unsettled = plugin.entries.iter().filter(|(_, settled)| !**settled);
        let replay_starts: BTreeSet<_> = unsettled.map(|(life, _)| *life).collect();
        plugin.stream = Some(Stream {
            began,
            announce: hello.announce,
            window: if hello.window == 0 { WINDOW } else { hello.window } as usize,
            may_be_slow: hello.when_full == v1::WhenFull::Disconnect,
            known,
            ends_owed: replay_ends.len() as u64,
            starts_to_replay: replay_starts.len() as u64,
            replay_starts,
            replay_ends,
            ..Stream::default()
        });
        unwanted.into_iter().for_each(|life| self.cancel(ix, life));
        self.notify_of_drains(ix);
        Ok(connected)
    }

    /// Announcements are made, save those that wait for the end of an earlier life: they come live, behind it.
    pub(in crate::machine::tests) fn put_announcements_off(&mut self, ix: usize) {
        let plugin = &self.plugins[&ix];
        let stream = plugin.stream.as_ref().unwrap();
        let wanted = self.alive().filter(|(life, held)| {
            let named = stream.starts.contains(life) || plugin.entries.contains_key(life);
            !named && plugin.wants.lifecycle() && plugin.wants.session(held.key, held.agent)
        });
        let waits = |life: &u64| !self.blockers(plugin, *life, &stream.ends).is_empty();
        let waiting: Vec<_> = wanted.map(|(life, _)| life).filter(waits).collect();
        let plugin = self.plugins.get_mut(&ix).unwrap();
        plugin.put_off.extend(waiting.iter().filter(|life| !plugin.wanted.contains(life)));
        plugin.wanted.extend(waiting);
    }

    /// The stream is gone, or given up on purpose.
    pub(in crate::machine::tests) fn leave(&mut self, ix: usize, release: bool) {
        self.end_stream(ix);
        let plugin = self.plugins.get_mut(&ix).unwrap();
        plugin.displaced.clear();
        if release {
            self.release(ix);
        }
    }

    fn end_stream(&mut self, ix: usize) {
        let now = self.seconds();
        let plugin = self.plugins.get_mut(&ix).unwrap();
        plugin.away_since = Some(now);
        let stream = plugin.stream.take().unwrap();
        let unanswered = stream.deliveries.iter().filter(|delivery| !delivery.answered);
        let unanswered = unanswered.filter(|delivery| matches!(delivery.what, Delivered::Event { .. }));
        plugin.outstanding += unanswered.count() as u64;
        let ended: Vec<_> =
            plugin.wanted.iter().filter(|life| self.lives[life].end.is_some()).copied().collect();
        ended.into_iter().for_each(|life| self.cancel(ix, life));
        self.stream_ended_in_closings(ix);
    }

    /// The plugin is not to be handed this start any more.
    pub(super) fn cancel(&mut self, ix: usize, life: u64) {
        self.settles(ix, life);
        self.plugins.get_mut(&ix).unwrap().handed_or_not(life);
        self.cancelled(ix, life);
    }

    pub(super) fn close_entry(&mut self, ix: usize, life: u64, outcome: Outcome) {
        self.settles(ix, life);
        let plugin = self.plugins.get_mut(&ix).unwrap();
        plugin.entries.remove(&life).unwrap();
        if let Some(stream) = &mut plugin.stream {
            stream.retries.remove(&life);
            stream.replay_ends.remove(&life);
            stream.replay_starts.remove(&life);
        }
        self.settled(ix, life, outcome);
    }

    /// Takes an Ack on the present stream.
    pub(in crate::machine::tests) fn ack(&mut self, ix: usize, ack: &v1::Ack) {
        for exception in &ack.exceptions {
            if exception.status() != AckStatus::Unspecified
                && let Some(what) = self.answer(ix, exception.seq)
            {
                let ms = u64::from(exception.retry_after_ms);
                let after = (ms > 0).then(|| Duration::from_millis(ms));
                self.settle(ix, what, exception.status(), after);
            }
        }
        let last = self.stream(ix).deliveries.len() as u64;
        if ack.through_seq <= last {
            for seq in 1..=ack.through_seq {
                if let Some(what) = self.answer(ix, seq) {
                    self.settle(ix, what, AckStatus::Ok, None);
                }
            }
        }
    }

    fn answer(&mut self, ix: usize, seq: u64) -> Option<Delivered> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        let delivery = self.stream(ix).deliveries.get_mut(at)?;
        (!std::mem::replace(&mut delivery.answered, true)).then_some(delivery.what)
    }

    fn settle(&mut self, ix: usize, what: Delivered, answer: AckStatus, after: Option<Duration>) {
        let open = |plugin: &Plugin, life| plugin.entries.get(&life).copied();
        let plugin = &self.plugins[&ix];
        match what {
            Delivered::Start(life) => match (answer, open(plugin, life)) {
                (AckStatus::Reject, Some(_)) => self.close_entry(ix, life, Outcome::Rejected),
                (AckStatus::Retry, Some(false)) => self.retry(ix, life, after),
                (AckStatus::Ok | AckStatus::Accepted, Some(false)) => {
                    self.settles(ix, life);
                    self.plugins.get_mut(&ix).unwrap().entries.insert(life, true);
                    self.stream(ix).in_a_row.remove(&life);
                }
                _ => {}
            },
            Delivered::End(life) => match (answer, open(plugin, life)) {
                (AckStatus::Ok, Some(_)) => self.close_entry(ix, life, Outcome::Acked),
                (AckStatus::Accepted, Some(_)) => self.close_entry(ix, life, Outcome::Accepted),
                (AckStatus::Reject, Some(_)) => self.close_entry(ix, life, Outcome::Rejected),
                (AckStatus::Retry, Some(_)) => self.retry(ix, life, after),
                _ => {}
            },
            Delivered::Stop(closing) => self.stop_answered(ix, closing),
            Delivered::Event { .. } => {}
        }
    }

    /// After the delay that it names; else each one in a row waits twice as long as the one before.
    fn retry(&mut self, ix: usize, life: u64, after: Option<Duration>) {
        let now = self.now;
        let stream = self.stream(ix);
        let times = stream.in_a_row.entry(life).or_default();
        let doubled = (0..*times).fold(RETRY_AFTER, |delay, _| (delay * 2).min(RETRY_AFTER_MAX));
        *times += 1;
        let at = now + after.unwrap_or(doubled);
        stream.retries.insert(life, at);
        stream.retried.insert(life);
        stream.replay_ends.remove(&life); // CaughtUp does not wait for a RETRY
        self.retried(ix, life, at);
    }

    pub(in crate::machine::tests) fn stream(&mut self, ix: usize) -> &mut Stream {
        self.plugins.get_mut(&ix).unwrap().stream.as_mut().unwrap()
    }
}
