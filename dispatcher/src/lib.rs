//! Hookwire's dispatcher: a library that a gateway embeds, and the `hookwire` binary.

pub mod cli;
pub mod report;
