//! Hookwire's dispatcher: a library that a gateway embeds, and the `hookwire` binary.
//!
//! ```text
//!   gateway ──▶ emit ──▶ fanout ──▶ queue ──▶ serve ──▶ plugin
//!                │                              │          │
//!                └───────────▶ settle ◀─────────┴── acks ──┘
//!                              (the ledger)
//!                 drain: the end of a gateway, through all five
//! ```
//!
//! The folders are the way that an event takes, in this order:
//!
//! 1. [`emit`]: a gateway hands an event over, embedded or over `GatewayService`;
//! 2. `fanout`: who wants it;
//! 3. `queue`: it waits its turn, within bounds;
//! 4. [`serve`]: one subscriber's stream, and the sockets below it;
//! 5. `settle`: every delivery gets exactly one outcome; the ledger remembers who is owed an end.
//!
//! What cuts across them: `machine` is the state of all five, without I/O; `worker` is the one task that owns it;
//! `drain` ends a gateway's sessions and reports how that went. [`dispatcher::Dispatcher`] is where to begin.

pub mod cli;
pub mod config;
mod crash;
pub mod dispatcher;
mod drain;
pub mod emit;
mod fanout;
mod handover;
mod machine;
mod metrics;
mod queue;
pub mod report;
pub mod serve;
mod settle;
mod status;
mod worker;
