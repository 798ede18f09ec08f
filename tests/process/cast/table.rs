//! `session_table` of the SDK's examples: a plugin that is somebody else's program, with a store of its own.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use rusqlite::Connection;

use super::{
    example,
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
        let variables = [("HOOKWIRE_ADDR", address), ("HOOKWIRE_SUBSCRIBER", name)];
        let process = example::start("session_table", &[file.to_str().unwrap()], &variables);
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
