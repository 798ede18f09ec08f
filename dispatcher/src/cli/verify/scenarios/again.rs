//! The same comes again, or never.

use hookwire_protocol::{hook, v1::SessionEndReason};

use super::is_answered_behind;
use crate::cli::verify::{
    effects::Line,
    record::Record,
    relay::Lies,
    rule::Rule,
    stage::{Halt, Stage, end, start},
};

/// Answers do not get through.
const DEAF: Lies = Lies { swallow_acks: true, strange_enums: false };

pub(super) async fn redelivery(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    stage.relay.lie(DEAF);
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    stage.settled(hook::SESSION_END, 1).await?;
    stage.wire.cut();
    stage.relay.lie(Lies::default());
    let expected = "the end that comes again is answered again";
    let seen = |record: &Record| {
        record.came_again(hook::SESSION_END) && is_answered_behind(record, 1, hook::SESSION_END)
    };
    stage.until(Rule::Acknowledge, expected, seen).await?;
    once(stage, 1);
    Ok(())
}

pub(super) async fn killed(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    for (number, id) in ["before it could answer", "behind its answer"].into_iter().enumerate() {
        stage.fire(start(id)).await?;
        stage.settled(hook::SESSION_START, number + 1).await?;
        stage.relay.lie(DEAF);
        stage.fire(end(id, SessionEndReason::Idle)).await?;
        let handed = move |record: &Record| {
            let (handed, answered) = record.of_hook(hook::SESSION_END);
            if number == 0 { handed == 1 } else { answered == 2 }
        };
        stage.until(Rule::Acknowledge, "an end is handed over, and answered", handed).await?;
        stage.kill().await;
        let streams = stage.relay.record().borrow().streams.len();
        stage.relay.lie(Lies::default());
        stage.enter().await?;
        let answered = move |record: &Record| is_answered_behind(record, streams, hook::SESSION_END);
        stage
            .until(Rule::Acknowledge, "started again, it answers the end that comes again", answered)
            .await?;
    }
    once(stage, 2);
    Ok(())
}

/// So many ends took effect, each once.
fn once(stage: &mut Stage, count: usize) {
    let ends = stage.effects().map(|it| it.applied_of(hook::SESSION_END));
    let seen = ends.map(|ends| (ends == count, format!("{ends} times")));
    stage.findings.check_effects(Rule::Once, &format!("{count} ends take effect, each once"), seen);
}

pub(super) async fn sweep(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.settled(hook::SESSION_START, 1).await?;
    stage.replace_dispatcher().await?;
    let back = |record: &Record| record.streams.len() > 1 && record.is_caught_up();
    stage.until(Rule::ComeBack, "it comes back, to a dispatcher with another ledger", back).await?;
    let expected = "it closes the row that is owed no end any more";
    let opened = stage.effects().and_then(|it| it.lines().find(|line| line.changed).cloned());
    let Some(opened) = opened else {
        stage.findings.check_effects(Rule::Sweep, expected, None);
        return Ok(());
    };
    let is_it = |line: &Line| line.swept == Some(opened.incarnation) && line.ledger_id == opened.ledger_id;
    let ok = stage.eventually(|| stage.effects().is_some_and(|it| it.lines().any(is_it))).await;
    let seen = match ok {
        true => "swept".to_owned(),
        false => format!("the row of the older ledger is open; {}", stage.plugin().standing()),
    };
    stage.findings.check(Rule::Sweep, expected, ok, seen);
    Ok(())
}
