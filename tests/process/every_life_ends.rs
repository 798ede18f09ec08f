//! Every session that a plugin saw start, it sees end: random schedules against all kinds of plugins.
//!
//! A failure prints its seed; `HOOKWIRE_SEED` plays that schedule again.

use std::time::Instant;

use hookwire_protocol::v1::SubscriberStatus;
use nix::sys::signal::Signal;

use crate::{
    account::Account,
    cast::{
        daemon::{Daemon, Row, Stopped},
        gateway::{self, Gateway},
        line::{deliveries, messages},
        tail::Tail,
    },
    schedule::{Schedule, seeds},
};

/// Schedules a run.
const SEEDS: usize = 3;

/// Firings between two happenings.
const FIRINGS: usize = 40;

/// The daemon's flags: nothing runs out of time, however slow the machine is.
const PATIENT: [&str; 4] = ["--drain-budget", "10m", "--gateway-grace", "1h"];

/// A subscriber's name, and the lines that its processes printed.
type Printed = (&'static str, Vec<Vec<String>>);

/// The plugins that are there from the start.
struct Company {
    prompt: Tail,
    slow: Tail,
    lifecycle: Tail,
    messages: Tail,
    never: Tail,
}

impl Company {
    async fn come(daemon: &Daemon) -> Self {
        Self {
            prompt: Tail::start(daemon, "prompt", &[]).await,
            slow: Tail::start(daemon, "slow", &["--ack", "delay:100ms"]).await,
            lifecycle: Tail::start(daemon, "lifecycle", &["--hook", "session_*"]).await,
            messages: Tail::start(daemon, "messages", &["--hook", "message_*"]).await,
            never: Tail::start(daemon, "never", &["--ack", "never"]).await,
        }
    }
}

#[tokio::test]
async fn when_the_dispatcher_stops() {
    for seed in seeds(SEEDS) {
        eprintln!("HOOKWIRE_SEED={seed}");
        stop_amid(Schedule::new(seed)).await;
    }
}

async fn stop_amid(mut schedule: Schedule) {
    let daemon = Daemon::start(&PATIENT).await;
    let company = Company::come(&daemon).await;
    let victim = Tail::start(&daemon, "killed", &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--drain", "never"]);

    let (before, after) = (schedule.fire(FIRINGS / 2), schedule.fire(FIRINGS / 2));
    gateway.fire(&[before, vec![gateway::mark("kill")], after].concat()).await;
    victim.until_named("kill").await;
    victim.signal(Signal::SIGKILL);
    let killed = victim.end().await.stdout;
    gateway.fire(&schedule.fire(FIRINGS)).await;
    gateway.fire(&[gateway::mark("half")]).await;
    company.prompt.until_named("half").await;
    let late = Tail::start(&daemon, "late", &[]).await;
    let announced = Tail::start(&daemon, "announced", &["--announce"]).await;
    let back = Tail::start(&daemon, "killed", &[]).await;
    gateway.fire(&schedule.fire(FIRINGS)).await;
    gateway.fire(&[gateway::mark("all")]).await;
    for tail in [&company.prompt, &company.slow, &company.never, &late, &announced, &back] {
        tail.until_named("all").await;
    }
    let (_, rejected) = gateway.finish().await;
    assert_eq!(rejected, 0);
    // The slow one's answers are on their way when the drain begins.
    for name in ["prompt", "lifecycle", "announced", "killed"] {
        settled(&daemon, name, schedule.open()).await;
    }
    for name in ["messages", "late"] {
        daemon.until_subscriber(name, "last answer", |it| it.owed + it.in_flight + it.queued == 0).await;
    }

    let signalled = Instant::now();
    daemon.signal(Signal::SIGTERM);
    let Company { prompt, slow, lifecycle, messages, never } = company;
    for tail in [&prompt, &slow, &lifecycle, &messages, &late, &announced, &back] {
        tail.until_message("drain_summary", 1).await;
    }
    daemon.signal(Signal::SIGTERM); // only the one that never answers is still waited for
    let stopped = daemon.stopped(signalled).await;
    assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");

    let ended = async |name, tail: Tail| {
        let ended = tail.end().await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        (name, vec![ended.stdout])
    };
    let from_start =
        [ended("prompt", prompt).await, ended("slow", slow).await, ended("lifecycle", lifecycle).await];
    let later = [ended("late", late).await, ended("announced", announced).await];
    let (messages, never) = (ended("messages", messages).await, ended("never", never).await);
    let killed = ("killed", vec![killed, back.end().await.stdout]);

    for printed in from_start.iter().chain(&later).chain([&killed, &messages]) {
        keeps_the_promise(printed, &stopped);
    }
    for (name, printed) in &from_start {
        let lives = Account::of(name, printed).lives();
        if *name == "slow" {
            // A start that it was not handed before the drain went together with its end.
            assert!(lives.iter().all(|(id, count)| *count <= schedule.lives()[id]), "{lives:?}");
        } else {
            assert_eq!(lives, *schedule.lives(), "{name}");
        }
    }
    never_ends(&never, &stopped, &schedule);
    sees_what_is_alive_when_it_comes(&later, &from_start[0]);
    assert_eq!(Account::of("messages", &messages.1).lives().len(), 0, "it did not ask for lives");
    let open = schedule.open() as u64;
    assert_eq!(stopped.number("sessions_ended"), open, "{}", stopped.report);
    assert_eq!(stopped.row("prompt").owed, open, "{}", stopped.report);
}

/// Waits until it has answered everything, and holds what is alive.
async fn settled(daemon: &Daemon, name: &str, open: usize) {
    let settled = |it: &SubscriberStatus| it.owed + it.in_flight + it.queued == 0 && it.open == open as u64;
    daemon.until_subscriber(name, "last answer", settled).await;
}

/// One start and one end for each life; the report's numbers are what it saw.
fn keeps_the_promise((name, printed): &Printed, stopped: &Stopped) {
    let account = Account::of(name, printed);
    account.every_life_ended();
    let row = stopped.row(name);
    row.adds_up();
    assert_eq!((row.acked, row.carried_over), (row.owed, 0), "{name}: {row:?}");
    let lines = printed.last().unwrap();
    assert_eq!(row, summary(lines), "{name}: what it was told is what was reported");
    let notice = lines.iter().position(|line| line.contains("{\"type\":\"drain_notice\"")).unwrap();
    let ends = deliveries(&lines[notice..]).iter().filter(|it| it.hook == "session_end").count() as u64;
    if *name == "slow" {
        assert!(ends <= row.owed, "{name}: {row:?}"); // some were in flight
    } else {
        assert_eq!(ends, row.owed, "{name}: {row:?}");
    }
    stop_is_last(name, lines);
}

/// The gateway_stop is last among the events of whoever wants it.
fn stop_is_last(name: &str, lines: &[String]) {
    let events = deliveries(lines);
    let stops = events.iter().filter(|event| event.hook == "gateway_stop").count();
    if ["lifecycle", "messages"].contains(&name) {
        assert_eq!(stops, 0, "{name} did not ask for it");
    } else {
        let last = events.last().unwrap();
        assert_eq!((stops, last.hook.as_str()), (1, "gateway_stop"), "{name}: {last:?}");
        assert!(last.synthetic, "the gateway sent none");
    }
}

/// An end waits for its start's settlement: all are carried over.
fn never_ends((name, printed): &Printed, stopped: &Stopped, schedule: &Schedule) {
    let account = Account::of(name, printed);
    assert_eq!(account.ended(), 0);
    let row = stopped.row(name);
    row.adds_up();
    let started = account.started().len() as u64;
    assert_eq!((row.owed, row.timed_out, row.carried_over), (started, started, started), "{row:?}");
    assert_eq!(row, summary(&printed[0]));
    // A life waits until the ends of those before it that have its id or key are written: here, for ever.
    let lives = account.lives();
    assert!(lives.values().all(|count| *count == 1), "{lives:?}");
    assert_eq!(lives.len(), schedule.lives().len(), "{lives:?}");
    stop_is_last(name, &printed[0]);
}

/// Announced: all that lived when it came. Not announced: only what started later.
fn sees_what_is_alive_when_it_comes([late, announced]: &[Printed; 2], prompt: &Printed) {
    let started = |(name, printed): &Printed| Account::of(name, printed).started();
    let (late_saw, announced_saw) = (started(late), started(announced));
    assert!(late_saw.is_subset(&announced_saw) && announced_saw.is_subset(&started(prompt)));
    let named = deliveries(&announced.1[0]).iter().filter(|it| it.kind == "announced").count();
    assert_eq!(announced_saw.len() - late_saw.len(), named, "{announced:?}");
}

fn summary(lines: &[String]) -> Row {
    let summaries = messages(lines, "drain_summary");
    let [only] = summaries.as_slice() else { panic!("not one summary: {summaries:?}") };
    serde_json::from_value(only.clone()).unwrap()
}

#[tokio::test]
async fn when_each_boot_is_drained_by_its_gateway() {
    for seed in seeds(SEEDS) {
        eprintln!("HOOKWIRE_SEED={seed}");
        drain_each_boot(Schedule::new(seed)).await;
    }
}

async fn drain_each_boot(mut schedule: Schedule) {
    let daemon = Daemon::start(&PATIENT).await;
    let prompt = Tail::start(&daemon, "prompt", &[]).await;
    let slow = Tail::start(&daemon, "slow", &["--ack", "delay:50ms"]).await;
    let accepting = Tail::start(&daemon, "accepting", &["--ack", "accept"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--drain", "auto"]);
    for text in ["gateway restarting", "gateway stopping"] {
        gateway.fire(&[gateway::gateway_start()]).await;
        gateway.fire(&schedule.fire(FIRINGS)).await;
        gateway.fire(&[gateway::mark(text)]).await;
        for (name, tail) in [("prompt", &prompt), ("accepting", &accepting)] {
            tail.until_named(text).await;
            settled(&daemon, name, schedule.open()).await;
        }
        gateway.fire(&[gateway::gateway_stop(text)]).await;
        schedule.next_boot();
    }
    let (_, rejected) = gateway.finish().await;
    assert_eq!(rejected, 0);
    let stopped = daemon.stop(Signal::SIGTERM).await;
    assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
    assert_eq!(stopped.number("sessions_ended"), 0, "both boots were over");

    for (name, tail) in [("prompt", prompt), ("slow", slow), ("accepting", accepting)] {
        let printed = vec![tail.end().await.stdout];
        let account = Account::of(name, &printed);
        account.every_life_ended();
        if name != "slow" {
            assert_eq!(account.lives(), *schedule.lives(), "{name}");
        }
        assert_eq!(account.stops().len(), 2, "{name}: one a boot");
        stops_say_why(name, &printed[0]);
        for summary in messages(&printed[0], "drain_summary") {
            let row: Row = serde_json::from_value(summary).unwrap();
            row.adds_up();
            assert_eq!(row.carried_over, 0, "{name}: {row:?}");
            assert_eq!(
                if name == "accepting" { row.accepted } else { row.acked },
                row.owed,
                "{name}: {row:?}"
            );
        }
    }
}

/// The ends of a drain have its reason, and so has the gateway's own gateway_stop.
fn stops_say_why(name: &str, lines: &[String]) {
    let mut drained = deliveries(lines).into_iter().filter(|it| it.hook == "gateway_stop" || it.synthetic);
    let reasons: Vec<_> =
        drained.by_ref().filter(|it| it.hook != "session_start").map(|it| it.reason).collect();
    let restarts = reasons.iter().take_while(|reason| *reason == "restart").count();
    assert!(restarts > 0 && restarts < reasons.len(), "{name}: {reasons:?}");
    assert!(reasons[restarts..].iter().all(|reason| reason == "shutdown"), "{name}: {reasons:?}");
}
