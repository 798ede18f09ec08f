//! The tables of the page, each with what was not measured, and why.

use super::{
    columns::{
        ALL_CPU, BOOT, CPU_OF_GENERATED, Column, DISPATCHER_CORES, DISPATCHER_CPU, DISPATCHER_CPU_RANGE,
        DRAIN, DRAIN_EACH, DRAIN_OF_OURS, DRAIN_RANGE, JOURNAL, KILLED_BOOT, MIDDLE_CPU, P50, P50_OF_OURS,
        P50_OF_RAW, P50_RANGE, P99, P99_RANGE, P999, PAIRS, PEAK, PLUGIN_CORES, PLUGIN_CPU, PRODUCER_CPU,
        RATE, RATE_OF_GENERATED, RATE_OF_OURS, RATE_OF_RAW, RATE_RANGE, RUNTIME, SESSION_BYTES, SESSIONS,
        SUBSCRIBERS, WHO, table,
    },
    figure,
    rows::{Rows, is_of},
    table::Table,
    targets::{RUNTIMES, journal, sdks, targets},
    verdict::Target,
};
use crate::results::{Metric, Results, Row, Scenario};

const THROUGHPUT: &[Column] =
    &[WHO, RATE, RATE_RANGE, PRODUCER_CPU, MIDDLE_CPU, PLUGIN_CPU, ALL_CPU, RATE_OF_OURS, RATE_OF_RAW];
const LATENCY: &[Column] = &[WHO, P50, P50_RANGE, P99, P999, P50_OF_OURS, P50_OF_RAW];
const DRAINS: &[Column] = &[PAIRS, WHO, RUNTIME, DRAIN, DRAIN_RANGE, DRAIN_EACH, DRAIN_OF_OURS];
const CLIENTS: &[Column] = &[WHO, RATE, RATE_RANGE, PLUGIN_CPU, DISPATCHER_CPU];
const ISOLATION: &[Column] = &[WHO, RATE, RATE_RANGE, P50, P99, P99_RANGE, P999, DISPATCHER_CPU];
const EMITTING: &[Column] = &[WHO, SUBSCRIBERS, P50, P50_RANGE, P99, P999];
const GROWTH: &[Column] = &[SUBSCRIBERS, SESSIONS, DISPATCHER_CPU, DISPATCHER_CPU_RANGE, ALL_CPU, RATE];
const LEDGER: &[Column] = &[PAIRS, SESSION_BYTES, PEAK];
const LIFECYCLE: &[Column] = &[WHO, RATE, RATE_RANGE, PRODUCER_CPU];
const STARTS: &[Column] = &[WHO, P50, P50_RANGE, P99, PRODUCER_CPU];
const BOOTS: &[Column] = &[SESSIONS, BOOT, KILLED_BOOT, JOURNAL];
const SDKS: &[Column] =
    &[WHO, RATE, RATE_RANGE, RATE_OF_GENERATED, PLUGIN_CPU, CPU_OF_GENERATED, DISPATCHER_CPU];
const SDK_BOUNDS: &[Column] = &[WHO, PLUGIN_CORES, DISPATCHER_CORES];

/// A section of the page by the name that the page's template has for it.
pub fn section(results: &Results, name: &str) -> Option<String> {
    Some(match name {
        "verdicts" => verdicts(results, &targets()),
        "journal_verdicts" => verdicts(results, &journal()),
        "sdk_verdicts" => verdicts(results, &sdks()),
        "sdks" => whole(results, Scenario::Sdks, SDKS),
        "sdk_bounds" => whole(results, Scenario::Sdks, SDK_BOUNDS),
        "run" => run(results),
        "versions" => versions(results),
        "one" => by_runtime(results, Scenario::Throughput, Some(1), THROUGHPUT),
        "eight" => by_runtime(results, Scenario::Throughput, Some(8), THROUGHPUT),
        "sixty_four" => by_runtime(results, Scenario::Throughput, Some(64), THROUGHPUT),
        "latency" => by_runtime(results, Scenario::Latency, None, LATENCY),
        "drains" => whole(results, Scenario::Drain, DRAINS),
        "clients" => whole(results, Scenario::Clients, CLIENTS),
        "isolation" => whole(results, Scenario::Isolation, ISOLATION),
        "emitting" => whole(results, Scenario::Emit, EMITTING),
        "growth" => whole(results, Scenario::Growth, GROWTH),
        "ledger" => whole(results, Scenario::Ledger, LEDGER),
        "lives" => having(results, Scenario::Durability, Metric::DeliveriesPerSecond, LIFECYCLE),
        "starts" => having(results, Scenario::Durability, Metric::P50Us, STARTS),
        "boots" => having(results, Scenario::Durability, Metric::BootMs, BOOTS),
        "notes" => notes(results),
        _ => return None,
    })
}

