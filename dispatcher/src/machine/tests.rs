//! The machine against a naive model of the contract.
//!
//! A [schedule] of small names is played on both by a [world]. The model keeps the ledger as maps and sets, computed from
//! the schedule and from what was on the [wire] alone, and says at each step what is owed, due and forbidden. The
//! machine's records go to a [journal] that commits late and lets nothing out before.
//!
//! `HOOKWIRE_SCHEDULES` sets how many schedules are played. One that fails is shrunk, printed, and its seed kept in
//! `proptest-regressions/`; those that found something live on in [regressions].

mod exhaustive;
mod hostile;
mod journal;
mod log;
mod memory;
mod model;
mod regressions;
mod schedule;
mod stories;
mod wire;
mod world;

use std::{cell::Cell, env, io::Write as _};

use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::{schedule::schedules, world::World};

/// How many schedules are played where nobody says otherwise.
const SCHEDULES: u32 = 50_000;

/// What breaks a rule, for a person to read.
type Checked<T = ()> = Result<T, String>;

/// Ends the check with a text unless the rule holds.
macro_rules! rule {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
use rule;

#[test]
fn every_schedule_keeps_the_contract() {
    let cases = env::var("HOOKWIRE_SCHEDULES")
        .ok()
        .map_or(SCHEDULES, |text| text.parse().expect("HOOKWIRE_SCHEDULES is a number of schedules"));
    let (played, seen) = (Cell::new(0_u32), Cell::new(world::Seen::default()));
    let config = Config { cases, source_file: Some(file!()), max_shrink_iters: 20_000, ..Config::default() };
    let outcome = TestRunner::new(config).run(&schedules(), |schedule| {
        let world = World::play(&schedule).map_err(TestCaseError::fail)?;
        played.set(played.get() + 1);
        seen.set(seen.get() + world.seen());
        Ok(())
    });
    // Not println!: a passing test's output is captured, and this is to be seen.
    let _ = writeln!(std::io::stderr(), "{} schedules played: {:?}", played.get(), seen.get());
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(played.get() >= cases, "those of earlier failures are played on top");
}
