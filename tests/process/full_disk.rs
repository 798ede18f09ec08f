//! A full disk: the dispatcher says so and takes nothing in any more; nothing that had a receipt is lost.

use hookwire_protocol::v1::GetStatusResponse;
use nix::sys::signal::Signal;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    account::Account,
    cast::{
        daemon::Daemon,
        disk::Disk,
        peer::{Emitter, Plugin, Say, hello, says},
        process::{Process, eventually},
        publisher::{self, Publisher},
        tail::Tail,
    },
};

/// Sessions: more than fit into a journal that cannot grow.
const SESSIONS: usize = 20_000;

/// What everybody is told then.
const TOLD: &str = "the journal failed, and nothing is taken in until the dispatcher is restarted";

async fn serve(disk: &Disk, address: &str) -> Daemon {
    let data = disk.directory();
    let serve = ["serve", "--data-dir", data.to_str().unwrap(), "--listen", address, "--gateway-grace", "1h"];
    Daemon::of(Process::start(&serve, &[])).await
}

/// Publishes more than the disk holds.
async fn fill(disk: &Disk, publisher: &mut Publisher, daemon: &Daemon) {
    disk.fill();
    (0..SESSIONS).for_each(|number| publisher.fire(publisher::start(&format!("s{number}"))));
    daemon.until_stderr("the journal failed: nothing is taken in until a restart").await;
}

async fn readiness(daemon: &Daemon) -> ServingStatus {
    let mut health = HealthClient::new(daemon.address().connect().await.unwrap());
    health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn nothing_that_was_receipted_is_lost() {
    let Some(disk) = Disk::small().await else {
        return eprintln!("LEFT OUT: the system lets nobody like us mount a small disk");
    };
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("s").display());
    let daemon = serve(&disk, &address).await;
    let tail = Tail::start(&daemon, "tail", &["--follow"]).await;
    let mut publisher = Publisher::start(daemon.address(), "gw", "b");
    publisher.fire(publisher::start("first"));
    publisher.settle().await;
    let (mut other, _) = Emitter::attach(&daemon.address()).await;
    let plugin = Plugin::subscribe(&daemon.address(), hello("other")).await;
    assert_eq!(readiness(&daemon).await, ServingStatus::Serving);

    fill(&disk, &mut publisher, &daemon).await;
    says(&other.next().await.unwrap_err(), Code::Unavailable, TOLD);
    says(&plugin.end().await, Code::Unavailable, TOLD);
    let refused = Plugin::open(&daemon.address(), Some(Say::Hello(hello("another")))).await.end().await;
    says(&refused, Code::Unavailable, "No space left on device");
    let not_ready = async || {
        let now = readiness(&daemon).await;
        if now == ServingStatus::NotServing { Ok(()) } else { Err(format!("{now:?}")) }
    };
    eventually("readiness off", not_ready).await;
    let failure = daemon.status().await.journal_failure;
    assert!(failure.contains("the journal failed"), "{failure:?}");
    daemon.signal(Signal::SIGTERM);
    daemon.end().await.expect(74, TOLD);

    disk.clear();
    let daemon = serve(&disk, &address).await;
    publisher.settle().await; // it goes on from what the welcome says, which is not before any receipt
    let all = |status: &GetStatusResponse| status.live_sessions == 1 + SESSIONS as u64;
    daemon.until("all sessions", all).await;
    let settled = |it: &hookwire_protocol::v1::SubscriberStatus| {
        it.connected && it.open == 1 + SESSIONS as u64 && it.in_flight == 0
    };
    daemon.until_subscriber("tail", "all sessions", settled).await;
    daemon.kill().await;
    let lives = Account::of("tail", &[tail.leave().await]).lives();
    assert!(lives.len() == 1 + SESSIONS && lives.values().all(|count| *count == 1), "{}", lives.len());
}

#[tokio::test]
async fn a_handover_is_not_told_as_done() {
    let Some(disk) = Disk::small().await else {
        return eprintln!("LEFT OUT: the system lets nobody like us mount a small disk");
    };
    let daemon = serve(&disk, "127.0.0.1:0").await;
    fill(&disk, &mut Publisher::start(daemon.address(), "gw", "b"), &daemon).await;
    let handover = Process::run(&["handover", "--to", &daemon.address], &[]).await;
    handover.expect(69, TOLD);
    assert!(handover.stdout.is_empty(), "{handover:#?}");
    let ended = daemon.end().await;
    ended.expect(74, TOLD);
    assert_eq!(ended.stdout.len(), 1, "nothing but where it listens: {ended:#?}");
}
