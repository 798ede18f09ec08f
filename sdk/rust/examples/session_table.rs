//! Keeps a table of sessions in SQLite, active until ended: `session_table sessions.db`. Its name is in `HOOKWIRE_SUBSCRIBER`
//! where a dispatcher has more than one.
//!
//! A row is keyed on (ledger_id, incarnation) and knows the last event that it counted, so that what comes twice changes nothing.
//! `HOOKWIRE_VERIFY_LOG` names a file that gets a line for each effect, for whoever checks them.

use std::{
    env,
    fs::{File, OpenOptions},
    future::ready,
    io::Write,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hookwire_sdk::{BoxError, Event, Plugin, RunError, Sweep, wire::DrainNotice};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

const TABLE: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS sessions (
        ledger_id TEXT, incarnation INTEGER, id TEXT, key TEXT, agent_id TEXT, status TEXT, reason TEXT,
        events INTEGER, last_seq INTEGER, PRIMARY KEY (ledger_id, incarnation)) STRICT";

/// EX_PROTOCOL: another process of this name has taken over.
const DISPLACED: u8 = 76;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session_table: {error}");
            let displaced = matches!(error.downcast_ref(), Some(RunError::Displaced { .. }));
            ExitCode::from(if displaced { DISPLACED } else { 1 })
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let path = env::args().nth(1).ok_or("usage: session_table FILE")?;
    let name = env::var("HOOKWIRE_SUBSCRIBER").unwrap_or_else(|_| "session-table".to_owned());
    let table = Arc::new(Mutex::new(Table::open(path.as_ref())?));
    let (rows, drains, open) = (table.clone(), table.clone(), table);
    // A statement takes less than a millisecond: no need for a thread of its own.
    Plugin::builder(name)
        .announce(true)
        .on("*", move |event| ready(locked(&rows).apply(&event)))
        .on_drain(move |notice| ready(locked(&drains).drain(&notice)))
        .on_sweep(move |sweep| ready(locked(&open).sweep(&sweep)))
        .run()
        .await?;
    Ok(())
}

struct Table {
    rows: Connection,
    log: Option<File>,
}

impl Table {
    fn open(path: &Path) -> Result<Self, BoxError> {
        let rows = Connection::open(path)?;
        rows.execute_batch(TABLE)?;
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        let log = env::var_os("HOOKWIRE_VERIFY_LOG").map(append).transpose()?;
        Ok(Self { rows, log })
    }

    /// A row that exists stays as it is, ended or not; what comes without a row changes nothing and is not remembered.
    fn apply(&mut self, event: &Event) -> Result<(), BoxError> {
        let session = event.session().cloned().unwrap_or_default();
        let (ledger_id, incarnation) = (event.ledger_id(), session.incarnation);
        let changed = if event.session_start().is_some() {
            let row = params![ledger_id, incarnation, session.id, session.key, session.agent_id];
            let sql = "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, 'active', NULL, 0, 0)";
            self.execute(sql, row)?
        } else if let Some(end) = event.session_end() {
            self.close(ledger_id, incarnation, end.reason().as_str_name())?
        } else {
            let sql = "UPDATE sessions SET events = events + 1, last_seq = ?3
                WHERE ledger_id = ?1 AND incarnation = ?2 AND last_seq < ?3";
            self.execute(sql, params![ledger_id, incarnation, event.session_seq()])?
        };
        self.note(|| {
            json!({
                "event_id": event.id(), "hook": event.hook(), "ledger_id": ledger_id, "incarnation": incarnation,
                "session_id": session.id, "session_seq": event.session_seq(), "changed": changed,
                "draining": event.draining(), "pid": std::process::id(),
            })
        })
    }

    /// Nothing here needs more time than an end has; another plugin would hurry now.
    fn drain(&mut self, notice: &DrainNotice) -> Result<(), BoxError> {
        self.note(|| {
            json!({
                "drain": notice.gateway_id, "boot_id": notice.boot_id, "budget_ms": notice.budget_ms,
                "pid": std::process::id(),
            })
        })
    }

    /// What is open and not owed an end would stay open for ever: its dispatcher has lost its ledger.
    fn sweep(&mut self, sweep: &Sweep) -> Result<(), BoxError> {
        let sql = "SELECT ledger_id, incarnation FROM sessions WHERE status = 'active'";
        let open = self
            .rows
            .prepare(sql)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<(String, u64)>, _>>()?;
        for (ledger_id, incarnation) in open {
            if !sweep.is_owed(&ledger_id, incarnation) {
                self.close(&ledger_id, incarnation, "SWEPT")?;
                let pid = std::process::id();
                self.note(|| json!({ "swept": incarnation, "ledger_id": ledger_id, "pid": pid }))?;
            }
        }
        Ok(())
    }

    fn close(&self, ledger_id: &str, incarnation: u64, reason: &str) -> Result<bool, BoxError> {
        let sql = "UPDATE sessions SET status = 'ended', reason = ?
            WHERE ledger_id = ? AND incarnation = ? AND status = 'active'";
        self.execute(sql, params![reason, ledger_id, incarnation])
    }

    /// Whether a row was changed. Each statement is a transaction of its own.
    fn execute(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<bool, BoxError> {
        Ok(self.rows.prepare_cached(sql)?.execute(values)? > 0)
    }

    /// Behind the effect, and before the answer; one line is one write.
    fn note(&mut self, line: impl FnOnce() -> Value) -> Result<(), BoxError> {
        if let Some(log) = &mut self.log {
            log.write_all(format!("{}\n", line()).as_bytes())?;
        }
        Ok(())
    }
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // A panic in between leaves no half a row.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
