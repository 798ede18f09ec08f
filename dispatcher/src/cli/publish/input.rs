//! The lines to publish: read as they come, bounded in size, at full speed or at the speed they were recorded.

use std::{io, mem, os::fd::AsFd, path::Path, time::Duration};

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    time::{Instant, sleep_until},
};

use super::openclaw::{BadLine, Fired, read_line};

/// A longer line is skipped without being held in memory.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Where lines come from.
pub(super) type Source = Box<dyn AsyncRead + Send + Unpin>;

/// A line that was read.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its number, from 1.
    pub(super) number: u64,
    /// What it says.
    pub(super) fired: Result<Fired, Unusable>,
}

/// A line that is skipped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// It is no hook firing.
    #[error(transparent)]
    Bad(#[from] BadLine),
    /// It is longer than a line may be.
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
}

/// The input, one entry after the other.
pub(super) struct Input {
    lines: Lines<Source>,
    /// Read, and not due yet.
    held: Option<Entry>,
    pace: Option<Pace>,
    live: bool,
}

/// Opens a file, or standard input for `-`; says whether somebody is writing it, whom nobody may hold up.
///
/// # Errors
/// When the file cannot be opened.
pub(super) async fn open(path: &Path) -> io::Result<(Source, bool)> {
    if path.as_os_str() == "-" {
        let stdin = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
        return Ok((Box::new(tokio::io::stdin()), !stdin.metadata()?.is_file()));
    }
    let file = File::open(path).await?;
    let live = !file.metadata().await?.is_file();
    Ok((Box::new(file), live))
}

impl Input {
    /// Reads from a source; `recorded_speed` keeps the gaps between the times of the events.
    pub(super) fn new(source: Source, live: bool, recorded_speed: bool) -> Self {
        Self {
            live,
            lines: Lines::new(source, MAX_LINE_BYTES),
            held: None,
            pace: recorded_speed.then(Pace::default),
        }
    }

    /// Whether somebody is writing it, whom nobody may hold up.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// The next entry, `None` at the end. What a dispatcher made has a clock of its own: it comes at once. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) async fn next(&mut self) -> io::Result<Option<Entry>> {
        if self.held.is_none() {
            self.held = self.lines.next().await?.map(entry);
        }
        if let (Some(pace), Some(Entry { fired: Ok(Fired { event, synthetic: false, .. }), .. })) =
            (&mut self.pace, &self.held)
            && let Some(due) = pace.due(event.time_unix_nano)
        {
            sleep_until(due).await;
        }
        Ok(self.held.take())
    }
}

fn entry(line: Line) -> Entry {
    let fired = match line.bytes {
        Some(bytes) => read_line(&bytes).map_err(Unusable::from),
        None => Err(Unusable::TooLong),
    };
    Entry { number: line.number, fired }
}

/// Recorded time against the clock, tied together at the first event that has a time.
#[derive(Default)]
struct Pace {
    origin: Option<(Instant, u64)>,
}

impl Pace {
    /// When an event of this time is due: at once where it has none, or lies before the first.
    fn due(&mut self, unix_nanos: u64) -> Option<Instant> {
        if unix_nanos == 0 {
            return None;
        }
        let (started, first) = *self.origin.get_or_insert_with(|| (Instant::now(), unix_nanos));
        started.checked_add(Duration::from_nanos(unix_nanos.saturating_sub(first)))
    }
}

/// One line, `bytes` being `None` where it was too long.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    number: u64,
    bytes: Option<Vec<u8>>,
}

/// Lines of bounded length.
struct Lines<R> {
    source: BufReader<R>,
    max: usize,
    /// Lines that were read.
    number: u64,
    /// The line that is being read. Kept here so that a dropped future loses nothing.
    partial: Vec<u8>,
    /// That line is already longer than `max`.
    overflowed: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(source: R, max: usize) -> Self {
        let source = BufReader::with_capacity(64 << 10, source);
        Self { source, max, number: 0, partial: Vec::new(), overflowed: false }
    }

    async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.source.fill_buf().await?;
            if chunk.is_empty() {
                let begun = self.overflowed || !self.partial.is_empty();
                return Ok(begun.then(|| self.finish()));
            }
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..newline.unwrap_or(chunk.len())];
            let used = part.len() + usize::from(newline.is_some());
            self.overflowed |= self.partial.len() + part.len() > self.max;
            if self.overflowed {
                self.partial = Vec::new();
            } else {
                self.partial.extend_from_slice(part);
            }
            self.source.consume(used);
            if newline.is_some() {
                return Ok(Some(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Line {
        self.number += 1;
        let bytes = mem::take(&mut self.partial);
        let overflowed = mem::take(&mut self.overflowed);
        Line { number: self.number, bytes: (!overflowed).then_some(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn lines(mut input: &[u8], max: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(&mut input, max);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line.bytes);
            assert_eq!(line.number, read.len() as u64);
        }
        read
    }

    fn some(text: &str) -> Option<Vec<u8>> {
        Some(text.into())
    }

    #[tokio::test]
    async fn the_last_line_needs_no_newline() {
        assert_eq!(lines(b"a\nb", 9).await, [some("a"), some("b")]);
        assert_eq!(lines(b"a\nb\n", 9).await, [some("a"), some("b")]);
        assert_eq!(lines(b"a\n\nb\n", 9).await, [some("a"), some(""), some("b")]);
        assert!(lines(b"", 9).await.is_empty());
    }

    #[tokio::test]
    async fn a_long_line_is_skipped_alone() {
        assert_eq!(lines(b"1234\n12345\n1\n", 4).await, [some("1234"), None, some("1")]);
        assert_eq!(lines(b"12345", 4).await, [None]);
        let huge = [b"a\n", &[b'x'; 300_000][..], b"\nb\n"].concat();
        assert_eq!(lines(&huge, 1000).await, [some("a"), None, some("b")]);
    }

    #[tokio::test]
    async fn a_dropped_read_loses_nothing() {
        let (mut write, read) = tokio::io::duplex(64);
        let mut lines = Lines::new(read, 64);
        write.write_all(b"ab").await.unwrap();
        tokio::select! {
            biased;
            line = lines.next() => panic!("no line yet: {line:?}"),
            () = tokio::task::yield_now() => (),
        }
        write.write_all(b"c\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(Line { number: 1, bytes: some("abc") }));
    }

    #[tokio::test]
    async fn a_line_is_there_before_the_end_of_input() {
        let (mut write, read) = tokio::io::duplex(64);
        let mut input = Input::new(Box::new(read), false, false);
        write.write_all(b"{\"hook\":\"x\"}\nrest").await.unwrap();
        let entry = input.next().await.unwrap().unwrap();
        assert_eq!((entry.number, entry.fired.unwrap().event.hook.as_str()), (1, "x"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_dispatcher_made_is_not_waited_for() {
        let lines: &[u8] = br#"{"hook":"x","time":"2026-01-01T00:00:00Z"}
            {"hook":"session_end","time":"2027-01-01T00:00:00Z","synthetic":true}
            {"hook":"x","time":"2026-01-01T00:00:01Z"}"#;
        let (mut input, began) = (Input::new(Box::new(lines), false, true), Instant::now());
        while input.next().await.unwrap().is_some() {}
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn the_recorded_gaps_are_kept() {
        let mut pace = Pace::default();
        let second = 1_000_000_000;
        let first = pace.due(1_700_000_000 * second).unwrap();
        assert_eq!(pace.due(1_700_000_003 * second), first.checked_add(Duration::from_secs(3)));
        assert_eq!(pace.due(1_600_000_000 * second), Some(first));
        assert_eq!(pace.due(0), None);
    }
}
