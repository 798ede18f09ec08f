//! What a scenario found: what was expected, what was seen, and whether that is the same.

use std::time::Duration;

use serde::Serialize;

use super::rule::Rule;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It was as expected.
    Pass,
    /// Only the effect log could tell, and there is none: no pass.
    CannotJudge,
    /// It was not.
    Fail,
}

impl Verdict {
    /// For people.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::CannotJudge => "cannot judge",
            Self::Fail => "FAIL",
        }
    }
}

/// One rule, judged.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) rule: &'static str,
    pub(super) verdict: Verdict,
    pub(super) expected: String,
    pub(super) seen: String,
}

/// All that one scenario found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// Those of a scenario that did not come to its end.
    pub(super) fn overdue(longest: Duration) -> Self {
        let mut findings = Self::default();
        let seen = format!("it was not over within {longest:?}");
        findings.check(Rule::Acknowledge, "the scenario comes to its end", false, seen);
        findings
    }

    /// The kit could not go on, and says why.
    pub(super) fn broke_off(&mut self, why: impl Into<String>) {
        self.check(Rule::Played, "the scenario can be played", false, why);
    }

    /// Takes one down.
    pub(super) fn add(&mut self, rule: Rule, verdict: Verdict, expected: &str, seen: impl Into<String>) {
        let (expected, seen) = (expected.to_owned(), seen.into());
        self.0.push(Finding { rule: rule.name(), verdict, expected, seen });
    }

    /// What can be told.
    pub(super) fn check(&mut self, rule: Rule, expected: &str, ok: bool, seen: impl Into<String>) {
        self.add(rule, if ok { Verdict::Pass } else { Verdict::Fail }, expected, seen);
    }

    /// What only the effect log can tell: `None` where there is none that can be read.
    pub(super) fn check_effects(&mut self, rule: Rule, expected: &str, effects: Option<(bool, String)>) {
        match effects {
            Some((ok, seen)) => self.check(rule, expected, ok, seen),
            None => self.add(rule, Verdict::CannotJudge, expected, "no effect log that can be read"),
        }
    }

    /// The worst of them.
    pub(super) fn verdict(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Fail)
    }
}
