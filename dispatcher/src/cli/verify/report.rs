//! What came of it: for people, for programs, and for whoever reads JUnit's XML.

use std::{fmt::Write as _, time::Duration};

use serde_json::json;

use super::finding::{Finding, Findings, Verdict};
use crate::cli::term::{self, BAD, DIM, GOOD, NOTE, paint};

/// One scenario, played.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) findings: Findings,
    pub(super) took: Duration,
}

impl Outcome {
    /// The worst of what was found.
    pub(super) fn verdict(&self) -> Verdict {
        self.findings.verdict()
    }
}

/// All scenarios, played.
#[derive(Debug)]
pub(super) struct Report(pub(super) Vec<Outcome>);

impl Report {
    /// How many stand so.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|outcome| outcome.verdict() == verdict).count()
    }

    /// The names of those that passed, or could not be judged.
    pub(super) fn not_failed(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(|outcome| outcome.verdict() != Verdict::Fail).map(|outcome| outcome.name)
    }

    /// What is wrong first, then a table.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for outcome in self.0.iter().filter(|outcome| outcome.verdict() != Verdict::Pass) {
            let style = if outcome.verdict() == Verdict::Fail { BAD } else { NOTE };
            let title = format!("{}: {}", outcome.name, outcome.about);
            // A String takes everything.
            let _ = writeln!(text, "{}", paint(style, title));
            for Finding { rule, verdict, expected, seen } in outcome.of_note() {
                let seen = seen.lines().map(term::clean).collect::<Vec<_>>().join("\n              ");
                let _ = writeln!(
                    text,
                    "  {} rule: {rule}\n    expected: {expected}\n    seen:     {seen}",
                    verdict.text()
                );
            }
            text.push('\n');
        }
        let rows = self.0.iter().map(|outcome| {
            let rules: Vec<_> = outcome.of_note().map(|finding| finding.rule).collect();
            let (verdict, took) =
                (outcome.verdict().text().to_owned(), format!("{:.1} s", outcome.took.as_secs_f64()));
            vec![outcome.name.to_owned(), verdict, outcome.about.to_owned(), distinct(&rules), took]
        });
        text.push_str(&term::table(
            &["scenario", "", "what happens", "rules not kept or not judged", "took"],
            4,
            rows,
        ));
        let (passed, failed) = (self.count(Verdict::Pass), self.count(Verdict::Fail));
        let unjudged = self.count(Verdict::CannotJudge);
        let summary =
            format!("{passed} of {} pass, {failed} fail, {unjudged} cannot be judged in full", self.0.len());
        let style = match (failed, unjudged) {
            (0, 0) => GOOD,
            (0, _) => DIM,
            _ => BAD,
        };
        format!("{text}\n\n{}", paint(style, summary))
    }

    /// One object.
    pub(super) fn json(&self) -> String {
        let scenario = |outcome: &Outcome| {
            json!({
                "name": outcome.name,
                "about": outcome.about,
                "verdict": outcome.verdict(),
                "took_ms": outcome.took.as_millis() as u64,
                "findings": outcome.findings.0,
            })
        };
        let scenarios: Vec<_> = self.0.iter().map(scenario).collect();
        json!({
            "passed": self.count(Verdict::Pass),
            "failed": self.count(Verdict::Fail),
            "cannot_judge": self.count(Verdict::CannotJudge),
            "scenarios": scenarios,
        })
        .to_string()
    }

    /// A test suite, with a test case for each scenario; one that cannot be judged was skipped.
    pub(super) fn junit(&self) -> String {
        let (failed, skipped) = (self.count(Verdict::Fail), self.count(Verdict::CannotJudge));
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"hookwire verify\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\">\n",
            self.0.len()
        );
        for outcome in &self.0 {
            let (name, took) = (outcome.name, outcome.took.as_secs_f64());
            let _ = writeln!(
                text,
                "  <testcase classname=\"hookwire.verify\" name=\"{name}\" time=\"{took:.3}\">"
            );
            for Finding { rule, verdict, expected, seen } in outcome.of_note() {
                let element = if *verdict == Verdict::Fail { "failure" } else { "skipped" };
                let message = escaped(&format!("{rule}: expected: {expected}; seen: {seen}"));
                let _ = writeln!(text, "    <{element} message=\"{message}\"/>");
                if outcome.verdict() == Verdict::CannotJudge {
                    break; // a test case is skipped once
                }
            }
            text.push_str("  </testcase>\n");
        }
        text + "</testsuite>\n"
    }
}

impl Outcome {
    /// What is as bad as the worst.
    fn of_note(&self) -> impl Iterator<Item = &Finding> {
        let worst = self.verdict();
        self.findings.0.iter().filter(move |it| it.verdict == worst && worst != Verdict::Pass)
    }
}

fn distinct(rules: &[&'static str]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for rule in rules {
        if !distinct.contains(rule) {
            distinct.push(rule);
        }
    }
    distinct.join("; ")
}

/// As an attribute of XML; what XML cannot say is a space.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            it if it.is_control() => escaped.push(' '),
            it => escaped.push(it),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verify::rule::Rule;

    fn report() -> Report {
        let outcome = |name, ok: Option<bool>| {
            let mut findings = Findings::default();
            findings.check(Rule::Hello, "a <Hello>", true, "it");
            findings.check_effects(Rule::Once, "once", ok.map(|ok| (ok, "2 \"times\"".to_owned())));
            Outcome { name, about: "something", findings, took: Duration::from_millis(1_500) }
        };
        Report(vec![outcome("good", Some(true)), outcome("dark", None), outcome("bad", Some(false))])
    }

    #[test]
    fn what_cannot_be_judged_is_no_pass() {
        let report = report();
        let counts = [Verdict::Pass, Verdict::CannotJudge, Verdict::Fail].map(|it| report.count(it));
        assert_eq!(counts, [1, 1, 1]);
        let table = anstream::adapter::strip_str(&report.table()).to_string();
        assert!(table.contains("FAIL rule: 3, 4 a start and an end are applied once"), "{table}");
        assert!(table.ends_with("1 of 3 pass, 1 fail, 1 cannot be judged in full"), "{table}");
    }

    #[test]
    fn xml_is_well_formed() {
        let xml = report().junit();
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("<failure message=\"3, 4 a start and an end are applied once: expected: once; seen: 2 &quot;times&quot;\"/>"), "{xml}");
    }
}
