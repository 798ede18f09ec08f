//! L4: the journal, crashed or refused at every moment.
//!
//! A script of 200 records, in several commits and with a compaction in their midst, is written down change by change:
//! each write, each new length, each sync. Then something goes wrong at every one of them, and what is on the disk
//! after that is opened. It has to be what the records of all commits that returned add up to, or those and the one
//! under way; and it has to go on from there.
//!
//! `HOOKWIRE_SWEEPS` sets how many scripts are swept. A failure names its seed and its change;
//! `HOOKWIRE_SWEEP=seed:change` plays that one alone.

mod crashes;
mod failures;

use std::{env, path::Path, thread};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    disk::Disk,
    script::{Script, images, meaning},
};
use crate::settle::journal::{
    RanSeconds, Record,
    image::Image,
    store::{Opened, Store, StoreError},
};

/// Records in a script.
const RECORDS: usize = 200;

/// Scripts that are swept where nobody says how many.
const SCRIPTS: u64 = 3;

/// Names a moment that is played alone.
const VARIABLE: &str = "HOOKWIRE_SWEEP";

/// What is done to a store.
#[derive(Debug)]
enum Step {
    /// The next commit.
    Commit,
    Compact,
}

/// A script, and what it adds up to.
#[derive(Debug)]
struct Plan {
    commits: Vec<Vec<Record>>,
    steps: Vec<Step>,
    /// What the ledger is after so many commits.
    images: Vec<Image>,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut script = Script::default();
        let mut commits = vec![Vec::new()];
        let mut steps = Vec::new();
        for number in 1..=RECORDS {
            let op = (rng.random(), rng.random(), rng.random());
            commits.last_mut().unwrap().push(script.record(op));
            if rng.random_bool(0.15) || number == RECORDS {
                steps.push(Step::Commit);
                commits.push(Vec::new());
            }
            if number == RECORDS * 2 / 3 {
                steps.push(Step::Compact);
            }
        }
        commits.pop();
        let images = images(&commits);
        Self { commits, steps, images }
    }

    /// Does one step; says how many commits there are then.
    fn step(&self, store: &mut Store, step: &Step, done: usize) -> Result<usize, StoreError> {
        match step {
            Step::Commit => {
                store.commit(&self.commits[done], done as RanSeconds + 1)?;
                Ok(done + 1)
            }
            Step::Compact => store.compact().map(|_| done),
        }
    }

    /// Opens what a crash left behind. At least `done` commits have to be there, and one more may be; from there on it
    /// is as good as any other journal.
    fn survives(&self, bytes: Vec<u8>, done: usize) {
        let disk = Disk::with(bytes);
        let (mut store, opened) = on(&disk).expect("a journal that a crash left behind opens");
        let image = meaning(opened.image);
        let found = self.images.iter().rposition(|expected| *expected == image);
        let found = found.filter(|found| (done..=done + 1).contains(found));
        let found = found
            .unwrap_or_else(|| panic!("{done} commits returned; found is the state as of {}", image.ran));
        let next = self.commits.len().min(found + 2);
        for commit in found..next {
            store.commit(&self.commits[commit], commit as RanSeconds + 1).expect("a commit after the crash");
        }
        drop(store);
        let (_, again) = on(&disk).expect("the journal opens another time");
        assert_eq!(
            meaning(again.image),
            self.images[next],
            "after {next} commits, the last of them after the crash"
        );
        assert!(again.epoch > opened.epoch, "each epoch is larger: {} after {}", again.epoch, opened.epoch);
    }
}

fn on(disk: &Disk) -> Result<(Store, Opened), StoreError> {
    Store::on(disk.clone(), Path::new("disk"))
}

/// One change of one script's run, at which something goes wrong. Says so where the test does not come through.
#[derive(Debug)]
struct Moment {
    seed: u64,
    change: usize,
}

impl Drop for Moment {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{VARIABLE}={}:{} plays this alone", self.seed, self.change);
        }
    }
}

/// What is swept: a seed, and of its changes the one that was asked for, or all.
fn scripts() -> Vec<(u64, Option<usize>)> {
    if let Ok(moment) = env::var(VARIABLE) {
        let (seed, change) = moment.split_once(':').expect("a seed, a colon, and the number of a change");
        let number = "both are numbers";
        return vec![(seed.parse().expect(number), Some(change.parse().expect(number)))];
    }
    let count = env::var("HOOKWIRE_SWEEPS")
        .map_or(SCRIPTS, |count| count.parse().expect("HOOKWIRE_SWEEPS is a number"));
    (0..count).map(|_| (u64::from(rand::random::<u32>()), None)).collect()
}

/// The moments of one script that has so many changes.
fn moments(seed: u64, only: Option<usize>, changes: usize) -> impl Iterator<Item = Moment> {
    let all = only.map_or(0..changes, |change| change..change + 1);
    all.map(move |change| Moment { seed, change })
}
