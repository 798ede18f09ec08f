//! What a plugin says: kept in a file, with the end of its complaints at hand.

use std::{
    fs::File,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::cli::last_words::LastWords;

/// How much of it goes to the file, in bytes: what says more is listened to, and not kept.
const MOST: u64 = 8 << 20;

/// How much of its complaints is at hand, in bytes, and in lines.
const AT_HAND: usize = 1 << 10;
const LINES: usize = 5;

/// See the [module](self). Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Output(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    file: File,
    room: u64,
    complaints: LastWords,
}

impl Output {
    /// Into this file.
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(Kept { file, room: MOST, complaints: LastWords::new(AT_HAND) })))
    }

    /// Listens to both, to their ends.
    pub(super) async fn listen(
        self,
        stdout: Option<impl AsyncRead + Unpin>,
        stderr: Option<impl AsyncRead + Unpin>,
    ) {
        tokio::join!(self.follow(stdout, false), self.follow(stderr, true));
    }

    /// The last lines of what it complained of.
    pub(super) fn complaints(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).complaints.text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    async fn follow(&self, source: Option<impl AsyncRead + Unpin>, complains: bool) {
        let Some(mut source) = source else { return };
        let mut piece = [0; 4 << 10];
        while let Ok(count @ 1..) = source.read(&mut piece).await {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).take(&piece[..count], complains);
        }
    }
}

impl Kept {
    fn take(&mut self, piece: &[u8], complains: bool) {
        if complains {
            self.complaints.add(piece);
        }
        let fits = piece.len().min(usize::try_from(self.room).unwrap_or(usize::MAX));
        self.room -= fits as u64;
        // A full disk takes nothing away from the verdict.
        let _ = self.file.write_all(&piece[..fits]);
    }
}
