//! The newest process of a subscriber has its place; the older is told, and may come back once the newer is gone.

use hookwire_protocol::v1::{BatchKind, subscribe_request};
use nix::sys::signal::Signal;
use tonic::Code;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    line,
    peer::{Hear, Plugin, Say, hello},
    tail::Tail,
};

fn instance(name: &str) -> subscribe_request::Hello {
    subscribe_request::Hello { instance_id: name.to_owned(), ..hello("plugin") }
}

#[tokio::test]
async fn the_newer_process_is_handed_what_the_older_left_open() {
    let daemon = Daemon::start(&["--drain-budget", "10m"]).await;
    let older = Tail::start(&daemon, "x", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    older.until_hook("session_start", 1).await;
    let newer = Tail::start(&daemon, "x", &[]).await;
    let older = older.end().await;
    older.expect(76, "displaced");
    newer.until_hook("session_start", 1).await;
    let stopped = daemon.stop(Signal::SIGTERM).await;
    assert_eq!(stopped.row("x").acked, 1);
    let newer = newer.end().await.stdout;
    let [first, again] = [&older.stdout, &newer].map(|lines| line::deliveries(lines)[0].clone());
    assert_eq!((first.kind.as_str(), again.kind.as_str()), ("live", "redelivered"));
    assert_eq!(first.event_id, again.event_id);
    assert!(line::deliveries(&newer).iter().any(|it| it.hook == "session_end"));
    let epoch = |lines: &[String]| line::messages(lines, "welcome")[0]["stream_epoch"].as_u64();
    assert!(epoch(&older.stdout) < epoch(&newer), "a fencing token grows");
}

#[tokio::test]
async fn the_displaced_one_is_refused_until_the_newer_is_gone() {
    let daemon = Daemon::start(&[]).await;
    let address = daemon.address();
    let first = Plugin::subscribe(&address, instance("one")).await;
    let mut second = Plugin::subscribe(&address, instance("two")).await;
    assert_eq!(first.end().await.code(), Code::Ok);
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    second.until("a start", |message| matches!(message, Hear::Events(_))).await;
    let refused = Plugin::open(&address, Some(Say::Hello(instance("one")))).await.end().await;
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert!(refused.message().contains("was displaced by a newer one that is connected"), "{refused:?}");
    second.say(Say::Goodbye(subscribe_request::Goodbye { release: false })).await;
    assert_eq!(second.end().await.code(), Code::Ok);
    let mut first = Plugin::open(&address, Some(Say::Hello(instance("one")))).await;
    let replayed = first.until("the replay", |message| matches!(message, Hear::Events(_))).await;
    assert!(matches!(replayed, Hear::Events(batch) if batch.kind() == BatchKind::Redelivered));
}
