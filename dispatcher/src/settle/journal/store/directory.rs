//! The journal's directory: made where it is not there, and locked against every other process.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::StoreError;

/// The journal's file.
pub(super) const FILE: &str = "ledger.redb";

/// Its name until it holds a ledger: a crash before that leaves nothing that a ledger could be mistaken for.
pub(super) const UNFINISHED: &str = "ledger.redb.new";

/// Locked by whoever has the journal open.
const LOCK: &str = "lock";

/// A directory that is this process' own, until this is dropped or the process is gone.
#[derive(Debug)]
pub(super) struct Directory {
    directory: PathBuf,
    file: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes it where it is not there, for its owner only.
    pub(super) fn lock(directory: &Path) -> Result<Self, StoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |cause| StoreError::io(&path, cause)
        };
        make(directory).map_err(at(directory))?;
        let path = directory.join(LOCK);
        let lock = owners().create(true).truncate(false).open(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => {
                let file = directory.join(FILE);
                Ok(Self { directory: directory.to_owned(), file, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { directory: directory.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(StoreError::io(&path, cause)),
        }
    }

    /// The journal's file once it is finished.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// The journal's file, and whether it has to be finished: then it is empty.
    pub(super) fn file(&self) -> Result<(File, bool), StoreError> {
        match OpenOptions::new().read(true).write(true).open(&self.file) {
            // Nobody leaves it empty: something was in it, and another one in its place would be a second ledger.
            Ok(file) if file.metadata().is_ok_and(|it| it.len() == 0) => {
                Err(StoreError::no_ledger(&self.file))
            }
            Ok(file) => Ok((file, false)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let path = self.directory.join(UNFINISHED);
                let file = owners().create(true).truncate(true).open(&path);
                Ok((file.map_err(|cause| StoreError::io(&path, cause))?, true))
            }
            Err(cause) => Err(StoreError::io(&self.file, cause)),
        }
    }

    /// Gives the file its name, now that there is a ledger in it.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        let renamed = fs::rename(self.directory.join(UNFINISHED), &self.file);
        let synced = renamed.and_then(|()| File::open(&self.directory)?.sync_all());
        synced.map_err(|cause| StoreError::io(&self.file, cause))
    }
}

/// Makes a directory, with all above it, and its name durable.
fn make(directory: &Path) -> io::Result<()> {
    match fs::metadata(directory) {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// A file that only its owner may read and write.
fn owners() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Keeps every dispatcher out for as long as the result is held; nothing is made or changed.
pub(super) fn share(directory: &Path) -> Result<Option<File>, StoreError> {
    let path = directory.join(LOCK);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None), // a copy, or no journal at all
        Err(cause) => return Err(StoreError::io(&path, cause)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(StoreError::io(&path, cause)),
    }
}
