//! What goes wrong, and how it gets well again.

use std::{collections::BTreeMap, time::Duration};

use super::World;
use crate::{daemon::Exit, network::DISPATCHER, plan::Fault};

/// What is wrong now.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Links that are not as they should be, until when.
    links: BTreeMap<String, Duration>,
    /// Hosts that are down, until when.
    down: BTreeMap<String, Duration>,
    /// When the dispatcher is back that ends by itself, and when it must have ended.
    up_at: Duration,
    exits_by: Option<Duration>,
    /// Who is cut next, when, how often and how fast.
    cuts: Vec<(String, Duration, u32, Duration)>,
}

/// What its last words and its journal may add to the budget of a dispatcher that ends.
const LAST_WORDS: Duration = Duration::from_millis(300);

impl World {
    pub(super) fn strike(&mut self, fault: Fault) {
        let (now, who) = (self.sim.elapsed(), fault.who().to_owned());
        let until = now + fault.lasts();
        self.records.tell("world", format_args!("{fault:?}"));
        self.records.trouble(&who, now, until + fault.aftermath());
        match fault {
            Fault::Partition { .. } => {
                self.mend(&who);
                self.sim.partition(DISPATCHER, who.as_str());
                self.troubles.links.insert(who, until);
            }
            Fault::Hold { .. } => {
                self.mend(&who);
                self.sim.hold(DISPATCHER, who.as_str());
                self.troubles.links.insert(who, until);
            }
            Fault::Delay { latency, .. } => {
                self.mend(&who);
                self.sim.set_link_max_message_latency(DISPATCHER, who.as_str(), latency);
                self.troubles.links.insert(who, until);
            }
            Fault::Cut { times, every, .. } => self.troubles.cuts.push((who, now, times, every)),
            Fault::Crash { .. } => self.crash(who, until),
            Fault::Exit { exit, .. } => self.exit(exit, until),
            Fault::Overlap { .. } => {
                if let Some(party) = self.party(&who) {
                    party.overlap.notify_waiters();
                }
            }
            Fault::Hang { .. } => {
                if let Some(party) = self.party(&who) {
                    party.hang(until);
                }
            }
        }
    }

    /// What is over by now gets well, and cuts that are due are made.
    pub(super) fn recover(&mut self) {
        let now = self.sim.elapsed();
        let over = |all: &BTreeMap<String, Duration>| -> Vec<String> {
            all.iter().filter(|(_, until)| **until <= now).map(|(who, _)| who.clone()).collect()
        };
        for who in over(&self.troubles.links) {
            self.records.tell("world", format_args!("the link of {who} is well"));
            self.mend(&who);
        }
        for who in over(&self.troubles.down) {
            self.records.tell("world", format_args!("{who} is up"));
            self.troubles.down.remove(&who);
            self.sim.bounce(who);
        }
        if self.troubles.exits_by.take_if(|by| *by < now).is_some() {
            self.complain("the dispatcher was told to end, and is still there".to_owned());
        }
        if self.daemon.has_gone() {
            self.records.tell("world", "the dispatcher has ended by itself");
            self.crash(DISPATCHER.to_owned(), self.troubles.up_at);
        }
        self.make_cuts(now);
    }

    fn exit(&mut self, exit: Exit, until: Duration) {
        if self.troubles.down.contains_key(DISPATCHER) {
            return;
        }
        self.troubles.up_at = until;
        self.troubles.exits_by.get_or_insert(self.sim.elapsed() + exit.budget() + LAST_WORDS);
        self.daemon.tell(exit);
    }

    fn crash(&mut self, who: String, until: Duration) {
        if self.troubles.down.contains_key(&who) {
            return;
        }
        if who == DISPATCHER {
            self.troubles.exits_by = None;
            self.daemon.crash(&mut self.dice); // first: what the process does as it falls has no effect
        }
        if let Some(party) = self.party(&who) {
            party.dies();
        }
        self.sim.crash(who.as_str());
        self.troubles.down.insert(who, until);
    }

    fn make_cuts(&mut self, now: Duration) {
        for (who, at, times, every) in std::mem::take(&mut self.troubles.cuts) {
            if at > now {
                self.troubles.cuts.push((who, at, times, every));
                continue;
            }
            if let Some(party) = self.party(&who) {
                party.cut.notify_waiters();
            }
            if times > 1 {
                self.troubles.cuts.push((who, now + every, times - 1, every));
            }
        }
    }

    /// Everything gets well at once.
    pub(super) fn heal(&mut self) {
        for until in self.troubles.links.values_mut().chain(self.troubles.down.values_mut()) {
            *until = Duration::ZERO;
        }
        self.troubles.up_at = Duration::ZERO;
        self.troubles.cuts.clear();
        self.recover();
        self.parties().for_each(|party| party.hang(Duration::ZERO));
        self.records.tell("world", "all is well");
    }

    /// Whatever is wrong with this link is no more. What was held is delivered.
    fn mend(&mut self, who: &str) {
        self.troubles.links.remove(who);
        self.sim.repair(DISPATCHER, who);
        self.sim.release(DISPATCHER, who);
        self.sim.set_link_max_message_latency(DISPATCHER, who, self.plan.latency);
    }
}
