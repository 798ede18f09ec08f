//! The columns that tables are made of: a heading, and how a row fills it.

use super::{
    figure, names,
    rows::{Key, Rows, dispatcher_cpu, ratio, total_cpu},
    table::Table,
};
use crate::{
    results::{Metric, Row, Runtime, Spread},
    sdks::SDKS,
};

/// A heading, and how a row fills the cell below it.
pub type Column = (&'static str, fn(Rows<'_>, &Row) -> String);

/// Who it was.
pub const WHO: Column = ("", |_, row| row.contender.clone());
/// On which runtime.
pub const RUNTIME: Column = ("runtime", |_, row| runtime(row).to_owned());
/// How many took each event.
pub const SUBSCRIBERS: Column = ("subscribers", |_, row| row.subscribers.to_string());
/// How many sessions there were.
pub const SESSIONS: Column = ("sessions", |_, row| figure::grouped(row.sessions));
/// A drain's size, or a ledger's.
pub const PAIRS: Column =
    ("sessions × subscribers", |_, row| format!("{} × {}", figure::grouped(row.sessions), row.subscribers));

/// The rate's median.
pub const RATE: Column =
    ("deliveries a second", |_, row| middle(row, Metric::DeliveriesPerSecond, figure::count));
/// The rate's extremes.
pub const RATE_RANGE: Column =
    ("min – max", |_, row| range(row.spread(Metric::DeliveriesPerSecond), figure::count));
/// The rate beside Hookwire's.
pub const RATE_OF_OURS: Column =
    ("of Hookwire's rate", |rows, row| share(rows, row, names::EMBEDDED, Metric::DeliveriesPerSecond));
/// The rate beside the limit.
pub const RATE_OF_RAW: Column =
    ("of raw TCP's", |rows, row| share(rows, row, names::RAW_TCP, Metric::DeliveriesPerSecond));

/// CPU of whoever makes the events.
pub const PRODUCER_CPU: Column =
    ("CPU: producer", |_, row| middle(row, Metric::ProducerCpuNs, figure::nanos));
/// CPU of a broker or a daemon.
pub const MIDDLE_CPU: Column = ("in the middle", |_, row| middle(row, Metric::BrokerCpuNs, figure::nanos));
/// CPU of the plugins.
pub const PLUGIN_CPU: Column = ("plugins", |_, row| middle(row, Metric::ConsumerCpuNs, figure::nanos));
/// CPU of all.
pub const ALL_CPU: Column = ("all CPU", |_, row| written(total_cpu(row), figure::nanos));
/// CPU of the dispatcher alone.
pub const DISPATCHER_CPU: Column =
    ("dispatcher CPU", |_, row| written(dispatcher_cpu(row).map(|spread| spread.median), figure::nanos));
/// Its extremes.
pub const DISPATCHER_CPU_RANGE: Column = ("min – max", |_, row| range(dispatcher_cpu(row), figure::nanos));

/// Half took at most this.
pub const P50: Column = ("p50", |_, row| middle(row, Metric::P50Us, micros));
/// Its extremes.
pub const P50_RANGE: Column = ("min – max", |_, row| range(row.spread(Metric::P50Us), micros));
/// 99 % took at most this.
pub const P99: Column = ("p99", |_, row| middle(row, Metric::P99Us, micros));
/// Its extremes.
pub const P99_RANGE: Column = ("min – max", |_, row| range(row.spread(Metric::P99Us), micros));
/// 99.9 % took at most this.
pub const P999: Column = ("p99.9", |_, row| middle(row, Metric::P999Us, micros));
/// The p50 beside Hookwire's.
pub const P50_OF_OURS: Column =
    ("of Hookwire's p50", |rows, row| share(rows, row, names::EMBEDDED, Metric::P50Us));
/// The p50 beside the limit.
pub const P50_OF_RAW: Column = ("of raw TCP's", |rows, row| share(rows, row, names::RAW_TCP, Metric::P50Us));

/// The rate beside that of generated code in the same language.
pub const RATE_OF_GENERATED: Column =
    ("of generated code's", |rows, row| of_generated(rows, row, Metric::DeliveriesPerSecond));
/// The plugin's CPU beside that of generated code in the same language.
pub const CPU_OF_GENERATED: Column =
    ("of generated code's", |rows, row| of_generated(rows, row, Metric::ConsumerCpuNs));
/// How many cores a plugin kept busy.
pub const PLUGIN_CORES: Column = ("the plugin", |_, row| cores(row, Metric::ConsumerCpuNs));
/// How many cores the dispatcher kept busy, with the gateway that it is in.
pub const DISPATCHER_CORES: Column = ("gateway and dispatcher", |_, row| cores(row, Metric::ProducerCpuNs));

