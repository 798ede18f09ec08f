//! Told to stop, a plugin finishes what it has in hand, and says so.

use std::time::Duration;

use hookwire_sdk::wire::subscribe_response::Message as Response;
use hookwire_sdk::{Plugin, RunError, wire::DrainNotice};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    order::{begun, gated},
    peer::{Peer, end, run, settled, start},
};

#[tokio::test(start_paused = true)]
async fn it_finishes_what_is_in_hand_and_takes_no_more() {
    let mut peer = Peer::start();
    let (handler, mut log, gate) = gated();
    let plugin = run(peer.plugin().on("*", handler));
    let mut link = peer.welcome().await;
    link.live(1, [start("slow", 1), end("slow", 1)]).await;
    settled().await;

    let stopped = tokio::spawn(plugin.stop());
    settled().await;
    link.live(3, [start("b", 2)]).await;
    gate.add_permits(2);
    assert_eq!(link.answers(2).await.len(), 2);
    link.parting().await;
    stopped.await.expect("no panic").expect("a good end");
    assert_eq!(begun(&mut log), ["end-1", "start-1"], "what came after the signal has not begun");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_waited_for_so_long() {
    let mut peer = Peer::start();
    let (handler, _log, _gate) = gated();
    let plugin = run(peer.plugin().grace(Duration::from_secs(3)).on("*", handler));
    let mut link = peer.welcome().await;
    link.live(1, [start("slow", 1), start("b", 2)]).await;
    settled().await;

    let begun = Instant::now();
    let stopped = tokio::spawn(plugin.stop());
    assert_eq!(link.ack().await.exceptions[0].seq, 2);
    link.parting().await;
    assert_eq!(begun.elapsed().as_secs(), 3, "Goodbye came when time was up");
    stopped.await.expect("no panic").expect("a good end all the same");
}

#[tokio::test(start_paused = true)]
async fn it_stops_while_nobody_answers() {
    let refused = || async { Err::<tonic::transport::Channel, _>("nobody there") };
    let plugin = run(Plugin::builder("test").connect_with(refused).on("*", |_| async {}));
    tokio::time::sleep(Duration::from_secs(60)).await;
    plugin.stop().await.expect("a good end");
}

#[tokio::test(start_paused = true)]
async fn it_stops_while_the_dispatcher_is_silent() {
    let mut peer = Peer::start();
    let plugin = run(peer.plugin().on("*", |_| async {}));
    let (_unwelcomed, _) = peer.accept().await;
    plugin.stop().await.expect("a good end");
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_told_at_once() {
    let mut peer = Peer::start();
    let (handler, _log, _gate) = gated();
    let (told, mut notices) = mpsc::unbounded_channel();
    let plugin = peer
        .plugin()
        .on("*", handler)
        .concurrency(1)
        .on_drain(move |notice: DrainNotice| std::future::ready(told.send(notice.ends_owed)));
    let _plugin = run(plugin);
    let link = peer.welcome().await;
    link.live(1, [start("slow", 1)]).await;
    link.say(Response::DrainNotice(DrainNotice { ends_owed: 4, ..Default::default() })).await;
    assert_eq!(notices.recv().await, Some(4));
}

#[tokio::test]
async fn a_plugin_without_a_handler_is_a_mistake() {
    let ended = Plugin::builder("test").run_until(std::future::pending()).await;
    assert!(matches!(ended, Err(RunError::NoHandler)));
}
