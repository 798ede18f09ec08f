//! The page as a whole, of rows that are made up.

use std::collections::BTreeMap;

use super::{rows::tests::row, *};
use crate::results::{Machine, Metric, Runtime, SCHEMA, Scenario, Settings};

fn results(rows: Vec<crate::results::Row>) -> Results {
    Results {
        schema: SCHEMA,
        started_unix: 0,
        took_seconds: 61.0,
        machine: Machine { cpu: "a processor".into(), cores: 2, ..Machine::default() },
        versions: BTreeMap::from([("rustc".into(), "1.95.0".into())]),
        settings: Settings { rounds: 5, scale: 1.0, only: Vec::new(), event_bytes: 246 },
        rows,
    }
}

fn written(rows: Vec<crate::results::Row>) -> String {
    let results = results(rows);
    page(PAGE, &results, &pictures(&results))
}

#[test]
fn every_placeholder_of_the_page_is_filled() {
    let page = written(Vec::new());
    assert!(!page.contains("{{"), "{page}");
    assert!(page.contains("Not measured in this run.") && page.contains("not measured |"), "{page}");
}

#[test]
fn so_are_those_of_the_other_pages() {
    for (_, file, template) in OF_THEIR_OWN {
        let page = page(template, &results(Vec::new()), &[]);
        assert!(!page.contains("{{"), "{file}: {page}");
    }
}

#[test]
fn an_sdk_stands_beside_generated_code_of_its_language() {
    use Metric::{ConsumerCpuNs, DeliveriesPerSecond, ProducerCpuNs};
    let row = |contender, rate, cpu| {
        let figures = [(DeliveriesPerSecond, rate), (ConsumerCpuNs, cpu), (ProducerCpuNs, 500.0)];
        row(Scenario::Sdks, contender, 1, &figures)
    };
    let rows = vec![row("Go, sdk", 250e3, 3000.0), row("Go, generated", 500e3, 1500.0)];
    let page = page(SDKS, &results(rows), &[]);
    assert!(page.contains("| Go, sdk | 250 k | 250 k – 250 k | 0.5 × | 3 µs | 2 × | 500 ns |"), "{page}");
    assert!(page.contains("| Go, generated | 500 k | 500 k – 500 k |  | 1.5 µs |  | 500 ns |"), "{page}");
    assert!(page.contains("| Go, sdk | 0.75 | 0.12 |"), "{page}");
    assert!(
        page.contains("| Go, events acknowledged a second | ≥ 300 k | 250 k (sdk) | **missed by 17 %** |"),
        "{page}"
    );
}

#[test]
fn every_chart_has_its_place_on_the_page() {
    use Metric::{ConsumerCpuNs, DeliveriesPerSecond, DrainMs, P50Us, P99Us, P999Us, ProducerCpuNs};
    let cost = [(DeliveriesPerSecond, 1e6), (ProducerCpuNs, 100.0), (ConsumerCpuNs, 300.0)];
    let mut rows = vec![
        row(Scenario::Throughput, names::EMBEDDED, 1, &cost),
        row(Scenario::Throughput, names::EMBEDDED, 8, &cost),
        row(Scenario::Throughput, names::EMBEDDED, 64, &cost),
        row(Scenario::Latency, names::EMBEDDED, 1, &[(P50Us, 90.0), (P99Us, 200.0), (P999Us, 300.0)]),
        row(Scenario::Drain, names::DAEMON, 32, &[(DrainMs, 900.0)]),
        row(Scenario::Clients, "anything", 1, &cost),
        row(Scenario::Growth, names::DAEMON, 1, &cost),
        row(Scenario::Growth, names::DAEMON, 1, &cost),
    ];
    rows[7].sessions = 1000;
    rows.iter_mut().for_each(|row| row.runtime = Runtime::CurrentThread);
    let (results, page) = (results(rows.clone()), written(rows));
    let drawn = pictures(&results);
    assert_eq!(drawn.len(), 9);
    for Picture { name, .. } in drawn {
        assert!(page.contains(&format!("benchmarks/{name}.svg)")), "{name}");
    }
}

#[test]
fn a_miss_is_named_as_one_and_what_is_absent_says_why() {
    let rate =
        |contender, rate| row(Scenario::Throughput, contender, 1, &[(Metric::DeliveriesPerSecond, rate)]);
    let mut redis = rate(names::REDIS, 1.0);
    (redis.samples, redis.not_measured) = (BTreeMap::new(), Some("redis-server is not installed".into()));
    let page = written(vec![rate(names::EMBEDDED, 3e6), rate(names::UNARY, 1e5), redis]);
    let line = page.lines().find(|line| line.contains(&format!("against {}", names::UNARY))).unwrap();
    assert!(line.contains("30 × (multi-thread)") && line.contains("**missed by 14 %**"), "{line}");
    assert!(page.contains("multi-thread: not measured: redis-server is not installed"), "{page}");
}

#[test]
fn committed_instructions_are_judged_and_a_waking_thread_is_not() {
    let call = |contender, us| row(Scenario::Emit, contender, 64, &[(Metric::P50Us, us)]);
    let page = written(vec![call(crate::emit::WAKING, 20.0), call("1,000 a second, from a task", 0.5)]);
    let line = |what: &str| page.lines().find(|line| line.contains(what)).unwrap();
    assert!(line("a call, p50").ends_with("reached |"), "{}", line("a call, p50"));
    let instructions = line("user instructions a delivery");
    assert!(
        instructions.contains("(1 subscriber)") && instructions.contains("(8 subscribers)"),
        "{instructions}"
    );
}

#[test]
fn what_is_written_replaces_what_was() {
    let docs = tempfile::tempdir().unwrap();
    let stale = docs.path().join(FOLDER).join("stale.svg");
    fs::create_dir_all(stale.parent().unwrap()).unwrap();
    fs::write(&stale, "").unwrap();
    write(&results(vec![row(Scenario::Drain, names::DAEMON, 8, &[(Metric::DrainMs, 9.0)])]), docs.path())
        .unwrap();
    assert!(!stale.exists());
    assert!(
        docs.path().join("benchmarks.md").exists() && docs.path().join(FOLDER).join("drain.svg").exists()
    );
}
