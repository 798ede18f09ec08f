//! The run: every round measures every case once, so that whatever disturbs the machine disturbs all alike.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    case::{Bench, Case, Failure},
    clock, machine,
    results::{Results, Row, SCHEMA},
    runs,
};

/// How often a bar moves by itself.
const TICK: Duration = Duration::from_millis(250);

/// Measures everything that was asked for.
pub fn run(bench: &Bench) -> Results {
    let (began, started_unix) = (Instant::now(), clock::unix_ns() / 1_000_000_000);
    let rows = measure(bench, runs::cases(bench));
    Results {
        schema: SCHEMA,
        started_unix,
        took_seconds: began.elapsed().as_secs_f64(),
        machine: machine::facts(),
        versions: machine::versions(),
        settings: bench.settings.clone(),
        rows,
    }
}

fn measure(bench: &Bench, cases: Vec<Box<dyn Case>>) -> Vec<Row> {
    let mut rows: Vec<_> = cases.iter().map(|case| case.row()).collect();
    let progress = Progress::new(cases.len() as u64 * u64::from(bench.settings.rounds));
    for round in 1..=bench.settings.rounds {
        for (case, row) in cases.iter().zip(&mut rows) {
            progress.next(round, row);
            if row.error.is_some() || row.not_measured.is_some() {
                continue; // once is enough
            }
            match case.measure(bench) {
                Ok(sample) => row.add(&sample),
                Err(failure) => progress.say(&give_up(row, failure)),
            }
        }
    }
    progress.bar.finish_and_clear();
    rows
}

/// Notes why there are no figures. Returned is the same for the one who watches.
fn give_up(row: &mut Row, failure: Failure) -> String {
    let text = format!("{}: {failure}", runs::name(row));
    match failure {
        Failure::NotMeasured(why) => row.not_measured = Some(why),
        Failure::Wrong(why) => row.error = Some(why),
    }
    text
}

/// A bar on a terminal, lines elsewhere.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    began: Instant,
}

impl Progress {
    fn new(steps: u64) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new(steps) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if is_terminal {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, is_terminal, began: Instant::now() }
    }

    fn next(&self, round: u32, row: &Row) {
        let text = format!("round {round}: {}", runs::name(row));
        if self.is_terminal {
            self.bar.set_message(text);
            self.bar.inc(1);
        } else {
            eprintln!("{:>4} s  {text}", self.began.elapsed().as_secs());
        }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap};

    use super::*;
    use crate::results::{Metric, Runtime, Scenario, Settings};

    /// Measures once, then fails.
    struct Fails {
        measured: Cell<u32>,
        failure: Failure,
    }

    impl Case for Fails {
        fn row(&self) -> Row {
            Row {
                scenario: Scenario::Throughput,
                contender: "x".into(),
                runtime: Runtime::CurrentThread,
                subscribers: 1,
                sessions: 1,
                events: 1,
                note: String::new(),
                samples: BTreeMap::new(),
                error: None,
                not_measured: None,
            }
        }

        fn measure(&self, _bench: &Bench) -> Result<crate::case::Sample, Failure> {
            self.measured.set(self.measured.get() + 1);
            match self.measured.get() {
                1 => Ok(BTreeMap::from([(Metric::P50Us, 1.0)])),
                2 => Err(self.failure.clone()),
                _ => panic!("once is enough"),
            }
        }
    }

    fn row_after(failure: Failure) -> Row {
        let settings =
            Settings { rounds: 4, scale: 1.0, only: Vec::new(), event_bytes: crate::load::EVENT_BYTES };
        let bench = Bench { settings, hookwire: "hookwire".into() };
        measure(&bench, vec![Box::new(Fails { measured: Cell::new(0), failure })]).remove(0)
    }

    #[test]
    fn a_failure_makes_the_whole_row_an_error() {
        let row = row_after(Failure::Wrong("3 of 4 events".into()));
        assert_eq!(row.error.as_deref(), Some("3 of 4 events"));
        assert_eq!(row.spread(Metric::P50Us), None);
    }

    #[test]
    fn what_is_not_installed_is_told() {
        let row = row_after(Failure::NotMeasured("no broker".into()));
        assert_eq!((row.not_measured.as_deref(), row.error), (Some("no broker"), None));
    }
}
