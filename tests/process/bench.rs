//! `bench` measures with everything on, and what it measures adds up.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cast::{
    daemon::Daemon,
    line,
    process::{Ended, Process},
};

async fn run(flags: &[&str]) -> Ended {
    Process::run(&[&["bench"], flags].concat(), &[]).await
}

/// What it found.
async fn measured(flags: &[&str]) -> Value {
    let ended = run(&[flags, &["--json"]].concat()).await;
    assert!(ended.code() == Some(0) && ended.stdout.len() == 1, "{ended:#?}");
    line::parse(&ended.stdout[0])
}

fn number(found: &Value, field: &str) -> f64 {
    found.pointer(field).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {field} in {found}"))
}

/// Asserts that the figures of these fields are there, and are more than nothing.
fn are_known(found: &Value, fields: &[&str]) {
    for field in fields {
        assert!(number(found, field) > 0.0, "{field} in {found}");
    }
}

/// What is known of a dispatcher of its own.
const OWN: [&str; 5] = [
    "/cpu_ns_per_delivery/dispatcher",
    "/memory_bytes/dispatcher_peak",
    "/memory_bytes/dispatcher_idle",
    "/memory_bytes/dispatcher_loaded",
    "/memory_bytes/dispatcher_after",
];

/// What is always known.
const ALWAYS: [&str; 9] = [
    "/elapsed_s",
    "/deliveries_per_s",
    "/cpu_ns_per_delivery/gateway",
    "/cpu_ns_per_delivery/plugins",
    "/latency_us/p50",
    "/latency_us/p99",
    "/latency_us/p999",
    "/latency_us/max",
    "/memory_bytes/plugin_peak",
];

#[tokio::test]
async fn throughput_is_of_every_event_to_every_subscriber() {
    let found = measured(&["--subscribers", "2", "--events", "20000"]).await;
    assert_eq!((&found["mode"], &found["deliveries"]), (&"throughput".into(), &40_000.into()));
    assert_eq!((&found["lost"], &found["event_bytes"]), (&0.into(), &246.into()));
    assert_eq!((&found["rate"], &found["drain"]), (&Value::Null, &Value::Null));
    are_known(&found, &OWN);
    are_known(&found, &ALWAYS);
}

/// More than a queue holds in bytes: the credit goes by size, too.
#[tokio::test]
async fn large_events_are_not_lost() {
    let found = measured(&["--events", "100", "--payload", "1000000"]).await;
    assert_eq!((&found["deliveries"], &found["lost"]), (&100.into(), &0.into()));
}

#[tokio::test]
async fn subscribers_share_processes_beyond_the_64th() {
    let found = measured(&["--subscribers", "70", "--events", "50", "--sessions", "3"]).await;
    assert_eq!((&found["deliveries"], &found["lost"]), (&3_500.into(), &0.into()));
}

#[tokio::test]
async fn latency_is_of_single_events_at_a_rate() {
    let found =
        measured(&["--mode", "latency", "--subscribers", "2", "--events", "300", "--rate", "2000"]).await;
    assert_eq!((&found["mode"], &found["rate"]), (&"latency".into(), &2_000.into()));
    assert_eq!((&found["deliveries"], &found["lost"]), (&600.into(), &0.into()));
    // After a schedule: the last of 300 is due then, on a machine of any speed.
    assert!(number(&found, "/elapsed_s") >= 299.0 / 2_000.0, "{found}");
    are_known(&found, &ALWAYS);
}

#[tokio::test]
async fn a_drain_ends_every_session_for_every_subscriber() {
    let found = measured(&["--mode", "drain", "--subscribers", "2", "--sessions", "7000"]).await;
    assert_eq!((&found["mode"], &found["events"]), (&"drain".into(), &0.into()));
    assert_eq!((&found["deliveries"], &found["drain"]["ends"]), (&14_000.into(), &14_000.into()));
    assert_eq!(found["lost"], 0);
    are_known(&found, &OWN);
    are_known(&found, &ALWAYS);
    are_known(&found, &["/drain/wall_ms"]);
}

