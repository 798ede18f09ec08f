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
    emit, isolation,
    results::{
        Metric, Row,
        Runtime::{self, CurrentThread, MultiThread},
        Scenario,
    },
    sdks::{SDKS, Sdk},
    stock,
};

/// Both runtimes, each with how the report calls it.
pub const RUNTIMES: [(Runtime, &str); 2] = [(CurrentThread, "current_thread"), (MultiThread, "multi-thread")];

/// What `just instructions` has counted: a line for each number of subscribers.
const INSTRUCTIONS: &str = include_str!("../../instructions.txt");

/// All but the journal's, in the order in which they were asked for.
pub fn targets() -> Vec<Target> {
    let groups = [
        one_subscriber(),
        fan_out(),
        latency(),
        drains(),
        instructions(),
        clients(),
        neighbours(),
        emitting(),
    ];
    groups.into_iter().flatten().collect()
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
    let target = |(peer, floor, aim)| Target {
        group: "One subscriber",
        what: format!("deliveries a second, against {peer}"),
        better: More,
        floor,
        aim: Some(aim),
        write: figure::times,
        read: Box::new(move |rows| {
            let gained = |runtime| {
                let ours = throughput(names::EMBEDDED, runtime, 1);
                against(rows, ours, ours.to(peer), Metric::DeliveriesPerSecond)
            };
            readings(RUNTIMES.map(|(runtime, name)| (name, gained(runtime))))
        }),
    };
    peers.into_iter().map(target).collect()
}

fn fan_out() -> Vec<Target> {
    let asked = |subscribers: u32, peer: &'static str, floor, aim| Target {
        group: "Fan-out",
        what: format!("dispatcher CPU a delivery with {subscribers} subscribers, against {peer}"),
        better: Less,
        floor,
        aim,
        write: figure::times,
        read: Box::new(move |rows| {
            let cpu = |contender, runtime| {
                let row = rows.find(throughput(contender, runtime, subscribers))?;
                dispatcher_cpu(row).map(|spread| spread.median)
            };
            let of_peer = cpu(peer, CurrentThread);
            let embedded = cpu(names::EMBEDDED, CurrentThread);
            let daemon = cpu(names::DAEMON, MultiThread);
            readings([("embedded", ratio(embedded, of_peer)), ("daemon", ratio(daemon, of_peer))])
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
        group: "Latency at 1,000 events a second",
        what: format!("p50, against {peer}"),
        better: Less,
        floor,
        aim,
        write: figure::times,
        read: Box::new(move |rows| {
            let ratio = |runtime| {
                let ours = Key { scenario: Scenario::Latency, ..throughput(names::EMBEDDED, runtime, 1) };
                against(rows, ours, ours.to(peer), Metric::P50Us)
            };
            readings(RUNTIMES.map(|(runtime, name)| (name, ratio(runtime))))
        }),
    };
    vec![asked(names::RAW_TCP, 4.0, Some(2.5)), asked(names::UNARY, 0.65, None)]
}

const DRAIN: &str = "Drain, every end acknowledged";

fn drains() -> Vec<Target> {
    vec![
        drain_takes(100_000, 32, 1000.0),
        drain_is_faster(names::PER_EVENT, 2.0),
        drain_is_faster(names::UNARY, 80.0),
        drain_takes(1_000, 8, 10.0),
    ]
}

/// "About" is taken to mean: a tenth more at most.
fn drain_takes(sessions: u64, subscribers: u32, ms: f64) -> Target {
    let size = format!("{} sessions × {subscribers} subscribers", figure::grouped(sessions));
    let what = format!("{size}, about {}", figure::nanos(ms * 1e6));
    from_rows(
        DRAIN,
        &what,
        Less,
        ms * 1.1,
        |ms| figure::nanos(ms * 1e6),
        move |rows| {
            let ours = drain(names::DAEMON, MultiThread, sessions, subscribers);
            readings([("", rows.median(ours, Metric::DrainMs))])
        },
    )
}

/// Where the other was not measured with as many ends, by the time of an end in its largest drain.
fn drain_is_faster(peer: &'static str, floor: f64) -> Target {
    let what = format!("100,000 sessions × 32 subscribers, how much faster than {peer}");
    from_rows(DRAIN, &what, More, floor, figure::times, move |rows| {
        let each = |row: &Row| {
            let ms = row.spread(Metric::DrainMs)?.median;
            Some(ms / (row.sessions as f64 * f64::from(row.subscribers)))
        };
        let ours = rows.find(drain(names::DAEMON, MultiThread, 100_000, 32)).and_then(each);
        let of_peer = |row: &&Row| row.contender == peer && row.spread(Metric::DrainMs).is_some();
        let largest = rows.scenario(Scenario::Drain).filter(of_peer);
        let largest = largest.max_by_key(|row| row.sessions * u64::from(row.subscribers));
        readings([("", ratio(largest.and_then(each), ours))])
    })
}

fn drain(contender: &str, runtime: Runtime, sessions: u64, subscribers: u32) -> Key<'_> {
    Key { scenario: Scenario::Drain, sessions: Some(sessions), ..throughput(contender, runtime, subscribers) }
}

