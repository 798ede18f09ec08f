//! Plugins that are somebody else's programs: the SDK's examples, and the one that breaks rules.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{line, process::Process};

/// Starts one with these arguments, as this subscriber.
pub(crate) fn start(example: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::of(program(example), arguments, variables)
}

/// An example, built where it is not there or not new.
pub(crate) fn program(name: &str) -> &'static Path {
    static PROGRAMS: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(build);
    programs.get(name).unwrap_or_else(|| panic!("no example {name}: {programs:?}"))
}

fn build() -> BTreeMap<String, PathBuf> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let release = (!cfg!(debug_assertions)).then_some("--release");
    cargo.args(["build", "--package", "hookwire-sdk", "--package", "hookwire", "--examples"]).args(release);
    let built = cargo.args(["--message-format", "json"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).unwrap();
    let executables = messages.lines().filter_map(|message| {
        let message = line::parse(message);
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    executables.collect()
}
