//! A plugin that asked to have every event kept gets every event, whoever is killed meanwhile.

use nix::sys::signal::Signal;

use crate::{
    account::Account,
    cast::{
        gateway::{self, Gateway},
        home::Home,
        tail::Tail,
    },
};

const KEEPS: [&str; 2] = ["--keep-all", "--follow"];

#[tokio::test]
async fn what_came_while_plugin_or_dispatcher_was_away_comes() {
    let home = Home::new();
    let daemon = home.serve(&["--gateway-grace", "1h"]).await;
    // What it settled might come again, where the dispatcher dies before that is on the disk: it settles nothing.
    let tail = Tail::start(&daemon, "keeper", &["--keep-all", "--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "heard")]).await;
    tail.until_named("heard").await;
    tail.signal(Signal::SIGKILL);
    tail.end().await;

    let brief =
        [gateway::start("t"), gateway::message("t", "in a life that is over"), gateway::end("t", "idle")];
    gateway.fire(&[&[gateway::message("s", "plugin away")], &brief[..]].concat()).await;
    daemon.until_subscriber("keeper", "backlog", |it| it.queued == 3).await;
    daemon.kill().await;
    gateway.fire(&[gateway::message("s", "dispatcher away")]).await;

    let daemon = home.serve(&["--gateway-grace", "1h"]).await;
    daemon.until_subscriber("keeper", "backlog", |it| it.queued == 4).await;
    let tail = Tail::start(&daemon, "keeper", &KEEPS).await;
    tail.until_named("dispatcher away").await;
    gateway.fire(&[gateway::message("s", "live"), gateway::end("s", "idle")]).await;
    tail.until_hook("session_end", 2).await;
    daemon.until_subscriber("keeper", "settlement", |it| it.open + it.queued + it.in_flight == 0).await;
    Home::close(daemon).await;
    let account = Account::of("keeper", &[tail.leave().await]);
    account.every_life_ended();
    let all = ["heard", "plugin away", "in a life that is over", "dispatcher away", "live"];
    assert_eq!(account.names(), all, "each once, in order");
    drop(gateway.end().await);
}
