//! Answers ACCEPTED once a job is in its own table, and finishes it later: `slow_work jobs.db`. What was accepted is finished
//! after a crash, too.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hookwire_sdk::{BoxError, Event, Outcome, Plugin};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Notify;

/// The event's id is the key: one that comes twice is one job.
const TABLE: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS jobs (event_id TEXT PRIMARY KEY, session TEXT, done INTEGER) STRICT";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let path = std::env::args().nth(1).ok_or("usage: slow_work FILE")?;
    let connection = Connection::open(path)?;
    connection.execute_batch(TABLE)?;
    let jobs = Arc::new(Jobs { table: Mutex::new(connection), more: Notify::new() });
    let work = tokio::spawn(jobs.clone().finish_all());
    let plugin = Plugin::builder("slow-work").on("session_end", move |event| accept(jobs.clone(), event));
    tokio::select! {
        ended = plugin.run() => Ok(ended?),
        failed = work => failed?,
    }
}

struct Jobs {
    table: Mutex<Connection>,
    /// A job was put into the table.
    more: Notify,
}

/// From here on the job survives a crash, and that is all that ACCEPTED says.
async fn accept(jobs: Arc<Jobs>, event: Event) -> Result<Outcome, BoxError> {
    let session = event.session().ok_or("no session")?;
    let insert = "INSERT OR IGNORE INTO jobs VALUES (?, ?, 0)";
    jobs.table().execute(insert, params![event.id(), session.id])?;
    jobs.more.notify_one();
    Ok(Outcome::accepted())
}

impl Jobs {
    /// One job after the other, those of an earlier process first.
    async fn finish_all(self: Arc<Self>) -> Result<(), BoxError> {
        loop {
            let Some((id, session)) = self.next()? else {
                self.more.notified().await;
                continue;
            };
            tokio::time::sleep(Duration::from_millis(50)).await; // the work that takes so long
            self.table().execute("UPDATE jobs SET done = 1 WHERE event_id = ?", [&id])?;
            println!("done {session}");
        }
    }

    fn next(&self) -> Result<Option<(String, String)>, BoxError> {
        let oldest = "SELECT event_id, session FROM jobs WHERE done = 0 ORDER BY rowid LIMIT 1";
        let job = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
        Ok(self.table().query_row(oldest, [], job).optional()?)
    }

    fn table(&self) -> MutexGuard<'_, Connection> {
        // A panic in between leaves no half a row.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
