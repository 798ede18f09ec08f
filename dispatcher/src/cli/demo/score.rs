//! How many lives started, ended and did not end: for a plugin, or for the gateway on its own. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::term;

/// The columns before the reasons.
const COLUMNS: [&str; 6] = ["recording", "seen by", "hooks", "started", "ended", "ghosts"];

/// How many of the columns are names.
const NAMES: usize = 2;

/// What somebody saw of the lives of a gateway's sessions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    /// Hooks in all, each counted once.
    pub(super) hooks: u64,
    /// Lives that started.
    pub(super) started: u64,
    /// Lives that ended, by reason.
    pub(super) ended: BTreeMap<String, u64>,
    /// Lives that started and did not end.
    pub(super) ghosts: u64,
}

impl Score {
    /// Counts an end.
    pub(super) fn end(&mut self, reason: String) {
        *self.ended.entry(reason).or_default() += 1;
    }
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) recording: &'static str,
    pub(super) who: &'static str,
    pub(super) score: Score,
}

/// All scores, one below the other, with a column for each reason that occurs.
pub(super) fn table(entries: &[Entry]) -> String {
    let reasons: BTreeSet<&str> =
        entries.iter().flat_map(|entry| entry.score.ended.keys().map(String::as_str)).collect();
    let header: Vec<&str> = COLUMNS.into_iter().chain(reasons.iter().copied()).collect();
    let text = term::table(&header, NAMES, entries.iter().map(|entry| cells(entry, &reasons)));
    let mut lines = text.lines();
    let mut painted = vec![term::paint(term::DIM, lines.next().unwrap_or_default())];
    painted.extend(lines.zip(entries).map(|(line, entry)| match entry.score.ghosts {
        0 => line.to_owned(),
        _ => term::paint(term::BAD, line),
    }));
    painted.join("\n")
}

fn cells(entry: &Entry, reasons: &BTreeSet<&str>) -> Vec<String> {
    let Score { hooks, started, ended, ghosts } = &entry.score;
    let all: u64 = ended.values().sum();
    let counts = [*hooks, *started, all, *ghosts].map(|count| count.to_string());
    let by_reason = reasons.iter().map(|&reason| ended.get(reason).map_or("·".to_owned(), u64::to_string));
    [entry.recording, entry.who].map(str::to_owned).into_iter().chain(counts).chain(by_reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(who: &'static str, ends: &[&str], ghosts: u64) -> Entry {
        let mut score = Score { hooks: 20, started: ends.len() as u64 + ghosts, ghosts, ..Score::default() };
        ends.iter().for_each(|reason| score.end((*reason).to_owned()));
        Entry { recording: "killed", who, score }
    }

    #[test]
    fn reasons_become_columns_and_ghosts_stand_out() {
        let text = table(&[entry("gateway", &["reset"], 2), entry("prompt", &["lost", "reset", "lost"], 0)]);
        assert!(text.lines().nth(1).unwrap().starts_with(&term::BAD.to_string()));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            concat!(
                "recording  seen by  hooks  started  ended  ghosts  lost  reset\n",
                "killed     gateway     20        3      1       2     ·      1\n",
                "killed     prompt      20        3      3       0     2      1",
            )
        );
    }
}
