//! One world: a dispatcher, gateways and plugins on hosts of their own, and what goes wrong between them.

mod faults;
mod phases;

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, SystemTime},
};

use turmoil::{Builder, Sim};

use self::faults::Troubles;
use crate::{
    check, daemon::Daemon, dice::Dice, disk::Disk, gateway::Gateway, network::DISPATCHER, party::Party,
    plan::Plan, plugin::Plugin, records::Records,
};

/// How far every host's clock moves at once. Messages take at least that long.
const TICK: Duration = Duration::from_millis(5);

/// How one world went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What was done and heard, line by line.
    pub(crate) story: Vec<String>,
    /// What should not have been; empty where all is well.
    pub(crate) complaints: Vec<String>,
}

pub(crate) struct World {
    sim: Sim<'static>,
    plan: Plan,
    records: Rc<Records>,
    calm: Rc<Cell<bool>>,
    gateways: Vec<Rc<Gateway>>,
    plugins: Vec<Rc<Plugin>>,
    troubles: Troubles,
    daemon: Rc<Daemon>,
    /// What of the disk survives a crash.
    dice: Dice,
    complaints: Vec<String>,
}

/// Plays one plan to its end, and holds what was written down against the contract.
pub(crate) fn play(plan: Plan) -> Outcome {
    let mut world = World::new(plan);
    world.run();
    let World { records, mut complaints, plan, .. } = world;
    complaints.extend(check::all(&plan, &records));
    Outcome { story: records.story(), complaints }
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(TICK)
            .epoch(SystemTime::UNIX_EPOCH)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(plan.latency)
            .tcp_capacity(1024)
            .enable_random_order()
            .build();
        let (records, calm) = (Rc::<Records>::default(), Rc::<Cell<bool>>::default());
        let disk = plan.commit_takes.map(|_| Disk::default());
        let daemon = Daemon::new(disk, plan.commit_takes.unwrap_or_default());
        let host = Rc::clone(&daemon);
        sim.host(DISPATCHER, move || Rc::clone(&host).run());
        let party = |name: &str| Party::new(name, plan.seed, &records, &calm);
        let gateways = plan.gateways.iter().enumerate();
        let gateways = gateways.map(|(number, it)| Gateway::new(party(&it.name), number, it.clone()));
        let gateways: Vec<_> = gateways.collect();
        let plugins = plan.plugins.iter().map(|it| Plugin::new(party(&it.name), it.clone()));
        let plugins: Vec<_> = plugins.collect();
        for gateway in gateways.iter().cloned() {
            sim.host(gateway.party.name.clone(), move || Rc::clone(&gateway).run());
        }
        for plugin in plugins.iter().cloned() {
            sim.host(plugin.party.name.clone(), move || Rc::clone(&plugin).run());
        }
        let (troubles, complaints) = (Troubles::default(), Vec::new());
        let dice = Dice::of(plan.seed, DISPATCHER, 0);
        Self { sim, plan, records, calm, daemon, dice, gateways, plugins, troubles, complaints }
    }

    /// Every host's next few milliseconds.
    fn step(&mut self) {
        self.records.now.set(self.sim.elapsed());
        if let Err(error) = self.sim.step() {
            self.complain(format!("a host ended: {error}"));
        }
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(format!("at {:.3}: {what}", self.sim.elapsed().as_secs_f64()));
    }

    fn parties(&self) -> impl Iterator<Item = &Rc<Party>> {
        let gateways = self.gateways.iter().map(|gateway| &gateway.party);
        gateways.chain(self.plugins.iter().map(|plugin| &plugin.party))
    }

    fn party(&self, name: &str) -> Option<Rc<Party>> {
        self.parties().find(|party| party.name == name).cloned()
    }
}
