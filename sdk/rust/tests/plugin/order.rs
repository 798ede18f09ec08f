//! In order inside a session, side by side across sessions.

use std::sync::Arc;

use hookwire_sdk::{
    Event,
    wire::{AckStatus, DrainNotice, subscribe_response::Message as Response},
};
use tokio::sync::{Semaphore, mpsc};

use crate::peer::{Peer, end, message, run, settled, start, without_session};

/// A handler that says what it began, and waits for a permit where the session is "slow".
pub(crate) fn gated()
-> (impl Fn(Event) -> HandlerFuture + Send + Sync, mpsc::UnboundedReceiver<String>, Arc<Semaphore>) {
    let (begun, log) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let permits = gate.clone();
    let handler = move |event: Event| -> HandlerFuture {
        let (begun, gate) = (begun.clone(), gate.clone());
        Box::pin(async move {
            begun.send(event.id().to_owned()).expect("the test listens");
            if event.session().is_some_and(|session| session.id == "slow") {
                gate.acquire().await.expect("never closed").forget();
            }
        })
    };
    (handler, log, permits)
}

pub(crate) type HandlerFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) fn begun(log: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    let mut ids: Vec<_> = std::iter::from_fn(|| log.try_recv().ok()).collect();
    ids.sort();
    ids
}

#[tokio::test(start_paused = true)]
async fn a_slow_session_holds_up_itself_alone() {
    let mut peer = Peer::start();
    let (handler, mut log, gate) = gated();
    let _plugin = run(peer.plugin().on("*", handler));
    let mut link = peer.welcome().await;
    link.live(1, [start("slow", 1), message("slow", "m"), start("b", 2), end("b", 2)]).await;

    let answers = link.answers(2).await;
    assert_eq!(answers, [(3, AckStatus::Ok), (4, AckStatus::Ok)].into(), "nobody waits for the slow one");
    assert_eq!(begun(&mut log), ["end-2", "start-1", "start-2"], "its message has not begun");

    gate.add_permits(1);
    settled().await;
    assert_eq!(begun(&mut log), ["m"]);
    assert_eq!(link.ack().await.through_seq, 1);
    gate.add_permits(1);
    assert_eq!(link.ack().await.through_seq, 4);
}

#[tokio::test(start_paused = true)]
async fn gateway_stop_is_handled_last() {
    let mut peer = Peer::start();
    let (handler, mut log, gate) = gated();
    let _plugin = run(peer.plugin().on("*", handler));
    let link = peer.welcome().await;
    link.live(1, [end("slow", 1), without_session("gateway_stop", "stop"), start("b", 2)]).await;
    settled().await;
    assert_eq!(begun(&mut log), ["end-1", "start-2"]);
    gate.add_permits(1);
    settled().await;
    assert_eq!(begun(&mut log), ["stop"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_at_once() {
    let mut peer = Peer::start();
    let (handler, mut log, gate) = gated();
    let _plugin = run(peer.plugin().concurrency(1).on("*", handler));
    let link = peer.welcome().await;
    link.live(1, [start("slow", 1), start("b", 2), start("c", 3)]).await;
    settled().await;
    assert_eq!(begun(&mut log), ["start-1"]);
    gate.add_permits(1);
    settled().await;
    assert_eq!(begun(&mut log), ["start-2", "start-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_of_events_is_one_ack() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("*", |_| async {}));
    let mut link = peer.welcome().await;
    link.live(1, (1..=100).map(|n| start(&n.to_string(), n))).await;
    let ack = link.ack().await;
    assert_eq!((ack.through_seq, ack.exceptions.len()), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_hand_leaves_the_stream_unread() {
    let mut peer = Peer::start();
    let (handler, _log, gate) = gated();
    let (told, mut notices) = mpsc::unbounded_channel();
    let drained = move |_| std::future::ready(told.send(()));
    let _plugin = run(peer.plugin().on("*", handler).on_drain(drained));
    let link = peer.welcome().await;
    link.live(1, (1..=8_192).map(|life| start("slow", life))).await;
    link.say(Response::DrainNotice(DrainNotice::default())).await;
    settled().await;
    assert!(notices.is_empty());
    gate.add_permits(1);
    assert_eq!(notices.recv().await, Some(()), "room for one more");
}
