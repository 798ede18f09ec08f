//! A handler that answers at once needs no task; that shows nowhere but in the time it takes.

use std::{
    sync::{Mutex, mpsc::sync_channel},
    thread,
    time::Duration,
};

use hookwire_sdk::{Event, wire::AckStatus};
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep},
};

use crate::{
    order::HandlerFuture,
    peer::{Peer, message, run, start},
};

/// As many milliseconds as the event's id says.
async fn wait(event: &Event) {
    match event.id().rsplit('-').next().and_then(|millis| millis.parse().ok()) {
        None | Some(0) => {}
        Some(millis) => sleep(Duration::from_millis(millis)).await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_its_order_whoever_waits() {
    let mut peer = Peer::start();
    let (ended, mut log) = mpsc::unbounded_channel();
    let _plugin = run(peer.plugin().on("*", move |event: Event| {
        let ended = ended.clone();
        async move {
            wait(&event).await;
            ended.send(event.id().to_owned())
        }
    }));
    let mut link = peer.welcome().await;
    let waits = [0, 3, 0, 0, 1, 2, 0];
    let events = (0..70).map(|n| message(["a", "b", "c"][n % 3], &format!("{n}-{}", waits[n % 7])));
    link.live(1, events).await;
    assert_eq!(link.answers(70).await.len(), 70);

    let order: Vec<usize> = std::iter::from_fn(|| log.try_recv().ok())
        .map(|id| id.split('-').next().expect("a number").parse().expect("a number"))
        .collect();
    assert!(!order.is_sorted(), "those that wait are overtaken");
    for session in 0..3 {
        assert!(order.iter().filter(|n| *n % 3 == session).is_sorted(), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_follows_the_return() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("*", async |event: Event| wait(&event).await));
    let mut link = peer.welcome().await;
    let sent = Instant::now();
    link.live(1, [message("a", "a-500"), message("b", "b-0")]).await;
    assert_eq!(link.answers(1).await, [(2, AckStatus::Ok)].into());
    assert_eq!(sent.elapsed(), Duration::ZERO);
    assert_eq!(link.ack().await.through_seq, 2);
    assert_eq!(sent.elapsed(), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_events_whenever_it_comes() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("*", |event: Event| -> HandlerFuture {
        assert!(event.id() != "start-1", "before there is a future");
        Box::pin(async move {
            assert!(event.id() != "start-2", "at the first poll");
            yield_now().await;
            assert!(event.id() != "start-3", "later");
        })
    }));
    let mut link = peer.welcome().await;
    link.live(1, (1..=4).map(|life| start("a", life))).await;
    use AckStatus::{Ok, Retry};
    assert_eq!(link.answers(4).await, [(1, Retry), (2, Retry), (3, Retry), (4, Ok)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_that_block_their_threads_still_run_side_by_side() {
    let mut peer = Peer::start();
    // Holds one: the giver never hangs, and a taker that is alone says so in the end.
    let (give, take) = sync_channel(1);
    let take = Mutex::new(take);
    let _plugin = run(peer.plugin().on("*", move |event: Event| {
        let met = match event.id() {
            "give" => give.send(()).is_ok(),
            "take" => take.lock().expect("taken once").recv_timeout(Duration::from_secs(60)).is_ok(),
            _ => {
                thread::sleep(Duration::from_millis(5));
                true
            }
        };
        assert!(met);
        async {}
    }));
    let mut link = peer.welcome().await;
    let blocking = ["1", "2", "take", "give"];
    link.live(1, blocking.map(|id| message(id, id))).await;
    assert!(link.answers(4).await.into_values().all(|status| status == AckStatus::Ok));
}
