//! The disk refuses a change.

use std::io::Write as _;

use super::{Plan, moments, on, scripts};
use crate::settle::journal::{
    Record,
    store::{StoreError, tests::disk::Disk},
};

/// No space left on the device, and an error of the device.
const REFUSALS: [i32; 2] = [28, 5];

/// Runs a script on a disk that refuses something; says how many commits returned, and `None` where there was no
/// journal: its file has no name yet.
fn run(plan: &Plan, disk: &Disk) -> Option<usize> {
    let (mut store, _) = on(disk).ok()?;
    let mut done = 0;
    for step in &plan.steps {
        match plan.step(&mut store, step, done) {
            Ok(now) => done = now,
            Err(error) => {
                assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
                let changes = disk.changes();
                let error = store.commit(&[Record::Forgotten { incarnation: 1 }], 1).unwrap_err();
                assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
                assert!(!store.compact_if_worthwhile().unwrap());
                assert_eq!(disk.changes(), changes, "nothing is tried again");
                break;
            }
        }
    }
    Some(done)
}

#[test]
fn no_refusal_loses_a_commit_that_returned() {
    for (seed, only) in scripts() {
        let plan = Plan::new(seed);
        let disk = Disk::default();
        run(&plan, &disk);
        let (changes, mut refusals) = (disk.changes(), 0);
        for moment in moments(seed, only, changes) {
            let disk = Disk::default().refuse(moment.change, REFUSALS[moment.change % REFUSALS.len()]);
            if let Some(done) = run(&plan, &disk) {
                plan.survives(disk.bytes(), done);
                plan.survives(disk.synced(), done);
                refusals += 1;
            }
        }
        // Not println!: a passing test's output is captured, and this is to be seen.
        let _ = writeln!(std::io::stderr(), "seed {seed}: {refusals} refusals in {changes} changes");
    }
}
