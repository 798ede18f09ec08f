//! The dispatcher is upgraded under running gateways and plugins: no session ends, and nothing is lost.
//!
//! `HOOKWIRE_HANDOVERS` says how many there are under load.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    time::{Duration, Instant},
};

use hookwire_protocol::v1::GetStatusResponse;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::interval};

use crate::{
    account::Account,
    cast::{
        daemon::Daemon,
        gateway::{self, Gateway},
        home::Home,
        line,
        process::{Ended, Process},
        table::{Row, Table},
        tail::Tail,
    },
};

/// Handovers under load, unless somebody asks for more.
const HANDOVERS: usize = 3;

/// Plugins under load.
const PLUGINS: usize = 8;

/// Events that the gateway is handed a second.
const RATE: usize = 5_000;

/// Nobody is lost while they are away.
const PATIENT: [&str; 2] = ["--gateway-grace", "1h"];

/// In so many portions.
const PORTIONS: usize = 50;

/// Events from one session's start to the next one's.
const STRIDE: usize = 40;

/// Sessions that are open at the same time. Each lives longer than anybody is away: what begins and ends while a plugin
/// is away is none of its business.
const OPEN: usize = 1_500;

async fn hand_over(daemon: &Daemon) -> Ended {
    Process::run(&["handover", "--json", "--to", &daemon.address], &[]).await
}

/// Asserts that it made way in order.
async fn made_way(daemon: Daemon) -> Ended {
    let ended = daemon.end().await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.stdout.last().map(String::as_str), Some("{\"handed_over\":true}"));
    ended
}

#[tokio::test]
async fn a_session_goes_on() {
    for on_term in [false, true] {
        let home = Home::new();
        let flags: &[&str] = if on_term { &["--on-term", "handover"] } else { &[] };
        let daemon = home.serve(flags).await;
        let tail = Tail::start(&daemon, "tail", &[]).await; // it comes back without being told to follow
        let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
        gateway.fire(&[gateway::start("s"), gateway::message("s", "before")]).await;
        tail.until_named("before").await;
        if on_term {
            daemon.signal(Signal::SIGTERM);
        } else {
            let said = hand_over(&daemon).await;
            assert_eq!(said.code(), Some(0), "{said:#?}");
            let said = line::parse(&said.stdout[0]);
            assert_eq!((&said["live_sessions"], &said["ends_owed"]), (&1.into(), &0.into()));
            assert_eq!(said["ledger_id"], tail.messages("welcome")[0]["ledger_id"]);
        }
        made_way(daemon).await;
        tail.until_message("goodbye", 1).await;
        assert_eq!(tail.messages("goodbye")[0]["reason"], "handover");

        let daemon = home.serve(&[]).await;
        tail.until_message("caught_up", 2).await;
        gateway.fire(&[gateway::message("s", "after"), gateway::end("s", "idle")]).await;
        tail.until_hook("session_end", 1).await;
        let account = Account::of("tail", &[tail.lines()]);
        assert_eq!(account.names(), ["before", "after"]);
        assert_eq!(account.lives(), [("s".to_owned(), 1)].into());
        assert_eq!(tail.deliveries().last().unwrap().reason, "idle");
        assert_eq!(tail.messages("caught_up")[1]["replayed"], 0, "what was answered is settled");
        Home::close(daemon).await;
    }
}

#[tokio::test]
async fn what_is_in_memory_cannot_be_handed_over() {
    let daemon = Daemon::start(&[]).await;
    let said = hand_over(&daemon).await;
    said.expect(76, "the ledger is in memory, where no successor finds it");
    daemon.status().await;
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
    let refused = Process::run(&["serve", "--in-memory", "--on-term", "handover"], &[]).await;
    refused.expect(64, "what is in memory cannot be handed over");
}

