//! What a handler returns is what the dispatcher hears.

use std::time::Duration;

use hookwire_sdk::{
    BoxError, Delivery, Outcome, Reject,
    wire::{AckStatus, BatchKind},
};
use tokio::sync::mpsc;

use crate::peer::{Peer, end, message, run, start, without_session};

async fn by_name(delivery: Delivery) -> Result<Outcome, BoxError> {
    match delivery.session().map_or("", |session| session.id.as_str()) {
        "accept" => Ok(Outcome::accepted()),
        "later" => Ok(Outcome::retry_after(Duration::from_millis(1_500), "busy")),
        "reject" => Ok(Outcome::reject("quota", "too many")),
        "error" => Err("disk full".into()),
        "refuse" => Err(Reject::new("unknown_agent", "who?").into()),
        "panic" => panic!("a handler's mistake"),
        _ => Ok(Outcome::ok()),
    }
}

#[tokio::test(start_paused = true)]
async fn each_outcome_has_its_answer() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("session_*", by_name));
    let mut link = peer.welcome().await;
    let names = ["fine", "accept", "later", "reject", "error", "refuse", "panic", "fine too"];
    link.live(1, (1..).zip(names).map(|(incarnation, name)| start(name, incarnation))).await;
    use AckStatus::{Accepted, Ok, Reject, Retry};
    let answers = link.answers(8).await;
    assert_eq!(
        answers.into_values().collect::<Vec<_>>(),
        [Ok, Accepted, Retry, Reject, Retry, Reject, Retry, Ok]
    );
}

#[tokio::test(start_paused = true)]
async fn the_words_go_along() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("session_*", by_name));
    let mut link = peer.welcome().await;

    link.live(1, [start("later", 1)]).await;
    let later = link.ack().await.exceptions.remove(0);
    assert_eq!((later.retry_after_ms, later.text.as_str()), (1_500, "busy"));

    link.live(2, [start("refuse", 2)]).await;
    let refused = link.ack().await.exceptions.remove(0);
    assert_eq!((refused.code.as_str(), refused.text.as_str()), ("unknown_agent", "who?"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_handles_is_ok() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("session_end", |_| async { Outcome::reject("never", "called") }));
    let mut link = peer.welcome().await;
    link.live(1, [start("a", 1), without_session("gateway_start", "g")]).await;
    assert_eq!(link.ack().await.through_seq, 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_handler_that_matches_gets_it() {
    let mut peer = Peer::start();
    let plugin = peer
        .plugin()
        .on("session_end", |_| async { Outcome::accepted() })
        .on("session_*", |_| async {})
        .on("*", |_| async { Outcome::reject("last", "") });
    let _plugin = run(plugin);
    let (link, hello) = peer.accept().await;
    assert_eq!(hello.hooks, ["session_end", "session_*", "*"]);
    drop(link);

    let mut link = peer.welcome().await;
    link.live(1, [start("a", 1), end("a", 1), message("a", "m")]).await;
    let answers = link.answers(3).await;
    let expected = [AckStatus::Ok, AckStatus::Accepted, AckStatus::Reject];
    assert_eq!(answers.into_values().collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_given_all_it_needs() {
    let mut peer = Peer::start();
    let (handed, mut deliveries) = mpsc::channel(8);
    let _plugin = run(peer.plugin().on("*", move |delivery: Delivery| {
        let handed = handed.clone();
        async move { handed.send(delivery).await }
    }));
    let link = peer.welcome().await;
    link.deliver(1, BatchKind::Announced, [start("a", 7), message("a", "m")]).await;

    let first = deliveries.recv().await.expect("handed over");
    let session = first.session().expect("a start has one");
    assert_eq!((first.ledger_id(), session.incarnation), ("ledger", 7));
    assert_eq!((first.hook(), first.kind()), ("session_start", BatchKind::Announced));
    assert!(first.session_start().is_some() && first.session_end().is_none() && first.json().is_err());

    let second = deliveries.recv().await.expect("handed over");
    assert_eq!(second.json().expect("valid")["text"], "hello");

    assert_eq!(second.time_left(), Duration::from_millis(1_000));
    tokio::time::advance(Duration::from_millis(400)).await;
    assert_eq!(second.time_left(), Duration::from_millis(600));
    tokio::time::advance(Duration::from_millis(700)).await;
    assert_eq!(second.time_left(), Duration::ZERO);
}
