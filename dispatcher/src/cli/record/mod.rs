//! `hookwire record`: a plugin that writes what it is handed as the lines that `publish` reads, so that a run becomes a test.
//!
//! ```text
//! tail (stream, acks, reconnects) ──▶ recording { seen ──▶ line ──▶ file }
//! ```

mod file;
mod line;
mod recording;
mod seen;

use std::{fs, path::PathBuf};

use clap::builder::NonEmptyStringValueParser;
use hookwire_protocol::v1::subscribe_request::Hello;

use self::recording::Recording;
use super::{
    Exit, Failure, SUBSCRIBER_VARIABLE, Target, client,
    tail::{Stop, Tail, keep_all},
    term,
};

/// Be a plugin: write what comes to a file, as the lines that publish reads
///
/// Ends at Ctrl-C or SIGTERM, with a count on stdout, once nothing more comes; at a second one, at once. An event is acknowledged once
/// its line is written; one that comes again is not written again. Every event is kept for it until then, also while it or the
/// dispatcher is away; at its end it lets go of its name, and where it cannot, it says so. One that was killed goes on with --append,
/// under the same name, and its file holds each event once.
///
/// What the dispatcher made (the ends at a drain, the start of a session that had none) is marked "synthetic": publish passes over
/// it, since the dispatcher makes it again. docs/recording.md says what a line holds, and what does not survive.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// The file, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The subscriber's durable name: what it is owed is kept under it
    #[arg(long = "as", value_name = "NAME", env = SUBSCRIBER_VARIABLE, value_parser = NonEmptyStringValueParser::new())]
    name: String,

    /// A hook, or a glob of hooks; session_start and session_end come together [default: all]
    #[arg(long = "hook", value_name = "GLOB")]
    hooks: Vec<String>,

    /// Go on in a file that is there. It does not tell which gateway or dispatcher it was recorded from: use the same
    #[arg(long)]
    append: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    client::block_on(async {
        let stop =
            Stop::on_signals().map_err(|error| Exit::Fault.because(format_args!("signals: {error}")))?;
        let recording = Recording::new(file::open(&args.file, args.append)?, &args.file, &args.name);
        let name = args.name.clone();
        let hello = Hello {
            subscriber_id: args.name,
            hooks: args.hooks,
            retention: Some(keep_all()),
            client_name: "hookwire record".to_owned(),
            ..Default::default()
        };
        let mut tail = Tail::new(args.target.to, hello, true, recording, stop).releasing();
        let outcome = tail.run().await;
        let tally = tail.shows.close().await;
        if !args.append && !tail.shows.is_welcome() {
            // An empty file would only be in the way of the next try; one that stays does no other harm.
            let _ = fs::remove_file(&args.file);
        }
        outcome?;
        if tail.shows.is_welcome() && !tail.has_released() {
            term::say(format_args!(
                "it could not let go of its name: what is to come is kept for it. Go on with --append, or: hookwire subscribers forget {}",
                term::clean(&name)
            ));
        }
        term::print(&tally?)
    })
}
