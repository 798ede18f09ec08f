//! What a plugin is put through. Each has a dispatcher and a plugin process to itself.

mod again;
mod away;
mod leave;
mod life;

use std::{future::Future, pin::Pin};

use super::{
    record::{Record, Stream},
    rule::Rule,
    stage::{Halt, Stage},
};

/// One scenario on its way.
pub(super) type Play<'a> = Pin<Box<dyn Future<Output = Result<(), Halt>> + Send + 'a>>;

/// What a scenario is.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// It mostly waits: it runs beside the others.
    pub(super) waits: bool,
    pub(super) play: for<'a> fn(&'a mut Stage) -> Play<'a>,
}

/// All of them, those that wait longest first.
pub(super) const ALL: [Scenario; 16] = [
    Scenario {
        name: "silence",
        about: "60 s in which nothing happens",
        waits: true,
        play: |it| Box::pin(away::silence(it)),
    },
    Scenario {
        name: "half-open",
        about: "a connection that dies without a word",
        waits: true,
        play: |it| Box::pin(away::half_open(it)),
    },
    Scenario {
        name: "gone",
        about: "the dispatcher is gone for 3 s, and back",
        waits: true,
        play: |it| Box::pin(away::gone(it)),
    },
    Scenario {
        name: "goodbye",
        about: "a Goodbye that says when to come back",
        waits: true,
        play: |it| Box::pin(away::goodbye(it)),
    },
    Scenario {
        name: "displaced",
        about: "a second instance takes the name",
        waits: true,
        play: |it| Box::pin(leave::displaced(it)),
    },
    Scenario {
        name: "life",
        about: "a session, from start to end",
        waits: false,
        play: |it| Box::pin(life::life(it)),
    },
    Scenario {
        name: "burst",
        about: "10,000 events at once",
        waits: false,
        play: |it| Box::pin(life::burst(it)),
    },
    Scenario {
        name: "reset",
        about: "a reset that keeps the session's id",
        waits: false,
        play: |it| Box::pin(life::reset(it)),
    },
    Scenario {
        name: "unknown",
        about: "hooks, messages and enum values that nobody knows",
        waits: false,
        play: |it| Box::pin(life::unknown(it)),
    },
    Scenario {
        name: "large",
        about: "a payload of 1 MiB",
        waits: false,
        play: |it| Box::pin(life::large(it)),
    },
    Scenario {
        name: "redelivery",
        about: "an end comes again that was applied",
        waits: false,
        play: |it| Box::pin(again::redelivery(it)),
    },
    Scenario {
        name: "killed",
        about: "kill -9 between a delivery and its answer",
        waits: false,
        play: |it| Box::pin(again::killed(it)),
    },
    Scenario {
        name: "sweep",
        about: "a dispatcher that remembers nothing",
        waits: false,
        play: |it| Box::pin(again::sweep(it)),
    },
    Scenario {
        name: "drain-2s",
        about: "a drain with 2 s",
        waits: false,
        play: |it| Box::pin(leave::drain_long(it)),
    },
    Scenario {
        name: "drain-200ms",
        about: "a drain with 200 ms",
        waits: false,
        play: |it| Box::pin(leave::drain_short(it)),
    },
    Scenario {
        name: "sigterm",
        about: "SIGTERM in the middle of a burst",
        waits: false,
        play: |it| Box::pin(leave::sigterm(it)),
    },
];

const FAULTY: &str = "lines of the effect log cannot be read";

/// What holds in each scenario, whatever happens in it.
pub(super) fn hold_throughout(stage: &mut Stage) {
    let log = stage.log();
    let record = stage.relay.record();
    let record = record.borrow();
    let declined = record.declined();
    let answered = "every answer is OK or ACCEPTED, and of an event that was handed over";
    let invented = record.streams.iter().filter(|stream| stream.invented).count();
    let seen =
        format!("{declined} RETRY or REJECT, {invented} streams on which more was answered than handed over");
    stage.findings.check(Rule::Acknowledge, answered, declined + invented == 0, seen);

    let readable = match &log {
        Ok(effects) => effects.as_ref().map(|_| listed(&[""; 0], FAULTY)),
        Err(faulty) => Some(listed(&faulty.0, FAULTY)),
    };
    let expected = "each line of the effect log is JSON, with all of its keys";
    stage.findings.check_effects(Rule::Persist, expected, readable);
    let effects = log.ok().flatten();
    let quoted = effects.as_ref().map(|it| {
        listed(&it.misquoted(&record), "have another life or place in the log, or were not handed over")
    });
    let expected = "the effect log has each event's incarnation and session_seq as they were handed over";
    stage.findings.check_effects(Rule::Persist, expected, quoted);
    let early = effects
        .as_ref()
        .map(|it| listed(&it.answered_early(&record), "were answered before they took effect"));
    stage.findings.check_effects(Rule::Persist, "every effect is there before its answer", early);
    let order =
        effects.as_ref().map(|it| listed(&it.out_of_order(), "lives were not handled in their order"));
    stage.findings.check_effects(
        Rule::Order,
        "the events of a life in the order of their session_seq",
        order,
    );
    let twice = effects.as_ref().map(|it| listed(&it.applied().1, "events took effect more than once"));
    stage.findings.check_effects(Rule::Once, "no event takes effect twice", twice);
}

/// Good where there are none; otherwise the first of them.
fn listed(found: &[impl ToString], what: &str) -> (bool, String) {
    let first = found.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let seen =
        if found.is_empty() { format!("0 {what}") } else { format!("{} {what}: {first}", found.len()) };
    (found.is_empty(), seen)
}

/// Whether this hook was handed over on this stream, and answered there.
fn is_answered_on(stream: Option<&Stream>, hook: &str) -> bool {
    stream.is_some_and(|stream| stream.dealt().any(|(it, answer)| it.hook == hook && answer.is_some()))
}

/// Whether this hook was answered on a stream later than the first so many.
fn is_answered_behind(record: &Record, streams: usize, hook: &str) -> bool {
    record.streams.iter().skip(streams).any(|stream| is_answered_on(Some(stream), hook))
}
