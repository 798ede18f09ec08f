//! A disk that breaks, or does not answer: whoever waits for it is told, and nobody is told that all is well.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hookwire::{config::Config, dispatcher::Dispatcher};
use hookwire_harness::{World, at_rest, events};
use hookwire_protocol::v1::{
    BootState, GatewayEvent, HandOverRequest, SessionEndReason, SessionStart,
    admin_service_client::AdminServiceClient, gateway_event::Payload,
};
use redb::{StorageBackend, backends::InMemoryBackend};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout},
};
use tonic::Code;

use crate::{BUDGET, ms};

/// How long a commit may take before it counts as failed.
const STUCK: Duration = Duration::from_secs(30);

/// A commit that never ends, as good as.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// Large sessions: more than the file of a journal that is left as it is holds.
const LARGE: usize = 20;

/// What everybody is told once the journal has failed.
const TOLD: &str = "the journal failed, and nothing is taken in until the dispatcher is restarted";

/// Breaks the disk.
#[derive(Clone, Debug)]
struct Hammer {
    /// How many times it still syncs.
    syncs: Arc<AtomicU64>,
}

impl Hammer {
    fn strike(&self) {
        self.strike_behind(0);
    }

    /// Breaks it once it has synced so many times more; a commit does once.
    fn strike_behind(&self, syncs: u64) {
        self.syncs.store(syncs, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.syncs.load(Ordering::Relaxed) == 0 { Err(io::Error::other("it is broken")) } else { Ok(()) }
    }
}

impl Default for Hammer {
    fn default() -> Self {
        Self { syncs: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

/// A disk in memory that can be broken.
#[derive(Debug, Default)]
struct Disk {
    bytes: InMemoryBackend,
    hammer: Hammer,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.hammer.check()?;
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.hammer.check()?;
        self.hammer.syncs.fetch_sub(1, Ordering::Relaxed);
        self.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.hammer.check()?;
        self.bytes.write(offset, data)
    }
}

/// A dispatcher with a journal whose commits take this long, and the hammer for its disk.
fn world(commit_takes: Duration) -> (World, Hammer) {
    let disk = Disk::default();
    let hammer = disk.hammer.clone();
    let dispatcher = Dispatcher::open_simulated(&Config::default(), disk, commit_takes);
    (World::around(dispatcher.expect("a new journal")), hammer)
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_stuck_has_failed() {
    let (world, _) = world(FOR_EVER);
    let began = Instant::now();
    let refused = world.plugin("audit").refused().await;
    assert_eq!((refused.code(), began.elapsed()), (Code::Unavailable, STUCK));
    assert!(refused.message().contains("the disk does not answer"), "{refused}");
    let refused = world.attach("gw").refused().await;
    assert_eq!((refused.code(), began.elapsed()), (Code::Unavailable, STUCK), "nobody waits for it again");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_slow_has_not() {
    let (world, _) = world(STUCK - ms(10));
    world.plugin("audit").caught_up().await;
}

/// Before the plugins are told, and behind that.
#[tokio::test(start_paused = true)]
async fn a_handover_that_the_journal_fails_is_not_told_as_done() {
    for budget in [BUDGET, Duration::ZERO] {
        let (world, hammer) = world(ms(500));
        let mut gateway = world.gateway("gw").await;
        gateway.start("s1").await;
        let dispatcher = world.dispatcher().clone();
        let handover = tokio::spawn(async move {
            let (_hurry, never) = watch::channel(false);
            dispatcher.handover_asked().await;
            dispatcher.hand_over(budget, never).await
        });
        at_rest().await; // somebody waits to be asked
        let (_link, channel) = world.link().await;
        let asked =
            tokio::spawn(async { AdminServiceClient::new(channel).hand_over(HandOverRequest {}).await });
        at_rest().await; // its commit is under way
        hammer.strike();
        let failure = handover.await.unwrap().expect_err("its journal has failed");
        assert!(failure.is_of_the_journal(), "{failure}");
        let answer = asked.await.unwrap().expect_err("its journal has failed");
        assert_eq!(answer.code(), Code::Unavailable);
        assert!(answer.message().starts_with(TOLD), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_last_frame_is_held_ends_all_the_same() {
    // Before the dispatcher has said its farewell, and behind that.
    for commit_takes in [ms(50), ms(500)] {
        let (world, hammer) = world(commit_takes);
        let mut plugin = world.plugin("audit").caught_up().await;
        let mut gateway = world.gateway("gw").await;
        let start = events::start(events::session("s1"));
        gateway.send(1, vec![start]).await;
        at_rest().await; // its commit is under way, and the Goodbye has to wait for it
        let (_hurry, never) = watch::channel(false);
        let handover = world.dispatcher().hand_over(Duration::ZERO, never);
        hammer.strike();
        assert!(handover.await.expect_err("its journal has failed").is_of_the_journal());
        assert!(plugin.expect_closed(Code::Unavailable).await.starts_with(TOLD));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lets_go_of_everything_is_not_told_that_it_has() {
    let (world, hammer) = world(ms(50));
    let mut plugin = world.plugin("audit").caught_up().await;
    plugin.leave(true).await;
    at_rest().await; // its commit is under way, and the Goodbye has to wait for it
    hammer.strike();
    assert!(plugin.expect_closed(Code::Unavailable).await.starts_with(TOLD));
}

#[tokio::test(start_paused = true)]
async fn a_gateways_stream_that_has_lost_its_place_ends_all_the_same() {
    let (world, hammer) = world(ms(50));
    let mut older = world.gateway("gw").await;
    older.send(1, vec![events::start(events::session("s1"))]).await;
    at_rest().await; // its commit is under way, and the Goodbye has to wait for it
    let strike = async {
        at_rest().await;
        hammer.strike();
    };
    let (refused, ()) = tokio::join!(world.attach("gw").refused(), strike);
    assert!(refused.message().starts_with(TOLD), "{refused}");
    assert!(older.expect_closed(Code::Unavailable).await.starts_with(TOLD));
}

/// A start that takes a lot of the journal.
fn large(session: usize) -> GatewayEvent {
    let session_file = "x".repeat(1 << 20);
    let start = SessionStart { session_file, ..Default::default() };
    let event = events::start(events::session(&format!("s{session}")));
    GatewayEvent { payload: Some(Payload::SessionStart(start)), ..event }
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_fails_is_told_at_once() {
    let (world, hammer) = world(ms(10));
    let mut plugin = world.plugin("audit").hooks(&["none"]).caught_up().await;
    let mut gateway = world.gateway("gw").await;
    for session in 0..LARGE {
        gateway.publish(large(session)).await;
    }
    let end = |session| events::end(events::session(&format!("s{session}")), SessionEndReason::Idle);
    let ends: Vec<_> = (0..LARGE).map(end).collect();
    hammer.strike_behind(1);
    gateway.publish_all(ends).await; // durable, and most of the file is free then
    assert!(plugin.expect_closed(Code::Unavailable).await.ends_with("it is broken"));
    assert!(gateway.expect_closed(Code::Unavailable).await.starts_with(TOLD));
}

#[tokio::test(start_paused = true)]
async fn who_goes_while_a_commit_hangs_leaves_nothing_behind() {
    let (world, _) = world(FOR_EVER);
    let tasks = || Handle::current().metrics().num_alive_tasks();
    world.status().await;
    at_rest().await;
    let before = tasks();
    for _ in 0..3 {
        // Their links break with them.
        timeout(ms(1), world.plugin("audit").connect()).await.expect_err("the Welcome waits for the disk");
        timeout(ms(1), world.attach("gw").attach()).await.expect_err("the Welcome waits for the disk");
    }
    let status = world.status().await;
    assert!(!status.subscribers[0].connected);
    assert_eq!((status.gateways[0].state(), status.gateways[0].streams), (BootState::Detached, 0));
    at_rest().await;
    assert_eq!(tasks(), before);
}
