//! Hookwire beside what a user would pick instead, and beside the limit.
//!
//! ```text
//!   runs: cases ──▶ runner: rounds ──▶ a case starts processes ──▶ a sample ──▶ results ──▶ a report
//!                                       │
//!                                       └ role: producer ──▶ (broker) ──▶ consumer, each a contender's side
//! ```
//!
//! [`case`] is what a scenario hands to the [`runner`]; [`runs`] lists them; [`results`] is what is written. Below
//! that, [`cases`] are the kinds of case, [`process`] is how one holds its processes, [`role`] what they say, [`contenders`] what they do.

pub mod args;
pub mod broker;
pub mod case;
pub mod cases;
pub mod clock;
pub mod contenders;
pub mod durability;
pub mod emit;
pub mod growth;
pub mod isolation;
pub mod latency;
pub mod ledger;
pub mod load;
pub mod machine;
pub mod plugin;
pub mod process;
pub mod report;
pub mod results;
pub mod role;
pub mod runner;
pub mod runs;
pub mod rust_plugin;
pub mod sdks;
pub mod stock;
pub mod summary;
