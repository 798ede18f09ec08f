//! The dispatcher's process: it serves until it is killed, told to stop, or told to hand over.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use hookwire::{config::Config, dispatcher::Dispatcher};
use hookwire_protocol::v1::StopReason;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

use crate::{dice::Dice, disk::Disk, network};

/// A gateway that is away for longer is lost.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// How the process is told to end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every session ends.
    Stop { restart: bool, budget: Duration },
    /// None does: another process goes on.
    HandOver { budget: Duration },
}

impl Exit {
    /// How long it may take.
    pub(crate) fn budget(self) -> Duration {
        match self {
            Self::Stop { budget, .. } | Self::HandOver { budget } => budget,
        }
    }
}

/// The dispatcher over all its processes.
#[derive(Debug, Default)]
pub(crate) struct Daemon {
    /// `None`: its ledger is in memory.
    disk: Option<Disk>,
    /// How long its disk takes for a commit.
    commit_takes: Duration,
    /// The present process's runtime.
    runtime: RefCell<Option<Handle>>,
    exit: Cell<Option<Exit>>,
    told: Notify,
    /// The present process has ended by itself.
    gone: Cell<bool>,
}

impl Daemon {
    pub(crate) fn new(disk: Option<Disk>, commit_takes: Duration) -> Rc<Self> {
        Rc::new(Self { disk, commit_takes, ..Self::default() })
    }

    /// One process.
    ///
    /// # Errors
    /// Its journal cannot be opened.
    pub(crate) async fn run(self: Rc<Self>) -> turmoil::Result {
        self.runtime.replace(Some(Handle::current()));
        self.gone.set(false);
        let dispatcher = match &self.disk {
            Some(disk) => Dispatcher::open_simulated(&config(), disk.mount(), self.commit_takes)?,
            None => Dispatcher::start(&config()),
        };
        tokio::select! {
            biased; // who exits accepts nobody
            () = self.told.notified() => {}
            served = network::serve(&dispatcher) => return served,
        }
        if let Some(exit) = self.exit.take() {
            leave(&dispatcher, exit).await?;
        }
        self.gone.set(true);
        // What is left of it goes with its host.
        std::future::pending().await
    }

    pub(crate) fn tell(&self, exit: Exit) {
        self.exit.set(Some(exit));
        self.told.notify_waiters();
    }

    /// Whether it has ended by itself, said once.
    pub(crate) fn has_gone(&self) -> bool {
        self.gone.take()
    }

    /// Its power is gone.
    pub(crate) fn crash(&self, dice: &mut Dice) {
        self.gone.set(false);
        self.exit.set(None);
        if let Some(disk) = &self.disk {
            disk.crash(dice);
        }
    }

    /// Tasks that the present process has.
    pub(crate) fn tasks(&self) -> usize {
        self.runtime.borrow().as_ref().map_or(0, |runtime| runtime.metrics().num_alive_tasks())
    }
}

async fn leave(dispatcher: &Dispatcher, exit: Exit) -> turmoil::Result {
    let (_hurry, never) = watch::channel(false);
    match exit {
        Exit::Stop { restart, budget } => {
            let reason = if restart { StopReason::Restart } else { StopReason::Shutdown };
            dispatcher.stop(reason, budget, never).await?;
        }
        Exit::HandOver { budget } => dispatcher.hand_over(budget, never).await?,
    }
    Ok(())
}

fn config() -> Config {
    Config {
        gateway_grace: GRACE,
        ack_timeout: Duration::from_secs(1),
        hello_timeout: Duration::from_secs(1),
        retry_after: Duration::from_millis(200),
        queue_events: 32,
        ..Config::default()
    }
}
