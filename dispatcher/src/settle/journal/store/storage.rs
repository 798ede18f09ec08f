//! Where redb's pages are: a file, and how long it is.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::StorageBackend;

use crate::{config::Durability, crash};

/// A file. Whoever opened it has made sure that nobody else does.
#[derive(Debug)]
pub(super) struct FileStorage {
    file: File,
    durability: Durability,
}

impl FileStorage {
    pub(super) fn new(file: File, durability: Durability) -> Self {
        Self { file, durability }
    }
}

impl StorageBackend for FileStorage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.durability {
            Durability::Power => self.file.sync_data(),
            // What was written is the system's, in the order in which it was written: no kill takes it back.
            Durability::Process => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}

/// A storage whose length can be asked for while redb has it.
#[derive(Debug)]
pub(super) struct Measured<S> {
    storage: S,
    length: Length,
}

/// The length of a storage.
#[derive(Clone, Debug)]
pub(super) struct Length(Arc<AtomicU64>);

impl Length {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: StorageBackend> Measured<S> {
    pub(super) fn new(storage: S) -> io::Result<(Self, Length)> {
        let length = Length(Arc::new(AtomicU64::new(storage.len()?)));
        Ok((Self { storage, length: length.clone() }, length))
    }
}

impl<S: StorageBackend> StorageBackend for Measured<S> {
    fn len(&self) -> io::Result<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        crash::step();
        self.storage.set_len(len)?;
        self.length.0.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.storage.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        crash::step();
        self.storage.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.storage.close()
    }
}
