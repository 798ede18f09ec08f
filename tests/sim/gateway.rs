//! A gateway in another process: it publishes at least once, under a key, and keeps what it is not sure of.

mod drain;
mod link;
mod process;
mod script;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use hookwire_protocol::v1::GatewayEvent;
use tokio::time::sleep;

use self::process::Process;
use crate::{
    party::Party,
    plan::GatewayPlan,
    records::{Fired, Hook},
};

/// It has one stream at a time.
const STREAM: u32 = 0;

/// What the driver asks of it, once all is calm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    None,
    /// Say something in each live session.
    Refresh,
    /// Drain, and be gone.
    Drain,
}

/// A gateway over all its processes.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) party: Rc<Party>,
    pub(crate) number: usize,
    plan: GatewayPlan,
    pub(crate) order: Cell<Order>,
    /// The present process.
    process: RefCell<Rc<Process>>,
}

impl Gateway {
    pub(crate) fn new(party: Rc<Party>, number: usize, plan: GatewayPlan) -> Rc<Self> {
        Rc::new(Self { party, number, plan, order: Cell::default(), process: RefCell::default() })
    }

    /// One process after another, until the host is killed.
    ///
    /// # Errors
    /// Never: whatever happens, it comes back.
    pub(crate) async fn run(self: Rc<Self>) -> turmoil::Result {
        loop {
            let (boot, mut dice) = self.party.boots();
            let name = |what: &str| format!("{}-{what}-{boot}", self.party.name);
            let process = Rc::new(Process::new(name("boot"), name("emitter"), self.plan.buffer));
            self.process.replace(Rc::clone(&process));
            let (mut script_dice, pause) = (dice.clone(), dice.ms(10, 1_500));
            tokio::select! {
                biased; // who has drained says nothing more
                () = self.follow_the_script(&process, &mut script_dice) => {}
                () = self.stay_attached(&process, &mut dice) => {}
            }
            self.party.disconnect(STREAM);
            if self.order.get() == Order::Drain {
                self.order.set(Order::None);
                self.party.say("is gone");
                std::future::pending::<()>().await;
            }
            sleep(pause).await;
        }
    }

    /// Fires a hook: from now on it is published until it is known to be taken in.
    fn fire(&self, process: &Process, session: &str, hook: Hook, event: impl FnOnce(u64) -> GatewayEvent) {
        let at = self.party.records.now();
        let fired = Fired { at, boot: process.boot.clone(), session: session.to_owned(), hook };
        let number = self.party.records.fire(fired);
        let publish_seq = process.published.get() + 1;
        process.published.set(publish_seq);
        let event = GatewayEvent { time_unix_nano: number, ..event(number) };
        self.party.say(format_args!("fires {number}: {hook:?} of {session:?} as #{publish_seq}"));
        let gone = process.keep(publish_seq, event);
        if let Some(what) = gone {
            self.party.say(format_args!("has no room for {what}"));
        }
    }

    /// Sessions that live, with the gateway's name.
    pub(crate) fn alive(&self) -> Vec<(String, String)> {
        let alive = self.process.borrow().alive();
        alive.into_iter().map(|session| (self.party.name.clone(), session)).collect()
    }

    /// Whether all that it fired is known to be taken in.
    pub(crate) fn is_settled(&self) -> bool {
        let process = self.process.borrow();
        self.party.is_connected() && process.is_empty() && !process.has_lost_more(None)
    }
}
