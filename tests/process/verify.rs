//! `hookwire verify`: who keeps the contract passes, and who breaks a rule is told which.

use serde_json::Value;

use crate::cast::{
    example, line,
    process::{Ended, Process},
};

/// All scenarios but the minute of silence.
const SCENARIOS: [&str; 15] = [
    "half-open",
    "gone",
    "goodbye",
    "displaced",
    "life",
    "burst",
    "reset",
    "unknown",
    "large",
    "redelivery",
    "killed",
    "sweep",
    "drain-2s",
    "drain-200ms",
    "sigterm",
];

/// Puts a program through these scenarios.
async fn verify(scenarios: &[&str], flags: &[&str], command: &[&str]) -> Ended {
    let scenarios: Vec<_> = scenarios.iter().flat_map(|name| ["--scenario", name]).collect();
    // What it keeps of what failed goes with the test.
    let place = tempfile::tempdir().unwrap();
    let variables = [("TMPDIR", place.path().to_str().unwrap())];
    Process::run(&[&["verify", "--json"], &scenarios[..], flags, &["--"], command].concat(), &variables).await
}

/// What was found with this verdict: the rule, and what was seen.
fn found(ended: &Ended, verdict: &str) -> Vec<(String, String)> {
    let report = line::parse(ended.stdout.last().unwrap_or_else(|| panic!("{ended:#?}")));
    let findings =
        report["scenarios"].as_array().unwrap().iter().flat_map(|it| it["findings"].as_array().unwrap());
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    findings.filter(|it| it["verdict"] == verdict).map(|it| (text(it, "rule"), text(it, "seen"))).collect()
}

/// The rules that were not kept.
fn broken_rules(ended: &Ended) -> Vec<String> {
    found(ended, "fail").into_iter().map(|(rule, _)| rule).collect()
}

/// That this fault is noticed in this scenario, as a breach of this rule.
async fn notices(fault: &str, scenario: &str, rule: &str, flags: &[&str]) {
    let plugin = example::program("broken_plugin").to_str().unwrap();
    let ended = verify(&[scenario], flags, &[plugin, fault]).await;
    let broken = broken_rules(&ended);
    assert!(ended.code() == Some(1) && broken.iter().any(|it| it == rule), "{broken:?} {ended:#?}");
}

async fn passes(command: &[&str]) {
    let ended = verify(&SCENARIOS, &[], command).await;
    let report: Value = line::parse(ended.stdout.last().unwrap_or_else(|| panic!("{ended:#?}")));
    assert_eq!((report["passed"].as_u64(), ended.code()), (Some(15), Some(0)), "{report:#}");
}

#[tokio::test]
async fn the_session_table_passes() {
    passes(&[example::program("session_table").to_str().unwrap(), "{dir}/table.db"]).await;
}

#[tokio::test]
async fn a_plugin_without_sdk_and_without_fault_passes() {
    passes(&[example::program("broken_plugin").to_str().unwrap(), "none"]).await;
}

#[tokio::test]
async fn one_that_never_acknowledges() {
    notices("never-acks", "life", "5 everything is acknowledged", &["--patience", "1s"]).await;
}

#[tokio::test]
async fn one_that_acknowledges_before_the_work() {
    notices("acks-first", "life", "5 acknowledge after you have persisted", &[]).await;
}

#[tokio::test]
async fn one_that_applies_an_end_twice() {
    for scenario in ["redelivery", "killed"] {
        notices("end-twice", scenario, "3, 4 a start and an end are applied once", &[]).await;
    }
}

#[tokio::test]
async fn one_that_changes_the_order() {
    notices("reorders", "life", "in order within a session", &[]).await;
}

#[tokio::test]
async fn one_that_ignores_the_drain() {
    for scenario in ["drain-2s", "drain-200ms"] {
        notices("ignores-drain", scenario, "a drain has a notice and a budget", &[]).await;
    }
}

#[tokio::test]
async fn one_that_dies_of_what_it_does_not_know() {
    notices("dies-on-unknown", "unknown", "what is unknown ends nothing", &[]).await;
}

#[tokio::test]
async fn one_that_reconnects_without_a_pause() {
    notices("busy-reconnect", "gone", "8 come back, with jitter", &[]).await;
}

#[tokio::test]
async fn one_that_does_not_stay_away_when_it_is_displaced() {
    for fault in ["answers-displaced", "returns-displaced"] {
        notices(fault, "displaced", "8 displaced: stay away", &[]).await;
    }
}

