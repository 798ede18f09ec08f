//! What goes wrong.

use std::time::Duration;

use crate::{daemon::Exit, dice::Dice, network::DISPATCHER};

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing passes between this party and the dispatcher; what is under way is lost.
    Partition { who: String, lasts: Duration },
    /// Nothing passes, but nothing is lost.
    Hold { who: String, lasts: Duration },
    /// Messages take up to this long.
    Delay { who: String, latency: Duration, lasts: Duration },
    /// The party's connections break, so many times.
    Cut { who: String, times: u32, every: Duration },
    /// The process dies, and another one starts after this.
    Crash { who: String, down: Duration },
    /// A plugin neither reads nor answers.
    Hang { who: String, lasts: Duration },
    /// Another process of the same plugin comes, and then the present one goes.
    Overlap { who: String },
    /// The dispatcher ends by itself, and another one starts so long after that.
    Exit { exit: Exit, down: Duration },
}

impl Fault {
    pub(crate) fn who(&self) -> &str {
        match self {
            Self::Partition { who, .. }
            | Self::Hold { who, .. }
            | Self::Delay { who, .. }
            | Self::Cut { who, .. }
            | Self::Crash { who, .. }
            | Self::Hang { who, .. }
            | Self::Overlap { who } => who,
            Self::Exit { .. } => DISPATCHER,
        }
    }

    /// From its begin until the last of it.
    pub(crate) fn lasts(&self) -> Duration {
        match self {
            Self::Partition { lasts, .. }
            | Self::Hold { lasts, .. }
            | Self::Delay { lasts, .. }
            | Self::Hang { lasts, .. } => *lasts,
            Self::Cut { times, every, .. } => *every * *times,
            Self::Crash { down, .. } => *down,
            Self::Overlap { .. } => Duration::ZERO,
            Self::Exit { exit, down } => exit.budget() + *down,
        }
    }

    /// How long after it what somebody says may be lost without a word.
    pub(crate) fn aftermath(&self) -> Duration {
        match self {
            // A connection that lost something is dead, until its keepalive says so.
            Self::Partition { .. } | Self::Hold { .. } | Self::Delay { .. } => Duration::from_millis(1_500),
            _ => Duration::from_millis(500),
        }
    }

    /// Something that happens to this party.
    pub(super) fn roll(dice: &mut Dice, who: String) -> Self {
        // Short ones are over before anybody notices, long ones take a gateway's grace away.
        let lasts = if dice.percent(70) { dice.ms(50, 800) } else { dice.ms(1_000, 3_000) };
        match dice.below(15) {
            0..=2 => Self::Partition { who, lasts },
            3 => Self::Hold { who, lasts },
            4 => Self::Delay { who, latency: dice.ms(50, 300), lasts },
            5..=6 => Self::Cut { who, times: 1, every: Duration::ZERO },
            7 => Self::Cut { who, times: 3 + dice.below(15) as u32, every: dice.ms(5, 80) },
            8..=10 => Self::Crash { who, down: lasts },
            11..=12 if who.starts_with("plugin") => Self::Hang { who, lasts },
            13..=14 if who.starts_with("plugin") => Self::Overlap { who },
            _ => Self::Partition { who, lasts },
        }
    }

    /// Something that happens to the dispatcher.
    pub(super) fn roll_of_dispatcher(dice: &mut Dice) -> Self {
        let (down, budget) = (dice.ms(20, 1_500), dice.ms(0, 800));
        match dice.below(8) {
            0 => Self::Exit { exit: Exit::Stop { restart: dice.percent(50), budget }, down },
            1 => Self::Exit { exit: Exit::HandOver { budget }, down },
            _ => Self::Crash { who: DISPATCHER.to_owned(), down },
        }
    }
}
