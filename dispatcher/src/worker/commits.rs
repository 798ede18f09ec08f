//! The journal's own thread: a commit waits for the disk, and nothing else may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::{
    crash,
    settle::journal::{
        RanSeconds, Record,
        store::{Store, StoreError},
    },
};

/// Hands commits to the journal, one at a time.
#[derive(Debug)]
pub(crate) struct Commits {
    batches: mpsc::UnboundedSender<Batch>,
    done: mpsc::UnboundedReceiver<Outcome>,
    /// Whether the store may be compacted.
    tidy: Arc<AtomicBool>,
}

type Outcome = Result<(), StoreError>;

struct Batch {
    records: Vec<Record>,
    ran: RanSeconds,
}

impl Commits {
    /// Starts the thread, which owns the store from now on.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub(crate) fn on_a_thread(mut store: Store) -> std::io::Result<Self> {
        let (commits, mut waiting, outcomes) = Self::new();
        let tidy = Arc::clone(&commits.tidy);
        let run = move || {
            while let Some(Batch { records, ran }) = waiting.blocking_recv() {
                crash::point("before-commit");
                let outcome = store.commit(&records, ran);
                crash::point("after-commit"); // durable, and nothing of it has left yet
                if !tell(&outcomes, outcome)
                    || tidy.load(Ordering::Relaxed) && !compact(&mut store, &outcomes)
                {
                    break;
                }
            }
            drop(store); // before the last of the outcomes is told: another may open the journal then
        };
        thread::Builder::new().name("journal".to_owned()).spawn(run)?;
        Ok(commits)
    }

    /// Commits in a task of the current runtime. Each takes this long by its clock: half of it before it is durable, half
    /// of it before that is known.
    #[cfg(feature = "simulation")]
    pub(crate) fn in_a_task(mut store: Store, takes: std::time::Duration) -> Self {
        let (commits, mut waiting, outcomes) = Self::new();
        tokio::spawn(async move {
            while let Some(Batch { records, ran }) = waiting.recv().await {
                tokio::time::sleep(takes / 2).await;
                let outcome = store.commit(&records, ran);
                tokio::time::sleep(takes / 2).await;
                if !tell(&outcomes, outcome) || !compact(&mut store, &outcomes) {
                    return;
                }
            }
        });
        commits
    }

    fn new() -> (Self, mpsc::UnboundedReceiver<Batch>, mpsc::UnboundedSender<Outcome>) {
        let (batches, waiting) = mpsc::unbounded_channel();
        let (outcomes, done) = mpsc::unbounded_channel();
        (Self { batches, done, tidy: Arc::new(AtomicBool::new(true)) }, waiting, outcomes)
    }

    /// Begins a commit; [`Commits::done`] says how it went.
    pub(super) fn begin(&mut self, records: Vec<Record>, ran: RanSeconds) {
        // Where the thread is gone, that is what `done` says.
        let _ = self.batches.send(Batch { records, ran });
    }

    /// How the commit went that began first of those that were not told of. Behind the last of them, it returns only once
    /// nothing can be committed any more.
    pub(super) async fn done(&mut self) -> Result<(), StoreError> {
        self.done.recv().await.unwrap_or(Err(StoreError::Gone))
    }

    /// The end is near: a compaction would hold it up.
    pub(super) fn leave_it_as_it_is(&self) {
        self.tidy.store(false, Ordering::Relaxed);
    }

    /// Returns once the store is closed.
    pub(super) async fn close(mut self) {
        drop(self.batches);
        while self.done.recv().await.is_some() {}
    }
}

/// Says whether there is more to do: what a commit that failed left behind, nobody knows.
fn tell(outcomes: &mpsc::UnboundedSender<Outcome>, outcome: Outcome) -> bool {
    let failed = outcome.is_err();
    outcomes.send(outcome).is_ok() && !failed
}

/// Says whether there is more to do. That it failed is told at once, though nobody asked: so would every further commit.
fn compact(store: &mut Store, outcomes: &mpsc::UnboundedSender<Outcome>) -> bool {
    match store.compact_if_worthwhile() {
        Ok(compacted) => {
            if compacted {
                info!("the journal was compacted");
            }
            true
        }
        Err(error) => {
            warn!(%error, "the journal could not be compacted");
            tell(outcomes, Err(error))
        }
    }
}
