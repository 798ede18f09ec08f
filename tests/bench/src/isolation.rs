//! 64 subscribers, of which one is stopped, one is slow and one crashes again and again: what the other 61 notice.

mod crashing;
mod run;

use crate::{
    case::{Bench, Case, Failure, Sample},
    cases::Label,
    results::{Metric, Row, Runtime, Scenario},
};

/// Rows whose rates are compared: with the three, and with three healthy ones in their place.
pub const RATES: [(&str, &str); 3] =
    [(FULL_DISTURBED, FULL_HEALTHY), (PACED_DISTURBED, PACED_HEALTHY), (PACED_CUT, PACED_HEALTHY)];

/// Those of them whose latencies are: at full speed that is how long the gateway's credit lasts, and says what the rate says.
pub const LATENCIES: [(&str, &str); 2] = [(PACED_DISTURBED, PACED_HEALTHY), (PACED_CUT, PACED_HEALTHY)];

const FULL_HEALTHY: &str = "full speed, all healthy";
const FULL_DISTURBED: &str = "full speed, beside the three";
const PACED_HEALTHY: &str = "paced, all healthy";
const PACED_DISTURBED: &str = "paced, beside the three";
const PACED_CUT: &str = "paced, beside the three, DISCONNECT";

/// Those whose figures these are.
const HEALTHY: u32 = 61;

/// Sessions that the events belong to.
const SESSIONS: u64 = 16;

/// Events a second, each to 64 subscribers: what is to be seen is not how a small machine copes without idle time.
const RATE: u64 = 400;

/// How many are paced: six seconds of them, in which the stalled and the slow one fall behind as far as they may.
const PACED: u64 = 6 * RATE;

/// How many go at full speed.
const FULL: u64 = 100_000;

/// Who the other three are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    /// As healthy as the rest.
    Healthy,
    /// One stopped, one slow, one that crashes.
    Disturbed,
    /// The same, and the dispatcher hangs up on the one that is stopped.
    Cut,
}

/// The healthy in some company.
#[derive(Clone, Copy, Debug)]
struct Isolation {
    contender: &'static str,
    company: Company,
    /// Events a second; none means as fast as the healthy acknowledge.
    rate: Option<u64>,
    events: u64,
}

/// At full speed and paced, with and without the three.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let full = |contender, company| Isolation { contender, company, rate: None, events: bench.scaled(FULL) };
    let paced =
        |contender, company| Isolation { contender, company, rate: Some(RATE), events: bench.scaled(PACED) };
    let cases = [
        full(FULL_HEALTHY, Company::Healthy),
        full(FULL_DISTURBED, Company::Disturbed),
        paced(PACED_HEALTHY, Company::Healthy),
        paced(PACED_DISTURBED, Company::Disturbed),
        paced(PACED_CUT, Company::Cut),
    ];
    cases.into_iter().map(|case| Box::new(case) as Box<dyn Case>).collect()
}

impl Case for Isolation {
    fn row(&self) -> Row {
        let note = match self.rate {
            None => "6000 events ahead of the slowest of the 61",
            Some(_) => {
                "400 events a second on an absolute schedule, each to 64 subscribers; windows of 256, queues of 512 events"
            }
        };
        let label = Label { scenario: Scenario::Isolation, contender: self.contender, note };
        label.row(Runtime::MultiThread, HEALTHY, SESSIONS, self.events)
    }

    fn measure(&self, bench: &Bench) -> Result<Sample, Failure> {
        let heard = run::run(self, &bench.hookwire)?;
        let took = heard.took.ok_or_else(|| Failure::Wrong("no delivery has a latency".to_owned()))?;
        let deliveries = self.events * u64::from(HEALTHY);
        let elapsed = heard.ended_ns.saturating_sub(heard.began_ns).max(1) as f64;
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let each = |nanos: u64| nanos as f64 / deliveries as f64;
        Ok(Sample::from([
            (Metric::DeliveriesPerSecond, deliveries as f64 * 1e9 / elapsed),
            (Metric::BrokerCpuNs, each(heard.dispatcher_cpu_ns)),
            (Metric::ConsumerCpuNs, each(heard.healthy_cpu_ns)),
            (Metric::P50Us, micros(took.p50)),
            (Metric::P99Us, micros(took.p99)),
            (Metric::P999Us, micros(took.p999)),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::results::Settings;

    #[test]
    fn every_row_that_is_compared_is_measured() {
        let settings = Settings { rounds: 1, scale: 1.0, only: Vec::new(), event_bytes: 246 };
        let bench = Bench { settings, hookwire: "hookwire".into() };
        let measured: HashSet<_> = cases(&bench).iter().map(|case| case.row().contender).collect();
        let pairs = || RATES.iter().chain(&LATENCIES);
        assert!(pairs().all(|(with, without)| measured.contains(*with) && measured.contains(*without)));
    }
}
