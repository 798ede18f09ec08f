//! Hookwire's promises, one file each: in virtual time and over links in memory.
//!
//! The clock moves only when everybody waits, so a wait costs nothing, and "not yet" and "exactly now" mean what they
//! say on any machine. Real sockets, signals and processes are in `tests/process`.

mod ack;
mod attach;
mod backpressure;
mod boots;
mod deadline;
mod delivery;
mod drain;
mod embedded;
mod filter;
mod forget;
mod hostile;
mod incarnation;
mod isolation;
mod journal;
mod late_joiner;
mod ordering;
mod publish;
mod reconcile;
mod reconnect;
mod report;
mod retention;
mod stop;
mod straggler;
mod takeover;
mod wire;

use std::time::Duration;

/// A drain's budget, where the test does not care.
const BUDGET: Duration = Duration::from_secs(2);

/// Long enough for anything that would come by itself.
const A_WHILE: Duration = Duration::from_secs(5);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
