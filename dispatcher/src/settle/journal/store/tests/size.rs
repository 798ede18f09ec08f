//! The size of the file follows what is open, not what has been.

use std::{fs, ops::RangeInclusive, path::Path};

use bytes::Bytes;
use tempfile::TempDir;

use crate::{
    config::Durability,
    settle::journal::{
        Record,
        store::{SMALL, Store, directory},
    },
};

/// The size of a start, in bytes.
const START: usize = 2_000;

fn open(directory: &Path) -> Store {
    Store::open(directory, Durability::Process).unwrap().0
}

fn size(directory: &Path) -> u64 {
    fs::metadata(directory.join(directory::FILE)).unwrap().len()
}

fn start(store: &mut Store, lives: RangeInclusive<u64>) {
    let event = Bytes::from(vec![7; START]);
    let started = |incarnation| Record::Started {
        incarnation,
        gateway: 0,
        event: event.clone(),
        wanted: Box::default(),
        ran: 1,
        position: incarnation,
    };
    store.commit(&lives.map(started).collect::<Vec<_>>(), 1).unwrap();
}

fn forget(store: &mut Store, lives: RangeInclusive<u64>) {
    store.commit(&lives.map(|incarnation| Record::Forgotten { incarnation }).collect::<Vec<_>>(), 1).unwrap();
}

#[test]
fn space_is_used_again() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let mut sizes = Vec::new();
    for round in 0..10 {
        let lives = round * 100 + 1..=(round + 1) * 100;
        start(&mut store, lives.clone());
        forget(&mut store, lives);
        sizes.push(size(directory.path()));
    }
    assert!(sizes[9] <= 2 * sizes[1], "{sizes:?}");
}

#[test]
fn a_file_that_is_mostly_free_is_compacted_once() {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let all = 2 * SMALL / START as u64;
    start(&mut store, 1..=all);
    assert!(!store.compact_if_worthwhile().unwrap(), "it is full");
    forget(&mut store, 1..=all - 10);
    assert!(size(directory.path()) > SMALL);
    assert!(store.compact_if_worthwhile().unwrap());
    assert!(size(directory.path()) < SMALL / 4);
    assert!(!store.compact_if_worthwhile().unwrap(), "it is small");
    drop(store);
    let (_, opened) = Store::open(directory.path(), Durability::Process).unwrap();
    assert_eq!(opened.image.lives.len(), 10);
}
