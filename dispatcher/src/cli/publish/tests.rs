//! A publisher against a scripted dispatcher, over real sockets.

mod away;
mod dispatcher;

use std::collections::VecDeque;

use clap::Parser;
use hookwire_protocol::v1::{GoodbyeReason, StopReason, attach_response::Goodbye};
use tokio::io::AsyncWriteExt;
use tonic::Status;

use self::dispatcher::{Dispatcher, Script};
use super::*;

const RESTART_THEN_STOP: &[u8] = include_bytes!("../../../../tests/data/openclaw/restart-then-stop.jsonl");

/// A whole boot: start, two more, stop, and one that comes late.
const BOOT: &[u8] = br#"{"hook":"gateway_start","event":{"port":1}}
{"hook":"session_start","event":{"sessionId":"s"}}
{"hook":"message_received","event":{"sessionId":"s","text":"hello, this is long enough"}}
{"hook":"gateway_stop","event":{"reason":"gateway stopping"}}
{"hook":"session_end","event":{"sessionId":"s","reason":"shutdown"}}
"#;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

async fn attach(dispatcher: &Dispatcher, flags: &[&str]) -> Result<Publisher, Failure> {
    let line =
        [&["publish", "--to", &dispatcher.address, "--gateway", "g", "--boot", "first"], flags].concat();
    Publisher::attach(&Cli::parse_from(line).args).await.map_err(Setback::into_failure)
}

fn input(lines: &'static [u8]) -> Input {
    Input::new(Box::new(lines), false, false)
}

/// Plays lines; what came of it, and the result line.
async fn play(dispatcher: &Dispatcher, flags: &[&str], lines: &'static [u8]) -> (Result<(), Exit>, String) {
    let mut publisher = attach(dispatcher, flags).await.unwrap();
    let outcome = publisher.play(input(lines)).await.map_err(|failure| failure.exit);
    (outcome, serde_json::to_string(&publisher.tally).unwrap())
}

fn result(published: u64, rejected: u64) -> String {
    format!(r#"{{"published":{published},"rejected":{rejected}}}"#)
}

#[tokio::test]
async fn a_recording_becomes_a_boot_for_each_start_and_each_is_drained() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    assert_eq!(play(&dispatcher, &[], RESTART_THEN_STOP).await, (Ok(()), result(168, 0)));
    let seen = dispatcher.seen();
    let [first, second] = &seen.hellos[..] else { panic!("two boots: {:?}", seen.hellos) };
    assert_eq!((first.gateway_id.as_str(), first.boot_id.as_str()), ("g", "first"));
    assert_ne!(first.boot_id, second.boot_id);
    assert_ne!(first.emitter_id, second.emitter_id);
    let of = |boot: &str| {
        let events = seen.events.iter().filter(|(of, ..)| of == boot);
        events.map(|(_, seq, event)| (*seq, event.hook.as_str())).collect::<Vec<_>>()
    };
    for boot in [&first.boot_id, &second.boot_id] {
        let events = of(boot);
        assert_eq!(events[0], (1, "gateway_start"));
        assert!(
            events.iter().zip(1..).all(|((seq, _), expected)| *seq == expected),
            "in order, without a gap"
        );
        assert_eq!(events.iter().filter(|(_, hook)| *hook == "gateway_start").count(), 1);
    }
    let drains: Vec<_> =
        seen.drains.iter().map(|d| (d.gateway_id.as_str(), d.boot_id.as_str(), d.reason())).collect();
    assert_eq!(
        drains,
        [("g", "first", StopReason::Restart), ("g", second.boot_id.as_str(), StopReason::Shutdown)]
    );
    // Behind the ends that come after gateway_stop, and before the next boot.
    assert_eq!(seen.events_before_drain, [of("first").len(), 168]);
    assert_eq!(seen.attached_before_drain, [1, 2]);
}

