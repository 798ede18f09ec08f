//! Looking at a journal, sound or not.

use std::{fs, path::Path};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use super::script::{Script, images, meaning};
use crate::{
    config::Durability,
    settle::journal::{
        Record,
        store::{Store, StoreError, directory, inspect::inspect},
    },
};

/// Commits of the script.
const COMMITS: usize = 20;

fn commits() -> Vec<Vec<Record>> {
    let mut script = Script::default();
    let mut rng = StdRng::seed_from_u64(7);
    let mut record = |_| script.record((rng.random(), rng.random(), rng.random()));
    (0..COMMITS).map(|_| (0..10).map(&mut record).collect()).collect()
}

/// A journal with the script in it; its file where the process was killed, and where it closed it.
fn journal(directory: &Path) -> [Vec<u8>; 2] {
    let (mut store, _) = Store::open(directory, Durability::Process).unwrap();
    for (commit, ran) in commits().iter().zip(1..) {
        store.commit(commit, ran).unwrap();
    }
    let file = directory.join(directory::FILE);
    let killed = fs::read(&file).unwrap();
    drop(store);
    [killed, fs::read(&file).unwrap()]
}

#[test]
fn what_is_seen_is_what_the_next_open_finds() {
    let directory = TempDir::new().unwrap();
    let files = journal(directory.path());
    let file = directory.path().join(directory::FILE);
    for (bytes, killed) in files.iter().zip([true, false]) {
        fs::write(&file, bytes).unwrap();
        let seen = inspect(directory.path()).unwrap();
        assert_eq!((seen.epoch, seen.killed), (1, killed));
        assert_eq!(fs::read(&file).unwrap(), *bytes);
        let (_store, opened) = Store::open(directory.path(), Durability::Process).unwrap();
        assert_eq!(meaning(seen.image), meaning(opened.image));
    }
}

#[test]
fn a_dispatcher_and_a_look_keep_each_other_out() {
    let directory = TempDir::new().unwrap();
    let (store, _) = Store::open(directory.path(), Durability::Process).unwrap();
    assert!(matches!(inspect(directory.path()), Err(StoreError::InUse { .. })));
    drop(store);
    let look = directory::share(directory.path()).unwrap();
    let refused = Store::open(directory.path(), Durability::Process).map(drop);
    assert!(matches!(refused, Err(StoreError::InUse { .. })));
    inspect(directory.path()).unwrap();
    drop(look);
    Store::open(directory.path(), Durability::Process).unwrap();
}

/// What a killed process left of its newest commit may be a part: that commit is none, then, and damage to it looks the
/// same. Everything before it is there, or the damage is told.
#[test]
fn damage_is_told_or_harmless() {
    let directory = TempDir::new().unwrap();
    let [killed, closed] = journal(directory.path());
    let images = images(&commits());
    let mut rng = StdRng::seed_from_u64(7);
    for (bytes, oldest) in [(killed, COMMITS - 1), (closed, COMMITS)] {
        let (mut told, mut harmless) = (0, 0);
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            let at = rng.random_range(0..damaged.len());
            damaged[at] ^= 1 << rng.random_range(0..8);
            fs::write(directory.path().join(directory::FILE), damaged).unwrap();
            let seen = inspect(directory.path()).map(|seen| seen.image);
            let opened = Store::open(directory.path(), Durability::Process).map(|(_, opened)| opened.image);
            match (seen, opened) {
                (Ok(seen), Ok(opened)) => {
                    let (seen, opened) = (meaning(seen), meaning(opened));
                    let found = images.iter().position(|image| *image == seen);
                    assert!(found.is_some_and(|found| found >= oldest), "byte {at}: {found:?}");
                    assert!(seen == opened, "byte {at}");
                    harmless += 1;
                }
                (Err(StoreError::Corrupt { .. }), Err(StoreError::Corrupt { .. })) => told += 1,
                (seen, opened) => panic!("byte {at}: {:?}, {:?}", seen.map(drop), opened.map(drop)),
            }
        }
        assert!(told > 0 && harmless > 0, "{told} told, {harmless} harmless");
    }
}
