//! Hookwire beside what a user would pick instead, and beside the limit.
//!
//! [`case`] is what a scenario hands to the runner; [`runs`] lists them; [`results`] is what is written.

pub mod case;
pub mod isolation;
pub mod report;
pub mod results;
pub mod runs;
pub mod stock;
