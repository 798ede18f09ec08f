//! Where a run takes place, and what takes part in it.

use std::{collections::BTreeMap, fs, process::Command, thread};

use crate::results::Machine;

/// What is asked for its version, and how.
const PROGRAMS: [(&str, &[&str]); 6] = [
    ("rustc", &["rustc", "--version"]),
    ("nats-server", &["nats-server", "--version"]),
    ("redis-server", &["redis-server", "--version"]),
    ("python", &["python3", "--version"]),
    ("node", &["node", "--version"]),
    ("go", &["go", "env", "GOVERSION"]),
];

/// The lock file decides what the contenders are made of.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// The crates whose versions matter.
const CRATES: [&str; 6] = ["hookwire", "tonic", "prost", "hyper", "h2", "tokio"];

/// What this machine says of itself; what it does not say is empty.
pub fn facts() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let memory_kib = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| number(&text)).unwrap_or(0);
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        cores: thread::available_parallelism().map_or(0, |cores| cores.get() as u32),
        kernel: format!("Linux {}", version(&read("/proc/sys/kernel/osrelease"))),
        memory_bytes: memory_kib << 10,
    }
}

/// The numbers of a kernel's release: what a distributor adds to them says nothing.
fn version(release: &str) -> &str {
    release.trim().split('-').next().unwrap_or_default()
}

/// What is installed, and what this is built of.
pub fn versions() -> BTreeMap<String, String> {
    let programs = PROGRAMS.into_iter().filter_map(|(name, command)| Some((name, printed(command)?)));
    let crates = CRATES.into_iter().filter_map(|name| Some((name, locked(LOCK, name)?)));
    programs.chain(crates).map(|(name, version)| (name.to_owned(), version)).collect()
}

/// The version in what a command prints: the first word with a dot and a digit in it.
fn printed(command: &[&str]) -> Option<String> {
    let (program, args) = command.split_first()?;
    let output = Command::new(program).args(args).output().ok()?;
    version_in(&String::from_utf8_lossy(&output.stdout))
}

fn version_in(text: &str) -> Option<String> {
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    let words = text
        .split_whitespace()
        .map(|word| word.trim_start_matches("v=").trim_start_matches('v').trim_start_matches("go"));
    words.into_iter().find(is_version).map(str::to_owned)
}

fn locked(lock: &str, name: &str) -> Option<String> {
    let package = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|&line| line != package);
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

/// What stands behind a name and a colon.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let version = |text| version_in(text).unwrap();
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)"), "1.95.0");
        assert_eq!(version("nats-server: v2.9.10"), "2.9.10");
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0"), "7.0.15");
        assert_eq!(version("v22.4.1"), "22.4.1");
        assert_eq!(version_in("no version"), None);
    }

    #[test]
    fn crates_are_found_in_the_lock() {
        assert!(CRATES.iter().all(|name| locked(LOCK, name).is_some()));
        assert_eq!(locked(LOCK, "no-such-crate"), None);
    }

    #[test]
    fn facts_are_read() {
        assert_eq!(field("MemFree: 1 kB\nMemTotal:  7 kB\n", "MemTotal").as_deref(), Some("7 kB"));
        assert!(facts().cores > 0);
    }
}
