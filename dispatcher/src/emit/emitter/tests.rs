//! What receipts say once the journal has failed.

use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::atomic::AtomicBool,
};

use hookwire_protocol::v1::SessionRef;
use redb::{StorageBackend, backends::InMemoryBackend};

use super::*;
use crate::{
    config::Config,
    dispatcher::settings,
    machine::{Machine, Settings},
    settle::journal::store::Store,
    worker::{commits::Commits, worker},
};

/// A disk that fails from some moment on.
#[derive(Debug, Default)]
struct Breaking {
    disk: InMemoryBackend,
    broken: Arc<AtomicBool>,
}

impl StorageBackend for Breaking {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(ErrorKind::StorageFull.into()),
            false => self.disk.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

fn event(hook: &str, session: &str) -> GatewayEvent {
    let session = SessionRef { id: Some(session.to_owned()), ..SessionRef::default() };
    GatewayEvent { hook: hook.to_owned(), session: Some(session), ..GatewayEvent::default() }
}

#[tokio::test]
async fn once_the_journal_has_failed_every_receipt_says_so() {
    let disk = Breaking::default();
    let broken = Arc::clone(&disk.broken);
    let (store, _) = Store::on(disk, Path::new("a disk that breaks")).expect("it works so far");
    let journal = Commits::on_a_thread(store).expect("a thread");
    let settings = Settings { durable: true, ..settings(&Config::default()) };
    let (commands, worker) = worker(Machine::new(settings), Some(journal));
    tokio::spawn(worker.run());
    let name = || "name".to_owned();
    let hello = attach_request::Hello {
        gateway_id: name(),
        boot_id: name(),
        emitter_id: name(),
        ..Default::default()
    };
    let emitter = attach(commands, SourceId(1), hello).await.expect("it may attach");
    assert_eq!(emitter.emit(event("session_start", "s1")).await, Ok(()));

    broken.store(true, Ordering::Relaxed);
    let on_its_way = emitter.emit(event("session_end", "s1"));
    let behind_it: Vec<_> = (0..2 * BATCH).map(|_| emitter.emit(event("llm_output", "s1"))).collect();
    for receipt in [on_its_way].into_iter().chain(behind_it) {
        let answer = receipt.await;
        assert!(matches!(&answer, Err(NotTaken::Journal(text)) if text.contains("journal")), "{answer:?}");
    }
    let later = emitter.emit(event("session_start", "s2")).await;
    assert!(matches!(later, Err(NotTaken::Journal(_))), "{later:?}");
}
