//! Finding rows, and what their figures come to beside each other.

use super::names;
use crate::results::{Metric, Results, Row, Runtime, Scenario, Spread};

/// The rows of a run, to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a>(&'a [Row]);

/// What a row is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// What was asked.
    pub scenario: Scenario,
    /// Of whom.
    pub contender: &'a str,
    /// On which runtime.
    pub runtime: Runtime,
    /// With how many subscribers.
    pub subscribers: u32,
    /// With how many sessions; none means whichever comes first.
    pub sessions: Option<u64>,
}

impl<'a> Rows<'a> {
    /// Those of a run.
    pub fn of(results: &'a Results) -> Self {
        Self(&results.rows)
    }

    /// Those of a scenario, in the order in which they were measured.
    pub fn scenario(self, scenario: Scenario) -> impl Iterator<Item = &'a Row> {
        self.0.iter().filter(move |row| row.scenario == scenario)
    }

    /// The first row that is this one.
    pub fn find(self, key: Key<'_>) -> Option<&'a Row> {
        self.scenario(key.scenario).find(|row| {
            row.contender == key.contender
                && row.runtime == key.runtime
                && row.subscribers == key.subscribers
                && key.sessions.is_none_or(|sessions| row.sessions == sessions)
        })
    }

    /// The middle of a figure's samples, where it was measured.
    pub fn median(self, key: Key<'_>, metric: Metric) -> Option<f64> {
        self.find(key)?.spread(metric).map(|spread| spread.median)
    }
}

impl<'a> Key<'a> {
    /// That of a row.
    pub fn of(row: &'a Row) -> Self {
        Self {
            scenario: row.scenario,
            contender: &row.contender,
            runtime: row.runtime,
            subscribers: row.subscribers,
            sessions: Some(row.sessions),
        }
    }

    /// The same question to another.
    pub fn to(self, contender: &'a str) -> Self {
        Self { contender, ..self }
    }
}

/// Whether a row stands among those of a runtime. The daemon stands among all: it is measured as it is served, with a
/// thread for each core, between a gateway and plugins that have one.
pub fn is_of(row: &Row, runtime: Runtime) -> bool {
    row.runtime == runtime || row.contender == names::DAEMON
}

/// CPU time of the dispatcher, or of who stands in its place, in nanoseconds a delivery: the process in the middle, or
/// where there is none the one that makes the events.
pub fn dispatcher_cpu(row: &Row) -> Option<Spread> {
    row.spread(Metric::BrokerCpuNs).or_else(|| row.spread(Metric::ProducerCpuNs))
}

/// CPU time of all processes, in nanoseconds a delivery: the sum of their medians.
pub fn total_cpu(row: &Row) -> Option<f64> {
    let of = |metric| row.spread(metric).map(|spread| spread.median);
    let parts = [Metric::ProducerCpuNs, Metric::BrokerCpuNs, Metric::ConsumerCpuNs].map(of);
    parts.iter().flatten().copied().reduce(|sum, part| sum + part)
}

/// How many times one figure is another; nothing where either is missing or the other is nothing.
pub fn ratio(figure: Option<f64>, to: Option<f64>) -> Option<f64> {
    let (figure, to) = (figure?, to?);
    (to > 0.0).then(|| figure / to)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A row with one sample of each figure.
    pub(crate) fn row(
        scenario: Scenario,
        contender: &str,
        subscribers: u32,
        figures: &[(Metric, f64)],
    ) -> Row {
        Row {
            scenario,
            contender: contender.to_owned(),
            runtime: Runtime::MultiThread,
            subscribers,
            sessions: 1,
            events: 1,
            note: String::new(),
            samples: figures
                .iter()
                .map(|(metric, figure)| (*metric, vec![*figure]))
                .collect::<BTreeMap<_, _>>(),
            error: None,
            not_measured: None,
        }
    }

    #[test]
    fn a_ratio_needs_both_and_something_to_divide_by() {
        assert_eq!(ratio(Some(6.0), Some(2.0)), Some(3.0));
        assert_eq!(ratio(Some(6.0), Some(0.0)), None);
        assert_eq!(ratio(None, Some(2.0)), None);
        assert_eq!(ratio(Some(6.0), None), None);
    }

    #[test]
    fn the_dispatcher_is_whoever_is_in_the_middle() {
        use Metric::{BrokerCpuNs, ConsumerCpuNs, ProducerCpuNs};
        let embedded = row(Scenario::Throughput, "a", 1, &[(ProducerCpuNs, 100.0), (ConsumerCpuNs, 300.0)]);
        let daemon = row(Scenario::Throughput, "b", 1, &[(ProducerCpuNs, 100.0), (BrokerCpuNs, 50.0)]);
        assert_eq!(dispatcher_cpu(&embedded).unwrap().median, 100.0);
        assert_eq!(dispatcher_cpu(&daemon).unwrap().median, 50.0);
        assert_eq!((total_cpu(&embedded), total_cpu(&daemon)), (Some(400.0), Some(150.0)));
    }

    #[test]
    fn a_row_is_found_by_all_that_it_is_known_by() {
        let rows = [
            row(Scenario::Throughput, "a", 1, &[]),
            row(Scenario::Throughput, "a", 8, &[]),
            row(Scenario::Latency, "a", 8, &[]),
        ];
        let key = Key {
            scenario: Scenario::Throughput,
            contender: "a",
            runtime: Runtime::MultiThread,
            subscribers: 8,
            sessions: None,
        };
        assert_eq!(Rows(&rows).find(key), Some(&rows[1]));
        assert_eq!(Rows(&rows).find(key.to("b")), None);
        assert_eq!(Rows(&rows).find(Key { sessions: Some(2), ..key }), None);
    }
}
