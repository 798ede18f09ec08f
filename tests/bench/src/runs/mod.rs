//! What is measured: each scenario is a list of cases, sized so that one takes a second or two.

mod drain;
mod latency;
mod throughput;

use crate::{
    case::{Bench, Case},
    durability, emit, growth, isolation, ledger,
    load::SESSIONS,
    results::{Row, Runtime},
    sdks, stock,
};

/// Every case that was asked for, in the order in which a reader wants the rows.
pub fn cases(bench: &Bench) -> Vec<Box<dyn Case>> {
    let all = [
        throughput::cases(bench),
        latency::cases(bench),
        drain::cases(bench),
        stock::cases(bench),
        isolation::cases(bench),
        emit::cases(bench),
        growth::cases(bench),
        ledger::cases(bench),
        durability::cases(bench),
        sdks::cases(bench),
    ];
    all.into_iter().flatten().filter(|case| is_wanted(&name(&case.row()), &bench.settings.only)).collect()
}

/// A row's name, for progress and for filters: `throughput/unary gRPC/1`.
pub fn name(row: &Row) -> String {
    let mut name = format!("{}/{}/{}", row.scenario, row.contender, row.subscribers);
    if row.sessions != SESSIONS {
        name.push_str(&format!("/{} sessions", row.sessions));
    }
    if row.runtime == Runtime::MultiThread {
        name.push_str("/multi-thread");
    }
    name
}

fn is_wanted(name: &str, only: &[String]) -> bool {
    let name = name.to_lowercase();
    only.is_empty() || only.iter().any(|part| name.contains(&part.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::results::Settings;

    fn bench(only: &[&str]) -> Bench {
        let only = only.iter().map(|&part| part.to_owned()).collect();
        let settings = Settings { rounds: 1, scale: 1.0, only, event_bytes: crate::load::EVENT_BYTES };
        Bench { settings, hookwire: "hookwire".into() }
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let cases = cases(&bench(&[]));
        let names: HashSet<_> = cases.iter().map(|case| name(&case.row())).collect();
        assert_eq!(names.len(), cases.len());
    }

    #[test]
    fn a_filter_is_a_part_of_the_name() {
        let names =
            |only: &[&str]| -> Vec<_> { cases(&bench(only)).iter().map(|case| name(&case.row())).collect() };
        assert_eq!(names(&["latency/RAW"]), ["latency/raw TCP/1"]);
        assert!(names(&["redis", "latency/"]).len() > names(&["redis"]).len());
        assert!(names(&["no such thing"]).is_empty());
    }
}
