//! `subscribers` lists who is known; `subscribers forget` lets go of one that is away, and of nobody else.

use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    line,
    process::Process,
    tail::Tail,
};

#[tokio::test]
async fn an_operator_forgets_who_is_away() {
    let daemon = Daemon::start(&[]).await;
    let to = ["--to", &daemon.address];
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    let here = Tail::start(&daemon, "here", &[]).await;
    let gone = Tail::start(&daemon, "gone", &[]).await;
    gateway.fire(&[gateway::start("s1"), gateway::start("s2"), gateway::mark("started")]).await;
    here.until_named("started").await;
    gone.until_named("started").await;
    daemon.until_subscriber("gone", "two settled starts", |it| it.open == 2 && it.in_flight == 0).await;
    gone.signal(Signal::SIGKILL);
    gone.end().await;
    daemon.until_subscriber("gone", "no stream", |it| !it.connected && it.away_ms.is_some()).await;
    gateway.fire(&[gateway::end("s1", "new")]).await;
    daemon.until_subscriber("gone", "an end that is owed", |it| it.owed == 1).await;

    let connected = Process::run(&[&["subscribers", "forget", "here"], &to[..]].concat(), &[]).await;
    connected.expect(76, "\"here\" is connected");
    let unknown = Process::run(&[&["subscribers", "forget", "nobody"], &to[..]].concat(), &[]).await;
    unknown.expect(76, "no subscriber \"nobody\" is known");

    let forget = Process::run(&[&["subscribers", "forget", "gone", "--json"], &to[..]].concat(), &[]).await;
    assert_eq!(forget.code(), Some(0), "{forget:#?}");
    let forgotten = line::parse(&forget.stdout[0]);
    assert_eq!((&forgotten["entries_released"], &forgotten["ends_owed"]), (&2.into(), &1.into()));
    let list = Process::run(&[&["subscribers", "--json"], &to[..]].concat(), &[]).await;
    let known = line::parse(&list.stdout[0]);
    let known: Vec<_> = known["subscribers"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(known, ["here"]);
    let table = Process::run(&[&["subscribers"], &to[..]].concat(), &[]).await;
    assert!(table.stdout[1].starts_with("here "), "{table:#?}");
    assert_eq!(daemon.counter("entries_released").await, 2);
}
