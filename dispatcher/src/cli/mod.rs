//! The command line: one file a command, and what they share.

mod bench;
mod client;
mod demo;
mod drain;
mod explain;
mod group;
mod handover;
mod journal;
mod last_words;
mod listen;
mod names;
mod process;
mod publish;
mod record;
mod serve;
mod status;
mod subscribers;
mod tail;
mod term;
mod trigger;
mod verify;

use std::{fmt, process::ExitCode};

use clap::{Parser, Subcommand};
use hookwire_sdk::{ADDRESS_VARIABLE, Address, DEFAULT_ADDRESS};

/// Where a plugin that is told its name finds it: `verify` tells it, `listen` reads it.
const SUBSCRIBER_VARIABLE: &str = "HOOKWIRE_SUBSCRIBER";

/// Every session that a plugin saw start, it sees end.
#[derive(Debug, Parser)]
#[command(name = "hookwire", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Publish(publish::Args),
    Tail(tail::Args),
    Listen(listen::Args),
    Record(record::Args),
    Trigger(trigger::Args),
    Explain(explain::Args),
    Verify(verify::Args),
    Drain(drain::Args),
    Status(status::Args),
    Subscribers(subscribers::Args),
    Handover(handover::Args),
    Journal(journal::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    #[command(hide = true)]
    BenchGateway(bench::gateway::Args),
    #[command(hide = true)]
    BenchPlugin(bench::plugin::Args),
}

/// The dispatcher that a client command speaks to.
#[derive(Clone, Debug, clap::Args)]
struct Target {
    /// Where the dispatcher listens: host:port or unix:/path
    #[arg(long, value_name = "ADDR", env = ADDRESS_VARIABLE, default_value = DEFAULT_ADDRESS)]
    to: Address,
}

/// A question to the dispatcher, and how its answer is printed.
#[derive(Clone, Debug, clap::Args)]
struct Question {
    #[command(flatten)]
    target: Target,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How a command ended when it did not end well: the exit code, and one line for stderr.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    text: String,
}

/// Exit codes, after sysexits(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    /// A fault of our own.
    Fault = 1,
    /// A bad command line or config.
    Usage = 64,
    /// Input that cannot be used.
    Data = 65,
    /// Nobody answers, or an address cannot be bound.
    Unavailable = 69,
    /// The journal cannot be read or written.
    Storage = 74,
    /// The other side refused, or displaced us.
    Refused = 76,
}

impl Exit {
    /// Ends the command with this code and one line for stderr.
    fn because(self, text: impl fmt::Display) -> Failure {
        Failure { exit: self, text: text.to_string() }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for = !error.use_stderr(); // --help and --version are no errors
            // Nobody is left to tell when printing fails.
            let _ = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(Exit::Usage as u8) };
        }
    };
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Publish(args) => publish::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Listen(args) => listen::run(args),
        Command::Record(args) => record::run(args),
        Command::Trigger(args) => trigger::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Drain(args) => drain::run(args),
        Command::Status(args) => status::run(args),
        Command::Subscribers(args) => subscribers::run(args),
        Command::Handover(args) => handover::run(args),
        Command::Journal(args) => journal::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Bench(args) => bench::run(args),
        Command::BenchGateway(args) => bench::gateway::run(args),
        Command::BenchPlugin(args) => bench::plugin::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            anstream::eprintln!("hookwire: {}", failure.text);
            ExitCode::from(failure.exit as u8)
        }
    }
}
