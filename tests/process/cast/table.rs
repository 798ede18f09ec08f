//! `session_table` of the SDK's examples: a plugin that is somebody else's program, with a store of its own.

use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use nix::sys::signal::Signal;
use rusqlite::Connection;

use super::{
    line,
    process::{Ended, Process},
};

/// A plugin process and its table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    process: Process,
    file: PathBuf,
}

/// A session, as the plugin remembers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) status: String,
    /// Why it ended; `None` while it has not.
    pub(crate) reason: Option<String>,
}

impl Table {
    /// Starts one that keeps its table in this directory.
    pub(crate) fn start(address: &str, name: &str, directory: &Path) -> Self {
        let file = directory.join(format!("{name}.db"));
        let arguments = [file.to_str().unwrap(), name];
        let process = Process::of(program(), &arguments, &[("HOOKWIRE_ADDR", address)]);
        Self { name: name.to_owned(), process, file }
    }

    /// Has it leave in order.
    pub(crate) async fn leave(self) -> Vec<Row> {
        self.process.signal(Signal::SIGTERM);
        let Ended { status, stderr, .. } = self.process.end().await;
        assert!(status.success(), "{stderr:#?}");
        rows(&self.file)
    }
}

/// All rows, in order of their sessions' ids.
fn rows(file: &Path) -> Vec<Row> {
    let table = Connection::open(file).unwrap();
    let mut rows = table.prepare("SELECT id, status, reason FROM sessions ORDER BY id, incarnation").unwrap();
    let read = |row: &rusqlite::Row| Ok(Row { id: row.get(0)?, status: row.get(1)?, reason: row.get(2)? });
    rows.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The example, built where it is not there or not new.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        let release = (!cfg!(debug_assertions)).then_some("--release");
        cargo.args(["build", "--package", "hookwire-sdk", "--example", "session_table"]).args(release);
        let built = cargo.args(["--message-format", "json"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let built = built.unwrap();
        let messages = String::from_utf8(built.stdout).unwrap();
        let mut executables = messages.lines().filter_map(|message| {
            let message = line::parse(message);
            (message["target"]["name"] == "session_table")
                .then(|| message["executable"].as_str().map(PathBuf::from))
        });
        let stderr = String::from_utf8_lossy(&built.stderr);
        executables.find_map(|it| it).unwrap_or_else(|| panic!("session_table cannot be built: {stderr}"))
    })
}
