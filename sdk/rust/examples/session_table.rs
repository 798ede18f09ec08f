//! Keeps a table of sessions in SQLite, active until ended: `session_table sessions.db`, or `session_table sessions.db NAME` where a
//! dispatcher has more than one.
//!
//! A row is keyed on (ledger_id, incarnation), so that an event that comes twice changes nothing.

use std::{
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hookwire_sdk::{BoxError, CaughtUp, Delivery, Plugin};
use rusqlite::{Connection, params};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS sessions (
    ledger_id TEXT, incarnation INTEGER, id TEXT, key TEXT, agent_id TEXT, status TEXT, reason TEXT,
    PRIMARY KEY (ledger_id, incarnation)) STRICT";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let path = std::env::args().nth(1).ok_or("usage: session_table FILE [NAME]")?;
    let name = std::env::args().nth(2).unwrap_or_else(|| "session-table".to_owned());
    let connection = Connection::open(path)?;
    connection.execute(TABLE, [])?;
    let table = Arc::new(Mutex::new(connection));
    let (rows, open) = (table.clone(), table);
    // A statement takes less than a millisecond: no need for a thread of its own.
    Plugin::builder(name)
        .announce(true)
        .on("session_*", move |delivery| ready(apply(&locked(&rows), &delivery)))
        .on_caught_up(move |caught_up| ready(sweep(&locked(&open), &caught_up)))
        .run()
        .await?;
    Ok(())
}

/// A row that exists stays as it is, ended or not; an end without a row closes nothing and is not remembered.
fn apply(table: &Connection, delivery: &Delivery) -> Result<(), BoxError> {
    let session = delivery.session().ok_or("no session")?;
    let (ledger_id, incarnation) = (delivery.ledger_id(), session.incarnation);
    if let Some(end) = delivery.session_end() {
        return close(table, ledger_id, incarnation, end.reason().as_str_name());
    }
    let row = params![ledger_id, incarnation, session.id, session.key, session.agent_id];
    table.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, 'active', NULL)", row)?;
    Ok(())
}

/// What is open and not owed an end would stay open for ever: its dispatcher has lost its ledger.
fn sweep(table: &Connection, caught_up: &CaughtUp) -> Result<(), BoxError> {
    let mut open = table.prepare("SELECT ledger_id, incarnation FROM sessions WHERE status = 'active'")?;
    let rows = open.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))?;
    for (ledger_id, incarnation) in rows.collect::<Result<Vec<_>, _>>()? {
        if !caught_up.is_owed(&ledger_id, incarnation) {
            close(table, &ledger_id, incarnation, "SWEPT")?;
        }
    }
    Ok(())
}

fn close(table: &Connection, ledger_id: &str, incarnation: u64, reason: &str) -> Result<(), BoxError> {
    let close = "UPDATE sessions SET status = 'ended', reason = ?
        WHERE ledger_id = ? AND incarnation = ? AND status = 'active'";
    table.execute(close, params![reason, ledger_id, incarnation])?;
    Ok(())
}

fn locked(table: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic in between leaves no half a row: each statement is a transaction of its own.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
