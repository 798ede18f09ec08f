//! Hookwire's dispatcher: a library that a gateway embeds, and the `hookwire` binary.

pub mod cli;
pub mod config;
pub mod dispatcher;
mod drain;
pub mod emit;
mod fanout;
mod machine;
mod metrics;
mod queue;
pub mod report;
pub mod serve;
mod settle;
mod status;
mod worker;
