//! Nothing goes wrong: it is only much, large, or strange.

use hookwire_protocol::{
    hook,
    v1::{Gap, SessionEndReason, gateway_event::Payload, subscribe_response::Message as Told},
};

use crate::cli::verify::{
    relay::Lies,
    rule::Rule,
    stage::{Halt, Stage, end, message, of_session, start},
};

/// Sessions, and events of all of them together, of a burst.
const SESSIONS: usize = 100;
const EVENTS: usize = 10_000;

pub(super) async fn life(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    for n in 1..=3 {
        stage.fire(message("s", &format!(r#"{{"n":{n}}}"#))).await?;
    }
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    stage.settled(hook::SESSION_END, 1).await?;
    let applied = stage.effects().map(|it| {
        let (starts, ends) = (it.applied_of(hook::SESSION_START), it.applied_of(hook::SESSION_END));
        ((starts, ends) == (1, 1), format!("{starts} starts and {ends} ends took effect"))
    });
    stage.findings.check_effects(Rule::Once, "one start and one end take effect", applied);
    Ok(())
}

pub(super) async fn burst(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    for session in 0..SESSIONS {
        stage.fire(start(&session.to_string())).await?;
    }
    let mut receipt = None;
    for event in 0..EVENTS {
        receipt =
            Some(stage.fire_fast(message(&(event % SESSIONS).to_string(), &format!(r#"{{"n":{event}}}"#))));
    }
    if let Some(last) = receipt {
        last.await?;
    }
    for session in 0..SESSIONS {
        stage.fire(end(&session.to_string(), SessionEndReason::Idle)).await?;
    }
    stage.settled(hook::SESSION_END, SESSIONS).await?;
    let ends = stage.effects().map(|it| it.applied_of(hook::SESSION_END));
    let ends = ends.map(|ends| (ends == SESSIONS, format!("{ends} ends took effect")));
    stage.findings.check_effects(Rule::Once, "all 100 ends take effect", ends);
    Ok(())
}

pub(super) async fn reset(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.fire(message("s", "{}")).await?;
    stage.fire(end("s", SessionEndReason::Reset)).await?;
    stage.fire(start("s")).await?;
    stage.fire(message("s", "{}")).await?;
    stage.settled(hook::SESSION_START, 2).await?;
    let lives = stage.effects().map(|it| {
        let of = |hook: &str| -> Vec<u64> {
            it.lines().filter(|line| line.hook == hook && line.changed).map(|line| line.incarnation).collect()
        };
        let (starts, ends) = (of(hook::SESSION_START), of(hook::SESSION_END));
        let ok = starts.len() == 2 && starts[0] < starts[1] && ends == starts[..1];
        (ok, format!("lives {starts:?} began, {ends:?} ended"))
    });
    stage.findings.check_effects(
        Rule::Once,
        "two lives of one id: the first ends, the second goes on",
        lives,
    );
    Ok(())
}

pub(super) async fn unknown(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.relay.lie(Lies { strange_enums: true, ..Default::default() });
    stage.relay.say(None);
    stage.relay.say(Some(Told::Gap(Gap { count: 1, bytes: 1, cause: i32::MAX })));
    stage.fire(start("s")).await?;
    stage.fire(of_session("s", "hook_of_tomorrow", Some(Payload::Json("{}".into())))).await?;
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    let expected = "it answers all of it, and what comes behind, on the same stream";
    stage.until(Rule::Unknown, expected, |record| record.of_hook(hook::SESSION_END).1 == 1).await?;
    stage.relay.lie(Lies::default());
    stage.fire(start("t")).await?;
    stage.fire(end("t", SessionEndReason::Idle)).await?;
    stage.until(Rule::Unknown, expected, |record| record.of_hook(hook::SESSION_END).1 == 2).await?;
    let streams = stage.relay.record().borrow().streams.len();
    stage.findings.check(
        Rule::Unknown,
        expected,
        streams == 1,
        format!("{streams} streams; {}", stage.plugin().standing()),
    );
    Ok(())
}

pub(super) async fn large(stage: &mut Stage) -> Result<(), Halt> {
    stage.enter().await?;
    stage.fire(start("s")).await?;
    stage.fire(message("s", &format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20)))).await?;
    stage.fire(end("s", SessionEndReason::Idle)).await?;
    let expected = "it answers an event of 1 MiB, on the same stream";
    stage.until(Rule::Size, expected, |record| record.of_hook(hook::SESSION_END).1 == 1).await?;
    let streams = stage.relay.record().borrow().streams.len();
    stage.findings.check(Rule::Size, expected, streams == 1, format!("{streams} streams"));
    Ok(())
}
