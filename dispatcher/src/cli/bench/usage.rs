//! What a process costs, read from outside: CPU to the nanosecond, memory to the page. `None` where it is not known.

use std::fs;

use nix::unistd::Pid;

/// A process's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) now: Option<u64>,
    /// The most that ever was.
    pub(super) peak: Option<u64>,
}

/// CPU time of all its threads so far, in nanoseconds.
#[cfg(target_os = "linux")]
pub(super) fn cpu(pid: Pid) -> Option<u64> {
    use nix::time::{clock_getcpuclockid, clock_gettime};
    let time = clock_getcpuclockid(pid).and_then(clock_gettime).ok()?;
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).ok()?)
}

/// Elsewhere another process's clock cannot be read.
#[cfg(not(target_os = "linux"))]
pub(super) fn cpu(_: Pid) -> Option<u64> {
    None
}

/// Its memory now.
pub(super) fn memory(pid: Pid) -> Memory {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or_else(|_| Memory::default(), |text| parse(&text))
}

fn parse(status: &str) -> Memory {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    };
    Memory { now: field("VmRSS:"), peak: field("VmHWM:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read() {
        let status = "Name:\thookwire\nVmPeak:\t   99 kB\nVmHWM:\t   12 kB\nVmRSS:\t    8 kB\n";
        assert_eq!(parse(status), Memory { now: Some(8 << 10), peak: Some(12 << 10) });
        assert_eq!(parse("VmRSS:\tmuch\n"), Memory::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_clock_of_a_process_goes_on() {
        let before = cpu(Pid::this()).unwrap();
        let spent = (0..1_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        assert!(cpu(Pid::this()).unwrap() > before, "{spent}");
    }
}
