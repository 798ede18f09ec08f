//! The `hookwire` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A third less CPU than with the system's, where events are many and small.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    hookwire::cli::run()
}
