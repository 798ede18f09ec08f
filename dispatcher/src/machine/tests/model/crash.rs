//! The dispatcher dies, and another goes on from what was durable: what is forgotten by it.

use std::time::Duration;

use super::{GRACE, Model};
use crate::machine::tests::{Checked, rule};

/// A session_seq jumps to here, times the dispatcher's epoch.
const SEQS_OF_AN_EPOCH: u64 = 1 << 30;

/// What a plugin was due of a life before it settled something.
#[derive(Clone, Copy, Debug)]
pub(super) enum Was {
    Unsettled,
    Settled,
    Wanted,
    /// Its start, because it was named to it, but had to wait: nobody remembers that.
    PutOff,
}

impl Model {
    /// What is settled now may be lost by a crash.
    pub(super) fn settles(&mut self, ix: usize, life: u64) {
        let plugin = &self.plugins[&ix];
        let was = match plugin.entries.get(&life) {
            Some(false) => Was::Unsettled,
            Some(true) => Was::Settled,
            None if plugin.put_off.contains(&life) => Was::PutOff,
            None => Was::Wanted,
        };
        self.settlements.push((ix, life, was));
    }

    /// All is as it was durable; of these, the newest settlement was not.
    pub(in crate::machine::tests) fn crash(&mut self, epoch: u32, unsettled: &[(usize, u64)]) -> Checked {
        self.now = Duration::ZERO;
        self.stopping = false;
        self.reports.clear();
        self.closings.clear();
        self.waiters.clear();
        for (ix, gateway) in &mut self.gateways {
            let alive = self.lives.values().any(|life| life.gateway == *ix && life.end.is_none());
            gateway.attached.clear();
            gateway.listed = None;
            gateway.taken = gateway.journaled.clone();
            gateway.lost_at = (!gateway.closed && (alive || !gateway.stop_told)).then_some(GRACE);
        }
        for life in self.lives.values_mut().filter(|life| life.end.is_none()) {
            life.seq = life.seq.max(u64::from(epoch) * SEQS_OF_AN_EPOCH);
        }
        for plugin in self.plugins.values_mut() {
            plugin.forget_process();
        }
        for (ix, life) in unsettled {
            self.unsettle(*ix, *life)?;
        }
        // A start that was handed to nobody cancels out with its end.
        for ix in self.plugins.keys().copied().collect::<Vec<_>>() {
            let over = |life: &u64| self.lives[life].end.is_some();
            let over: Vec<_> = self.plugins[&ix].wanted.iter().copied().filter(over).collect();
            for life in over {
                self.settles(ix, life);
                self.plugins.get_mut(&ix).unwrap().wanted.remove(&life);
            }
        }
        Ok(())
    }

    fn unsettle(&mut self, ix: usize, life: u64) -> Checked {
        let newest = self.settlements.iter().rposition(|it| (it.0, it.1) == (ix, life));
        rule!(newest.is_some(), "a settlement of {life} was recorded that never was");
        let (_, _, was) = self.settlements.remove(newest.unwrap());
        let plugin = self.plugins.get_mut(&ix).unwrap();
        match was {
            Was::Unsettled => drop(plugin.entries.insert(life, false)),
            Was::Settled => drop(plugin.entries.insert(life, true)),
            Was::Wanted => drop(plugin.wanted.insert(life)),
            Was::PutOff => {}
        }
        Ok(())
    }
}
