//! How many lives started, ended and did not end: for a plugin, or for the gateway on its own. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::term;

/// What somebody saw of the lives of a gateway's sessions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
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

/// The scores of one recording, one below the other, with a column for each reason that occurs.
pub(super) fn table(recording: &str, scores: &[(&str, Score)]) -> String {
    let reasons: BTreeSet<&str> =
        scores.iter().flat_map(|(_, score)| score.ended.keys().map(String::as_str)).collect();
    let header: Vec<&str> =
        [recording, "started"].into_iter().chain(reasons.iter().copied()).chain(["ghosts"]).collect();
    let text = term::table(&header, 1, scores.iter().map(|(who, score)| cells(who, score, &reasons)));
    let mut lines = text.lines();
    let mut painted = vec![term::paint(term::DIM, lines.next().unwrap_or_default())];
    painted.extend(lines.zip(scores).map(|(line, (_, score))| match score.ghosts {
        0 => line.to_owned(),
        _ => term::paint(term::BAD, line),
    }));
    painted.join("\n")
}

fn cells(who: &str, score: &Score, reasons: &BTreeSet<&str>) -> Vec<String> {
    let by_reason =
        reasons.iter().map(|&reason| score.ended.get(reason).map_or(String::new(), u64::to_string));
    [who.to_owned(), score.started.to_string()]
        .into_iter()
        .chain(by_reason)
        .chain([score.ghosts.to_string()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(ends: &[&str], ghosts: u64) -> Score {
        let mut score = Score { started: ends.len() as u64 + ghosts, ghosts, ..Score::default() };
        ends.iter().for_each(|reason| score.end((*reason).to_owned()));
        score
    }

    #[test]
    fn reasons_become_columns_and_ghosts_stand_out() {
        let scores =
            [("gateway alone", score(&["reset"], 2)), ("prompt", score(&["lost", "reset", "lost"], 0))];
        let text = table("killed", &scores);
        assert!(text.lines().nth(1).unwrap().starts_with(&term::BAD.to_string()));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            concat!(
                "killed         started  lost  reset  ghosts\n",
                "gateway alone        3            1       2\n",
                "prompt               3     2      1       0",
            )
        );
    }
}
