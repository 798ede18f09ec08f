//! `hookwire journal`: what is in a journal that no dispatcher has open, and whether it is sound.

mod dump;
mod people;

use std::{ffi::OsString, path::PathBuf};

use super::{Exit, Failure, serve::data_dir, term};
use crate::settle::journal::{
    sound,
    store::{
        StoreError,
        inspect::{Inspected, inspect},
    },
};

/// How many contradictions are shown: whoever has more has one problem.
const SHOWN: usize = 20;

/// Look into a journal that no dispatcher has open; nothing of it is changed
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Dump(Dump),
    Verify(Verify),
}

/// Show what is in it: gateways, sessions, and who is owed what
#[derive(Debug, clap::Args)]
struct Dump {
    #[command(flatten)]
    journal: Journal,

    /// Print one JSON object a line, and leave nothing out
    #[arg(long)]
    json: bool,
}

/// Check every page and every row; exit 65 where something is wrong
#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    journal: Journal,
}

/// The journal that is looked into.
#[derive(Debug, clap::Args)]
struct Journal {
    /// The journal's directory; by default the user's own, as with serve
    #[arg(value_name = "DIR", env = "HOOKWIRE_DATA_DIR")]
    directory: Option<OsString>,
}

impl Journal {
    fn inspect(self) -> Result<Inspected, Failure> {
        let directory = data_dir::given(self.directory.map(PathBuf::from))?;
        inspect(&directory).map_err(|error| failure(&error))
    }
}

fn failure(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::InUse { .. } => Exit::Unavailable,
        StoreError::Newer { .. } | StoreError::Corrupt { .. } => Exit::Data,
        StoreError::Io { .. } | StoreError::Failed { .. } | StoreError::Gone | StoreError::Stuck(_) => {
            Exit::Storage
        }
    };
    exit.because(error)
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Dump(args) => {
            let json = args.json;
            let journal = args.journal.inspect()?;
            if json { dump::print(&journal) } else { term::print(&people::text(&journal)) }
        }
        Action::Verify(args) => verify(&args.journal.inspect()?),
    }
}

fn verify(journal: &Inspected) -> Result<(), Failure> {
    let mut wrong = sound::contradictions(&journal.image);
    wrong.extend(journal.stray_ends.iter().map(|life| format!("ends: {life}: its life never started")));
    if wrong.is_empty() {
        return term::print(&format!("{}\n\nsound", people::summary(journal)));
    }
    let count = wrong.len();
    wrong.truncate(SHOWN);
    let more = if count > SHOWN { format!("\nand {} more", count - SHOWN) } else { String::new() };
    term::print(&format!("{}\n\n{}{more}", people::summary(journal), wrong.join("\n")))?;
    let path = journal.path.display();
    Err(Exit::Data.because(format!("{path}: {count} contradictions")))
}
