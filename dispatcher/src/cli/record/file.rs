//! The file that is recorded to: a new one, or one that goes on behind its last whole line.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, de::IgnoredAny};

use super::seen::Seen;
use crate::cli::{Exit, Failure};

/// Nobody else's to read: what was said in the conversations may be in it.
const OWNERS: u32 = 0o600;

/// A longer line is none of ours: no event is as large.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// How our lines begin.
const BEGINNINGS: [&[u8]; 2] = [br#"{"time""#, br#"{"hook""#];

/// A file, ready to be written to, and nobody else's while it is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    /// How much of it is whole lines, in bytes. What is behind them is half a line, and may go.
    pub(super) whole: u64,
    /// The last of them lacks its line feed.
    pub(super) unended: bool,
    /// What it holds.
    pub(super) seen: Seen,
}

#[derive(Deserialize)]
struct Line {
    id: String,
}

/// Opens a file that is not there yet, or with `append` one that is. What one holds stays as it is.
///
/// # Errors
/// When a file is there and nobody said to append, somebody records to it, it is no recording, or it cannot be opened.
pub(super) fn open(path: &Path, append: bool) -> Result<Opened, Failure> {
    let failed = |error: io::Error| Exit::Fault.because(format_args!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.write(true).mode(OWNERS);
    if append {
        let file = options.read(true).create(true).truncate(false).open(path).map_err(failed)?;
        lock(&file, path)?;
        return go_on(file).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Exit::Data.because(format_args!("{}: {error}", path.display())),
            _ => failed(error),
        });
    }
    match options.create_new(true).open(path) {
        Ok(file) => {
            lock(&file, path)?;
            Ok(Opened { file, whole: 0, unended: false, seen: Seen::default() })
        }
        // Nothing overwrites: a recording may be all that is left of a run.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Exit::Usage
            .because(format_args!("{} is there already: go on in it with --append", path.display()))),
        Err(error) => Err(failed(error)),
    }
}

/// Two that write to one file would write over each other.
fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            Exit::Usage.because(format_args!("{}: another process records to it", path.display()))
        }
        TryLockError::Error(error) => {
            Exit::Fault.because(format_args!("{}: it cannot be locked: {error}", path.display()))
        }
    })
}

/// Reads what is there, up to what was written in half: that was not acknowledged, and comes again.
fn go_on(mut file: File) -> io::Result<Opened> {
    let invalid = |text: String| io::Error::new(ErrorKind::InvalidData, text);
    if !file.metadata()?.is_file() {
        return Err(invalid("it is no file".to_owned())); // a device may have no end
    }
    let (mut seen, mut whole, mut unended) = (Seen::default(), 0, false);
    let mut lines = BufReader::new(&file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? as u64;
        let ended = line.ends_with(b"\n");
        if !ended && read < MAX_LINE_BYTES && is_half(&line) {
            break;
        }
        let Ok(Line { id }) = serde_json::from_slice(&line) else {
            return Err(invalid(format!("line {number} is not of a recording")));
        };
        seen.is_new(&id);
        whole += read;
        unended = !ended;
    }
    file.seek(SeekFrom::Start(whole))?;
    Ok(Opened { file, whole, unended, seen })
}

/// Whether this is nothing, or the first half of one of our lines: anything else may be all that somebody has of something.
fn is_half(tail: &[u8]) -> bool {
    let is_ours = |begins: &&[u8]| tail.starts_with(begins) || begins.starts_with(tail);
    BEGINNINGS.iter().any(is_ours) && serde_json::from_slice::<IgnoredAny>(tail).is_err()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn half_a_line_goes_and_what_is_no_recording_stays() {
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("run.jsonl");
        assert_eq!(open(&path, true).expect("a new one").whole, 0);
        fs::write(&path, "{\"hook\":\"h\",\"id\":\"a\"}\n{\"hook\":\"h\",\"id").expect("written");
        assert_eq!(open(&path, false).expect_err("it is there").exit, Exit::Usage);
        let mut opened = open(&path, true).expect("one that goes on");
        assert!(!opened.seen.is_new("a") && opened.seen.is_new("b"));
        assert_eq!(opened.whole, 22, "what is behind it may go, but not yet");
        assert_eq!(open(&path, true).expect_err("it is recorded to").exit, Exit::Usage);
        assert_eq!(open(Path::new("/dev/null"), true).expect_err("no file").exit, Exit::Data);
        drop(opened);
        for precious in ["dear diary\n{", "dear diary", r#"{"name":"x"}"#, r#"{"name":"#, r#"{"time":1}"#] {
            fs::write(&path, precious).expect("written");
            assert_eq!(open(&path, true).expect_err("no recording").exit, Exit::Data, "{precious}");
            assert_eq!(fs::read_to_string(&path).expect("text"), precious);
        }
        fs::write(&path, r#"{"hook":"h","id":"a"}"#).expect("written");
        let mut opened = open(&path, true).expect("one whose last line lacks its line feed");
        assert!(!opened.seen.is_new("a") && opened.unended && opened.whole == 21);
    }
}
