//! Time and CPU time, in nanoseconds that every process of this machine reads alike.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{time::clock_getcpuclockid, unistd::Pid};

/// Nanoseconds since the Unix epoch: what an event's time is, and what `hookwire bench` tells times in.
pub fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 // until the year 2554
}

/// What a process and its threads have used so far, in nanoseconds.
///
/// # Errors
/// There is no such process any more.
pub fn cpu_ns(pid: u32) -> io::Result<u64> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    let used = clock_getcpuclockid(pid)?.now()?;
    Ok(used.tv_sec() as u64 * 1_000_000_000 + used.tv_nsec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_cpu() {
        let before = cpu_ns(std::process::id()).unwrap();
        while cpu_ns(std::process::id()).unwrap() == before {}
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(cpu_ns(child.id()).is_err());
    }
}
