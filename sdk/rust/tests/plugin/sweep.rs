//! At CaughtUp a plugin may close what nobody will end.

use hookwire_sdk::Sweep;
use tokio::sync::mpsc;

use crate::{
    order::{begun, gated},
    peer::{Peer, message, run, settled, start},
};

#[tokio::test(start_paused = true)]
async fn it_sweeps_between_what_was_and_what_comes() {
    let mut peer = Peer::start();
    let (handler, mut log, gate) = gated();
    let (swept, mut sweeps) = mpsc::unbounded_channel();
    let plugin = peer.plugin().announce(true).on("*", handler).on_sweep(move |sweep: Sweep| {
        std::future::ready(swept.send([1, 2, 3].map(|life| sweep.is_owed("ledger", life))))
    });
    let _plugin = run(plugin);
    let link = peer.welcome().await;
    link.again(1, [start("slow", 1), start("b", 2)]).await;
    link.caught_up().await;
    link.live(3, [message("c", "live")]).await;
    settled().await;
    assert_eq!(begun(&mut log), ["start-1", "start-2"]);
    assert!(sweeps.is_empty(), "not while something older is in hand");

    gate.add_permits(1);
    assert_eq!(sweeps.recv().await, Some([true, true, false]));
    settled().await;
    assert_eq!(begun(&mut log), ["live"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_takes_its_sweep_along() {
    let mut peer = Peer::start();
    let (handler, _log, gate) = gated();
    let (swept, mut sweeps) = mpsc::unbounded_channel();
    let plugin = peer.plugin().on("*", handler).on_sweep(move |sweep: Sweep| {
        std::future::ready(swept.send([1, 2].map(|life| sweep.is_owed("ledger", life))))
    });
    let _plugin = run(plugin);
    let first = peer.welcome().await;
    first.again(1, [start("slow", 1)]).await;
    first.caught_up().await;
    settled().await;
    drop(first);

    // Nothing is read while a sweep is due, so the break shows when that one is over.
    gate.add_permits(1);
    assert_eq!(sweeps.recv().await, Some([true, false]));
    let second = peer.welcome().await;
    second.again(1, [start("b", 2)]).await;
    second.caught_up().await;
    assert_eq!(sweeps.recv().await, Some([false, true]));
}
