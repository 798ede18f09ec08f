//! A disk in memory, which remembers all that was done to it, and refuses what it is told to.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;

/// What was done to the disk.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Change {
    /// Does it to what is on the disk.
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = *offset as usize + data.len();
                // A length that did not make it to the disk before its data did.
                bytes.resize(bytes.len().max(end), 0);
                bytes[end - data.len()..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
            Self::Sync => {}
        }
    }
}

/// A disk, as its owner sees it: clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Everything that was done, in order.
    changes: Vec<Change>,
    /// The change that is refused, and the system's number for why.
    refusal: Option<(usize, i32)>,
}

impl Disk {
    pub(super) fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    /// Refuses one change, counted from 0, once: nothing of it is done.
    pub(super) fn refuse(self, change: usize, errno: i32) -> Self {
        self.state().refusal = Some((change, errno));
        self
    }

    /// How many changes there were.
    pub(super) fn changes(&self) -> usize {
        self.state().changes.len()
    }

    /// All changes.
    pub(super) fn history(&self) -> Vec<Change> {
        self.state().changes.clone()
    }

    /// What a reader sees.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// What is there after the loss of power, at worst.
    pub(super) fn synced(&self) -> Vec<u8> {
        let state = self.state();
        let synced = state.changes.iter().rposition(|change| matches!(change, Change::Sync)).unwrap_or(0);
        let mut bytes = Vec::new();
        state.changes[..synced].iter().for_each(|change| change.apply(&mut bytes));
        bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state();
        let now = state.changes.len();
        if let Some((_, errno)) = state.refusal.take_if(|(at, _)| *at == now) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        change.apply(&mut state.bytes);
        state.changes.push(change);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let at = offset as usize;
        let read = state.bytes.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(read);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }
}
