//! Looking at a journal that nobody has open, without changing a byte of it.
//!
//! Opening a journal writes: at the least what a killed process left behind has to be repaired. So all of this happens
//! to a copy in memory. While a dispatcher has the journal open there is none: half of a commit may be in the file.
//!
//! Every page has a checksum, so that damage is told, with one exception: where the process was killed, damage to what
//! its newest commit wrote cannot be told from a commit that was under way, and that commit is none then.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use redb::{StorageBackend as _, backends::InMemoryBackend};

use super::{FORMAT, StoreError, database, directory, load, tables::Meta};
use crate::settle::journal::image::Image;

/// How much of the file is read at once, in bytes.
const CHUNK: usize = 1 << 20;

/// Where redb notes that the file was not closed, and how.
const STATE: u64 = 9;
const NOT_CLOSED: u8 = 0b10;

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// The journal's file.
    pub(crate) path: PathBuf,
    /// Its size, in bytes.
    pub(crate) bytes: u64,
    pub(crate) format: u128,
    pub(crate) ledger_id: String,
    /// How many times it was opened.
    pub(crate) epoch: u32,
    /// Whether its last process was killed, and did not close it.
    pub(crate) killed: bool,
    pub(crate) image: Image,
    /// Entries that mean nothing: the next to open it deletes them.
    pub(crate) stray_entries: usize,
    /// Ends of lives that never started.
    pub(crate) stray_ends: Vec<u64>,
}

/// Reads the journal in a directory, and verifies its pages.
///
/// # Errors
/// A process has it open; there is none; the system refuses; it is damaged, or of a newer program.
pub(crate) fn inspect(directory: &Path) -> Result<Inspected, StoreError> {
    let _lock = directory::share(directory)?;
    let path = directory.join(directory::FILE);
    let (copy, bytes) = copy(&path).map_err(|cause| StoreError::io(&path, cause))?;
    read(copy, path, bytes)
}

fn copy(path: &Path) -> io::Result<(InMemoryBackend, u64)> {
    let mut file = File::open(path)?;
    let copy = InMemoryBackend::new();
    copy.set_len(file.metadata()?.len())?;
    let (mut chunk, mut at) = (vec![0; CHUNK], 0);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((copy, at));
        }
        copy.write(at, &chunk[..read])?;
        at += read as u64;
    }
}

fn read(copy: InMemoryBackend, path: PathBuf, bytes: u64) -> Result<Inspected, StoreError> {
    let at = |error: redb::Error| StoreError::at(&path, error);
    let mut state = [0];
    copy.read(STATE, &mut state).map_err(|_| StoreError::no_ledger(&path))?;
    let database = database(copy).map_err(|error| at(error.into()))?;
    let transaction = database.begin_write().map_err(|error| at(error.into()))?;
    let meta = Meta::read(&transaction).map_err(at)?.ok_or_else(|| StoreError::no_ledger(&path))?;
    if meta.format > FORMAT.into() {
        return Err(StoreError::Newer { path, found: meta.format, known: FORMAT });
    }
    let loaded = load::load(&transaction, &meta).map_err(at)?;
    Ok(Inspected {
        bytes,
        format: meta.format,
        ledger_id: meta.ledger_id(),
        epoch: meta.epoch,
        killed: state[0] & NOT_CLOSED != 0,
        image: loaded.image,
        stray_entries: loaded.stray_entries.len(),
        stray_ends: loaded.stray_ends,
        path,
    })
}