/// Counted with callgrind and not in this run: what was committed when this was compiled.
fn instructions() -> Vec<Target> {
    vec![Target {
        group: "Instructions, of `just instructions`",
        what: "user instructions a delivery in the dispatcher".to_owned(),
        better: Less,
        floor: 600.0,
        aim: Some(400.0),
        write: |count| figure::grouped(count as u64),
        read: Box::new(|_| {
            let under = [("1 subscriber", 1), ("8 subscribers", 8)];
            readings(under.map(|(name, subscribers)| (name, counted(INSTRUCTIONS, subscribers))))
        }),
    }]
}

/// The figure of a line such as `8 466`, by the subscribers before it.
fn counted(file: &str, subscribers: u32) -> Option<f64> {
    let figures = file.lines().filter_map(|line| line.split_once(' '));
    let mut figures = figures.filter(|(count, _)| count.parse() == Ok(subscribers));
    figures.next()?.1.parse().ok()
}

fn clients() -> Vec<Target> {
    stock::LANGUAGES
        .iter()
        .map(|language| {
            let what = format!("stock {}, against its own per-event form", language.name);
            from_rows("Stock clients", &what, More, language.floor, figure::times, |rows| {
                let rate = |contender: &str| {
                    let key = Key { scenario: Scenario::Clients, ..throughput(contender, MultiThread, 1) };
                    rows.median(key, Metric::DeliveriesPerSecond)
                };
                readings([("", ratio(rate(&language.batches()), rate(&language.per_event())))])
            })
        })
        .collect()
}

fn neighbours() -> Vec<Target> {
    type Pair = (&'static str, &'static str);
    let compared = |rows: Rows<'_>, pairs: &[Pair], metric, compare: fn(f64, f64) -> f64| {
        let median = |contender: &str| {
            let row = rows.scenario(Scenario::Isolation).find(|row| row.contender == contender)?;
            row.spread(metric).map(|spread| spread.median)
        };
        let both = |(with, without): &Pair| Some((*with, median(with).zip(median(without))?));
        let figures = pairs.iter().filter_map(both);
        readings(figures.map(|(under, (with, without))| (under, Some(compare(with, without)))))
    };
    const GROUP: &str = "Neighbours of a stalled, a slow and a crashing subscriber";
    vec![
        from_rows(
            GROUP,
            "the rate of the other 61, of that without them",
            More,
            0.9,
            figure::times,
            move |rows| {
                compared(rows, &isolation::RATES, Metric::DeliveriesPerSecond, |with, without| with / without)
            },
        ),
        from_rows(
            GROUP,
            "how far their p99 moves, of paced events",
            Less,
            10_000.0,
            |us| figure::nanos(us * 1e3),
            move |rows| {
                compared(rows, &isolation::LATENCIES, Metric::P99Us, |with, without| {
                    (with - without).max(0.0)
                })
            },
        ),
    ]
}

