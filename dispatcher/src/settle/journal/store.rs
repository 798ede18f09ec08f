//! The journal's store: the records of a ledger in redb, and the [`Image`] that they add up to when it is opened.
//!
//! What is in which table, and why:
//!
//! | table | key | value | why it is a table of its own |
//! |---|---|---|---|
//! | `meta` | name | a number | the format's version, the ledger's id, the epoch, the largest numbers ever given out |
//! | `gateways` | gateway | a row: id, boot, boots that are over, gateway_stop | small, written when a boot comes or goes |
//! | `emitters` | gateway, emitter | the last publish_seq | written with every lifecycle effect: one number, not the gateway's row |
//! | `ended` | gateway, session | a row: in which order, which life, why | up to 100,000 a gateway, one written at each end |
//! | `subscribers` | subscriber | a row: hello, epoch, away since, expired | small, written when a stream comes or goes |
//! | `lives` | incarnation | a row: the start's bytes, who wanted it | written once, however long the life is |
//! | `ends` | incarnation | a row: the end's bytes, the reason | so that a decision does not write the start again |
//! | `entries` | incarnation, subscriber | one byte: [`EntryState`](super::image::EntryState) | most of all writes; a life's entries lie beside each other and go in one range |
//! | `lots` | lot | a row: the events' bytes, where they stand | written once, whoever keeps it |
//! | `kept` | lot, subscriber | a row: which of them are left | small, written as events are settled |
//!
//! A row is a protobuf message, so that fields can be added. What an older program cannot do without has to raise
//! [`FORMAT`]: a store of a newer format is refused before anything else of it is read, and no row of it is changed.
//!
//! A commit is one transaction: all of its records or none, on the disk when it returns. It is not done in two phases:
//! every open verifies every page's checksum before anything is believed, which takes half a second for a million lives,
//! where two phases would take a second sync a commit. A commit that fails leaves a store that takes no other: nobody
//! knows how much of it is on the disk. The next process sees it as a whole, or not at all.
//!
//! An entry of a life or a subscriber that is not known means nothing. Opening deletes such rows.

mod directory;
pub(crate) mod inspect;
mod load;
mod rows;
mod storage;
mod tables;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, StorageBackend};
use uuid::Uuid;

use self::{
    directory::Directory,
    storage::{Length, Measured},
    write::Tally,
};
use super::{RanSeconds, Record, image::Image};
use crate::{config::Durability, crash};

/// The version of the tables and of what their rows mean. 2: what retention ALL keeps, and the places of starts and ends.
const FORMAT: u32 = 2;

/// Pages that redb keeps in memory, in bytes: the Image is the working copy, and commits touch few pages.
const CACHE_BYTES: usize = 32 << 20;

/// A file of up to this size is left alone, in bytes.
const SMALL: u64 = 16 << 20;

/// A larger one is compacted when its rows would fit into it so many times.
const ROOMY: u64 = 4;

/// Why a journal cannot be opened or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is one writer at a time, and nobody reads beside it.
    #[error("another process has the journal in {} open", directory.display())]
    InUse {
        /// Where the journal is.
        directory: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{}: its format is {found}, and this program knows formats up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u128,
        /// The newest that is known here.
        known: u32,
    },
    /// What is in the file is no journal, or not any more.
    #[error("{}: {why}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused: no such directory, no permission, no space, a broken disk.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        cause: Arc<io::Error>,
    },
    /// An earlier commit failed: what it left on the disk is known once the journal is opened again.
    #[error("{}: an earlier commit failed", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
    },
    /// Nobody writes any more.
    #[error("the journal's thread is gone")]
    Gone,
    /// The system does not answer.
    #[error("a commit has taken longer than {0:?}: the disk does not answer")]
    Stuck(Duration),
}

impl StoreError {
    /// Says where it was; everything that redb reports beyond what the system says means that the file is not sound.
    fn at(path: &Path, error: impl Into<redb::Error>) -> Self {
        let path = path.to_owned();
        match error.into() {
            redb::Error::Io(cause) if unsound(&cause) => Self::Corrupt { path, why: cause.to_string() },
            redb::Error::Io(cause) => Self::Io { path, cause: Arc::new(cause) },
            redb::Error::PreviousIo => Self::Failed { path },
            redb::Error::Corrupted(why) => Self::Corrupt { path, why },
            other => Self::Corrupt { path, why: other.to_string() },
        }
    }

    fn no_ledger(path: &Path) -> Self {
        Self::Corrupt { path: path.to_owned(), why: "there is no ledger in it".to_owned() }
    }

    fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause: Arc::new(cause) }
    }
}

/// Whether the system could read the file, and what it read makes no sense.
fn unsound(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// What opening a journal brings back.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Made with the journal; 32 hexadecimal digits.
    pub(crate) ledger_id: String,
    /// How many times it was opened, with this time: durable before anybody can lean on it.
    pub(crate) epoch: u32,
    pub(crate) image: Image,
}

