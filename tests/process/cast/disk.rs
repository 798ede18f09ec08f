//! A disk that is small, and can be filled: a file system of its own, in a mount namespace that a process holds.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::process::Process;

/// Makes a small file system, says so, and holds it.
const HOLD: &str = r#"mount -t tmpfs -o size=16m none "$0" && echo mounted && exec sleep infinity"#;

/// What fills it is written in blocks of this size, in bytes, and then byte by byte.
const BLOCKS: [usize; 3] = [64 << 10, 4 << 10, 1];

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Disk {
    /// Where everybody else sees it.
    path: PathBuf,
    _holder: Process,
    _place: TempDir,
}

impl Disk {
    /// A new one; `None` where the system lets nobody like us mount anything.
    pub(crate) async fn small() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().to_str().unwrap().to_owned();
        for who in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
            let hold = [who, &["sh", "-c", HOLD, &directory]].concat();
            let holder = Process::of(Path::new("unshare"), &hold, &[]);
            if holder.comes_to("file system", |lines| !lines.is_empty()).await {
                let path = PathBuf::from(format!("/proc/{}/root{directory}", holder.id()));
                return Some(Self { path, _holder: holder, _place: place });
            }
        }
        None
    }

    /// A directory on it.
    pub(crate) fn directory(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in BLOCKS {
            let block = vec![b'x'; size];
            let full = loop {
                if let Err(error) = ballast.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull);
        }
    }

    /// Gives that room back.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}
