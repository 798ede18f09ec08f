//! Nothing leaves before what it rests on is durable.
//!
//! Records gather here while a commit is under way, and go to the journal together: one commit for all that wait. What
//! leaves the process (replies, frames, goodbyes, reports) stands in one line, each behind the commit that holds the
//! records of its call and of all calls before. With nothing to wait for, the line is empty and nothing is held.

use std::{collections::VecDeque, fmt, future::pending, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

use super::commits::Commits;
use crate::{
    serve::outlet::Outlets,
    settle::journal::{RanSeconds, Record, store::StoreError},
};

/// Records that may be lost wait this long for others to be committed with.
const MAY_WAIT: Duration = Duration::from_millis(50);

/// A disk that takes longer than this for a commit counts as broken: nothing may be held up without an end.
const STUCK: Duration = Duration::from_secs(30);

/// So many of them do not wait.
const MANY: usize = 10_000;

/// Something that leaves the process.
type Held = Box<dyn FnOnce(&mut Outlets) + Send>;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Gate {
    /// `None`: the ledger is in memory, and nothing has to wait.
    journal: Option<Commits>,
    /// Not handed to the journal yet.
    records: Vec<Record>,
    /// Some of them must be waited for.
    must: bool,
    /// When the first of them came, where none has to be waited for.
    since: Option<Instant>,
    /// Behind which commit each stands.
    held: VecDeque<(u64, Held)>,
    /// Commits that were handed to the journal, and those that are durable.
    handed: u64,
    durable: u64,
    /// The last of those that somebody has to wait for.
    awaited: u64,
    /// When the commit began that is under way.
    began: Option<Instant>,
}

impl Gate {
    pub(super) fn new(journal: Option<Commits>) -> Self {
        Self { journal, ..Self::default() }
    }

    /// These are to be durable before anything leaves that comes behind them.
    pub(super) fn add(&mut self, records: &mut Vec<Record>) {
        if self.journal.is_none() {
            return records.clear(); // it has failed: nothing is to survive that is told to nobody
        }
        if records.is_empty() {
            return;
        }
        self.must |= records.iter().any(|record| !record.may_be_lost());
        self.since.get_or_insert_with(Instant::now);
        self.records.append(records);
    }

    /// Lets this out as soon as everything that was added before is durable: often at once.
    pub(super) fn let_out(&mut self, outlets: &mut Outlets, out: impl FnOnce(&mut Outlets) + Send + 'static) {
        let behind = if self.must { self.handed + 1 } else { self.awaited };
        if behind <= self.durable {
            out(outlets); // and so has everything before it
        } else {
            self.held.push_back((behind, Box::new(out)));
        }
    }

    /// Hands what has gathered to the journal, unless it is busy, or all of it has time.
    pub(super) fn commit(&mut self, ran: RanSeconds) {
        let waits = |at: Instant| at.elapsed() < MAY_WAIT && self.records.len() < MANY;
        if self.handed > self.durable || self.records.is_empty() {
            return;
        }
        if !self.must && self.since.is_some_and(waits) {
            return;
        }
        self.commit_now(ran);
    }

    /// Commits what is there, however much time it has: this is the end.
    pub(super) fn flush(&mut self) {
        self.must |= !self.records.is_empty();
    }

    fn commit_now(&mut self, ran: RanSeconds) {
        let Some(journal) = &mut self.journal else { return };
        journal.begin(std::mem::take(&mut self.records), ran);
        self.handed += 1;
        self.began = Some(Instant::now());
        if std::mem::take(&mut self.must) {
            self.awaited = self.handed;
        }
        self.since = None;
    }

    /// When [`Gate::commit`] has something to do although nothing else happens.
    pub(super) fn next_commit(&self) -> Option<Instant> {
        let idle = self.handed == self.durable && self.journal.is_some();
        self.since.filter(|_| idle).map(|since| since + MAY_WAIT)
    }

    /// Waits for the commit that is under way; where none is, until the journal fails by itself.
    pub(super) async fn committed(&mut self) -> Result<(), StoreError> {
        match &mut self.journal {
            Some(journal) if self.handed > self.durable => {
                let deadline = self.began.unwrap_or_else(Instant::now) + STUCK;
                timeout_at(deadline, journal.done()).await.unwrap_or(Err(StoreError::Stuck(STUCK)))
            }
            Some(journal) => journal.done().await,
            None => pending().await,
        }
    }

    /// The commit that was under way is durable: what stood behind it leaves.
    pub(super) fn open(&mut self, outlets: &mut Outlets) {
        self.durable = self.handed;
        while self.held.front().is_some_and(|(behind, _)| *behind <= self.durable) {
            if let Some((_, out)) = self.held.pop_front() {
                out(outlets);
            }
        }
    }

    /// Nothing waits, and nothing is to be committed.
    pub(super) fn is_at_rest(&self) -> bool {
        self.held.is_empty() && self.records.is_empty() && self.handed == self.durable
    }

    /// The journal has failed: what was held never leaves, and nothing is recorded any more.
    pub(super) fn shut(&mut self) {
        *self = Self::default();
    }

    /// The end is near: the journal is not tidied up any more.
    pub(super) fn end_is_near(&self) {
        self.journal.iter().for_each(Commits::leave_it_as_it_is);
    }

    /// Returns once the journal is closed: another process may open it then.
    pub(super) async fn close(&mut self) {
        if let Some(journal) = self.journal.take() {
            let _ = timeout(STUCK, journal.close()).await; // the process ends, and its lock with it
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, held, handed, durable, .. } = self;
        let (records, held) = (records.len(), held.len());
        f.debug_struct("Gate")
            .field("records", &records)
            .field("held", &held)
            .field("handed", handed)
            .field("durable", durable)
            .finish_non_exhaustive()
    }
}