/// One ledger's records, open for writing.
pub(crate) struct Store {
    database: Database,
    /// What an error names.
    path: PathBuf,
    length: Length,
    tally: Tally,
    /// A commit failed.
    failed: bool,
    /// No compaction while the rows are larger than this: the last one could not make more of it.
    compact_below: u64,
    /// Held as long as the store is.
    _directory: Option<Directory>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the journal in a directory; makes both where they are not there.
    ///
    /// # Errors
    /// Another process has it open; the system refuses; what is there is no journal, a damaged one, or one of a newer
    /// program.
    pub(crate) fn open(directory: &Path, durability: Durability) -> Result<(Self, Opened), StoreError> {
        let directory = Directory::lock(directory)?;
        let (file, unfinished) = directory.file()?;
        let (mut store, opened) = Self::on(storage::FileStorage::new(file, durability), directory.path())?;
        if unfinished {
            directory.finish()?;
        }
        store._directory = Some(directory);
        Ok((store, opened))
    }

    /// Opens the journal on any storage; makes one where it is empty. Errors name `path`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn on(storage: impl StorageBackend, path: &Path) -> Result<(Self, Opened), StoreError> {
        let (storage, length) = Measured::new(storage).map_err(|cause| StoreError::io(path, cause))?;
        let empty = length.bytes() == 0;
        let database = database(storage).map_err(|error| StoreError::at(path, error))?;
        let (opened, tally) = begin(&database, path, empty)?;
        let store = Self {
            database,
            path: path.to_owned(),
            length,
            tally,
            failed: false,
            compact_below: u64::MAX,
            _directory: None,
        };
        Ok((store, opened))
    }

    /// All of these records, or none; durable when it returns.
    ///
    /// # Errors
    /// The system refuses. No commit succeeds after that one.
    pub(crate) fn commit(&mut self, records: &[Record], ran: RanSeconds) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.path.clone() });
        }
        let written = self.write(records, ran);
        self.failed = written.is_err();
        written.map_err(|error| StoreError::at(&self.path, error))
    }

    fn write(&mut self, records: &[Record], ran: RanSeconds) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        self.tally.write(&transaction, records, ran)?;
        transaction.commit()?;
        Ok(())
    }

    /// Gives space back to the system where most of the file is free; says whether it did. The call takes as long as
    /// moving what is there, and may be killed at any moment: it is a few commits that change no row.
    ///
    /// # Errors
    /// The system refuses. No commit succeeds after that.
    pub(crate) fn compact_if_worthwhile(&mut self) -> Result<bool, StoreError> {
        if self.failed || self.length.bytes() <= SMALL {
            return Ok(false);
        }
        let held = self.held().map_err(|error| StoreError::at(&self.path, error))?;
        if !self.is_roomy(held) || held > self.compact_below {
            return Ok(false);
        }
        crash::within("during-compaction", || self.compact())?;
        // Pages move, rows do not: sparse pages stay sparse, and the next time would find the same.
        self.compact_below = if self.is_roomy(held) { held / 2 } else { u64::MAX };
        Ok(true)
    }

    fn is_roomy(&self, held: u64) -> bool {
        self.length.bytes() > SMALL.max(ROOMY * held)
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        let compacted = self.database.compact();
        self.failed = compacted.is_err();
        compacted.map(drop).map_err(|error| StoreError::at(&self.path, error))
    }

    /// The size of all rows, in bytes, without what the trees need beside them.
    fn held(&self) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_read()?;
        let entries = transaction.open_table(tables::ENTRIES)?.len()?;
        let ended = transaction.open_table(tables::ENDED)?.len()?;
        let emitters = transaction.open_table(tables::EMITTERS)?.len()?;
        let named = ended + emitters + transaction.open_table(tables::KEPT)?.len()?;
        Ok(self.tally.bytes() + entries * tables::ENTRY_BYTES + named * tables::NAMED_BYTES)
    }
}

/// Opens a database, or makes one, with every page of it verified: what is damaged is told before anybody leans on it.
fn database(storage: impl StorageBackend) -> Result<Database, redb::DatabaseError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(storage)
}

/// Counts the epoch up and reads the rest; a ledger is made in an empty database only.
fn begin(database: &Database, path: &Path, empty: bool) -> Result<(Opened, Tally), StoreError> {
    let at = |error: redb::Error| StoreError::at(path, error);
    let transaction = database.begin_write().map_err(|error| at(error.into()))?;
    let meta = match tables::Meta::read(&transaction).map_err(at)? {
        None if empty => tables::Meta::new(Uuid::new_v4()),
        None => return Err(StoreError::no_ledger(path)),
        Some(meta) => meta,
    };
    if meta.format > FORMAT.into() {
        return Err(StoreError::Newer { path: path.to_owned(), found: meta.format, known: FORMAT });
    }
    let meta = meta.next_epoch().map_err(at)?;
    let loaded = load::load(&transaction, &meta).map_err(at)?;
    loaded.sweep(&transaction).map_err(at)?;
    meta.write(&transaction).map_err(at)?;
    transaction.commit().map_err(|error| at(error.into()))?;
    let tally = Tally::new(loaded.bytes, &loaded.image);
    Ok((Opened { ledger_id: meta.ledger_id(), epoch: meta.epoch, image: loaded.image }, tally))
}