/// What was asked for, and what was reached.
fn verdicts(results: &Results, targets: &[Target]) -> String {
    let mut table = Table::of_text(&["", "asked for", "reached", "which is"]);
    let mut group = "";
    for target in targets {
        if target.group != group {
            group = target.group;
            table.row([format!("**{group}**"), String::new(), String::new(), String::new()]);
        }
        let readings = (target.read)(Rows::of(results));
        table.row([
            target.what.clone(),
            target.asked(),
            target.reached(&readings),
            target.judge(&readings).words(),
        ]);
    }
    table.finish()
}

/// Where and how it ran.
fn run(results: &Results) -> String {
    let (machine, settings) = (&results.machine, &results.settings);
    let mut text = format!(
        "- {}, {} cores, {} of memory, {}\n- {} rounds of everything, interleaved, in {:.0} minutes. Events of {} bytes.\n",
        machine.cpu,
        machine.cores,
        figure::bytes(machine.memory_bytes as f64),
        machine.kernel,
        settings.rounds,
        results.took_seconds / 60.0,
        settings.event_bytes
    );
    if settings.scale != 1.0 {
        let scale = settings.scale;
        text.push_str(&format!(
            "- **Not a full run**: sizes are {scale} of those that the figures are meant for.\n"
        ));
    }
    if !settings.only.is_empty() {
        text.push_str(&format!("- **Only a part**: rows named {}.\n", settings.only.join(", ")));
    }
    text
}

fn versions(results: &Results) -> String {
    let mut table = Table::of_text(&["", "version"]);
    for (name, version) in &results.versions {
        table.row([name.clone(), version.clone()]);
    }
    table.finish()
}

/// How each contender was set up.
fn notes(results: &Results) -> String {
    let mut table = Table::of_text(&["who", "how"]);
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for row in results.rows.iter().filter(|row| !row.note.is_empty()) {
        let entry = (row.contender.as_str(), row.note.as_str());
        if !seen.contains(&entry) {
            seen.push(entry);
            table.row([row.contender.clone(), row.note.clone()]);
        }
    }
    table.finish()
}

/// A table for each runtime.
fn by_runtime(results: &Results, scenario: Scenario, subscribers: Option<u32>, columns: &[Column]) -> String {
    let rows = Rows::of(results);
    let mut text = String::new();
    for (runtime, name) in RUNTIMES {
        let belongs =
            |row: &&Row| is_of(row, runtime) && subscribers.is_none_or(|count| row.subscribers == count);
        let listed: Vec<_> = rows.scenario(scenario).filter(belongs).collect();
        text.push_str(&format!("{name}:\n\n{}\n", table(rows, &listed, columns)));
    }
    text
}

/// Those rows of a scenario that have this figure, or none at all.
fn having(results: &Results, scenario: Scenario, metric: Metric, columns: &[Column]) -> String {
    let rows = Rows::of(results);
    let has = |row: &&Row| row.samples.is_empty() || row.samples.contains_key(&metric);
    table(rows, &rows.scenario(scenario).filter(has).collect::<Vec<_>>(), columns)
}

fn whole(results: &Results, scenario: Scenario, columns: &[Column]) -> String {
    let rows = Rows::of(results);
    table(rows, &rows.scenario(scenario).collect::<Vec<_>>(), columns)
}
