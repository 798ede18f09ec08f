//! Where the journal is.

use std::{env, path::PathBuf};

use super::super::{Exit, Failure};
use crate::{config::Config, dispatcher::OpenError};

/// The directory that was asked for, or the user's own for state.
///
/// # Errors
/// None was asked for, and the environment names none.
pub(in super::super) fn of(config: &Config) -> Result<PathBuf, Failure> {
    given(config.data_dir.clone())
}

/// As [`of`], for a command that has no config.
///
/// # Errors
/// None was asked for, and the environment names none.
pub(in super::super) fn given(directory: Option<PathBuf>) -> Result<PathBuf, Failure> {
    directory.or_else(default).ok_or_else(|| {
        Exit::Usage
            .because("data_dir: neither XDG_STATE_HOME nor HOME is set: say --data-dir DIR, or --in-memory")
    })
}

/// As the XDG base directory specification has it: a path that is not absolute counts as none.
fn default() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map(|state| state.join("hookwire"))
}

/// How a journal that cannot be opened ends a command.
pub(in super::super) fn failure(error: &OpenError) -> Failure {
    let exit = if error.is_in_use() { Exit::Unavailable } else { Exit::Storage };
    exit.because(error)
}
