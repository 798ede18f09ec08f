//! The figures that were asked for, each computed from the rows of the run.

use super::{
    figure, names,
    rows::{Key, Rows, dispatcher_cpu, ratio},
    verdict::{
        Better::{self, Less, More},
        Reading, Target,
    },
};
use crate::{
    isolation, stock,
    results::{Metric, Row, Runtime, Scenario},
};

/// Both runtimes, each with how the report calls it.
pub const RUNTIMES: [(Runtime, &str); 2] =
    [(Runtime::MultiThread, "multi-thread"), (Runtime::CurrentThread, "current_thread")];

/// All of them, in the order in which they were asked for.
pub fn targets() -> Vec<Target> {
    [one_subscriber(), fan_out(), latency(), drains(), ledger(), clients(), neighbours(), emitting()]
        .into_iter()
        .flatten()
        .collect()
}

fn one_subscriber() -> Vec<Target> {
    let peers = [
        (names::UNARY, 35.0, 45.0),
        (names::HTTP, 30.0, 40.0),
        (names::JETSTREAM, 18.0, 25.0),
        (names::REDIS, 11.0, 16.0),
        (names::NATS, 4.5, 6.0),
        (names::PROTOBUF, 0.5, 0.75),
    ];
    peers
        .into_iter()
        .map(|(peer, floor, aim)| Target {
            group: "1. One subscriber",
            what: format!("deliveries a second, against {peer}"),
            better: More,
            floor,
            aim: Some(aim),
            write: figure::times,
            read: Box::new(move |rows| {
                on_both(|runtime| {
                    let key = throughput(names::HOOKWIRE, runtime, 1);
                    against(rows, key, peer, Metric::DeliveriesPerSecond)
                })
            }),
        })
        .collect()
}

fn fan_out() -> Vec<Target> {
    let asked = |subscribers: u32, peer: &'static str, floor, aim| Target {
        group: "2. Fan-out",
        what: format!("dispatcher CPU a delivery with {subscribers} subscribers, against {peer}"),
        better: Less,
        floor,
        aim,
        write: figure::times,
        read: Box::new(move |rows| {
            on_both(|runtime| {
                let cpu = |contender| {
                    let row = rows.find(throughput(contender, runtime, subscribers))?;
                    dispatcher_cpu(row).map(|spread| spread.median)
                };
                ratio(cpu(names::HOOKWIRE), cpu(peer))
            })
        }),
    };
    vec![
        asked(8, names::RAW_TCP, 1.75, Some(1.25)),
        asked(64, names::RAW_TCP, 1.75, Some(1.25)),
        asked(64, names::PER_EVENT, 0.2, None),
    ]
}

fn latency() -> Vec<Target> {
    let asked = |peer: &'static str, floor, aim| Target {
        group: "3. Latency at 1,000 events a second",
        what: format!("p50, against {peer}"),
        better: Less,
        floor,
        aim,
        write: figure::times,
        read: Box::new(move |rows| {
            on_both(|runtime| {
                let key = Key { scenario: Scenario::Latency, ..throughput(names::HOOKWIRE, runtime, 1) };
                against(rows, key, peer, Metric::P50Us)
            })
        }),
    };
    vec![asked(names::RAW_TCP, 4.0, Some(2.5)), asked(names::UNARY, 0.65, None)]
}

fn drains() -> Vec<Target> {
    const GROUP: &str = "4. Drain, every end acknowledged";
    let key = |sessions, subscribers, runtime| Key {
        scenario: Scenario::Drain,
        sessions: Some(sessions),
        ..throughput(names::HOOKWIRE, runtime, subscribers)
    };
    // "About" is taken to mean: a tenth more at most.
    let takes = move |sessions: u64, subscribers: u32, ms: f64| Target {
        group: GROUP,
        what: format!(
            "{} sessions × {subscribers} subscribers, about {}",
            figure::grouped(sessions),
            figure::nanos(ms * 1e6)
        ),
        better: Less,
        floor: ms * 1.1,
        aim: None,
        write: |ms| figure::nanos(ms * 1e6),
        read: Box::new(move |rows| {
            on_both(|runtime| rows.median(key(sessions, subscribers, runtime), Metric::DrainMs))
        }),
    };
    let faster = move |peer: &'static str, floor| Target {
        group: GROUP,
        what: format!("100,000 sessions × 32 subscribers, how much faster than {peer}"),
        better: More,
        floor,
        aim: None,
        write: figure::times,
        read: Box::new(move |rows| {
            on_both(|runtime| {
                let ours = key(100_000, 32, runtime);
                ratio(rows.median(ours.to(peer), Metric::DrainMs), rows.median(ours, Metric::DrainMs))
            })
        }),
    };
    vec![takes(100_000, 32, 1000.0), faster(names::PER_EVENT, 2.0), faster(names::UNARY, 80.0), takes(1_000, 8, 10.0)]
}

