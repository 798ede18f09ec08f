//! The machine stops.

use std::io::Write as _;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Plan, moments, on, scripts};
use crate::settle::journal::store::tests::disk::{Change, Disk};

/// What a disk writes as a whole, in bytes.
const SECTOR: usize = 512;

/// What becomes of the changes behind the last sync.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// They are gone.
    All,
    /// They are there: the process was killed, and the machine was not.
    Nothing,
    /// Each is there or gone.
    Some,
    /// Each is there or gone, and of the one under way a part.
    Torn,
}

const LOSSES: [Loss; 4] = [Loss::All, Loss::Nothing, Loss::Some, Loss::Torn];

/// A script that ran to its end.
#[derive(Debug)]
struct Run {
    changes: Vec<Change>,
    /// How many changes there were when the journal was made, and when each commit had returned.
    returned: Vec<usize>,
}

impl Run {
    fn of(plan: &Plan) -> Self {
        let disk = Disk::default();
        let (mut store, _) = on(&disk).unwrap();
        let mut returned = vec![disk.changes()];
        for step in &plan.steps {
            let done = plan.step(&mut store, step, returned.len() - 1).unwrap();
            if done == returned.len() {
                returned.push(disk.changes());
            }
        }
        drop(store);
        Self { changes: disk.history(), returned }
    }

    /// How many commits had returned before this change; `None` before there was a journal: its file had no name yet.
    fn done(&self, change: usize) -> Option<usize> {
        self.returned.iter().filter(|returned| **returned <= change).count().checked_sub(1)
    }

    /// What the disk holds where the machine stops in this change, of which `synced` is what is certain.
    fn left(&self, change: usize, synced: &Synced, loss: Loss, rng: &mut StdRng) -> Vec<u8> {
        let mut bytes = synced.bytes.clone();
        for pending in &self.changes[synced.changes..change] {
            let there = match loss {
                Loss::All => false,
                Loss::Nothing => true,
                Loss::Some | Loss::Torn => rng.random(),
            };
            if there {
                pending.apply(&mut bytes);
            }
        }
        if let (Loss::Torn, Change::Write(offset, data)) = (loss, &self.changes[change]) {
            let sectors = rng.random_range(0..=data.len() / SECTOR);
            Change::Write(*offset, data[..sectors * SECTOR].to_vec()).apply(&mut bytes);
        }
        bytes
    }
}

/// What the disk holds for certain.
#[derive(Debug, Default)]
struct Synced {
    bytes: Vec<u8>,
    /// The number of changes that are in it.
    changes: usize,
}

impl Synced {
    /// Takes in what is behind the last sync before this change.
    fn advance(&mut self, changes: &[Change], to: usize) {
        let sync = changes[self.changes..to].iter().rposition(|change| matches!(change, Change::Sync));
        for _ in 0..sync.map_or(0, |at| at + 1) {
            changes[self.changes].apply(&mut self.bytes);
            self.changes += 1;
        }
    }
}

#[test]
fn no_crash_loses_a_commit_that_returned() {
    for (seed, only) in scripts() {
        let plan = Plan::new(seed);
        let run = Run::of(&plan);
        let (mut synced, mut crashes) = (Synced::default(), 0);
        for moment in moments(seed, only, run.changes.len()) {
            synced.advance(&run.changes, moment.change);
            let Some(done) = run.done(moment.change) else { continue };
            for loss in LOSSES {
                let mut rng = StdRng::seed_from_u64(seed ^ (moment.change as u64) << 32);
                plan.survives(run.left(moment.change, &synced, loss, &mut rng), done);
                crashes += 1;
            }
        }
        // Not println!: a passing test's output is captured, and this is to be seen.
        let _ =
            writeln!(std::io::stderr(), "seed {seed}: {crashes} crashes in {} changes", run.changes.len());
    }
}
