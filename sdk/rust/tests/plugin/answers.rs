//! What a handler returns is what the dispatcher hears.

use std::{future::ready, time::Duration};

use hookwire_sdk::{
    BoxError, Event, Outcome, Reject,
    wire::{self, AckStatus, BatchKind, DrainNotice, DrainSummary, subscribe_response::Message as Response},
};
use tokio::sync::mpsc;

use crate::peer::{Peer, end, message, run, start, without_session};

async fn by_name(event: Event) -> Result<Outcome, BoxError> {
    match event.session().map_or("", |session| session.id.as_str()) {
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
async fn a_failure_is_a_retry_only_of_what_can_come_again() {
    let mut peer = Peer::start();
    let _plugin = run(peer.plugin().on("*", by_name));
    let mut link = peer.welcome().await;
    link.live(1, [start("error", 1), message("error", "m"), message("panic", "n"), end("error", 1)]).await;
    let answers: Vec<_> = link.ack().await.exceptions;
    let seen: Vec<_> = answers.iter().map(|it| (it.seq, it.status(), it.code.as_str())).collect();
    use AckStatus::{Reject, Retry};
    assert_eq!(seen, [(1, Retry, ""), (2, Reject, "exception"), (3, Reject, "exception"), (4, Retry, "")]);
    assert_eq!(answers[1].text, "disk full");
}

#[tokio::test(start_paused = true)]
async fn a_drain_bounds_the_time_of_what_is_in_hand() {
    let mut peer = Peer::start();
    let (handed, mut events) = mpsc::channel(8);
    let (told, mut notices) = mpsc::unbounded_channel();
    let plugin = peer.plugin().on("*", move |event: Event| {
        let handed = handed.clone();
        async move { handed.send(event).await }
    });
    let _plugin = run(plugin.on_drain(move |notice: DrainNotice| ready(told.send(notice.budget_ms))));
    let link = peer.welcome().await;
    let of = |gateway: &str, event: wire::Event| wire::Event { gateway_id: gateway.to_owned(), ..event };
    link.live(1, [of("here", start("a", 1)), of("there", start("b", 2))]).await;
    let (here, there) = (events.recv().await.expect("handed"), events.recv().await.expect("handed"));
    assert!(!here.draining() && here.time_left() == Duration::from_millis(1_000));

    let gateway_id = "here".to_owned();
    link.say(Response::DrainNotice(DrainNotice { gateway_id, budget_ms: 200, ..Default::default() })).await;
    assert_eq!(notices.recv().await, Some(200));
    assert!(here.draining() && !there.draining());
    assert_eq!(here.time_left(), Duration::from_millis(200));
    assert_eq!(there.time_left(), Duration::from_millis(1_000));

    let gateway_id = "here".to_owned();
    link.say(Response::DrainSummary(DrainSummary { gateway_id, ..Default::default() })).await;
    link.live(3, [of("here", message("a", "later"))]).await;
    assert!(!events.recv().await.expect("handed").draining());
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
    let (handed, mut events) = mpsc::channel(8);
    let _plugin = run(peer.plugin().on("*", move |event: Event| {
        let handed = handed.clone();
        async move { handed.send(event).await }
    }));
    let link = peer.welcome().await;
    link.deliver(1, BatchKind::Announced, [start("a", 7), message("a", "m")]).await;

    let first = events.recv().await.expect("handed over");
    let session = first.session().expect("a start has one");
    assert_eq!((first.ledger_id(), session.incarnation), ("ledger", 7));
    assert_eq!((first.hook(), first.kind()), ("session_start", BatchKind::Announced));
    assert!(first.session_start().is_some() && first.session_end().is_none() && first.json().is_err());

    let second = events.recv().await.expect("handed over");
    assert_eq!(second.json().expect("valid")["text"], "hello");

    assert_eq!(second.time_left(), Duration::from_millis(1_000));
    tokio::time::advance(Duration::from_millis(400)).await;
    assert_eq!(second.time_left(), Duration::from_millis(600));
    tokio::time::advance(Duration::from_millis(700)).await;
    assert_eq!(second.time_left(), Duration::ZERO);
}
