//! Everything that the plugins printed, as JSON lines in a file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::{Exit, Failure};

/// A file, or nothing where none was asked for.
#[derive(Debug)]
pub(super) struct Trace {
    file: Option<(PathBuf, BufWriter<File>)>,
    /// One moment on both clocks: lines are stamped with the monotonic one.
    began: (Instant, SystemTime),
}

#[derive(Serialize)]
struct Record<'a> {
    time: String,
    recording: &'a str,
    plugin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

impl Trace {
    /// Begins the file anew.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be written.
    pub(super) fn begin(path: Option<&Path>) -> Result<Self, Failure> {
        let create = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), BufWriter::new(file))),
            Err(error) => Err(Exit::Usage.because(format_args!("{}: {error}", path.display()))),
        };
        Ok(Self { file: path.map(create).transpose()?, began: (Instant::now(), SystemTime::now()) })
    }

    /// Writes one line of a plugin; as `text` where it is not JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn line(
        &mut self,
        recording: &str,
        plugin: &str,
        at: Instant,
        text: &str,
    ) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let time = self.began.1 + at.saturating_duration_since(self.began.0);
        let line = serde_json::from_str(text).ok();
        let record = Record {
            time: humantime::format_rfc3339_micros(time).to_string(),
            recording,
            plugin,
            line,
            text: line.is_none().then_some(text),
        };
        write(file, &record).map_err(|error| unwritable(path, &error))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.flush().map_err(|error| unwritable(path, &error))
    }
}

fn write(file: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *file, record)?;
    file.write_all(b"\n")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Exit::Fault.because(format_args!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_json() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace.jsonl");
        let mut trace = Trace::begin(Some(&path)).unwrap();
        trace.began.1 = SystemTime::UNIX_EPOCH;
        let at = trace.began.0 + std::time::Duration::from_millis(1_500);
        trace.line("killed", "slow", at, r#"{"seq":12345678901234567890123}"#).unwrap();
        trace.line("killed", "late", at, "no json").unwrap();
        trace.finish().unwrap();
        let expected = concat!(
            r#"{"time":"1970-01-01T00:00:01.500000Z","recording":"killed","plugin":"slow","#,
            r#""line":{"seq":12345678901234567890123}}"#,
            "\n",
            r#"{"time":"1970-01-01T00:00:01.500000Z","recording":"killed","plugin":"late","text":"no json"}"#,
            "\n",
        );
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
    }

    #[test]
    fn a_place_that_does_not_exist_is_told_at_once() {
        let failure = Trace::begin(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
    }
}