#[tokio::test]
async fn without_an_effect_log_it_says_what_it_cannot_judge() {
    let hello = example::program("hello").to_str().unwrap();
    // Its name is its own: it does not subscribe under the one that it is given.
    let ended = verify(&["life"], &[], &[hello]).await;
    assert_eq!((ended.code(), broken_rules(&ended)), (Some(1), vec!["1 Hello first".to_owned()]));

    let listen = [env!("CARGO_BIN_EXE_hookwire"), "listen", "--exec", "cat >> '{dir}/events.jsonl'"];
    let ended = verify(&["life"], &[], &listen).await;
    let report = line::parse(&ended.stdout[0]);
    let counts = ["passed", "failed", "cannot_judge"].map(|count| report[count].as_u64().unwrap());
    assert_eq!((ended.code(), counts), (Some(0), [0, 0, 1]), "{report:#}");
    verify(&["life"], &["--strict"], &listen).await.expect(1, "1 of 1 scenarios cannot be judged in full");
}

#[tokio::test]
async fn an_effect_log_without_a_key_is_told_which_and_judges_nothing() {
    let plugin = example::program("broken_plugin").to_str().unwrap();
    let ended = verify(&["life"], &[], &[plugin, "omits-session-seq"]).await;
    let [(rule, seen)] = &found(&ended, "fail")[..] else { panic!("{ended:#?}") };
    assert_eq!(rule, "5 acknowledge after you have persisted");
    assert!(seen.contains(r#"line 1, there is no "session_seq""#), "{seen}");
    notices("invents-session-seq", "life", rule, &[]).await;
    let unjudged = found(&ended, "cannot_judge");
    assert!(unjudged.iter().any(|(rule, _)| rule == "in order within a session"), "{unjudged:?}");
}

#[tokio::test]
async fn who_has_died_is_not_waited_for() {
    let plugin = example::program("broken_plugin").to_str().unwrap();
    let ended = verify(&["sweep"], &["--patience", "10m"], &[plugin, "dies-at-sweep"]).await;
    let failed = found(&ended, "fail");
    let told = |seen: &str| seen.contains("exit code 3") && seen.contains("no such row");
    assert!(failed.iter().any(|(rule, seen)| rule == "6 at CaughtUp, sweep" && told(seen)), "{failed:?}");
}

#[tokio::test]
async fn a_scenario_that_cannot_begin_is_one_that_failed() {
    let ended = verify(&["life", "reset"], &[], &["/no/such/plugin"]).await;
    ended.expect(1, "2 of 2 scenarios failed");
    ended.expect(1, "there is no {dir} in the command");
    let failed = found(&ended, "fail");
    assert!(
        failed.len() == 2 && failed.iter().all(|(_, seen)| seen.contains("/no/such/plugin")),
        "{failed:?}"
    );
}

#[tokio::test]
async fn what_there_is_to_look_at_is_kept_where_it_was_asked_for_or_something_failed() {
    let (place, plugin) = (tempfile::tempdir().unwrap(), example::program("broken_plugin").to_str().unwrap());
    let kept = place.path().join("kept");
    let flags = ["--keep", kept.to_str().unwrap()];
    verify(&["life"], &flags, &[plugin, "none"]).await.expect(0, "there is something to look at in");
    for file in ["dispatcher.log", "life/effects.jsonl", "life/plugin-1.log"] {
        assert!(kept.join(file).is_file(), "{file}");
    }
    verify(&["life"], &flags, &[plugin, "none"]).await.expect(64, "not empty");

    let variables = [("TMPDIR", place.path().to_str().unwrap())];
    let command = ["verify", "--json", "--scenario", "life", "--scenario", "reset", "--"];
    let half = "echo a complaint >&2; case {dir} in */life) exit 3;; esac; exec \"$0\" none";
    let ended = Process::run(&[&command[..], &["sh", "-c", half, plugin]].concat(), &variables).await;
    ended.expect(1, "1 of 2 scenarios failed");
    let told = ended.stderr.iter().find_map(|line| line.split_once("to look at in "));
    let kept = std::path::Path::new(told.unwrap_or_else(|| panic!("{ended:#?}")).1);
    assert_eq!(std::fs::read_to_string(kept.join("life/plugin-1.log")).unwrap(), "a complaint\n");
    assert!(!kept.join("reset").exists(), "it passed");
    verify(&["life"], &[], &[plugin, "none"]).await.expect(0, "");
}

#[tokio::test]
async fn findings_are_for_ci_too() {
    let (place, plugin) = (tempfile::tempdir().unwrap(), example::program("broken_plugin"));
    let file = place.path().join("verify.xml");
    let flags = ["--patience", "1s", "--junit", file.to_str().unwrap()];
    verify(&["life"], &flags, &[plugin.to_str().unwrap(), "never-acks"])
        .await
        .expect(1, "1 of 1 scenarios failed");
    let xml = std::fs::read_to_string(file).unwrap();
    assert!(xml.contains("failures=\"1\"") && xml.contains("5 everything is acknowledged"), "{xml}");
}
