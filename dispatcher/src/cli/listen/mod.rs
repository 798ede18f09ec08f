//! `hookwire listen`: a plugin that is a command. It is run for each event, with the event on its stdin; how it exits is
//! the answer.

mod command;

use std::{sync::Arc, time::Duration};

use clap::builder::NonEmptyStringValueParser;
use hookwire_sdk::{Plugin, PluginBuilder, RunError};

use self::command::Command;
use super::{Exit, Failure, SUBSCRIBER_VARIABLE, Target, client, serve};

/// Be a plugin: run a command for each event
///
/// The event is one JSON object on the command's stdin, as `tail --json` prints it, without its seq. Exit code 0 means OK, 75
/// (EX_TEMPFAIL) that the event is to come again, any other that it is rejected, with the end of what the command wrote to stderr. A
/// command that cannot be run, or dies of a signal, has a start or an end come again, and rejects any other event.
///
/// The events of one session come one after the other. The command finds HOOKWIRE_HOOK, HOOKWIRE_SESSION_ID, HOOKWIRE_INCARNATION,
/// HOOKWIRE_LEDGER_ID, HOOKWIRE_EVENT_ID and HOOKWIRE_TIME_LEFT_MS in its environment. SIGTERM finishes what is in hand.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// The subscriber's durable name: what it is owed is kept under it
    #[arg(long = "as", value_name = "NAME", env = SUBSCRIBER_VARIABLE, value_parser = NonEmptyStringValueParser::new())]
    name: String,

    /// A hook, or a glob of hooks; session_start and session_end come together
    #[arg(long = "hook", value_name = "GLOB", default_value = "*")]
    hooks: Vec<String>,

    /// What to run, by sh -c
    #[arg(long, value_name = "CMD", value_parser = NonEmptyStringValueParser::new())]
    exec: String,

    /// How many may run at once, each for another session
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    /// Have every live session announced at the start
    #[arg(long)]
    announce: bool,

    /// How long what runs may go on after SIGTERM; then it is killed
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = humantime::parse_duration)]
    grace: Duration,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    serve::process::log_to_stderr()?;
    // What still runs when this returns is dropped with the runtime, and so killed.
    client::block_on(async move { plugin(args).run().await.map_err(|error| failure(&error)) })
}

fn plugin(args: Args) -> PluginBuilder {
    let command = Arc::new(Command::new(args.exec));
    let plugin = Plugin::builder(args.name)
        .address(args.target.to)
        .announce(args.announce)
        .concurrency(args.concurrency.into())
        .grace(args.grace);
    args.hooks.into_iter().fold(plugin, |plugin, hook| {
        let command = command.clone();
        plugin.on(hook, move |event| command.clone().run(event))
    })
}

fn failure(error: &RunError) -> Failure {
    match error {
        RunError::Displaced { .. } | RunError::Refused(_) => Exit::Refused.because(error),
        _ => Exit::Fault.because(error),
    }
}
