//! The drain ends within its budget and the process soon after, whatever its peers do or do not do.
//!
//! The bounds here are generous; what it really takes is in `docs/drain-figures.md`, see [`crate::figures`].

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use crate::cast::{
    daemon::{Daemon, Stopped},
    gateway::{self, Gateway},
    peer::{Hear, Plugin, hello},
    stranger::{self, PREFACE, SETTINGS},
    tail::Tail,
};

/// How long a drain waits.
pub(crate) const BUDGET: Duration = Duration::from_secs(1);

/// What a slow machine may take beyond the budget.
const GENEROUS: Duration = Duration::from_secs(5);

/// Sessions that are open when the dispatcher stops.
const SESSIONS: u64 = 50;

/// More than what transports hold for one that does not read: events, and bytes of each.
const FLOOD: (usize, usize) = (1500, 4 << 10);

/// Somebody who could hold the process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// Nobody: a plugin that answers at once.
    Prompt,
    NeverAcks,
    Stopped,
    DoesNotRead,
    SilentSockets,
    HalfPrefaces,
    IgnoresGoawayPing,
    HelloOnly,
}

impl Peer {
    /// All of them, as the figures name them.
    pub(crate) const ALL: [(Self, &str); 8] = [
        (Self::Prompt, "all acknowledge"),
        (Self::NeverAcks, "one never acknowledges"),
        (Self::Stopped, "one is stopped with SIGSTOP"),
        (Self::DoesNotRead, "one does not read"),
        (Self::SilentSockets, "50 silent TCP connections"),
        (Self::HalfPrefaces, "20 sent half an HTTP/2 preface"),
        (Self::IgnoresGoawayPing, "one ignores the GOAWAY ping"),
        (Self::HelloOnly, "one says Hello and nothing else"),
    ];

    /// Whether it leaves ends unsettled, so that the whole budget is spent.
    pub(crate) fn owes(self) -> bool {
        matches!(self, Self::NeverAcks | Self::Stopped | Self::DoesNotRead | Self::HelloOnly)
    }
}

/// Whoever is held until the process is gone.
#[expect(dead_code, reason = "they are there to be there")]
enum Held {
    Nobody,
    Tail(Tail),
    Plugin(Plugin),
    Sockets(Vec<TcpStream>),
}

/// Stops a dispatcher that has this peer, a prompt plugin, and open sessions.
pub(crate) async fn stop_with(peer: Peer) -> Stopped {
    // Nobody is given up before the drain, however slow the machine is.
    let flags = ["--drain-budget", "1s", "--gateway-grace", "1h", "--keepalive", "10m"];
    let daemon = Daemon::start_with(&[("HOOKWIRE_FIRST_BYTE_TIMEOUT", "10m")], &flags).await;
    let prompt = Tail::start(&daemon, "prompt", &[]).await;
    let mut held = before_the_events(&daemon, peer).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--drain", "never"]);
    let ids: Vec<_> = (0..SESSIONS).map(|number| format!("s{number}")).collect();
    gateway.fire(&ids.iter().map(|id| gateway::start(id)).collect::<Vec<_>>()).await;
    if matches!(peer, Peer::DoesNotRead | Peer::Stopped) {
        prompt.until_hook("session_start", ids.len()).await;
        let text = "x".repeat(FLOOD.1);
        gateway.fire(&vec![gateway::message("s0", &text); FLOOD.0]).await;
    }
    gateway.fire(&[gateway::mark("all")]).await;
    prompt.until_named("all").await;
    assert_eq!(gateway.finish().await.1, 0);
    if let Held::Sockets(sockets) = &mut held {
        *sockets = strangers(&daemon, peer).await;
    }
    daemon.until_subscriber("prompt", "last answer", |it| it.in_flight + it.queued == 0).await;
    let began = Instant::now();
    daemon.signal(Signal::SIGTERM);
    let stopped = daemon.stopped(began).await;
    drop(held);
    stopped
}

