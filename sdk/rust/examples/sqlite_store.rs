//! Remembers its answers in SQLite, so that a start or an end that was settled before a crash is not handled again after it:
//! `sqlite_store answers.db`. Each that is handled is printed.

use hookwire_sdk::{BoxError, Event, Outcome, Plugin, Store};
use rusqlite::{Connection, OptionalExtension, params};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let path = std::env::args().nth(1).ok_or("usage: sqlite_store FILE")?;
    let store = SqliteStore::open(&path)?;
    Plugin::builder("sqlite-store").store(store).on("session_*", print).run().await?;
    Ok(())
}

async fn print(event: Event) {
    println!("{} {}", event.hook(), event.id());
}

/// One row an answer: (event_id, status, code, ledger_id, stream_epoch).
struct SqliteStore(Connection);

const TABLE: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS answers (
        event_id TEXT PRIMARY KEY, status TEXT, code TEXT, ledger_id TEXT, stream_epoch INTEGER) STRICT";

impl SqliteStore {
    fn open(path: &str) -> Result<Self, BoxError> {
        let connection = Connection::open(path)?;
        connection.execute_batch(TABLE)?;
        Ok(Self(connection))
    }
}

impl Store for SqliteStore {
    fn get(&mut self, event_id: &str) -> Result<Option<Outcome>, BoxError> {
        let sql = "SELECT status, code FROM answers WHERE event_id = ?";
        let row = |row: &rusqlite::Row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let answer = self.0.prepare_cached(sql)?.query_row([event_id], row).optional()?;
        Ok(answer.map(|(status, code)| match status.as_str() {
            "accepted" => Outcome::accepted(),
            "reject" => Outcome::reject(code, ""),
            _ => Outcome::ok(),
        }))
    }

    fn put(
        &mut self,
        id: &str,
        answer: &Outcome,
        ledger_id: &str,
        stream_epoch: u64,
    ) -> Result<(), BoxError> {
        let (status, code) = match answer {
            Outcome::Accepted => ("accepted", ""),
            Outcome::Reject { code, .. } => ("reject", code.as_str()),
            _ => ("ok", ""),
        };
        let sql = "INSERT INTO answers VALUES (?, ?, ?, ?, ?) ON CONFLICT (event_id) DO UPDATE
            SET ledger_id = excluded.ledger_id, stream_epoch = excluded.stream_epoch";
        let row = params![id, status, code, ledger_id, stream_epoch.cast_signed()];
        self.0.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    fn forget(&mut self, ledger_id: &str, stream_epoch: u64) -> Result<(), BoxError> {
        let sql = "DELETE FROM answers WHERE ledger_id <> ? OR stream_epoch < ?";
        self.0.execute(sql, params![ledger_id, stream_epoch.cast_signed()])?;
        Ok(())
    }
}
