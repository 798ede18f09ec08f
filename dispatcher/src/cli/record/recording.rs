//! What is recorded: each event once, and all that is missing said.

use std::{io, path::Path};

use hookwire_protocol::v1::{
    Event, EventBatch,
    subscribe_response::{Message, Welcome},
};
use serde::Serialize;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{file::Opened, line, seen::Seen};
use crate::cli::{
    Exit, Failure, names,
    tail::Show,
    term::{clean, say},
};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Recording {
    file: File,
    /// How much of it is whole lines, in bytes.
    whole: u64,
    /// The last of them lacks its line feed.
    unended: bool,
    /// Behind them there may be half a line.
    torn: bool,
    path: String,
    name: String,
    /// What is in the file of this ledger: another may use the same ids.
    seen: Seen,
    /// None before the first Welcome: nothing is written before it.
    ledger: Option<String>,
    tally: Tally,
    begun: bool,
    /// The gateway that was recorded first.
    gateway: Option<String>,
    /// Others were heard of, and that was said.
    gateways: bool,
}

/// The result line.
#[derive(Debug, Default, Serialize)]
struct Tally {
    /// Events that were written, those that a dispatcher made among them.
    recorded: u64,
    /// Of those, what a dispatcher made.
    synthetic: u64,
    /// Deliveries of what was written before.
    redelivered: u64,
    /// Events that the dispatcher let go of before they came here.
    lost: u64,
    /// Events that carry what no line can hold.
    unwritable: u64,
}

impl Recording {
    /// Into this file, behind its whole lines.
    pub(super) fn new(opened: Opened, path: &Path, name: &str) -> Self {
        let Opened { file, whole, unended, seen } = opened;
        Self {
            file: File::from_std(file),
            whole,
            unended,
            torn: true,
            path: path.display().to_string(),
            name: name.to_owned(),
            seen,
            ledger: None,
            tally: Tally::default(),
            begun: false,
            gateway: None,
            gateways: false,
        }
    }

    /// Whether a dispatcher has welcomed it.
    pub(super) fn is_welcome(&self) -> bool {
        self.ledger.is_some()
    }

    /// Nothing more comes: it is on the disk when this returns. What came of it, as one line.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) async fn close(&mut self) -> Result<String, Failure> {
        let synced = async {
            // A write may still be on its way. Its own error was told, or nobody waited for it.
            let _ = self.file.flush().await;
            if self.is_welcome() && self.torn {
                self.file.set_len(self.whole).await?;
            }
            self.file.sync_all().await
        };
        synced.await.map_err(|error| Exit::Fault.because(format_args!("{}: {error}", self.path)))?;
        serde_json::to_string(&self.tally).map_err(|error| Exit::Fault.because(error))
    }

    /// Cuts off what was written in half, and ends the last line.
    async fn mend(&mut self) -> io::Result<()> {
        self.file.set_len(self.whole).await?;
        self.torn = false;
        if std::mem::take(&mut self.unended) {
            self.append("\n").await?;
        }
        Ok(())
    }

    async fn write(&mut self, batch: &EventBatch) -> io::Result<()> {
        let mut text = String::new();
        for event in &batch.events {
            self.add(&mut text, event);
        }
        self.append(&text).await
    }

    async fn append(&mut self, text: &str) -> io::Result<()> {
        self.torn = true; // until all of it is there
        self.file.write_all(text.as_bytes()).await?;
        self.file.flush().await?;
        self.whole += text.len() as u64;
        self.torn = false;
        Ok(())
    }

    fn add(&mut self, text: &mut String, event: &Event) {
        if !self.seen.is_new(&event.id) {
            self.tally.redelivered += 1;
            return;
        }
        self.notice(&event.gateway_id);
        match line::of(event) {
            Ok(line) => {
                text.push_str(&line);
                self.tally.recorded += 1;
                self.tally.synthetic += u64::from(event.synthetic);
            }
            Err(why) => {
                say(format_args!("{} {} is left out: {why}", clean(&event.hook), clean(&event.id)));
                self.tally.unwritable += 1;
            }
        }
    }

    /// A line does not tell whose it is: `publish` is one gateway.
    fn notice(&mut self, gateway: &str) {
        let first = self.gateway.get_or_insert_with(|| gateway.to_owned());
        if first != gateway && !self.gateways {
            self.gateways = true;
            say(format_args!(
                "{} and {} are recorded into one file: published, they are one gateway",
                clean(first),
                clean(gateway)
            ));
        }
    }

    async fn welcome(&mut self, welcome: &Welcome) -> io::Result<()> {
        let goes_on = self.is_welcome() || self.whole > 0;
        let ledger = self.ledger.replace(welcome.ledger_id.clone());
        if ledger.is_none() {
            self.mend().await?;
        }
        let is_another = ledger.as_ref().is_some_and(|it| *it != welcome.ledger_id);
        if is_another || !welcome.known {
            // Nothing of what is in the file comes again, and what is new may have the same id.
            self.seen = Seen::default();
        }
        if goes_on && !welcome.known {
            say("a gap: the dispatcher does not know this recorder (any more), and has kept nothing for it");
        }
        if let Some(expired) = welcome.expired.filter(|it| it.entries + it.events > 0) {
            self.lose(expired.entries + expired.events, "expired");
        }
        Ok(())
    }

    fn lose(&mut self, count: u64, cause: &str) {
        self.tally.lost += count;
        say(format_args!("a gap: {count} events are lost ({cause})"));
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            say(format_args!("recording to {} as {}, until Ctrl-C", clean(&self.path), clean(&self.name)));
        }
    }
}