#[tokio::test]
async fn a_boot_begins_where_the_lines_name_another() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let lines = br#"{"hook":"gateway_start","boot":"1"}
{"hook":"gateway_stop","boot":"1","event":{"reason":"gateway restarting"}}
{"hook":"early","boot":"2"}
{"hook":"gateway_start","boot":"2"}
{"hook":"straggles","boot":"1"}
{"hook":"gateway_stop","boot":"1","synthetic":true}
{"hook":"unnamed"}
{"hook":"x","boot":"2"}
{"hook":"gateway_start"}
{"hook":"gateway_start","boot":"3"}
"#;
    let (outcome, _) = play(&dispatcher, &[], lines).await;
    assert_eq!(outcome, Ok(()));
    let seen = dispatcher.seen();
    let boots: Vec<_> = seen.hellos.iter().map(|hello| &hello.boot_id).collect();
    let of = |boot: usize| -> Vec<_> {
        let events = seen.events.iter().filter(|(of, ..)| of == boots[boot]);
        events.map(|(.., event)| event.hook.as_str()).collect()
    };
    assert_eq!(of(0), ["gateway_start", "gateway_stop"]);
    assert_eq!(of(1), ["early", "gateway_start", "straggles", "unnamed", "x"]);
    assert_eq!((of(2), of(3)), (vec!["gateway_start"], vec!["gateway_start"]));
    let drains: Vec<_> = seen.drains.iter().map(|it| it.boot_id.as_str()).collect();
    assert_eq!((boots.len(), drains), (4, vec!["first"]), "the other stops were not this boot's");
}

#[tokio::test]
async fn without_a_stop_or_on_request_nothing_is_drained() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let start = b"{\"hook\":\"gateway_start\"}\n{\"hook\":\"x\"}\n";
    assert_eq!(play(&dispatcher, &[], start).await, (Ok(()), result(2, 0)));
    assert_eq!(play(&dispatcher, &["--drain", "never"], BOOT).await, (Ok(()), result(5, 0)));
    assert!(dispatcher.seen().drains.is_empty());
}

#[tokio::test]
async fn nothing_at_all_is_a_result_too() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    assert_eq!(play(&dispatcher, &["--strict"], b"").await, (Ok(()), result(0, 0)));
}

#[tokio::test]
async fn refused_oversized_and_bad_lines_are_counted() {
    let script = Script { refuses: Some("session_start"), max_event_bytes: 60, ..Script::default() };
    let dispatcher = Dispatcher::start(script).await;
    let lines = [BOOT, b"not json\n{\"event\":{}}\n"].concat().leak();
    assert_eq!(play(&dispatcher, &[], lines).await, (Ok(()), result(3, 4)));
    assert_eq!(dispatcher.seen().drains.len(), 1);
}

#[tokio::test]
async fn a_strict_reader_stops_at_the_first_bad_line_and_settles_what_was_before() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let lines = b"{\"hook\":\"a\"}\n{\"hook\":\"b\"}\n[]\n{\"hook\":\"c\"}\n";
    assert_eq!(play(&dispatcher, &["--strict"], lines).await, (Err(Exit::Data), result(2, 1)));
    assert_eq!(dispatcher.seen().events.len(), 2);
}

#[tokio::test]
async fn after_a_cut_it_goes_on_where_the_dispatcher_stands() {
    for cut in [1, 100, 160] {
        let dispatcher = Dispatcher::start(Script { cuts_at: Some(cut), ..Script::default() }).await;
        assert_eq!(play(&dispatcher, &[], RESTART_THEN_STOP).await, (Ok(()), result(168, 0)));
        let seen = dispatcher.seen();
        assert_eq!((seen.events.len(), seen.duplicates), (168, 0));
        assert_eq!(seen.hellos.len(), 3, "two boots, and one stream that was cut");
        let same = seen.hellos.windows(2).filter(|pair| pair[0].emitter_id == pair[1].emitter_id).count();
        assert_eq!(same, 1, "an emitter survives its stream");
    }
}

#[tokio::test]
async fn a_dispatcher_that_stops_is_waited_for() {
    let goodbye =
        Goodbye { reason: GoodbyeReason::Stopping.into(), reconnect_after_ms: 1, text: "bye".into() };
    let dispatcher = Dispatcher::start(Script { goodbye_at: Some((1, goodbye)), ..Script::default() }).await;
    // It comes back, and is busy at first.
    let mut publisher = attach(&dispatcher, &[]).await.unwrap();
    dispatcher.script().attach_errors = VecDeque::from([Status::unavailable("not yet")]);
    publisher.play(input(RESTART_THEN_STOP)).await.unwrap();
    assert_eq!(publisher.tally, Tally { published: 168, ..Tally::default() });
    let seen = dispatcher.seen();
    assert_eq!((seen.hellos.len(), seen.duplicates), (3, 0));
}

