//! The `hookwire` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookwire::cli::run()
}
