//! What happens in a run: all of it follows from the seed.

use std::{ops::RangeInclusive, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::cast::proxy::Way;

/// Between two of which everything heals, and is looked at.
const PHASES: usize = 3;

/// Happenings in one of them.
const HAPPENINGS: usize = 12;

/// Where a dispatcher may be told to die, and after how many passages: not before it has said where it listens.
const MOMENTS: [(&str, RangeInclusive<u32>); 3] =
    [("before-commit", 3..=25), ("after-commit", 3..=25), ("frame-of-a-drain", 1..=2)];

/// One run.
#[derive(Debug)]
pub(super) struct Plan {
    /// The gateways' grace is so short that some are lost.
    pub(super) hasty: bool,
    /// Every commit is synced.
    pub(super) power: bool,
    /// At the end it is the descriptors that are looked at, not the report.
    pub(super) counts_descriptors: bool,
    pub(super) phases: Vec<Vec<Happening>>,
}

/// Something that a run does to its world.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// The gateway that has receipts publishes.
    Publish(Vec<Deed>),
    /// The gateway that is a process publishes.
    Fire(Vec<Deed>),
    /// kill -9, and a new dispatcher, perhaps one that is to die at a named moment.
    KillDispatcher {
        next_dies_at: Option<String>,
    },
    /// The dispatcher stands still.
    StopDispatcher(Duration),
    /// kill -9 of a plugin, and a new process: at once, or when all heals.
    KillPlugin {
        plugin: usize,
        at_once: bool,
    },
    /// A plugin stands still, until it goes on or all heals.
    StopPlugin(usize),
    GoOn(usize),
    /// kill -9 of the gateway that is a process; the next is another boot.
    KillGateway,
    /// That gateway is drained, and gone.
    DrainGateway,
    /// The wires: half open, on again, cut.
    Hold(Way),
    Release,
    Cut,
    /// Time passes: acknowledgements are on their way, and timers run.
    Pause(Duration),
}

/// What a gateway's session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// The next one begins.
    Start,
    /// One of those that are open, by any number, says something.
    Message(usize),
    /// One of those that are open ends.
    End(usize),
}

/// Plugins in a world.
pub(super) const PLUGINS: usize = 3;

impl Plan {
    pub(super) fn new(seed: u32) -> Self {
        let mut dice = StdRng::seed_from_u64(seed.into());
        let phase = |dice: &mut StdRng| (0..HAPPENINGS).map(|_| happening(dice)).collect();
        Self {
            hasty: dice.random_ratio(1, 4),
            power: dice.random_ratio(1, 5),
            counts_descriptors: dice.random_ratio(1, 3),
            phases: (0..PHASES).map(|_| phase(&mut dice)).collect(),
        }
    }
}

fn happening(dice: &mut StdRng) -> Happening {
    let plugin = dice.random_range(0..PLUGINS);
    match dice.random_range(0..22) {
        0..=4 => Happening::Publish(deeds(dice)),
        5..=7 => Happening::Fire(deeds(dice)),
        8..=10 => Happening::KillDispatcher { next_dies_at: moment(dice) },
        11 => Happening::StopDispatcher(millis(dice, 300)),
        12..=13 => Happening::KillPlugin { plugin, at_once: dice.random() },
        14 => Happening::StopPlugin(plugin),
        15 => Happening::GoOn(plugin),
        16 => Happening::KillGateway,
        17..=18 => Happening::DrainGateway,
        19 => Happening::Hold(if dice.random() { Way::Up } else { Way::Down }),
        20 if dice.random() => Happening::Release,
        20 => Happening::Cut,
        _ => Happening::Pause(millis(dice, 150)),
    }
}

fn moment(dice: &mut StdRng) -> Option<String> {
    let (name, passages) = MOMENTS.choose(dice).filter(|_| dice.random())?;
    Some(format!("{name}:{}", dice.random_range(passages.clone())))
}

fn deeds(dice: &mut StdRng) -> Vec<Deed> {
    let count = dice.random_range(1..20);
    (0..count)
        .map(|_| match dice.random_range(0..6) {
            0..=2 => Deed::Start,
            3 => Deed::Message(dice.random_range(0..1_000)),
            _ => Deed::End(dice.random_range(0..1_000)),
        })
        .collect()
}

fn millis(dice: &mut StdRng, most: u64) -> Duration {
    Duration::from_millis(dice.random_range(0..most))
}