#[tokio::test]
async fn displacement_and_refusal_end_it() {
    let goodbye = Goodbye { reason: GoodbyeReason::Displaced.into(), ..Goodbye::default() };
    let dispatcher = Dispatcher::start(Script { goodbye_at: Some((1, goodbye)), ..Script::default() }).await;
    let mut publisher = attach(&dispatcher, &[]).await.unwrap();
    let (_write, endless) = tokio::io::duplex(64);
    let chained = tokio::io::AsyncReadExt::chain(BOOT, endless);
    let displaced = publisher.play(Input::new(Box::new(chained), false, false)).await.unwrap_err();
    assert_eq!(displaced.exit, Exit::Refused);

    dispatcher.script().attach_errors = VecDeque::from([Status::failed_precondition("that boot is over")]);
    assert_eq!(attach(&dispatcher, &[]).await.err().map(|failure| failure.exit), Some(Exit::Refused));
}

#[tokio::test]
async fn nobody_there_at_first_into_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let args = Cli::parse_from(["publish", "--to", &address, "--gateway", "g", "/dev/null"]).args;
    let failure = publish(args).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Unavailable);
}

#[tokio::test]
async fn a_drain_whose_answer_was_lost_is_done() {
    let errors = [Status::unavailable("lost"), Status::failed_precondition("that boot is over")];
    let dispatcher = Dispatcher::start(Script { drain_errors: errors.into(), ..Script::default() }).await;
    assert_eq!(play(&dispatcher, &[], BOOT).await, (Ok(()), result(5, 0)));
    assert_eq!(dispatcher.seen().drains.len(), 2);
}

#[tokio::test]
async fn a_refused_drain_ends_it() {
    let errors = [Status::permission_denied("not yours")];
    let dispatcher = Dispatcher::start(Script { drain_errors: errors.into(), ..Script::default() }).await;
    assert_eq!(play(&dispatcher, &[], BOOT).await, (Err(Exit::Refused), result(5, 0)));
}

#[tokio::test]
async fn a_live_line_is_sent_on_before_the_next_one_comes() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let mut publisher = attach(&dispatcher, &[]).await.unwrap();
    let (mut pipe, source) = tokio::io::duplex(4096);
    let writer = async {
        for sent in 1..=3 {
            pipe.write_all(b"{\"hook\":\"x\"}\n").await.unwrap();
            dispatcher.until(|seen| seen.events.len() == sent).await;
        }
        drop(pipe);
    };
    let (played, ()) = tokio::join!(publisher.play(Input::new(Box::new(source), true, false)), writer);
    played.unwrap();
    assert_eq!(publisher.tally, Tally { published: 3, ..Tally::default() });
}

#[tokio::test]
async fn who_holds_comes_back_after_a_cut() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let mut publisher = attach(&dispatcher, &["--hold", "--drain", "never"]).await.unwrap();
    publisher.play(input(BOOT)).await.unwrap();
    dispatcher.cut();
    let Publisher { boot, tally, .. } = &mut publisher;
    tokio::select! {
        stayed = boot.stay(tally) => panic!("it stays: {stayed:?}"),
        () = dispatcher.until(|seen| seen.hellos.len() == 2) => (),
    }
}

#[tokio::test]
async fn an_input_that_breaks_off_settles_what_was_before() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let mut publisher = attach(&dispatcher, &[]).await.unwrap();
    let (directory, _) = input::open(std::path::Path::new("/")).await.unwrap();
    let chained = tokio::io::AsyncReadExt::chain(BOOT, directory);
    let failure = publisher.play(Input::new(Box::new(chained), false, false)).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Data);
    assert_eq!(publisher.tally, Tally { published: 5, ..Tally::default() });
}

#[tokio::test]
async fn who_is_told_to_stop_settles_what_is_in_hand() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let mut publisher = attach(&dispatcher, &[]).await.unwrap();
    let (_write, endless) = tokio::io::duplex(64);
    let chained = tokio::io::AsyncReadExt::chain(RESTART_THEN_STOP, endless);
    tokio::select! {
        played = publisher.play(Input::new(Box::new(chained), false, false)) => panic!("it has no end: {played:?}"),
        () = dispatcher.until(|seen| seen.hellos.len() == 2) => (),
    }
    publisher.settle().await;
    assert_eq!(publisher.tally.published, dispatcher.seen().events.len() as u64);
}
