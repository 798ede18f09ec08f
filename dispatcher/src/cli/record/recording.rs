//! What is recorded: each event once, and all that is missing said.

use std::{fs, io, path::Path};

use hookwire_protocol::v1::{
    Event, EventBatch,
    subscribe_response::{Message, Welcome},
};
use serde::Serialize;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{line, seen::Seen};
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
    path: String,
    name: String,
    seen: Seen,
    tally: Tally,
    /// A dispatcher has welcomed it.
    welcomed: bool,
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
    pub(super) fn new(file: fs::File, whole: u64, seen: Seen, path: &Path, name: &str) -> Self {
        Self {
            file: File::from_std(file),
            whole,
            path: path.display().to_string(),
            name: name.to_owned(),
            seen,
            tally: Tally::default(),
            welcomed: false,
            begun: false,
            gateway: None,
            gateways: false,
        }
    }

    /// Nothing more comes: it is on the disk when this returns. What came of it, as one line.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) async fn close(&mut self) -> Result<String, Failure> {
        let synced = async {
            // Behind a write that was cut short there may be half a line. Its own error was told, or nobody waited for it.
            let _ = self.file.flush().await;
            self.file.set_len(self.whole).await?;
            self.file.sync_all().await
        };
        synced.await.map_err(|error| Exit::Fault.because(format_args!("{}: {error}", self.path)))?;
        serde_json::to_string(&self.tally).map_err(|error| Exit::Fault.because(error))
    }

    async fn write(&mut self, batch: &EventBatch) -> io::Result<()> {
        let mut text = String::new();
        for event in &batch.events {
            self.add(&mut text, event);
        }
        self.file.write_all(text.as_bytes()).await?;
        self.file.flush().await?;
        self.whole += text.len() as u64;
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

    fn welcome(&mut self, welcome: &Welcome) {
        if self.welcomed && !welcome.known {
            say("a gap: the dispatcher does not know this recorder any more, and has kept nothing for it");
        }
        self.welcomed = true;
        if let Some(expired) = welcome.expired.filter(|it| it.entries + it.events > 0) {
            self.lose(expired.entries + expired.events, "expired");
        }
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
            Message::Welcome(welcome) => self.welcome(welcome),
            Message::CaughtUp(_) => self.begin(),
            Message::DrainNotice(_) | Message::DrainSummary(_) | Message::Goodbye(_) => {}
        }
        Ok(())
    }

    fn place(&self) -> &str {
        &self.path
    }
}
