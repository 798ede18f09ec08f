//! The dispatcher dies, and another goes on.

use std::time::Duration;

use super::{Expected, World};
use crate::machine::{
    Machine,
    tests::{Checked, schedule::PLUGINS},
};

impl World {
    pub(super) fn crash(&mut self, committed: usize, kept: usize) -> Checked {
        let remains = self.journal.crash(committed, kept)?;
        self.settings.epoch += 1;
        let ran = remains.image.ran.into();
        self.machine = Machine::restore(self.settings.clone(), remains.image)
            .map_err(|inconsistent| inconsistent.to_string())?;
        if let Some(durable) = remains.model {
            self.model = *durable;
        }
        let plugin = |name: &str| PLUGINS.iter().position(|plugin| *plugin == name);
        let unsettled = remains.unsettled.iter().filter_map(|(name, life)| Some((plugin(name)?, *life)));
        let plugins = |names: &[Box<str>]| names.iter().filter_map(|name| plugin(name)).collect::<Vec<_>>();
        let (unleft, uncounted) = (plugins(&remains.unleft), plugins(&remains.uncounted));
        self.model.crash(self.settings.epoch, &unsettled.collect::<Vec<_>>())?;
        self.model.crash_of_retention(ran, &unleft, &uncounted)?;
        self.crashes_to_come = self.crashes_to_come.saturating_sub(1);
        self.journal.recovered(&self.model);
        self.ran_before += std::mem::replace(&mut self.now, Duration::ZERO);
        self.gone.extend(std::mem::take(&mut self.sources).into_values());
        self.old_streams.extend(std::mem::take(&mut self.streams));
        self.ready.clear();
        self.tickets.clear();
        self.lives_before = self.model.lives.len() as u64;
        self.seen.crashes += 1;
        self.seen.lives_restored += self.machine.lives.held() as u64;
        self.compare(vec![], Expected::default())
    }
}
