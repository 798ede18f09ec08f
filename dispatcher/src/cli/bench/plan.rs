//! What a bench is going to do, from its arguments. Pure.

use clap::ValueEnum;

use super::Args;
use crate::cli::{Exit, Failure};

/// The most processes that plugins are spread over.
const MOST_PROCESSES: u32 = 64;

/// The JSON of an event that has 246 bytes in all.
const PAYLOAD: u32 = 180;

/// The most events that the gateway is ahead of the slowest subscriber: less than a queue holds, so none is lost.
const CREDIT: u64 = 6_000;

/// The same in bytes.
const CREDIT_BYTES: u64 = 12 << 20;

/// What an event has beside its payload by the time it is queued, at most, in bytes.
const OVERHEAD: u64 = 512;

/// How much a plugin acknowledges before it tells: more would hold the gateway up, less costs.
const STEP: u64 = 1_024;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Deliveries a second, as fast as plugins acknowledge
    Throughput,
    /// From an event's time to its receipt, at a steady rate, one by one
    Latency,
    /// The end of many sessions at once
    Drain,
}

/// What is going to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) subscribers: u32,
    pub(super) sessions: u32,
    /// None in a drain: it measures the ends.
    pub(super) events: u64,
    /// The size of an event's JSON, in bytes.
    pub(super) payload: u32,
    /// Events a second; without one, as fast as they are acknowledged.
    pub(super) rate: Option<u32>,
    /// Whether a loss is a failure: it is not where somebody chose a rate that may be too high.
    pub(super) must_not_lose: bool,
}

impl Plan {
    /// Fills in what was not said.
    ///
    /// # Errors
    /// [`Exit::Usage`] for what makes no sense together.
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let says_events = args.events.is_some() || args.rate.is_some() || args.payload.is_some();
        if args.mode == Mode::Drain && says_events {
            let text = "--events, --payload and --rate are of events: a drain has only --sessions";
            return Err(Exit::Usage.because(text));
        }
        let (sessions, events, rate) = match args.mode {
            Mode::Throughput => (16, 500_000, None),
            Mode::Latency => (16, 10_000, Some(1_000)),
            Mode::Drain => (10_000, 0, None),
        };
        Ok(Self {
            mode: args.mode,
            subscribers: args.subscribers,
            sessions: args.sessions.unwrap_or(sessions),
            events: args.events.unwrap_or(events),
            payload: args.payload.unwrap_or(PAYLOAD),
            rate: args.rate.or(rate),
            must_not_lose: args.rate.is_none(),
        })
    }

    /// What one subscriber is handed while it is measured: events, or ends.
    pub(super) fn measured(&self) -> u64 {
        if self.mode == Mode::Drain { self.sessions.into() } else { self.events }
    }

    /// What all subscribers are handed while it is measured.
    pub(super) fn deliveries(&self) -> u64 {
        self.measured() * u64::from(self.subscribers)
    }

    /// How many events the gateway may be ahead of the slowest subscriber.
    pub(super) fn credit(&self) -> u64 {
        (CREDIT_BYTES / (u64::from(self.payload) + OVERHEAD)).clamp(1, CREDIT)
    }

    /// After how many acknowledgements a plugin tells of them: before the gateway's credit is used up.
    pub(super) fn step(&self) -> u64 {
        self.credit().div_ceil(4).min(STEP)
    }

    /// How many subscribers each plugin process hosts.
    pub(super) fn shares(&self) -> Vec<u32> {
        let processes = self.subscribers.min(MOST_PROCESSES);
        let (each, over) = (self.subscribers / processes, self.subscribers % processes);
        (0..processes).map(|process| each + u32::from(process < over)).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn plan(flags: &[&str]) -> Result<Plan, Failure> {
        let line = CommandLine::try_parse_from([&["bench"], flags].concat()).expect("flags that parse");
        Plan::new(&line.args)
    }

    #[test]
    fn each_mode_has_its_own_defaults() {
        let throughput = plan(&[]).unwrap();
        assert_eq!((throughput.measured(), throughput.rate, throughput.must_not_lose), (500_000, None, true));
        let latency = plan(&["--mode", "latency", "--subscribers", "2"]).unwrap();
        assert_eq!((latency.deliveries(), latency.rate, latency.must_not_lose), (20_000, Some(1_000), true));
        let drain = plan(&["--mode", "drain", "--sessions", "50", "--subscribers", "8"]).unwrap();
        assert_eq!((drain.events, drain.measured(), drain.deliveries()), (0, 50, 400));
    }

    #[test]
    fn who_chooses_a_rate_may_lose() {
        assert!(!plan(&["--rate", "7"]).unwrap().must_not_lose);
    }

    #[test]
    fn a_drain_has_no_events() {
        for flag in ["--events", "--payload", "--rate"] {
            let failure = plan(&["--mode", "drain", flag, "7"]).expect_err(flag);
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn credit_is_told_of_before_it_is_used_up() {
        for (payload, credit, step) in [("180", 6_000, 1_024), ("1000000", 12, 3), ("1048576", 11, 3)] {
            let plan = plan(&["--payload", payload]).unwrap();
            assert_eq!((plan.credit(), plan.step()), (credit, step));
        }
    }

    #[test]
    fn subscribers_are_shared_out() {
        let shares = |subscribers: &str| plan(&["--subscribers", subscribers]).unwrap().shares();
        assert_eq!(shares("3"), [1, 1, 1]);
        let many = shares("130");
        assert_eq!((many.len(), many[0], many[63], many.iter().sum::<u32>()), (64, 3, 2, 130));
    }
}
