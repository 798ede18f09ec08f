//! The results in a table for a terminal: medians, and how far the first metric's samples lie apart.

use crate::{
    results::{Metric, Results, Row},
    runs,
};

/// What a row is about, by scenario: the first that it has.
const LEADING: [Metric; 4] = [Metric::DeliveriesPerSecond, Metric::P50Us, Metric::DrainMs, Metric::BootMs];

/// What stands behind it, where it is known.
const MORE: [(Metric, &str); 8] = [
    (Metric::ProducerCpuNs, "producer ns"),
    (Metric::BrokerCpuNs, "middle ns"),
    (Metric::ConsumerCpuNs, "consumer ns"),
    (Metric::P99Us, "p99 µs"),
    (Metric::P999Us, "p99.9 µs"),
    (Metric::PeakMemoryBytes, "peak bytes"),
    (Metric::KilledBootMs, "ms after a kill"),
    (Metric::JournalBytes, "bytes of journal"),
];

/// A line for each row.
pub fn of(results: &Results) -> String {
    let lines: Vec<_> = results.rows.iter().map(line).collect();
    lines.join("\n")
}

fn line(row: &Row) -> String {
    let name = runs::name(row);
    let figures = match (&row.error, &row.not_measured) {
        (Some(why), _) => format!("WRONG: {why}"),
        (None, Some(why)) => format!("not measured: {why}"),
        (None, None) => figures(row),
    };
    format!("{name:<60} {figures}")
}

fn figures(row: &Row) -> String {
    let leading = LEADING.iter().find_map(|&metric| Some((metric, row.spread(metric)?)));
    let leading = leading.map(|(metric, spread)| {
        let unit = match metric {
            Metric::DeliveriesPerSecond => "/s",
            Metric::P50Us => "µs p50",
            _ => "ms",
        };
        format!("{:>12.1} {unit} ({:.1} to {:.1})", spread.median, spread.min, spread.max)
    });
    let more = MORE.iter().filter_map(|&(metric, unit)| {
        let spread = row.spread(metric)?;
        Some(format!("{:.0} {unit}", spread.median))
    });
    leading.into_iter().chain(more).collect::<Vec<_>>().join(", ")
}
