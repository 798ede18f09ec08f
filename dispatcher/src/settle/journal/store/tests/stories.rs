//! Opening, committing and opening again, in a directory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use proptest::{collection::vec, prelude::*};
use redb::ReadableTable as _;
use tempfile::TempDir;

use super::{
    disk::Disk,
    script::{Op, Script, images, meaning},
};
use crate::{
    config::Durability,
    settle::journal::{
        RanSeconds, Record,
        image::Image,
        store::{FORMAT, Opened, Store, StoreError, directory, tables},
    },
};

fn open(directory: &Path) -> (Store, Opened) {
    Store::open(directory, Durability::Process).unwrap()
}

fn records(count: u16) -> Vec<Record> {
    let mut script = Script::default();
    (0..count).map(|number| script.record((number as u8, number / 3, number / 2))).collect()
}

#[test]
fn a_ledger_keeps_its_id_and_counts_its_epochs() {
    let directory = TempDir::new().unwrap();
    let (store, first) = open(directory.path());
    assert_eq!((first.epoch, &first.image), (1, &Image::default()));
    assert_eq!(first.ledger_id.len(), 32);
    drop(store);
    let (store, second) = open(directory.path());
    assert_eq!((second.epoch, second.ledger_id), (2, first.ledger_id));
    drop(store);
    assert_eq!(open(directory.path()).1.epoch, 3);
}

#[test]
fn what_was_committed_is_there_in_each_durability() {
    for durability in [Durability::Power, Durability::Process] {
        let directory = TempDir::new().unwrap();
        let (mut store, _) = Store::open(directory.path(), durability).unwrap();
        let commits: Vec<_> = records(120).chunks(7).map(<[Record]>::to_vec).collect();
        for (commit, ran) in commits.iter().zip(1..) {
            store.commit(commit, ran).unwrap();
        }
        drop(store);
        let (_, opened) = Store::open(directory.path(), durability).unwrap();
        assert_eq!(Some(meaning(opened.image)), images(&commits).pop());
    }
}

#[test]
fn there_is_one_writer() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let error = Store::open(directory.path(), Durability::Process).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(directory.path().to_str().unwrap()));
    drop(store);
    open(directory.path());
}

#[test]
fn only_its_owner_can_read_it() {
    let directory = TempDir::new().unwrap();
    let (above, journal) = (directory.path().join("a"), directory.path().join("a/b"));
    let (_store, _) = open(&journal);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&above), mode(&journal)), (0o700, 0o700));
    assert_eq!(mode(&journal.join(directory::FILE)), 0o600);
}

#[test]
fn a_file_that_a_crash_left_unfinished_is_made_again() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(directory::UNFINISHED), vec![0; 73_728]).unwrap();
    let (store, opened) = open(directory.path());
    assert_eq!(opened.epoch, 1);
    drop(store);
    assert!(!directory.path().join(directory::UNFINISHED).exists());
    assert_eq!(open(directory.path()).1.epoch, 2);
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let transaction = store.database.begin_write().unwrap();
    let newer = u128::from(FORMAT) + 1;
    transaction.open_table(tables::META).unwrap().insert(tables::name::FORMAT, newer).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let error = Store::open(directory.path(), Durability::Process).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found, known: FORMAT, .. } if found == newer), "{error}");
    let database = redb::Database::open(directory.path().join(directory::FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let epoch =
        transaction.open_table(tables::META).unwrap().get(tables::name::EPOCH).unwrap().unwrap().value();
    assert_eq!(epoch, 1, "it was not counted up");
}

#[test]
fn what_is_no_journal_is_refused() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(directory::FILE);
    for text in ["a text, and no journal", ""] {
        fs::write(&file, text).unwrap();
        let error = Store::open(directory.path(), Durability::Process).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { path, .. } if *path == file), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::remove_file(&file).unwrap();
    drop(redb::Database::create(&file).unwrap());
    let error = Store::open(directory.path(), Durability::Process).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { path, .. } if *path == file), "{error}");
    let error = Store::open(&file, Durability::Process).unwrap_err();
    assert!(matches!(&error, StoreError::Io { path, .. } if *path == file), "{error}");
}

#[test]
fn what_means_nothing_is_deleted_at_the_next_open() {
    let directory = TempDir::new().unwrap();
    let (mut store, _) = open(directory.path());
    store.commit(&[Record::Entry { subscriber: 7, incarnation: 9 }], 1).unwrap();
    drop(store);
    assert_eq!(open(directory.path()).1.image.entries.len(), 0);
    let (store, _) = open(directory.path());
    assert_eq!(store.held().unwrap(), 0);
}

#[test]
fn a_commit_that_failed_is_the_last() {
    let directory = TempDir::new().unwrap();
    let (mut store, _) = open(directory.path());
    let transaction = store.database.begin_write().unwrap();
    transaction.open_table(tables::GATEWAYS).unwrap().insert(0, &b"\xff"[..]).unwrap();
    transaction.commit().unwrap();
    let error = store.commit(&[Record::BootOver { gateway: 0 }], 1).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let error = store.commit(&records(3), 2).unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    assert!(!store.compact_if_worthwhile().unwrap());
}

/// Numbers that a script is made of, each with whether a commit ends behind it, and whether the store is then opened
/// again.
fn steps() -> impl Strategy<Value = Vec<(Op, bool, bool)>> {
    vec((any::<Op>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2)), 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_the_plain_reference(steps in steps()) {
        let disk = Disk::default();
        let (mut script, mut commits, mut commit) = (Script::default(), Vec::new(), Vec::new());
        let (mut store, _) = Store::on(disk.clone(), Path::new("disk")).unwrap();
        for (op, cut, again) in steps {
            commit.push(script.record(op));
            if cut {
                commits.push(std::mem::take(&mut commit));
                store.commit(&commits[commits.len() - 1], commits.len() as RanSeconds).unwrap();
            }
            if cut && again {
                drop(store);
                let opened;
                (store, opened) = Store::on(disk.clone(), Path::new("disk")).unwrap();
                prop_assert!(Some(meaning(opened.image)) == images(&commits).pop());
            }
        }
        drop(store);
        let (_, opened) = Store::on(disk, Path::new("disk")).unwrap();
        prop_assert_eq!(Some(meaning(opened.image)), images(&commits).pop());
    }
}
