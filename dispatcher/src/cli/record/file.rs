//! The file that is recorded to: a new one, or one that goes on behind its last whole line.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::Deserialize;

use super::seen::Seen;
use crate::cli::{Exit, Failure};

/// Nobody else's to read: what was said in the conversations may be in it.
const OWNERS: u32 = 0o600;

/// A longer line is none of ours: no event is as large.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// A file, ready to be written to.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    /// How much of it is whole lines, in bytes.
    pub(super) whole: u64,
    /// What it holds.
    pub(super) seen: Seen,
}

#[derive(Deserialize)]
struct Line {
    id: String,
}

/// Opens a file that is not there yet, or with `append` one that is.
///
/// # Errors
/// When a file is there and nobody said to append, it is no recording, or it cannot be opened.
pub(super) fn open(path: &Path, append: bool) -> Result<Opened, Failure> {
    let failed = |error: io::Error| Exit::Fault.because(format_args!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.write(true).mode(OWNERS);
    if append {
        let file = options.read(true).create(true).truncate(false).open(path);
        return go_on(file.map_err(failed)?).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Exit::Data.because(format_args!("{}: {error}", path.display())),
            _ => failed(error),
        });
    }
    match options.create_new(true).open(path) {
        Ok(file) => Ok(Opened { file, whole: 0, seen: Seen::default() }),
        // Nothing overwrites: a recording may be all that is left of a run.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Exit::Usage
            .because(format_args!("{} is there already: go on in it with --append", path.display()))),
        Err(error) => Err(failed(error)),
    }
}

/// Reads what is there, and cuts off what was written in half: it was not acknowledged, and comes again.
fn go_on(mut file: File) -> io::Result<Opened> {
    let invalid = |text: String| io::Error::new(ErrorKind::InvalidData, text);
    if !file.metadata()?.is_file() {
        return Err(invalid("it is no file".to_owned())); // a device may have no end
    }
    let (mut seen, mut whole) = (Seen::default(), 0);
    let mut lines = BufReader::new(&file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? as u64;
        if !line.ends_with(b"\n") && read < MAX_LINE_BYTES {
            break;
        }
        let Ok(Line { id }) = serde_json::from_slice(&line) else {
            return Err(invalid(format!("line {number} is not of a recording")));
        };
        seen.is_new(&id);
        whole += read;
    }
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    Ok(Opened { file, whole, seen })
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
        assert_eq!(fs::read_to_string(&path).expect("text"), "{\"hook\":\"h\",\"id\":\"a\"}\n");
        assert_eq!(open(Path::new("/dev/null"), true).expect_err("no file").exit, Exit::Data);
        fs::write(&path, "dear diary\n{").expect("written");
        assert_eq!(open(&path, true).expect_err("no recording").exit, Exit::Data);
        assert_eq!(fs::read_to_string(&path).expect("text"), "dear diary\n{");
    }
}