fn ledger() -> Vec<Target> {
    let asked = |what: &str, floor, metric| {
        from_rows("5. Ledger, at 100,000 sessions × 32 subscribers", what, Less, floor, figure::bytes, move |rows| {
            figures(rows.scenario(Scenario::Ledger), metric)
        })
    };
    vec![
        asked("memory a (subscriber, session)", 2.0, Metric::BytesPerPair),
        asked("memory a session beyond its own event", 60.0, Metric::BytesPerSession),
    ]
}

fn clients() -> Vec<Target> {
    stock::LANGUAGES
        .iter()
        .map(|language| {
            let what = format!("stock {}, against its own per-event form", language.name);
            from_rows("7. Stock clients", &what, More, language.floor, figure::times, |rows| {
                let rate = |contender: &str| {
                    let key = Key { scenario: Scenario::Clients, ..throughput(contender, Runtime::MultiThread, 1) };
                    rows.median(key, Metric::DeliveriesPerSecond)
                };
                let gained = ratio(rate(&language.batches()), rate(&language.per_event()));
                gained.map(|figure| Reading { under: String::new(), figure }).into_iter().collect()
            })
        })
        .collect()
}

fn neighbours() -> Vec<Target> {
    let find = |rows: Rows<'_>, contender: &str| {
        let row = rows.scenario(Scenario::Isolation).find(|row| row.contender == contender);
        row.cloned()
    };
    let compared = move |rows: Rows<'_>, metric, compare: fn(f64, f64) -> f64| {
        let median = |row: Option<Row>| row?.spread(metric).map(|spread| spread.median);
        let pairs = isolation::PAIRS.iter().filter_map(|(with, without)| {
            let figure = compare(median(find(rows, with))?, median(find(rows, without))?);
            Some(Reading { under: (*with).to_owned(), figure })
        });
        pairs.collect::<Vec<_>>()
    };
    const GROUP: &str = "8. Neighbours of a stalled, a slow and a crashing subscriber";
    vec![
        from_rows(GROUP, "the rate of the other 61, of that without them", More, 0.9, figure::times, move |rows| {
            compared(rows, Metric::DeliveriesPerSecond, |with, without| with / without)
        }),
        from_rows(GROUP, "how far their p99 moves", Less, 10_000.0, |us| figure::nanos(us * 1e3), move |rows| {
            compared(rows, Metric::P99Us, |with, without| (with - without).max(0.0))
        }),
    ]
}

fn emitting() -> Vec<Target> {
    let asked = |what, floor, metric| {
        from_rows("8. `emit()` waits for nobody", what, Less, floor, |us| figure::nanos(us * 1e3), move |rows| {
            figures(rows.scenario(Scenario::Emit), metric)
        })
    };
    vec![asked("a call, p50", 1.0, Metric::P50Us), asked("a call, p99.9", 50.0, Metric::P999Us)]
}

/// A target with a floor alone.
fn from_rows(
    group: &'static str,
    what: &str,
    better: Better,
    floor: f64,
    write: fn(f64) -> String,
    read: impl Fn(Rows<'_>) -> Vec<Reading> + 'static,
) -> Target {
    Target { group, what: what.to_owned(), better, floor, aim: None, write, read: Box::new(read) }
}

/// One reading for each runtime on which there is a figure.
fn on_both(figure: impl Fn(Runtime) -> Option<f64>) -> Vec<Reading> {
    RUNTIMES
        .into_iter()
        .filter_map(|(runtime, name)| Some(Reading { under: name.to_owned(), figure: figure(runtime)? }))
        .collect()
}

fn throughput(contender: &str, runtime: Runtime, subscribers: u32) -> Key<'_> {
    Key { scenario: Scenario::Throughput, contender, runtime, subscribers, sessions: None }
}

/// A figure's median, as a multiple of another contender's in the same place.
fn against(rows: Rows<'_>, ours: Key<'_>, peer: &str, metric: Metric) -> Option<f64> {
    ratio(rows.median(ours, metric), rows.median(Key { contender: peer, ..ours }, metric))
}

/// One reading for each row that has this figure.
fn figures<'a>(rows: impl Iterator<Item = &'a Row>, metric: Metric) -> Vec<Reading> {
    rows.filter_map(|row| {
        let figure = row.spread(metric)?.median;
        Some(Reading { under: format!("{}, subscribers {}", row.contender, row.subscribers), figure })
    })
    .collect()
}
