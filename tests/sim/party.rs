//! What every party has that outlives its process: its name, its boots, and what the world does to it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{dice::Dice, records::Records};

/// One host's durable side, shared by its processes and the driver.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) name: String,
    seed: u64,
    /// Processes so far.
    boots: Cell<u32>,
    pub(crate) records: Rc<Records>,
    /// The present connection is to break.
    pub(crate) cut: Notify,
    /// Everything is well from now on: no moods, no new work.
    pub(crate) calm: Rc<Cell<bool>>,
    /// It hangs until the world's clock says so.
    hangs_until: Cell<Duration>,
    /// Another process of the same name comes, before the present one goes.
    pub(crate) overlap: Notify,
    /// Its streams that were welcomed: two, where one process comes and the other has not gone.
    connected: RefCell<BTreeSet<u32>>,
}

impl Party {
    pub(crate) fn new(name: &str, seed: u64, records: &Rc<Records>, calm: &Rc<Cell<bool>>) -> Rc<Self> {
        Rc::new(Self {
            name: name.to_owned(),
            seed,
            boots: Cell::new(0),
            records: Rc::clone(records),
            cut: Notify::new(),
            calm: Rc::clone(calm),
            hangs_until: Cell::new(Duration::ZERO),
            overlap: Notify::new(),
            connected: RefCell::default(),
        })
    }

    /// A new process: its number, and dice of its own.
    pub(crate) fn boots(&self) -> (u32, Dice) {
        let boot = self.boots.get() + 1;
        self.boots.set(boot);
        (boot, Dice::of(self.seed, &self.name, boot))
    }

    /// One line of its story.
    pub(crate) fn say(&self, what: impl fmt::Display) {
        self.records.tell(&self.name, what);
    }

    /// This stream of its was welcomed.
    pub(crate) fn connect(&self, stream: u32) {
        self.connected.borrow_mut().insert(stream);
    }

    /// This stream of its is gone.
    pub(crate) fn disconnect(&self, stream: u32) {
        self.connected.borrow_mut().remove(&stream);
    }

    /// Its process is killed.
    pub(crate) fn dies(&self) {
        self.connected.borrow_mut().clear();
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.connected.borrow().is_empty()
    }

    pub(crate) fn hang(&self, until: Duration) {
        self.hangs_until.set(until);
    }

    /// Returns once it does not hang any more.
    pub(crate) async fn unless_hanging(&self) {
        while let Some(left) =
            self.hangs_until.get().checked_sub(self.records.now()).filter(|it| !it.is_zero())
        {
            sleep_until(Instant::now() + left).await;
        }
    }
}
