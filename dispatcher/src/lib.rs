//! Hookwire's dispatcher: a library that a gateway embeds, and the `hookwire` binary.

pub mod cli;
mod drain;
mod emit;
mod fanout;
mod machine;
mod metrics;
mod queue;
mod serve;
mod settle;