fn emitting() -> Vec<Target> {
    let asked = |what, floor, metric| {
        from_rows(
            "`emit()` waits for nobody",
            what,
            Less,
            floor,
            |us| figure::nanos(us * 1e3),
            move |rows| {
                figures(rows.scenario(Scenario::Emit).filter(|row| row.contender != emit::WAKING), metric)
            },
        )
    };
    vec![
        asked("a call, p50; of a thread that wakes a runtime, see below", 1.0, Metric::P50Us),
        asked("a call, p99.9; the same", 50.0, Metric::P999Us),
    ]
}

/// Those of the journal. "What they cost without a journal" is taken to mean: a tenth more at most.
pub fn journal() -> Vec<Target> {
    const GROUP: &str = "The journal";
    let cost = |rows: Rows<'_>, load: &str, ledger: &str| {
        let contender = format!("{load}, {ledger}");
        let row = rows.scenario(Scenario::Durability).find(|row| row.contender == contender)?;
        row.spread(Metric::ProducerCpuNs).map(|spread| spread.median)
    };
    let ordinary = move |rows: Rows<'_>, ledger| {
        let load = "ordinary events";
        (ledger, ratio(cost(rows, load, ledger), cost(rows, load, "in memory")))
    };
    vec![
        from_rows(
            GROUP,
            "CPU of an ordinary event, of that without a journal",
            Less,
            1.1,
            figure::times,
            move |rows| readings(["process", "power"].map(|ledger| ordinary(rows, ledger))),
        ),
        from_rows(
            GROUP,
            "from the start to the first line, with 1,000,000 open sessions",
            Less,
            2_000.0,
            |ms| figure::nanos(ms * 1e6),
            |rows| {
                let of = |metric| rows.scenario(Scenario::Durability).find_map(|row| row.spread(metric));
                let median = |metric| of(metric).map(|spread| spread.median);
                readings([
                    ("after a stop", median(Metric::BootMs)),
                    ("after a kill", median(Metric::KilledBootMs)),
                ])
            },
        ),
    ]
}

/// Those of the SDKs: of each the first form of a handler.
pub fn sdks() -> Vec<Target> {
    let asked = |sdk: &'static Sdk| {
        let what = format!("{}, events acknowledged a second", sdk.name);
        from_rows("A handler that does nothing", &what, More, sdk.floor, figure::count, |rows| {
            let rate = |form: &str| {
                let key = Key { scenario: Scenario::Sdks, ..throughput("", MultiThread, 1) };
                rows.median(key.to(&sdk.row(form)), Metric::DeliveriesPerSecond)
            };
            readings(sdk.handlers.first().map(|form| (*form, rate(form))))
        })
    };
    SDKS.iter().map(asked).collect()
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

/// Those conditions under which there is a figure.
fn readings(figures: impl IntoIterator<Item = (&'static str, Option<f64>)>) -> Vec<Reading> {
    let some =
        |(under, figure): (&str, Option<f64>)| Some(Reading { under: under.to_owned(), figure: figure? });
    figures.into_iter().filter_map(some).collect()
}

fn throughput(contender: &str, runtime: Runtime, subscribers: u32) -> Key<'_> {
    Key { scenario: Scenario::Throughput, contender, runtime, subscribers, sessions: None }
}

/// A figure's median, as a multiple of another's.
fn against(rows: Rows<'_>, ours: Key<'_>, theirs: Key<'_>, metric: Metric) -> Option<f64> {
    ratio(rows.median(ours, metric), rows.median(theirs, metric))
}

/// One reading for each row that has this figure.
fn figures<'a>(rows: impl Iterator<Item = &'a Row>, metric: Metric) -> Vec<Reading> {
    rows.filter_map(|row| {
        let figure = row.spread(metric)?.median;
        Some(Reading { under: format!("{}, subscribers {}", row.contender, row.subscribers), figure })
    })
    .collect()
}