impl Show for Recording {
    async fn show(&mut self, message: &Message) -> io::Result<()> {
        match message {
            Message::Events(batch) => self.write(batch).await?,
            Message::Gap(gap) => self.lose(gap.count, &names::gap_cause(gap.cause)),
            Message::Welcome(welcome) => self.welcome(welcome).await?,
            Message::CaughtUp(_) => self.begin(),
            Message::DrainNotice(_) | Message::DrainSummary(_) | Message::Goodbye(_) => {}
        }
        Ok(())
    }

    fn place(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::{super::file, *};

    async fn welcomed(path: &Path, append: bool, ledger: &str, known: bool) -> Recording {
        let mut recording = Recording::new(file::open(path, append).expect("a file"), path, "recorder");
        hear(&mut recording, ledger, known).await;
        recording
    }

    async fn hear(recording: &mut Recording, ledger_id: &str, known: bool) {
        let welcome = Welcome { ledger_id: ledger_id.to_owned(), known, ..Default::default() };
        recording.welcome(&welcome).await.expect("it is mended");
    }

    async fn hand(recording: &mut Recording, id: &str) {
        let event = Event { id: id.to_owned(), hook: "h".to_owned(), ..Default::default() };
        let batch = EventBatch { events: vec![event], ..Default::default() };
        recording.write(&batch).await.expect("it is written");
    }

    #[tokio::test]
    async fn an_id_is_known_in_its_ledger_alone() {
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("run.jsonl");
        let mut recording = welcomed(&path, false, "first", false).await;
        hand(&mut recording, "1").await;
        hear(&mut recording, "first", true).await;
        hand(&mut recording, "1").await;
        assert_eq!((recording.tally.recorded, recording.tally.redelivered), (1, 1));
        for (ledger, known) in [("second", false), ("third", true)] {
            hear(&mut recording, ledger, known).await;
            hand(&mut recording, "1").await;
        }
        assert_eq!((recording.tally.recorded, recording.tally.redelivered), (3, 1));
        drop(recording);
        let mut recording = welcomed(&path, true, "fourth", false).await;
        hand(&mut recording, "1").await;
        assert_eq!(recording.tally.recorded, 1);
    }

    #[tokio::test]
    async fn only_what_was_written_in_half_is_cut_off() {
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("run.jsonl");
        let text = || fs::read_to_string(&path).expect("text");
        fs::write(&path, "{\"hook\":\"h\",\"id\":\"a\"}\n{\"hook\":").expect("written");
        let opened = file::open(&path, true).expect("a recording");
        Recording::new(opened, &path, "recorder").close().await.expect("closed");
        assert!(text().ends_with("{\"hook\":"), "nobody has answered");
        welcomed(&path, true, "l", true).await.close().await.expect("closed");
        assert_eq!(text(), "{\"hook\":\"h\",\"id\":\"a\"}\n");

        fs::write(&path, text().trim_end()).expect("written");
        let mut recording = welcomed(&path, true, "l", true).await;
        let mut other = fs::OpenOptions::new().append(true).open(&path).expect("a file");
        other.write_all(b"of another").expect("written");
        recording.close().await.expect("closed");
        assert_eq!(text(), "{\"hook\":\"h\",\"id\":\"a\"}\nof another");
        recording.torn = true;
        recording.close().await.expect("closed");
        assert_eq!(text(), "{\"hook\":\"h\",\"id\":\"a\"}\n");
    }
}
