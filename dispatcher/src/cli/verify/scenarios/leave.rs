//! Somebody leaves: the gateway, the plugin, or the plugin for another of its name.

use std::time::{Duration, Instant};

use hookwire_protocol::{
    hook,
    v1::{GoodbyeReason, SessionEndReason},
};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::is_answered_on;
use crate::cli::verify::{
    plugin::in_words,
    record::{Left, Record},
    rule::Rule,
    stage::{GATEWAY, Halt, Stage, end, message, start},
};

/// How long a displaced plugin is watched; its answers count for late behind this.
const WATCHED: Duration = Duration::from_secs(3);
const LATE: Duration = Duration::from_millis(500);

/// Sessions that a drain ends.
const DRAINED: usize = 20;

/// Sessions and events of the burst that a SIGTERM comes into, and how far it is then.
const SESSIONS: usize = 50;
const EVENTS: usize = 4_000;
const BEGUN: usize = 200;

pub(super) async fn displaced(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    stage.enter().await?;
    let told = |record: &Record| {
        record.streams[0].told_to_go.is_some_and(|(why, _)| why == GoodbyeReason::Displaced)
    };
    let expected = "the older is told, answers no more, and does not come back";
    stage.until(Rule::Displaced, expected, told).await?;
    sleep(WATCHED).await;
    let (streams, late) = {
        let record = stage.relay.record();
        let record = record.borrow();
        let older = &record.streams[0];
        let told = older.told_to_go.map_or_else(Instant::now, |(_, at)| at);
        let late = older.last_ack.map(|at| at.saturating_duration_since(told)).filter(|late| *late > LATE);
        (record.streams.len(), late)
    };
    let standing = stage.plugins[0].standing();
    let late = late.map_or("it answered nothing".to_owned(), |late| format!("it answered {late:.1?} later"));
    let ok = streams == 2 && !late.contains("later");
    let seen = format!("{late}; {} streams came behind the newer; {standing}", streams.saturating_sub(2));
    stage.findings.check(Rule::Displaced, expected, ok, seen);
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    let newer = |record: &Record| is_answered_on(record.last(), hook::SESSION_END);
    stage.until(Rule::Acknowledge, "the newer answers what comes", newer).await
}

pub(super) async fn drain_long(stage: &mut Stage) -> Result<(), Halt> {
    let carried = drain(stage, Duration::from_secs(2)).await?;
    let seen = format!("{carried} were answered later");
    stage.findings.check(
        Rule::Drain,
        "all 20 ends are answered within the budget of 2 s",
        carried == 0,
        seen,
    );
    Ok(())
}

pub(super) async fn drain_short(stage: &mut Stage) -> Result<(), Halt> {
    let carried = drain(stage, Duration::from_millis(200)).await?;
    let streams = stage.relay.record().borrow().streams.len();
    let expected = "all 20 ends are answered, late or not, on the same stream";
    stage.findings.check(Rule::Drain, expected, streams == 1, format!("{carried} late, {streams} streams"));
    Ok(())
}

/// Drains, and waits for all answers: how many came behind the deadline.
async fn drain(stage: &mut Stage, budget: Duration) -> Result<u64, Halt> {
    stage.enter().await?;
    for session in 0..DRAINED {
        stage.fire(start(&session.to_string())).await?;
    }
    stage.settled(hook::SESSION_START, DRAINED).await?;
    let report = stage.drain(budget).await?;
    let carried = report.subscribers.iter().map(|it| it.carried_over).sum();
    stage.settled(hook::SESSION_END, DRAINED).await?;
    let noticed = stage.effects().map(|it| {
        let noticed = it.lines().any(|line| line.drain.as_deref() == Some(GATEWAY));
        let hurried = it.lines().filter(|line| line.hook == hook::SESSION_END && line.draining).count();
        let word = if noticed { "noticed" } else { "not noticed" };
        (noticed && hurried > 0, format!("the drain was {word}; {hurried} ends knew of it"))
    });
    stage.findings.check_effects(
        Rule::Drain,
        "the plugin is told of the drain, and its ends know of it",
        noticed,
    );
    Ok(carried)
}

pub(super) async fn sigterm(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    for session in 0..SESSIONS {
        stage.fire(start(&session.to_string())).await?;
    }
    for event in 0..EVENTS {
        // What is not taken in before the plugin leaves is not waited for.
        drop(stage.fire_fast(message(&(event % SESSIONS).to_string(), &format!(r#"{{"n":{event}}}"#))));
    }
    let begun = |record: &Record| record.dealt().filter(|(_, answer)| answer.is_some()).count() > BEGUN;
    stage.until(Rule::Acknowledge, "it answers what comes", begun).await?;
    stage.plugin().signal(Signal::SIGTERM);
    let expected = "it ends by itself, and says Goodbye(keep) or half-closes";
    // Both: what it said last is still on its way when it has gone.
    let record = stage.relay.record();
    let gone = || stage.plugin().ended().is_some() && !record.borrow().streams[0].is_open();
    stage.eventually(gone).await;
    let left = record.borrow().streams[0].left;
    let word = match left {
        Some(Left::Keeping) => "it said Goodbye(keep)",
        Some(Left::Releasing) => "it said Goodbye(release)",
        Some(Left::HalfClosing) => "it half-closed",
        None => "its stream broke off",
    };
    let ended = stage.plugin().ended();
    let how = ended.map_or("it goes on".to_owned(), in_words);
    let in_order = matches!(left, Some(Left::Keeping | Left::HalfClosing));
    let ok = in_order && ended.is_some_and(|status| status.code().is_some());
    stage.findings.check(Rule::Goodbye, expected, ok, format!("{how}; {word}"));
    let unanswered = stage.effects().map(|it| it.unanswered(&stage.relay.record().borrow()));
    let seen = unanswered.map(|count| (count == 0, format!("{count} took effect without an answer")));
    stage.findings.check_effects(Rule::Goodbye, "all that was in hand is finished and answered", seen);
    Ok(())
}