/// How long a drain took.
pub const DRAIN: Column = ("time", |_, row| middle(row, Metric::DrainMs, millis));
/// Its extremes.
pub const DRAIN_RANGE: Column = ("min – max", |_, row| range(row.spread(Metric::DrainMs), millis));
/// The same for one end at one subscriber.
pub const DRAIN_EACH: Column = ("a delivery", |_, row| {
    let deliveries = row.sessions as f64 * f64::from(row.subscribers);
    written(median(row, Metric::DrainMs).map(|ms| ms / deliveries), millis)
});
/// The time beside Hookwire's.
pub const DRAIN_OF_OURS: Column =
    ("of Hookwire's", |rows, row| share(rows, row, names::DAEMON, Metric::DrainMs));

/// What a session takes.
pub const SESSION_BYTES: Column = ("a session", |_, row| middle(row, Metric::BytesPerSession, figure::bytes));
/// What the process took at its largest.
pub const PEAK: Column = ("the process", |_, row| middle(row, Metric::PeakMemoryBytes, figure::bytes));

/// How long a daemon takes to go on from a journal that was closed.
pub const BOOT: Column = ("after a stop", |_, row| middle(row, Metric::BootMs, millis));
/// The same, of one whose process was killed.
pub const KILLED_BOOT: Column = ("after a kill", |_, row| middle(row, Metric::KilledBootMs, millis));
/// What the journal takes on the disk.
pub const JOURNAL: Column = ("the file", |_, row| middle(row, Metric::JournalBytes, figure::bytes));

/// Those rows that have figures as a table, and a line for each that has none and says why.
pub fn table(rows: Rows<'_>, listed: &[&Row], columns: &[Column]) -> String {
    if listed.is_empty() {
        return "Not measured in this run.\n".to_owned();
    }
    let mut table = Table::new(&columns.iter().map(|(heading, _)| *heading).collect::<Vec<_>>());
    let (measured, missing): (Vec<&Row>, Vec<&Row>) =
        listed.iter().partition(|row| row.error.is_none() && !row.samples.is_empty());
    for row in &measured {
        table.row(columns.iter().map(|(_, fill)| fill(rows, row)));
    }
    let lines = missing.into_iter().map(absent).collect::<String>();
    match (measured.is_empty(), lines.is_empty()) {
        (true, _) => lines,
        (false, true) => table.finish(),
        (false, false) => format!("{}\n{lines}", table.finish()),
    }
}

/// Why a row has no figures.
fn absent(row: &Row) -> String {
    let why = match (&row.error, &row.not_measured) {
        (Some(why), _) => format!("failed: {why}"),
        (None, Some(why)) => format!("not measured: {why}"),
        (None, None) => "not measured: no round was run".to_owned(),
    };
    let (sessions, runtime) = (figure::grouped(row.sessions), runtime(row));
    format!("- {}, subscribers {}, sessions {sessions}, {runtime}: {why}\n", row.contender, row.subscribers)
}

/// A row's runtime as the page calls it.
pub fn runtime(row: &Row) -> &'static str {
    match row.runtime {
        Runtime::MultiThread => "multi-thread",
        Runtime::CurrentThread => "current_thread",
    }
}

/// A time given in microseconds.
pub fn micros(us: f64) -> String {
    figure::nanos(us * 1e3)
}

/// A time given in milliseconds.
pub fn millis(ms: f64) -> String {
    figure::nanos(ms * 1e6)
}

fn median(row: &Row, metric: Metric) -> Option<f64> {
    row.spread(metric).map(|spread| spread.median)
}

fn middle(row: &Row, metric: Metric, write: fn(f64) -> String) -> String {
    written(median(row, metric), write)
}

/// The daemon stands in tables of both runtimes, and is of one: beside the other's rows a share would mislead.
fn share(rows: Rows<'_>, row: &Row, of: &str, metric: Metric) -> String {
    if row.contender == names::DAEMON && of != names::DAEMON {
        return String::new();
    }
    let theirs = rows.median(Key::of(row).to(of), metric);
    written(ratio(median(row, metric), theirs), figure::times)
}

/// Generated code is not compared with itself.
fn of_generated(rows: Rows<'_>, row: &Row, metric: Metric) -> String {
    let sdk = SDKS.iter().find(|sdk| sdk.handlers.iter().any(|form| sdk.row(form) == row.contender));
    let generated = sdk.and_then(|sdk| rows.median(Key::of(row).to(&sdk.generated()), metric));
    written(ratio(median(row, metric), generated), figure::times)
}

/// CPU time for each second of the run.
fn cores(row: &Row, of: Metric) -> String {
    let busy = median(row, of).zip(median(row, Metric::DeliveriesPerSecond));
    busy.map(|(nanoseconds, rate)| format!("{:.2}", nanoseconds * rate / 1e9)).unwrap_or_default()
}

fn written(value: Option<f64>, write: fn(f64) -> String) -> String {
    value.map(write).unwrap_or_default()
}

fn range(spread: Option<Spread>, write: fn(f64) -> String) -> String {
    spread.map(|Spread { min, max, .. }| format!("{} – {}", write(min), write(max))).unwrap_or_default()
}
