//! A subscriber that crashes: killed and started again, until it is dropped.

use std::{
    path::PathBuf,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::process::Ear;

/// How long it lives each time, from its start: often enough, and each start takes some milliseconds of everybody's CPU.
const LIFE: Duration = Duration::from_millis(500);

/// How long all of its lives may last together.
const PATIENCE: Duration = Duration::from_secs(120);

/// Its lives. Dropping it ends the last.
#[derive(Debug)]
pub(super) struct Crashing {
    enough: Option<Sender<()>>,
    lives: Option<JoinHandle<()>>,
}

impl Crashing {
    /// Starts the first.
    pub(super) fn start(program: PathBuf, args: Vec<String>) -> Self {
        let (enough, told) = channel();
        let lives = thread::spawn(move || {
            let ear = Ear::until(PATIENCE); // it is heard, and nobody listens
            while let Ok(mut process) = ear.start(0, &program, &args) {
                let over = told.recv_timeout(LIFE) != Err(RecvTimeoutError::Timeout);
                process.kill();
                if over {
                    return;
                }
            }
        });
        Self { enough: Some(enough), lives: Some(lives) }
    }
}

impl Drop for Crashing {
    fn drop(&mut self) {
        self.enough = None;
        if let Some(lives) = self.lives.take() {
            let _ = lives.join(); // it has no figures that a panic could spoil
        }
    }
}
