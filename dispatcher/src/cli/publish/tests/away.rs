//! A dispatcher that is away for a while: who is held up, what is lost, and what is listed instead.

use tokio::io::DuplexStream;

use super::*;

/// More than is held while nobody takes anything in.
const MANY: usize = 80_000;

fn line(hook: &str, session: &str) -> String {
    format!("{{\"hook\":\"{hook}\",\"event\":{{\"sessionId\":\"{session}\"}}}}\n")
}

/// Writes lines; the publisher has read all but the last few when this returns.
async fn write(pipe: &mut DuplexStream, lines: impl Iterator<Item = String>) {
    for line in lines {
        pipe.write_all(line.as_bytes()).await.unwrap();
    }
}

/// Plays what a live gateway writes: a session that goes on, then these lines while the dispatcher is away.
async fn live(dispatcher: &Dispatcher, lines: impl Iterator<Item = String>) -> Tally {
    let mut publisher = attach(dispatcher, &[]).await.unwrap();
    let (mut pipe, source) = tokio::io::duplex(4096);
    let gateway = async {
        write(&mut pipe, [line("session_start", "goes on")].into_iter()).await;
        dispatcher.until(|seen| seen.events.len() == 1).await;
        dispatcher.goes_away();
        dispatcher.until(|seen| seen.turned_away > 0).await;
        write(&mut pipe, lines).await;
        drop(pipe);
        dispatcher.comes_back();
    };
    let (played, ()) = tokio::join!(publisher.play(Input::new(Box::new(source), true, false)), gateway);
    played.unwrap();
    publisher.tally
}

#[tokio::test]
async fn a_live_gateway_is_not_held_up_and_no_start_or_end_is_lost_where_there_is_something_else() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let begins = [line("session_start", "new")].into_iter();
    let ends = [line("session_end", "new")].into_iter();
    let lines = begins.chain((0..MANY).map(|_| line("llm_output", "new"))).chain(ends);
    let tally = live(&dispatcher, lines).await;
    let total = MANY as u64 + 3;
    assert!(tally.lost > 0 && tally.published + tally.lost == total, "{tally:?}");
    let seen = dispatcher.seen();
    let hooks: Vec<_> = seen.events.iter().map(|(.., event)| event.hook.as_str()).collect();
    assert_eq!(hooks.len() as u64, tally.published);
    let lives: Vec<_> = hooks.into_iter().filter(|hook| hook.starts_with("session_")).collect();
    assert_eq!(lives, ["session_start", "session_start", "session_end"]);
    assert!(seen.hellos.iter().all(|hello| hello.live_sessions.is_none()), "no start or end had to go");
}

#[tokio::test]
async fn where_starts_and_ends_had_to_go_the_next_hello_lists_what_is_alive() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let over = (0..MANY / 2).flat_map(|number| {
        let id = number.to_string();
        [line("session_start", &id), line("session_end", &id)]
    });
    let lines = [line("session_start", "new")].into_iter().chain(over);
    let tally = live(&dispatcher, lines).await;
    assert!(tally.lost > 0 && tally.published + tally.lost == MANY as u64 + 2, "{tally:?}");
    let seen = dispatcher.seen();
    // There is one more in between where a start or an end had to go while it was on its way.
    let [first, .., last] = &seen.hellos[..] else { panic!("it came back: {}", seen.hellos.len()) };
    assert_eq!((first.live_sessions.clone(), first.resend_through), (None, 0));
    assert_eq!((&first.boot_id, &first.emitter_id), (&last.boot_id, &last.emitter_id));
    let list = last.live_sessions.as_ref().expect("some had to go");
    let mut ids: Vec<_> = list.sessions.iter().map(|session| session.id()).collect();
    ids.retain(|id| !id.chars().all(|digit| digit.is_ascii_digit())); // one of those may be amid its life
    ids.sort_unstable();
    assert_eq!(ids, ["goes on", "new"]);
    let numbers: Vec<_> = seen.events.iter().map(|(_, seq, _)| *seq).collect();
    assert!(numbers.is_sorted() && numbers.contains(&last.resend_through));
    assert_eq!(seen.duplicates, 0);
}

#[tokio::test]
async fn a_file_is_held_up_and_loses_nothing() {
    let dispatcher = Dispatcher::start(Script::default()).await;
    let mut publisher = attach(&dispatcher, &[]).await.unwrap();
    let lines: String = (0..MANY).map(|_| line("llm_output", "s")).collect();
    let away = async {
        dispatcher.until(|seen| seen.events.len() > 1000).await;
        dispatcher.goes_away();
        dispatcher.until(|seen| seen.turned_away > 1).await;
        dispatcher.comes_back();
    };
    let file = Input::new(Box::new(std::io::Cursor::new(lines)), false, false);
    let (played, ()) = tokio::join!(publisher.play(file), away);
    played.unwrap();
    assert_eq!(publisher.tally, Tally { published: MANY as u64, ..Tally::default() });
}