/// Starts a daemon with a plugin that never answers.
async fn with_one_that_hangs(home: &Home, budget: &str) -> (Daemon, Tail, Gateway) {
    let daemon = home.serve(&["--on-term", "handover", "--drain-budget", budget]).await;
    let never = Tail::start(&daemon, "never", &["--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    never.until_hook("session_start", 1).await;
    (daemon, never, gateway)
}

/// Its successor delivers again what was not answered.
async fn is_delivered_again(home: &Home, never: &Tail) {
    let daemon = home.serve(&[]).await;
    never.until_message("caught_up", 2).await;
    let starts = never.deliveries();
    assert_eq!((starts.len(), starts[1].kind.as_str()), (2, "redelivered"));
    assert_eq!(starts[0].event_id, starts[1].event_id);
    daemon.kill().await;
}

#[tokio::test]
async fn a_plugin_that_hangs_is_waited_for_within_the_budget() {
    let home = Home::new();
    let (daemon, never, _gateway) = with_one_that_hangs(&home, "300ms").await;
    let began = Instant::now();
    daemon.signal(Signal::SIGTERM);
    made_way(daemon).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "it was not waited for");
    is_delivered_again(&home, &never).await;
}

#[tokio::test]
async fn a_second_signal_hurries_it() {
    let home = Home::new();
    let (daemon, never, _gateway) = with_one_that_hangs(&home, "10m").await;
    daemon.signal(Signal::SIGTERM);
    daemon.until_stderr("handing over").await;
    daemon.signal(Signal::SIGTERM);
    made_way(daemon).await; // far below ten minutes
    is_delivered_again(&home, &never).await;
}

/// Hands a gateway its events, at a steady rate as long as it reads them: how each session ended, if it did.
fn load(
    mut gateway: Gateway,
    stop: watch::Receiver<bool>,
) -> JoinHandle<(Gateway, usize, BTreeMap<String, bool>)> {
    tokio::spawn(async move {
        let mut tick = interval(Duration::from_secs(1) / PORTIONS as u32);
        let (mut fired, mut sessions) = (0, BTreeMap::new());
        while !*stop.borrow() {
            tick.tick().await;
            let portion: Vec<_> =
                (fired..fired + RATE / PORTIONS).map(|number| event(number, &mut sessions)).collect();
            gateway.fire(&portion).await;
            fired += portion.len();
        }
        (gateway, fired, sessions)
    })
}

/// Session after session begins, and ends once so many later ones have begun; all have messages meanwhile.
fn event(number: usize, sessions: &mut BTreeMap<String, bool>) -> Value {
    let (newest, step) = (number / STRIDE, number % STRIDE);
    let id = |session: usize| format!("s{session:06}");
    match (step, newest.checked_sub(OPEN)) {
        (0, _) => {
            sessions.insert(id(newest), false);
            gateway::start(&id(newest))
        }
        (1, Some(oldest)) => {
            sessions.insert(id(oldest), true);
            gateway::end(&id(oldest), "idle")
        }
        _ => gateway::message(&id(newest.saturating_sub(step)), "m"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolls_under_load() {
    let handovers = env::var("HOOKWIRE_HANDOVERS").map_or(HANDOVERS, |text| text.parse().unwrap());
    // In memory, where there is such a place: it is not how fast their disk is that is looked at.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    let (home, tables) = (Home::new(), tempfile::tempdir_in(place).unwrap());
    let mut daemon = home.serve(&PATIENT).await;
    let plugins: Vec<_> = (0..PLUGINS)
        .map(|number| Table::start(&daemon.address, &format!("table-{number}"), tables.path()))
        .collect();
    daemon.until("all plugins", everybody).await;
    let gateway = Gateway::start(&daemon, "gw", &["--drain", "never"]);
    let (stop, stopped) = watch::channel(false);
    let (began, loaded) = (Instant::now(), load(gateway, stopped));
    let mut gaps = Vec::new();
    for _ in 0..handovers {
        let published = daemon.counter("events_taken_in").await;
        daemon.until("load", |status| status.counters["events_taken_in"] > published + RATE as u64 / 2).await;
        let away = Instant::now();
        assert_eq!(hand_over(&daemon).await.code(), Some(0));
        made_way(daemon).await;
        daemon = home.serve(&PATIENT).await;
        let attached = |status: &GetStatusResponse| everybody(status) && status.gateways[0].streams == 1;
        daemon.until("everybody", attached).await;
        gaps.push(away.elapsed());
    }
    stop.send_replace(true);
    let (gateway, fired, sessions) = loaded.await.unwrap();
    assert_eq!(gateway.finish().await, (fired as u64, 0));
    let rate = fired as f64 / began.elapsed().as_secs_f64();
    let settled = |status: &GetStatusResponse| {
        let open = sessions.values().filter(|ended| !**ended).count() as u64;
        status.subscribers.iter().all(|it| (it.open, it.owed, it.in_flight) == (open, 0, 0))
    };
    daemon.until("settlement", settled).await;
    for plugin in plugins {
        let name = plugin.name.clone();
        is_as_published(&name, &plugin.leave().await, &sessions);
    }
    daemon.kill().await;
    let longest = gaps.iter().max().unwrap();
    println!(
        "{handovers} handovers, {fired} events, {rate:.0}/s, {} sessions; away {longest:?} at most",
        sessions.len()
    );
}

fn everybody(status: &GetStatusResponse) -> bool {
    status.subscribers.iter().filter(|it| it.connected).count() == PLUGINS
}

/// Each session is there once, and has ended where its gateway ended it, so, and nowhere else.
fn is_as_published(name: &str, rows: &[Row], sessions: &BTreeMap<String, bool>) {
    let row = |(id, ended): (&String, &bool)| Row {
        id: id.clone(),
        status: if *ended { "ended" } else { "active" }.to_owned(),
        reason: ended.then(|| "SESSION_END_REASON_IDLE".to_owned()),
    };
    let expected: Vec<_> = sessions.iter().map(row).collect();
    let differs = rows.iter().zip(&expected).find(|(row, expected)| row != expected);
    assert!(
        differs.is_none() && rows.len() == expected.len(),
        "{name}: {} of {}: {differs:?}",
        rows.len(),
        expected.len()
    );
}
