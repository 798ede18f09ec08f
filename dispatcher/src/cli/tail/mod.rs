//! `hookwire tail`: a plugin that prints what it is handed, and answers as it is told.
//!
//! A delivery's line is written and flushed before it is acknowledged: what the dispatcher counts as settled, a
//! reader of these lines has, however this process ends.

mod acks;
mod eyes;
mod json;
mod lines;
mod reconnect;
mod stop;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use hookwire_protocol::v1::{Event, EventBatch, Retention, RetentionKind, subscribe_request::Hello};
use hookwire_sdk::Address;
use tokio::time::sleep;
use uuid::Uuid;

use self::{acks::AckMode, lines::Lines, reconnect::Reconnect, stream::RUNS_DRY_WITHIN};
pub(super) use self::{json::event_json, lines::Show, stop::Stop};
use super::{Exit, Failure, Target, client};

/// Subscribe as a plugin and print what comes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// The subscriber's durable name: what it is owed is kept under it
    #[arg(long = "as", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,

    /// A hook, or a glob of hooks; session_start and session_end come together [default: all]
    #[arg(long = "hook", value_name = "GLOB")]
    hooks: Vec<String>,

    /// Have every live session announced at the start
    #[arg(long)]
    announce: bool,

    /// How to answer: ok, never, accept, retry, reject, or delay:DUR
    #[arg(long, value_name = "MODE", default_value = "ok")]
    ack: AckMode,

    /// How many events other than starts and ends may be unanswered at once [default: the dispatcher's]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    window: u32,

    /// Have every event kept until it is acknowledged, also what comes while nobody listens here
    #[arg(long)]
    keep_all: bool,

    /// Come back when the dispatcher has stopped, too
    #[arg(long)]
    follow: bool,

    /// Print one JSON line a delivery
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    client::block_on(async {
        let stop = Stop::on_signals().map_err(|error| Exit::Fault.because(format!("signals: {error}")))?;
        let lines = Lines::to_stdout(args.json);
        args.tail(lines, stop).run().await
    })
}

impl Args {
    fn tail<S: Show>(self, shows: S, stop: Stop) -> Tail<S> {
        let hello = Hello {
            subscriber_id: self.name,
            hooks: self.hooks,
            announce: self.announce,
            max_in_flight: self.window,
            retention: self.keep_all.then(keep_all),
            client_name: "hookwire tail".to_owned(),
            ..Default::default()
        };
        Tail { mode: self.ack, ..Tail::new(self.target.to, hello, self.follow, shows, stop) }
    }
}

/// Every event until it is acknowledged.
pub(super) fn keep_all() -> Retention {
    Retention { kind: RetentionKind::All.into(), ..Default::default() }
}

/// One plugin process, over all its streams.
pub(super) struct Tail<S> {
    address: Address,
    hello: Hello,
    mode: AckMode,
    reconnect: Reconnect,
    /// Once it is asked to stop, it lets go of what it is owed.
    releases: bool,
    /// It has done so, and the dispatcher knows.
    released: bool,
    pub(super) shows: S,
    stop: Stop,
}

impl<S: Show> Tail<S> {
    /// Who it is to the dispatcher, save for its instance and its version; whether it comes back to one that has stopped, too.
    pub(super) fn new(address: Address, hello: Hello, follow: bool, shows: S, stop: Stop) -> Self {
        let hello = Hello {
            // Kept over reconnects: to the dispatcher this stays one process.
            instance_id: Uuid::new_v4().to_string(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..hello
        };
        let (mode, reconnect) = (AckMode::Ok, Reconnect::new(follow));
        Self { address, hello, mode, reconnect, releases: false, released: false, shows, stop }
    }

    /// The same, and once it is asked to stop, it takes what is on its way, and then lets go of its name.
    pub(super) fn releasing(self) -> Self {
        Self { releases: true, ..self }
    }

    /// Whether it has let go of its name: not where it was asked to stop while the dispatcher was away, nor where more came, and came.
    pub(super) fn has_released(&self) -> bool {
        self.released
    }

    /// Until it is asked to stop, or what it is connected to ends for good.
    ///
    /// # Errors
    /// When nobody ever answers, it is refused or displaced, or what comes cannot be shown.
    pub(super) async fn run(&mut self) -> Result<(), Failure> {
        let overdue = self.stop.clone().overdue(if self.releases { RUNS_DRY_WITHIN } else { Duration::ZERO });
        tokio::select! {
            outcome = self.streams() => outcome,
            () = overdue => Ok(()),
        }
    }

    /// Stream after stream, until one ends for good.
    async fn streams(&mut self) -> Result<(), Failure> {
        loop {
            let ending = self
                .stream()
                .await
                .map_err(|error| Exit::Fault.because(format_args!("{}: {error}", self.shows.place())))?;
            let Some(wait) = self.reconnect.after(ending)? else { return Ok(()) };
            tokio::select! {
                () = self.stop.asked() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }
}

/// A batch's events with their seqs.
fn numbered(batch: &EventBatch) -> impl Iterator<Item = (u64, &Event)> {
    // Saturating: the first number is the other side's word.
    batch.events.iter().zip(0..).map(|(event, offset)| (batch.first_seq.saturating_add(offset), event))
}
