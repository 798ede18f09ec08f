//! A plugin with nothing but the `.proto`: it keeps what the contract asks of one, and no more.

mod answers;
mod stream;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use tokio::{task::spawn_local, time::sleep};
use tonic::Code;

use self::stream::{Ended, Stream};
use crate::{dice::Dice, party::Party, plan::PluginPlan};

/// What it holds of one life, in its own store. It survives its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Open,
    Ended,
    /// It rejected the start, or let go of everything: no end will come.
    LetGo,
}

/// A plugin over all its processes.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) party: Rc<Party>,
    plan: PluginPlan,
    /// By ledger and incarnation.
    rows: RefCell<BTreeMap<(String, u64), Row>>,
    /// Streams so far.
    streams: Cell<u32>,
}

impl Plugin {
    pub(crate) fn new(party: Rc<Party>, plan: PluginPlan) -> Rc<Self> {
        Rc::new(Self { party, plan, rows: RefCell::default(), streams: Cell::new(0) })
    }

    /// One process after another, until the host is killed.
    ///
    /// # Errors
    /// Never: whatever happens, it comes back.
    pub(crate) async fn run(self: Rc<Self>) -> turmoil::Result {
        let (mut boot, mut dice) = self.party.boots();
        loop {
            let number = self.streams.get() + 1;
            self.streams.set(number);
            let stream = Rc::clone(&self).stream(boot, number, Dice::new(dice.roll()));
            let ended = tokio::select! {
                biased; // who comes does not wait for who goes
                () = self.party.overlap.notified() => {
                    (boot, dice) = self.party.boots();
                    continue;
                }
                ended = spawn_local(stream) => ended?,
            };
            match ended {
                Ended::Broken(_) => sleep(dice.ms(5, 250)).await,
                // It does not come back; its supervisor starts another process in its place.
                Ended::Displaced => {
                    sleep(Duration::from_secs(1)).await;
                    (boot, dice) = self.party.boots();
                }
            }
        }
    }

    async fn stream(self: Rc<Self>, boot: u32, number: u32, mut dice: Dice) -> Ended {
        let mut stream = Stream::new(&self, boot, number, &mut dice);
        let ended = tokio::select! {
            biased; // a cut that is due comes before what was heard meanwhile
            () = self.party.cut.notified() => Ended::Broken(Code::Cancelled),
            ended = stream.run() => ended,
        };
        self.party.disconnect(number);
        self.party.say(format_args!("{number}: {ended:?}"));
        ended
    }

    /// The lives that it holds so.
    pub(crate) fn lives(&self, held: Row) -> BTreeSet<u64> {
        let rows = self.rows.borrow();
        let held = rows.iter().filter(|(_, row)| **row == held);
        held.map(|((_, incarnation), _)| *incarnation).collect()
    }

    /// Whether it wants every session's start and end.
    pub(crate) fn wants_all(&self) -> bool {
        self.plan.hello.filter.is_none()
    }

    /// Whether every life is named to it, by the time it has caught up.
    pub(crate) fn is_told_all(&self) -> bool {
        self.plan.hello.announce && self.wants_all()
    }

    /// It lets go of all that it holds open.
    fn let_go(&self) {
        self.rows
            .borrow_mut()
            .values_mut()
            .filter(|row| **row == Row::Open)
            .for_each(|row| *row = Row::LetGo);
    }
}
