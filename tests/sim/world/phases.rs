//! How a world goes: trouble, then peace, then the end of everything that lives.

use std::{cell::RefCell, rc::Rc, time::Duration};

use hookwire_protocol::v1::GetStatusResponse;

use super::World;
use crate::{
    check,
    daemon::GRACE,
    gateway::Order,
    network::DISPATCHER,
    operator::{self, Announced},
    plan::Fault,
    plugin::Row,
};

/// Owed ends arrive within this, once everybody is back.
const RETURN: Duration = Duration::from_secs(5);

/// How long anything else may take, once all is well.
const SOON: Duration = Duration::from_secs(10);

/// How long the dispatcher is away where that is not what matters.
const SHORT: Duration = Duration::from_millis(100);

impl World {
    pub(super) fn run(&mut self) {
        self.step();
        let tasks = self.daemon.tasks();
        self.trouble();
        let healed = self.sim.elapsed();
        self.until(RETURN, "everybody is back", Self::is_everybody_back);
        self.order(Order::Refresh);
        self.until(SOON, "all is taken in", Self::is_everybody_back);
        self.pass(RETURN.saturating_sub(self.sim.elapsed() - healed));
        self.hold_live_sessions_against_each_other();
        self.end_all_boots();
        self.hold_what_is_left_against_nothing();
        self.take_everybody_away(tasks);
    }

    fn trouble(&mut self) {
        for (at, fault) in self.plan.faults.clone() {
            self.pass(at.saturating_sub(self.sim.elapsed()));
            self.strike(fault);
        }
        self.pass(self.plan.heals.saturating_sub(self.sim.elapsed()));
        self.calm.set(true);
        self.heal();
    }

    /// So much time goes by.
    fn pass(&mut self, time: Duration) {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.recover();
            self.step();
        }
    }

    /// Time goes by until this is so, or for too long.
    fn until(&mut self, patience: Duration, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = self.sim.elapsed() + patience;
        while !is_so(self) {
            if self.sim.elapsed() >= deadline {
                return self.complain(format!("it takes more than {patience:?} until {what}"));
            }
            self.recover();
            self.step();
        }
    }

    fn is_everybody_back(&self) -> bool {
        let gateways = self.gateways.iter().all(|it| it.order.get() == Order::None && it.is_settled());
        gateways && self.plugins.iter().all(|plugin| plugin.party.is_connected())
    }

    fn order(&mut self, order: Order) {
        self.gateways.iter().for_each(|gateway| gateway.order.set(order));
    }

    /// What lives, as the dispatcher announces it, as gateways hold it, and as plugins hold it.
    fn hold_live_sessions_against_each_other(&mut self) {
        let slot = Rc::<RefCell<Option<Announced>>>::default();
        self.sim.client("witness", operator::witness(Rc::clone(&slot)));
        self.until(SOON, "a witness has seen what lives", |_| slot.borrow().is_some());
        let Some(announced) = slot.take() else { return };
        let complaints = check::alive(&announced, &self.gateways, &self.plugins, &self.records);
        complaints.into_iter().for_each(|complaint| self.complain(complaint));
    }

    /// Each gateway drains, or dies and is lost.
    fn end_all_boots(&mut self) {
        for gateway in self.gateways.clone() {
            let name = gateway.party.name.clone();
            if self.plan.gateways[gateway.number].drains_at_the_end {
                gateway.order.set(Order::Drain);
            } else {
                self.records.tell("world", format_args!("{name} is killed for good"));
                self.sim.crash(name);
            }
        }
        if let Some(after) = self.plan.last_crash {
            self.pass(after);
            self.strike(Fault::Crash { who: DISPATCHER.to_owned(), down: SHORT });
            self.pass(SHORT);
        }
        self.pass(GRACE);
        let all_ended = |world: &Self| world.plugins.iter().all(|plugin| plugin.lives(Row::Open).is_empty());
        self.until(RETURN, "every session that a plugin holds open has ended", all_ended);
        self.pass(Duration::from_secs(1));
    }

    fn hold_what_is_left_against_nothing(&mut self) {
        let slot = Rc::<RefCell<Option<GetStatusResponse>>>::default();
        self.sim.client("operator", operator::status(Rc::clone(&slot)));
        self.until(SOON, "the dispatcher says how it is", |_| slot.borrow().is_some());
        let complaints = slot.take().map(|status| check::nothing_left(&status)).unwrap_or_default();
        complaints.into_iter().for_each(|complaint| self.complain(complaint));
    }

    fn take_everybody_away(&mut self, tasks: usize) {
        let names: Vec<_> = self.parties().map(|party| party.name.clone()).collect();
        names.into_iter().for_each(|name| self.sim.crash(name));
        self.until(SOON, "the dispatcher's tasks are as few as at its start", |world| {
            world.daemon.tasks() <= tasks
        });
    }
}
