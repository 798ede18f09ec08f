//! An answer that fits nothing changes nothing, and ends nothing.

use hookwire_protocol::v1::{Ack, AckException, AckStatus, GoodbyeReason};
use tonic::Code;

use crate::{
    cast::{
        daemon::Daemon,
        gateway::{self, Gateway},
        peer::{Hear, Plugin, Say, hello},
    },
    witness::Witness,
};

/// Reads until the event of that hook has come; its seq.
async fn event(plugin: &mut Plugin, hook: &str) -> u64 {
    let wanted = |message: &Hear| matches!(message, Hear::Events(batch) if batch.events.iter().any(|it| it.hook == hook));
    match plugin.until(hook, wanted).await {
        Hear::Events(batch) => {
            batch.first_seq + batch.events.iter().position(|it| it.hook == hook).unwrap() as u64
        }
        other => panic!("{other:?}"),
    }
}

fn answer(seq: u64, status: AckStatus) -> Say {
    let exception = AckException { seq, status: status.into(), ..Default::default() };
    Say::Ack(Ack { through_seq: 0, exceptions: vec![exception] })
}

#[tokio::test]
async fn for_what_was_never_sent_or_is_settled() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let mut plugin = Plugin::subscribe(&daemon.address(), hello("plugin")).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--drain", "never"]);
    gateway.fire(&[gateway::start("s")]).await;
    let start = event(&mut plugin, "session_start").await;
    plugin.ack(999).await;
    plugin.ack(u64::MAX).await;
    plugin.say(answer(999, AckStatus::Reject)).await;
    plugin.say(answer(0, AckStatus::Ok)).await;
    plugin.say(answer(start, AckStatus::Unspecified)).await;
    daemon.until("five unknown answers", |status| status.counters["acks_unknown"] == 5).await;
    daemon.until_subscriber("plugin", "unsettled start", |it| it.in_flight == 1 && it.open == 1).await;
    // Now the true one, and then its duplicates: a late REJECT does not undo it.
    plugin.ack(start).await;
    plugin.ack(start).await;
    plugin.say(answer(start, AckStatus::Reject)).await;
    daemon.until("a sixth", |status| status.counters["acks_unknown"] == 6).await;
    gateway.fire(&[gateway::end("s", "new")]).await;
    let end = event(&mut plugin, "session_end").await;
    plugin.ack(end).await;
    plugin.ack(end).await;
    daemon.until_subscriber("plugin", "settled end", |it| it.in_flight + it.open == 0).await;
    assert_eq!(gateway.finish().await, (2, 0));
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn after_displacement() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let mut older = Plugin::subscribe(&daemon.address(), hello("plugin")).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--drain", "never"]);
    gateway.fire(&[gateway::start("s")]).await;
    let start = event(&mut older, "session_start").await;
    let mut hello = hello("plugin");
    hello.instance_id = "plugin-2".to_owned();
    let mut newer = Plugin::open(&daemon.address(), Some(Say::Hello(hello))).await;
    let again = event(&mut newer, "session_start").await;
    older.ack(start).await;
    let goodbye = older.until("Goodbye", |message| matches!(message, Hear::Goodbye(_))).await;
    assert!(matches!(goodbye, Hear::Goodbye(it) if it.reason() == GoodbyeReason::Displaced));
    older.ack(start).await;
    assert_eq!(older.end().await.code(), Code::Ok);
    gateway.fire(&[gateway::end("s", "new")]).await;
    assert_eq!(gateway.finish().await, (2, 0));
    // Had the older stream's answer counted, its end would be on its way.
    daemon.until_subscriber("plugin", "unsettled start", |it| it.in_flight == 1 && it.owed == 1).await;
    newer.ack(again).await;
    let end = event(&mut newer, "session_end").await;
    newer.ack(end).await;
    daemon.until_subscriber("plugin", "settled end", |it| it.in_flight + it.open == 0).await;
    witness.goes_on(daemon).await;
}
