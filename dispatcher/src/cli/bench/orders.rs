//! What the parent tells a process on its stdin.

use std::{io, thread};

use tokio::sync::watch;

use super::lines::ToGateway;
use crate::cli::{Exit, Failure};

/// How far the parent has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Waiting,
    Start,
    Fire,
    Drain,
    /// Its stdin has ended.
    Leave,
}

/// What it has said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    phase: Phase,
    acked: u64,
}

impl Told {
    fn take(&mut self, message: ToGateway) {
        match message {
            ToGateway::Start => self.phase = Phase::Start,
            ToGateway::Fire => self.phase = Phase::Fire,
            ToGateway::Drain => self.phase = Phase::Drain,
            ToGateway::Acked { count } => self.acked = count,
        }
    }
}

/// Hears what the parent says.
#[derive(Clone, Debug)]
pub(super) struct Orders(watch::Receiver<Told>);

impl Orders {
    /// Listens on stdin, on a thread of its own, from now on.
    pub(super) fn listen() -> Self {
        let (told, orders) = watch::channel(Told::default());
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                // What a newer parent says beside this is not for us.
                if let Ok(message) = serde_json::from_str(&line) {
                    told.send_modify(|told| told.take(message));
                }
            }
            told.send_modify(|told| told.phase = Phase::Leave);
        });
        Self(orders)
    }

    /// Waits until the parent has come so far.
    ///
    /// # Errors
    /// When it was told to leave before.
    pub(super) async fn reach(&mut self, phase: Phase) -> Result<(), Failure> {
        let told = self.0.wait_for(|told| told.phase >= phase).await.map(|told| told.phase);
        match told {
            Ok(Phase::Leave) | Err(_) if phase != Phase::Leave => Err(left()),
            _ => Ok(()),
        }
    }

    /// Waits until every subscriber has acknowledged more than this. Returned is how much.
    ///
    /// # Errors
    /// When it was told to leave.
    pub(super) async fn acked_beyond(&mut self, count: u64) -> Result<u64, Failure> {
        let told = self.0.wait_for(|told| told.acked > count || told.phase == Phase::Leave).await;
        let told = told.map(|told| *told).map_err(|_| left())?;
        if told.acked > count { Ok(told.acked) } else { Err(left()) }
    }
}

fn left() -> Failure {
    Exit::Fault.because("told to leave before its work was done")
}
