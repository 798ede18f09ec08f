//! `hookwire demo`.

use super::{Exit, Failure};

/// (stub)
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args) -> Result<(), Failure> {
    Err(Exit::Fault.because("not built yet"))
}