#[tokio::test]
async fn of_another_ones_dispatcher_less_is_known_and_nothing_stays() {
    let daemon = Daemon::start(&[]).await;
    let found = measured(&["--to", &daemon.address, "--events", "2000"]).await;
    assert_eq!((&found["deliveries"], &found["lost"]), (&2_000.into(), &0.into()));
    for field in OWN {
        assert_eq!(found.pointer(field), Some(&Value::Null), "{field} in {found}");
    }
    are_known(&found, &ALWAYS);
    let status = daemon.status().await;
    assert_eq!(status.live_sessions, 0, "{status:#?}");
    assert!(status.subscribers.iter().all(|it| it.open == 0 && !it.connected), "{status:#?}");
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
}

/// Not for eyes on a terminal, and not for machines: a line for each figure.
#[tokio::test]
async fn elsewhere_it_prints_plain_lines() {
    let ended = run(&["--events", "1000"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    assert!(ended.stdout.iter().all(|line| line.contains(": ")), "{ended:#?}");
    assert_eq!(&ended.stdout[..2], ["deliveries, acknowledged: 1000", "lost: 0"]);
}

/// A queue of next to nothing: the dispatcher has to drop, however the gateway holds back.
#[tokio::test]
async fn a_loss_is_a_failure_unless_a_rate_was_chosen() {
    let daemon = Daemon::start_with(&[("HOOKWIRE_QUEUE_EVENTS", "8")], &[]).await;
    let to = ["--to", daemon.address.as_str(), "--events", "20000", "--json"];
    let strict = run(&to).await;
    strict.expect(1, "deliveries were lost");
    let found = line::parse(&strict.stdout[0]);
    let (deliveries, lost) = (number(&found, "/deliveries"), number(&found, "/lost"));
    assert!(lost > 0.0 && deliveries + lost == 20_000.0, "{found}");
    let told = run(&[&to[..], &["--rate", "10000000"]].concat()).await;
    assert_eq!(told.code(), Some(0), "{told:#?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_64() {
    for (flags, says) in [
        (&["--subscribers", "0"][..], "--subscribers"),
        (&["--events", "0"], "--events"),
        (&["--rate", "0"], "--rate"),
        (&["--sessions", "0"], "--sessions"),
        (&["--payload", "1"], "--payload"),
        (&["--mode", "dance"], "--mode"),
        (&["--to", "nowhere"], "is no address"),
        (&["--mode", "drain", "--events", "1"], "a drain has only --sessions"),
    ] {
        run(flags).await.expect(64, says);
    }
}

#[tokio::test]
async fn nobody_there_is_69() {
    run(&["--to", "unix:/nonexistent/hookwire.sock"]).await.expect(69, "nobody answers");
}

/// However it ends: its processes notice.
#[tokio::test]
async fn nobody_outlives_it() {
    let daemon = Daemon::start(&[]).await;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let bench = under_way(&daemon).await;
        bench.signal(signal);
        let ended = bench.end().await;
        assert_ne!(ended.code(), Some(0), "{ended:#?}");
        daemon
            .until("stream that is over", |status| {
                status.subscribers.iter().all(|it| !it.connected)
                    && status.gateways.iter().all(|it| it.streams == 0)
            })
            .await;
    }
}

/// A slow bench that has begun.
async fn under_way(daemon: &Daemon) -> Process {
    let flags = ["bench", "--to", &daemon.address, "--rate", "10", "--events", "100000"];
    let bench = Process::start(&flags, &[]);
    daemon
        .until("event that is acknowledged", |status| {
            status.subscribers.iter().any(|it| it.connected && it.acked > 16)
        })
        .await;
    bench
}

#[tokio::test]
async fn a_dispatcher_that_dies_ends_it() {
    let daemon = Daemon::start(&[]).await;
    let bench = under_way(&daemon).await;
    daemon.signal(Signal::SIGKILL);
    bench.end().await.expect(69, "ended early");
}
