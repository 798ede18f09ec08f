//! The dispatcher's disk: it survives the process, and keeps for sure only what was synced.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

use crate::dice::Dice;

/// A disk. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What is there whatever happens.
    synced: Vec<u8>,
    /// What its process sees.
    bytes: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Change>,
    /// Processes that had it before the present one: theirs is another world now.
    crashes: u32,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

/// A disk in one process's hands.
#[derive(Debug)]
pub(crate) struct Mounted {
    disk: Disk,
    crashes: u32,
}

impl Disk {
    pub(crate) fn mount(&self) -> Mounted {
        Mounted { disk: self.clone(), crashes: self.state().crashes }
    }

    /// The power is gone: of what was not synced, some was written, in whatever order, and some was not.
    pub(crate) fn crash(&self, dice: &mut Dice) {
        let mut state = self.state();
        state.crashes += 1;
        for change in std::mem::take(&mut state.unsynced) {
            if dice.percent(50) {
                change.apply(&mut state.synced);
            }
        }
        state.bytes = state.synced.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let (start, end) = (*offset as usize, *offset as usize + data.len());
                // A length that did not make it to the disk, and data that did.
                bytes.resize(bytes.len().max(end), 0);
                bytes[start..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }
}

impl Mounted {
    /// The disk, unless this process is dead: what it does on its way out has no effect.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.crashes == self.crashes { Ok(state) } else { Err(ErrorKind::NotConnected.into()) }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state()?;
        change.apply(&mut state.bytes);
        state.unsynced.push(change);
        Ok(())
    }
}

impl StorageBackend for Mounted {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (state, start) = (self.state()?, offset as usize);
        let read = state.bytes.get(start..start + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(read);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let State { synced, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| change.apply(synced));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }
}
