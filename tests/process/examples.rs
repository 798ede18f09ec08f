//! The SDK's examples, against the real dispatcher: each does what its first line says.

use std::{fs, path::Path};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::cast::{
    daemon::Daemon,
    example,
    gateway::{self, Gateway},
    home::Home,
    line,
    process::{Process, eventually},
    proxy::{Proxy, Way},
};

/// All rows of a query, as JSON lists.
fn rows(file: &Path, sql: &str) -> Vec<Value> {
    let table = Connection::open(file).unwrap();
    let mut statement = table.prepare(sql).unwrap();
    let columns = statement.column_count();
    let read = |row: &rusqlite::Row| {
        let cell = |at| match row.get_ref(at).unwrap() {
            rusqlite::types::ValueRef::Null => Value::Null,
            rusqlite::types::ValueRef::Integer(number) => number.into(),
            text => text.as_str().unwrap().into(),
        };
        Ok((0..columns).map(cell).collect())
    };
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

async fn leave(process: Process) {
    process.signal(Signal::SIGTERM);
    let ended = process.end().await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
}

#[tokio::test]
async fn hello_prints_what_happens_to_sessions() {
    let daemon = Daemon::start(&[]).await;
    let hello = example::start("hello", &[], &[("HOOKWIRE_ADDR", &daemon.address)]);
    daemon.until_subscriber("hello", "stream", |it| it.connected).await;
    let mut gateway = Gateway::start(&daemon, "gw", &[]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "m"), gateway::end("s", "idle")]).await;
    hello.until("two lines", |lines| lines == ["session_start s #1", "session_end s #1"]).await;
    leave(hello).await;
}

#[tokio::test]
async fn session_table_counts_what_it_has_not_seen_and_says_what_it_did() {
    let (daemon, place) = (Daemon::start(&[]).await, tempfile::tempdir().unwrap());
    let (file, log) = (place.path().join("table.db"), place.path().join("log.jsonl"));
    let variables = [
        ("HOOKWIRE_ADDR", daemon.address.as_str()),
        ("HOOKWIRE_SUBSCRIBER", "counted"),
        ("HOOKWIRE_VERIFY_LOG", log.to_str().unwrap()),
    ];
    let table = example::start("session_table", &[file.to_str().unwrap()], &variables);
    daemon.until_subscriber("counted", "stream", |it| it.connected).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    let (one, two) = (gateway::message("s", "1"), gateway::message("s", "2"));
    gateway.fire(&[gateway::start("s"), one, two, gateway::mark("m")]).await;
    assert_eq!(gateway.receipts().await, (4, 0));
    daemon.until_subscriber("counted", "answers", |it| it.acked == 4).await;
    daemon.stop(Signal::SIGTERM).await;
    leave(table).await;

    let found = rows(&file, "SELECT id, status, reason, events, last_seq FROM sessions");
    assert_eq!(found, [json!(["s", "ended", "SESSION_END_REASON_SHUTDOWN", 2, 3])]);
    let log: Vec<_> = fs::read_to_string(log).unwrap().lines().map(line::parse).collect();
    let of = |line: &Value| line.get("hook").or(line.get("drain")).unwrap().clone();
    let hooks: Vec<_> = log.iter().map(of).collect();
    let expected = [
        "session_start",
        "message_received",
        "message_received",
        "mark",
        "gw",
        "session_end",
        "gateway_stop",
    ];
    assert_eq!(hooks, expected);
    let flags: Vec<_> = log.iter().map(|it| (it["changed"] == true, it["draining"] == true)).collect();
    assert_eq!(flags[..4], [(true, false), (true, false), (true, false), (false, false)]);
    assert_eq!(flags[5], (true, true), "an end of a drain");
    assert_eq!((&log[1]["session_seq"], &log[1]["incarnation"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn slow_work_finishes_after_a_crash_what_it_accepted() {
    let (daemon, place) = (Daemon::start(&[]).await, tempfile::tempdir().unwrap());
    let file = place.path().join("jobs.db");
    let start =
        || example::start("slow_work", &[file.to_str().unwrap()], &[("HOOKWIRE_ADDR", &daemon.address)]);
    let slow = start();
    daemon.until_subscriber("slow-work", "stream", |it| it.connected).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    let sessions: Vec<_> = (0..20).map(|number| format!("s{number}")).collect();
    for id in &sessions {
        gateway.fire(&[gateway::start(id), gateway::end(id, "idle")]).await;
    }
    daemon.until_subscriber("slow-work", "answers", |it| it.acked == 40 && it.open == 0).await;
    slow.signal(Signal::SIGKILL);
    slow.end().await;
    let left = rows(&file, "SELECT session FROM jobs WHERE done = 0");
    assert!(!left.is_empty(), "it was accepted long before it was finished");
    let again = start();
    again.until("the rest", |lines| lines.len() == left.len()).await;
    assert_eq!(rows(&file, "SELECT COUNT(*), MIN(done) FROM jobs"), [json!([20, 1])]);
    leave(again).await;
}

#[tokio::test]
async fn sqlite_store_knows_after_a_crash_what_was_settled() {
    let (home, place) = (Home::new(), tempfile::tempdir().unwrap());
    let (daemon, file) = (home.serve(&[]).await, place.path().join("answers.db"));
    let wire = Proxy::to(home.address().strip_prefix("unix:").unwrap().into()).await;
    let start =
        || example::start("sqlite_store", &[file.to_str().unwrap()], &[("HOOKWIRE_ADDR", &wire.address)]);
    let first = start();
    daemon.until_subscriber("sqlite-store", "stream", |it| it.connected).await;
    wire.hold(Way::Up); // no answer gets through
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    eventually("an answer in the store", async || {
        let answers = rows(&file, "SELECT status FROM answers");
        if answers == [json!(["ok"])] { Ok(()) } else { Err(format!("{answers:?}")) }
    })
    .await;
    first.signal(Signal::SIGKILL);
    assert_eq!(first.end().await.stdout.len(), 1);
    wire.cut();

    let second = start();
    gateway.fire(&[gateway::end("s", "idle")]).await;
    daemon.until_subscriber("sqlite-store", "settlement", |it| it.connected && it.open == 0).await;
    second.signal(Signal::SIGTERM);
    let handled = second.end().await.stdout;
    assert!(handled.len() == 1 && handled[0].starts_with("session_end"), "the start was not: {handled:?}");
    Home::close(daemon).await;
}
