//! A plugin and a gateway that go on while others misbehave: nothing that is theirs is lost.

use nix::sys::signal::Signal;

use crate::{
    account::Account,
    cast::{
        daemon::Daemon,
        gateway::{self, Gateway},
        tail::Tail,
    },
};

/// The two of them, with an open session.
pub(crate) struct Witness {
    tail: Tail,
    gateway: Gateway,
}

impl Witness {
    /// Attaches both.
    pub(crate) async fn call(daemon: &Daemon) -> Self {
        let tail = Tail::start(daemon, "witness", &[]).await;
        let mut gateway = Gateway::start(daemon, "steady", &["--drain", "never", "--hold"]);
        gateway.fire(&[gateway::start("steady"), gateway::message("steady", "before")]).await;
        tail.until_named("before").await;
        Self { tail, gateway }
    }

    /// Plays on to the dispatcher's stop: both are on their first streams, and everything has come.
    pub(crate) async fn goes_on(mut self, daemon: Daemon) {
        self.gateway.fire(&[gateway::message("steady", "after"), gateway::start("next")]).await;
        self.gateway.fire(&[gateway::mark("last")]).await;
        self.tail.until_named("last").await;
        let status = daemon.status().await;
        assert!(status.gateways.iter().any(|it| it.id == "steady" && it.streams == 1), "{status:#?}");
        self.gateway.signal(Signal::SIGTERM);
        assert_eq!(self.gateway.end().await.code(), Some(0));
        let stopped = daemon.stop(Signal::SIGTERM).await;
        assert_eq!(stopped.ended.code(), Some(0), "{stopped:#?}");
        let ended = self.tail.end().await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        let welcomes = ended.stdout.iter().filter(|line| line.contains("{\"type\":\"welcome\"")).count();
        assert_eq!(welcomes, 1, "its stream broke: {ended:#?}");
        let account = Account::of("witness", &[ended.stdout]);
        account.every_life_ended();
        let own = |name: &&String| ["before", "after", "last"].contains(&name.as_str());
        assert_eq!(account.names().iter().filter(own).collect::<Vec<_>>(), ["before", "after", "last"]);
        assert!(["steady", "next"].iter().all(|id| account.lives()[*id] == 1), "{account:?}");
    }
}
