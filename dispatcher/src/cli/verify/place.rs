//! Where there is something to look at afterwards: a directory for each scenario, and the dispatchers' log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// See the [module](self).
#[derive(Debug)]
pub(super) enum Place {
    /// Asked for: it stays as it is.
    Asked(PathBuf),
    /// Nobody asked: what stays is what failed.
    Temporary(TempDir),
}

impl Place {
    /// In this directory, which is made where it is not there; else in a temporary one.
    ///
    /// # Errors
    /// When it cannot be made, or holds something: an effect log of another run would be judged.
    pub(super) fn new(asked: Option<&Path>) -> io::Result<Self> {
        let Some(directory) = asked else { return tempfile::tempdir().map(Self::Temporary) };
        fs::create_dir_all(directory)?;
        if fs::read_dir(directory)?.next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        // A plugin is told this path, wherever it runs.
        fs::canonicalize(directory).map(Self::Asked)
    }

    /// What the dispatchers log, all of them.
    pub(super) fn log(&self) -> PathBuf {
        self.path().join("dispatcher.log")
    }

    /// The directory of one scenario. It is not made yet.
    pub(super) fn of(&self, scenario: &str) -> PathBuf {
        self.path().join(scenario)
    }

    /// Where there is something to look at, now that so many scenarios failed, and these did not.
    pub(super) fn keep(self, failed: usize, others: impl Iterator<Item = &'static str>) -> Option<PathBuf> {
        match self {
            Self::Asked(directory) => Some(directory),
            Self::Temporary(_) if failed == 0 => None,
            Self::Temporary(directory) => {
                for scenario in others {
                    // What cannot be removed is only more to look at.
                    let _ = fs::remove_dir_all(directory.path().join(scenario));
                }
                Some(directory.keep())
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Asked(directory) => directory,
            Self::Temporary(directory) => directory.path(),
        }
    }
}