/// Who has to be there when the sessions start.
async fn before_the_events(daemon: &Daemon, peer: Peer) -> Held {
    match peer {
        Peer::Prompt => Held::Nobody,
        Peer::NeverAcks => Held::Tail(Tail::start(daemon, "peer", &["--ack", "never"]).await),
        Peer::Stopped => {
            let tail = Tail::start(daemon, "peer", &[]).await;
            tail.signal(Signal::SIGSTOP);
            Held::Tail(tail)
        }
        // What it says after its Hello is nothing; whether it reads makes the difference.
        Peer::DoesNotRead => Held::Plugin(Plugin::subscribe(&daemon.address(), hello("peer")).await),
        Peer::HelloOnly => {
            let mut plugin = Plugin::subscribe(&daemon.address(), hello("peer")).await;
            let reader = tokio::spawn(async move { while plugin.next().await.is_ok() {} });
            drop(reader); // it goes on reading
            Held::Nobody
        }
        Peer::SilentSockets | Peer::HalfPrefaces | Peer::IgnoresGoawayPing => Held::Sockets(Vec::new()),
    }
}

/// Those who have no part in the events.
async fn strangers(daemon: &Daemon, peer: Peer) -> Vec<TcpStream> {
    match peer {
        Peer::SilentSockets => stranger::crowd(daemon, 50, b"").await,
        Peer::HalfPrefaces => stranger::crowd(daemon, 20, &PREFACE[..PREFACE.len() / 2]).await,
        _ => stranger::crowd(daemon, 1, &[PREFACE, SETTINGS].concat()).await,
    }
}

async fn is_bounded(peer: Peer) {
    let stopped = stop_with(peer).await;
    assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
    let elapsed = Duration::from_millis(stopped.number("elapsed_ms"));
    assert!(elapsed < BUDGET + GENEROUS, "the drain took {elapsed:?}");
    assert!(stopped.took < BUDGET + GENEROUS, "the process took {:?}", stopped.took);
    assert_eq!(stopped.number("sessions_ended"), SESSIONS);
    let prompt = stopped.row("prompt");
    prompt.adds_up();
    assert_eq!(prompt.owed, SESSIONS);
    if peer.owes() {
        assert!(elapsed >= BUDGET, "it was not waited for: {stopped:#?}");
        let row = stopped.row("peer");
        row.adds_up();
        assert_eq!((row.owed, row.timed_out), (SESSIONS, SESSIONS), "{row:?}");
    }
}

#[tokio::test]
async fn with_a_plugin_that_answers() {
    is_bounded(Peer::Prompt).await;
}

#[tokio::test]
async fn with_a_plugin_that_never_acknowledges() {
    is_bounded(Peer::NeverAcks).await;
}

#[tokio::test]
async fn with_a_stopped_process() {
    is_bounded(Peer::Stopped).await;
}

#[tokio::test]
async fn with_a_plugin_that_does_not_read() {
    is_bounded(Peer::DoesNotRead).await;
}

#[tokio::test]
async fn with_silent_connections() {
    is_bounded(Peer::SilentSockets).await;
}

#[tokio::test]
async fn with_half_prefaces() {
    is_bounded(Peer::HalfPrefaces).await;
}

#[tokio::test]
async fn with_a_peer_that_ignores_the_goaway_ping() {
    is_bounded(Peer::IgnoresGoawayPing).await;
}

#[tokio::test]
async fn with_a_plugin_that_says_hello_and_nothing_else() {
    is_bounded(Peer::HelloOnly).await;
}

#[tokio::test]
async fn a_second_signal_cuts_the_budget() {
    let daemon = Daemon::start(&["--drain-budget", "10m"]).await;
    let mut never = Plugin::subscribe(&daemon.address(), hello("never")).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s")]).await;
    never.until("a start", |message| matches!(message, Hear::Events(_))).await;
    let began = Instant::now();
    daemon.signal(Signal::SIGTERM);
    never.until("the drain", |message| matches!(message, Hear::DrainNotice(_))).await;
    daemon.signal(Signal::SIGTERM);
    let stopped = daemon.stopped(began).await;
    assert_eq!(stopped.ended.code(), Some(0));
    assert_eq!((stopped.row("never").timed_out, stopped.number("budget_ms")), (1, 600_000));
    // Far below ten minutes, without a word on how fast this machine is.
    assert!(stopped.took < Duration::from_secs(60), "{:?}", stopped.took);
}
