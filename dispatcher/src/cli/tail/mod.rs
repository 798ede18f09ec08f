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

use clap::builder::NonEmptyStringValueParser;
use hookwire_protocol::v1::{Event, EventBatch, Retention, RetentionKind, subscribe_request::Hello};
use hookwire_sdk::Address;
use tokio::{io::AsyncWrite, time::sleep};
use uuid::Uuid;

pub(super) use self::json::event_json;
use self::{acks::AckMode, lines::Lines, reconnect::Reconnect, stop::Stop};
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
        Tail::new(args, lines, stop).run().await
    })
}

/// One plugin process, over all its streams.
struct Tail<W> {
    address: Address,
    hello: Hello,
    mode: AckMode,
    reconnect: Reconnect,
    lines: Lines<W>,
    stop: Stop,
}

impl<W: AsyncWrite + Unpin> Tail<W> {
    fn new(args: Args, lines: Lines<W>, stop: Stop) -> Self {
        let hello = Hello {
            subscriber_id: args.name,
            // Kept over reconnects: to the dispatcher this stays one process.
            instance_id: Uuid::new_v4().to_string(),
            hooks: args.hooks,
            announce: args.announce,
            max_in_flight: args.window,
            retention: args
                .keep_all
                .then(|| Retention { kind: RetentionKind::All.into(), ..Default::default() }),
            client_name: "hookwire tail".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        let reconnect = Reconnect::new(args.follow);
        Self { address: args.target.to, hello, mode: args.ack, reconnect, lines, stop }
    }

    async fn run(mut self) -> Result<(), Failure> {
        let overdue = self.stop.clone().overdue();
        tokio::select! {
            outcome = self.streams() => outcome,
            () = overdue => Ok(()),
        }
    }

    /// Stream after stream, until one ends for good.
    async fn streams(&mut self) -> Result<(), Failure> {
        loop {
            let ending =
                self.stream().await.map_err(|error| Exit::Fault.because(format!("stdout: {error}")))?;
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
