//! The end of a schedule: everybody comes back and answers all; afterwards nothing is due to anybody.

use std::time::Duration;

use hookwire_protocol::v1::{GoodbyeReason, WhenFull, subscribe_response};

use super::{Expected, World};
use crate::machine::tests::{
    Checked, rule,
    schedule::{Hello, PLUGINS},
    wire,
};

/// Longer than any delay of a RETRY, any budget and the grace.
const LONG: Duration = Duration::from_secs(6);

impl World {
    pub(in crate::machine::tests) fn fall_silent(&mut self) -> Checked {
        self.journal.lag = 0;
        for round in 0.. {
            rule!(round < 10, "it never falls silent");
            self.come_back()?;
            let mut pulled = 0;
            for ix in self.streams.keys().copied().collect::<Vec<_>>() {
                pulled += self.serve(ix)?;
            }
            if pulled == 0 && round > 0 {
                break;
            }
            self.wait(LONG)?;
        }
        rule!(self.tickets.is_empty(), "no report came for {:?}", self.tickets);
        wire::ids_are_distinct(&self.model)?;
        for ix in self.streams.keys() {
            self.nothing_is_due(*ix)?;
        }
        if self.model.stopping { self.say_goodbye() } else { self.only_the_living_are_held() }
    }

    fn come_back(&mut self) -> Checked {
        if self.model.stopping {
            return Ok(());
        }
        let away = self.model.plugins.iter().filter(|(_, plugin)| plugin.stream.is_none());
        for (ix, wants) in away.map(|(ix, plugin)| (*ix, plugin.wants)).collect::<Vec<_>>() {
            let (announce, when_full) = (false, WhenFull::DropOldest);
            let (keep_ms, keep_bytes) = (0, 0);
            let hello = Hello { instance: 9, wants, announce, window: 0, when_full, keep_ms, keep_bytes };
            self.subscribe(ix, &hello)?;
        }
        Ok(())
    }

    /// What it was handed a start for has ended for it, or lives.
    fn nothing_is_due(&self, ix: usize) -> Checked {
        let (plugin, name) = (&self.model.plugins[&ix], PLUGINS[ix]);
        rule!(plugin.wanted.is_empty(), "{name} is due the starts of {:?}", plugin.wanted);
        rule!(plugin.outstanding == 0, "{name} misses {} events", plugin.outstanding);
        for (life, settled) in &plugin.entries {
            rule!(*settled, "{name} has not settled the start of {life}");
            rule!(self.model.is_alive(*life), "a ghost: {name} holds {life} open");
        }
        Ok(())
    }

    fn only_the_living_are_held(&self) -> Checked {
        let (held, alive) = (self.machine.lives.held(), self.model.alive().count());
        rule!(held == alive, "{held} lives are held, {alive} live");
        rule!(self.machine.retries.is_empty(), "retries are left: {:?}", self.machine.retries);
        Ok(())
    }

    /// The dispatcher goes: every stream is told, as its last message.
    fn say_goodbye(&mut self) -> Checked {
        let goodbye =
            subscribe_response::Goodbye { reason: GoodbyeReason::Stopping.into(), ..Default::default() };
        self.machine.farewell(self.time(), &goodbye);
        self.compare(vec![], Expected::default())?;
        for ix in self.streams.keys().copied().collect::<Vec<_>>() {
            self.pull(ix, 10)?;
            rule!(!self.streams.contains_key(&ix), "{} got no Goodbye", PLUGINS[ix]);
        }
        Ok(())
    }
}
