//! What is in hand outlives a stream, and what is settled is not done again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hookwire_sdk::{
    Outcome, RunError,
    wire::{AckStatus, BatchKind, GoodbyeReason},
};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::{
    order::{begun, gated},
    peer::{Peer, message, run, settled, start},
};

#[tokio::test(start_paused = true)]
async fn a_redelivery_joins_the_handler_that_still_runs() {
    let mut peer = Peer::start();
    let (handler, mut log, gate) = gated();
    let _plugin = run(peer.plugin().on("*", handler));
    let first = peer.welcome().await;
    first.live(1, [start("b", 1), start("slow", 2), message("slow", "m")]).await;
    settled().await;
    first.fail(Status::unavailable("cut")).await;

    let mut second = peer.welcome().await;
    second.again(1, [start("slow", 2)]).await;
    settled().await;
    gate.add_permits(2);
    assert_eq!(
        second.answers(1).await,
        [(1, AckStatus::Ok)].into(),
        "under its new number, and nothing else"
    );
    settled().await;
    assert_eq!(begun(&mut log), ["m", "start-1", "start-2"], "each began once");
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_answered_from_memory() {
    let mut peer = Peer::start();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let _plugin = run(peer.plugin().on("*", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Outcome::accepted() }
    }));
    let mut first = peer.welcome().await;
    first.live(1, [start("a", 1)]).await;
    first.answers(1).await;
    first.fail(Status::unavailable("cut")).await;

    let mut second = peer.welcome().await;
    second.again(1, [start("a", 1)]).await;
    second.deliver(2, BatchKind::Announced, [start("a", 1)]).await;
    assert_eq!(second.answers(2).await, [(1, AckStatus::Accepted), (2, AckStatus::Accepted)].into());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_done_again() {
    let mut peer = Peer::start();
    let calls = Arc::new(AtomicUsize::new(0));
    let _plugin = run(peer.plugin().on("*", move |_| {
        let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { Err("not yet") } else { Ok(()) } }
    }));
    let mut link = peer.welcome().await;
    link.live(1, [start("a", 1)]).await;
    assert_eq!(link.answers(1).await, [(1, AckStatus::Retry)].into());
    link.again(2, [start("a", 1)]).await;
    assert_eq!(link.ack().await.through_seq, 2);
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_as_itself_and_not_before_it_may() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("*", |_| async {}));
    let (link, hello) = peer.accept().await;
    drop(link);

    let (link, again) = peer.accept().await;
    assert_eq!(hello, again);
    let asked = Instant::now();
    link.goodbye(GoodbyeReason::Stopping, Duration::from_secs(20)).await;

    tokio::time::sleep(Duration::from_millis(19_900)).await;
    assert_eq!(peer.waiting(), 0);
    peer.accept().await;
    assert!(asked.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn displaced_is_the_end() {
    let mut peer = Peer::start();
    let plugin = run(peer.plugin().on("*", |_| async {}));
    let link = peer.welcome().await;
    link.goodbye(GoodbyeReason::Displaced, Duration::ZERO).await;
    assert!(matches!(plugin.end().await, Err(RunError::Displaced { text }) if text == "so long"));
    assert_eq!(peer.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn displaced_while_it_was_away_is_the_end_too() {
    let mut peer = Peer::start();
    let plugin = run(peer.plugin().on("*", |_| async {}));
    let (link, _) = peer.accept().await;
    link.fail(Status::already_exists("a newer one is here")).await;
    let ended = plugin.end().await;
    assert!(matches!(ended, Err(RunError::Displaced { text }) if text == "a newer one is here"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_end() {
    for code in [Code::InvalidArgument, Code::FailedPrecondition, Code::PermissionDenied] {
        let mut peer = Peer::start();
        let plugin = run(peer.plugin().on("*", |_| async {}));
        let (link, _) = peer.accept().await;
        link.fail(Status::new(code, "no")).await;
        let Err(RunError::Refused(status)) = plugin.end().await else { panic!("{code:?} did not end it") };
        assert_eq!((status.code(), status.message()), (code, "no"));
    }
}
