//! The dispatcher is not there, says that it goes, or says nothing at all.

use std::time::Duration;

use hookwire_protocol::{
    hook,
    v1::{GoodbyeReason, SessionEndReason},
};
use tokio::time::sleep;

use super::is_answered_behind;
use crate::cli::verify::{
    record::Record,
    rule::Rule,
    stage::{Halt, Stage, end, message, start},
};

/// How long the dispatcher is gone.
const GONE: Duration = Duration::from_secs(3);

/// More than any back-off tries meanwhile: with jitter below 100 ms there are about as many as this.
const MANY: u64 = 60;

/// What a Goodbye asks for, and how much earlier still counts as in time: clocks and wires.
const LATER: Duration = Duration::from_millis(1_500);
const NEARLY: Duration = Duration::from_millis(50);

/// How long a keepalive of 10 s and 10 s and a back-off may take, and some more.
const NOTICED: Duration = Duration::from_secs(40);

/// How long nothing happens.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) async fn gone(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    stage.wire.refuse(true);
    stage.wire.cut();
    let before = stage.wire.attempts();
    sleep(GONE).await;
    let tried = stage.wire.attempts() - before;
    stage.wire.refuse(false);
    let expected = format!("it tries to connect at most {MANY} times in {GONE:?}");
    stage.findings.check(Rule::ComeBack, &expected, tried <= MANY, format!("{tried} times"));
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    let back = |record: &Record| record.is_caught_up() && is_answered_behind(record, 1, hook::SESSION_END);
    stage.until(Rule::ComeBack, "it comes back, and answers the end that it is owed", back).await
}

pub(super) async fn goodbye(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    stage.relay.say_goodbye(GoodbyeReason::Handover, LATER);
    let expected = format!("it comes back, and not before the {LATER:?} of Goodbye.reconnect_after_ms");
    let back = |record: &Record| record.streams.len() > 1 && record.is_caught_up();
    stage.until(Rule::ComeBack, &expected, back).await?;
    let waited = {
        let record = stage.relay.record();
        let record = record.borrow();
        let told = record.streams[0].told_to_go.map(|(_, at)| at);
        told.map(|told| record.streams[1].opened.saturating_duration_since(told)).unwrap_or_default()
    };
    stage.findings.check(Rule::ComeBack, &expected, waited + NEARLY >= LATER, format!("after {waited:.1?}"));
    Ok(())
}

pub(super) async fn half_open(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    stage.patience = stage.patience.max(NOTICED);
    stage.wire.hold();
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    let back = |record: &Record| is_answered_behind(record, 1, hook::SESSION_END);
    let expected = "it notices that nobody is there, comes back, and answers the end that it is owed";
    stage.until(Rule::Keepalive, expected, back).await
}

pub(super) async fn silence(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    let (attempts, pings) = (stage.wire.attempts(), stage.wire.pings());
    sleep(SILENCE).await;
    stage.fire(message("s", "{}")).await?;
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    stage.settled(hook::SESSION_END, 1).await?;
    let (again, sent) = (stage.wire.attempts() - attempts, stage.wire.pings() - pings);
    let expected = "it stays connected through 60 s of silence, and pings meanwhile";
    let seen = format!("{again} new connections, {sent} pings");
    stage.findings.check(Rule::Keepalive, expected, again == 0 && sent > 0, seen);
    Ok(())
}
