//! What the store costs, printed: `cargo test --release -p hookwire journal::store::tests::figures -- --ignored --nocapture`.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hookwire_protocol::v1::{SessionEndReason, subscribe_request::Hello};
use nix::time::ClockId;
use tempfile::TempDir;

use crate::{
    config::Durability,
    settle::journal::{
        Record,
        store::{Store, directory},
    },
};

/// Lives in a large ledger.
const MANY: u64 = 1_000_000;

/// Records in a large commit: a drain of so many sessions.
const COMMIT: u64 = 100_000;

/// The size of an event, in bytes.
const EVENT: usize = 200;

fn started(incarnation: u64) -> Record {
    let event = Bytes::from(vec![7; EVENT]);
    Record::Started { incarnation, gateway: 0, event, wanted: [1].into(), ran: 1, position: 1 }
}

fn entry(incarnation: u64) -> Record {
    Record::Entry { subscriber: 1, incarnation }
}

fn decided(incarnation: u64) -> Record {
    let event = Bytes::from(vec![8; EVENT]);
    Record::Decided { incarnation, event, reason: SessionEndReason::Shutdown, ran: 1, position: 2 }
}

fn forgotten(incarnation: u64) -> Record {
    Record::Forgotten { incarnation }
}

fn subscribed() -> Record {
    Record::Subscribed { subscriber: 1, hello: Box::new(Hello::default()), stream_epoch: 1 }
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let cpu = || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap());
    let (begun, busy) = (Instant::now(), cpu());
    let result = run();
    let [elapsed, busy] = [begun.elapsed(), cpu() - busy].map(|it| it.as_secs_f64() * 1_000.0);
    println!("{what:<62} {elapsed:>9.1} ms, of which {busy:>9.1} ms at work");
    result
}

fn commit_all(store: &mut Store, what: &str, record: impl Fn(u64) -> Record) {
    timed(what, || {
        for first in (1..=MANY).step_by(COMMIT as usize) {
            let records: Vec<_> = (first..first + COMMIT).map(&record).collect();
            store.commit(&records, 1).unwrap();
        }
    });
}

fn size(directory: &Path) -> u64 {
    fs::metadata(directory.join(directory::FILE)).unwrap().len() >> 20
}

#[test]
#[ignore = "a measurement"]
fn commits() {
    for durability in [Durability::Power, Durability::Process] {
        let directory = TempDir::new().unwrap();
        let (mut store, _) = Store::open(directory.path(), durability).unwrap();
        println!("{durability:?}");
        for (what, record) in [
            ("started", started as fn(u64) -> Record),
            ("entry", entry),
            ("decided", decided),
            ("forgotten", forgotten),
        ] {
            let records: Vec<_> = (1..=COMMIT).map(record).collect();
            timed(&format!("{COMMIT} x {what}, one commit"), || store.commit(&records, 1).unwrap());
        }
        for records in [1, 10, 100] {
            let mut next = COMMIT;
            timed(&format!("1000 commits of {records} x started + entry"), || {
                for _ in 0..1_000 {
                    let lives = next + 1..=next + records;
                    next += records;
                    store
                        .commit(&lives.flat_map(|life| [started(life), entry(life)]).collect::<Vec<_>>(), 1)
                        .unwrap();
                }
            });
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn a_large_ledger() {
    let directory = TempDir::new().unwrap();
    let (mut store, _) = Store::open(directory.path(), Durability::Process).unwrap();
    store.commit(&[subscribed()], 1).unwrap();
    commit_all(&mut store, "1,000,000 x started", started);
    commit_all(&mut store, "1,000,000 x entry", entry);
    println!("{:<62} {:>9} MiB", "with 1,000,000 open entries", size(directory.path()));
    reopened(directory.path(), "killed then", MANY);
    timed("closed", || drop(store));
    let (mut store, opened) =
        timed("opened after a close", || Store::open(directory.path(), Durability::Process).unwrap());
    assert_eq!(opened.image.entries.len() as u64, MANY);
    timed("its image dropped", || drop(opened));
    commit_all(&mut store, "1,000,000 x decided", decided);
    println!("{:<62} {:>9} MiB", "with 1,000,000 owed ends", size(directory.path()));
    commit_all(&mut store, "1,000,000 x forgotten, but the last 1000 in 1000", |life| {
        if life <= MANY - 1_000 { forgotten(life) } else { entry(life) }
    });
    println!("{:<62} {:>9} MiB", "with 1,000 owed ends", size(directory.path()));
    assert!(timed("compacted", || store.compact_if_worthwhile().unwrap()));
    println!("{:<62} {:>9} MiB", "compacted", size(directory.path()));
    reopened(directory.path(), "killed then", 1_000);
}

#[test]
#[ignore = "a measurement"]
fn one_in_ten_stays() {
    let directory = TempDir::new().unwrap();
    let (mut store, _) = Store::open(directory.path(), Durability::Process).unwrap();
    store.commit(&[subscribed()], 1).unwrap();
    commit_all(&mut store, "1,000,000 x started", started);
    commit_all(&mut store, "1,000,000 x entry", entry);
    commit_all(
        &mut store,
        "9 of 10 x forgotten",
        |life| if life % 10 == 0 { entry(life) } else { forgotten(life) },
    );
    println!("{:<62} {:>9} MiB, rows {} MiB", "before", size(directory.path()), store.held().unwrap() >> 20);
    let compacted = timed("compacted", || store.compact_if_worthwhile().unwrap());
    println!("{:<62} {:>9} MiB", format!("compacted: {compacted}"), size(directory.path()));
    println!("again: {}", timed("compacted", || store.compact_if_worthwhile().unwrap()));
}

/// Opens a copy, which a store that was not closed left behind.
fn reopened(directory: &Path, what: &str, entries: u64) {
    let copy = TempDir::new().unwrap();
    fs::copy(directory.join(directory::FILE), copy.path().join(directory::FILE)).unwrap();
    let open = || Store::open(copy.path(), Durability::Process).unwrap();
    let (_store, opened) = timed(&format!("opened, {what}"), open);
    assert_eq!(opened.image.entries.len() as u64, entries);
}
