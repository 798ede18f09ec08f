//! Drains, step by step.

use super::*;

/// A plugin that has seen a session start, and a drain with this budget.
fn drained(budget: u64) -> Story {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["start 1"]);
    story.answers(0, None);
    story.drains(budget);
    let notice = format!("drain of 1, {budget} ms");
    assert_eq!(story.hears(0), [notice.as_str(), "end 1: Shutdown"]);
    story
}

#[test]
fn the_report_comes_with_the_last_answer() {
    let mut story = drained(2_000);
    story.waits(300);
    story.answers(0, None);
    assert_eq!(story.hears(0), ["gateway_stop", "drained, 0 of 1 carried over"]);
    assert!(story.0.reports.is_empty(), "not yet: gateway_stop is awaited");
    story.waits(100);
    story.answers(0, None);
    let (elapsed, row) = story.row("p0");
    assert_eq!((elapsed, row.owed, row.acked, row.carried_over), (400, 1, 1, 0));
    story.ends();
}

#[test]
fn the_deadline_ends_it_and_a_late_answer_still_settles() {
    let mut story = drained(500);
    story.waits(499);
    assert!(story.0.reports.is_empty());
    story.waits(1);
    assert_eq!(story.hears(0), ["gateway_stop", "drained, 1 of 1 carried over"]);
    let (elapsed, row) = story.row("p0");
    assert_eq!((elapsed, row.timed_out, row.carried_over), (500, 1, 1));
    story.answers(0, None);
    story.comes(0, HELLO);
    assert_eq!(story.hears(0), ["welcome", "caught up"], "nothing is owed any more");
    story.ends();
}

#[test]
fn a_retry_that_does_not_fit_is_carried_over_at_once() {
    let mut story = drained(500);
    story.answers(0, Some(Said::Retry { ms: 700 }));
    assert_eq!(story.hears(0), ["gateway_stop", "drained, 1 of 1 carried over"]);
    story.answers(0, None);
    let (elapsed, row) = story.row("p0");
    assert_eq!((elapsed, row.retried, row.carried_over), (0, 1, 1));
    story.waits(700);
    assert_eq!(story.hears(0), ["Redelivered: end 1: Shutdown"]);
    story.ends();
}

#[test]
fn a_retry_that_fits_is_awaited() {
    let mut story = drained(2_000);
    story.answers(0, Some(Said::Retry { ms: 700 }));
    assert!(story.hears(0).is_empty());
    story.waits(700);
    assert_eq!(story.hears(0), ["Redelivered: end 1: Shutdown"]);
    story.answers(0, Some(Said::Accepted));
    assert_eq!(story.hears(0), ["gateway_stop", "drained, 0 of 1 carried over"]);
    story.answers(0, Some(Said::Reject));
    let (elapsed, row) = story.row("p0");
    assert_eq!((elapsed, row.accepted, row.rejected), (700, 1, 0));
    story.ends();
}

#[test]
fn nobody_waits_for_one_who_is_away() {
    let mut story = Story::of(&[0, 1]);
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["start 1"]);
    story.goes(0, false);
    story.goes(1, false);
    story.drains(2_000);
    let (elapsed, row) = story.row("p0");
    assert_eq!((elapsed, row.owed, row.unreachable, row.carried_over), (0, 1, 1, 1));
    let (_, row) = story.row("p1");
    assert_eq!(row.owed, 0, "it was never handed the start");
    story.comes(0, HELLO);
    assert_eq!(story.hears(0), ["welcome", "Redelivered: start 1"]);
    story.answers(0, None);
    assert_eq!(story.hears(0), ["Redelivered: end 1: Shutdown", "caught up"]);
    story.ends();
}

#[test]
fn one_who_goes_during_a_drain_is_waited_for_and_told_again() {
    let mut story = drained(2_000);
    story.goes(0, false);
    story.waits(600);
    story.comes(0, HELLO);
    assert_eq!(
        story.hears(0),
        ["welcome", "drain of 1, 1400 ms", "Redelivered: end 1: Shutdown", "caught up"]
    );
    story.answers(0, None);
    assert_eq!(story.hears(0), ["gateway_stop", "drained, 0 of 1 carried over"]);
    story.answers(0, None);
    assert_eq!(story.row("p0").1.acked, 1);
    story.ends();
}

#[test]
fn a_release_during_a_drain_counts_as_rejected() {
    let mut story = drained(2_000);
    story.goes(0, true);
    let (elapsed, row) = story.row("p0");
    assert_eq!((elapsed, row.owed, row.rejected, row.carried_over), (0, 1, 1, 0));
    story.ends();
}

#[test]
fn the_earlier_deadline_wins_and_both_get_the_same_report() {
    let mut story = drained(2_000);
    story.waits(100);
    story.drains(500);
    story.waits(499);
    assert!(story.0.reports.is_empty());
    story.waits(1);
    let [first, second] = story.0.reports.as_slice() else { panic!("{:?}", story.0.reports) };
    assert_eq!((first.elapsed_ms, second.elapsed_ms), (600, 600));
    assert_eq!(first.subscribers, second.subscribers);
    story.ends();
}

#[test]
fn a_second_signal_leaves_200_ms() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    story.does(Op::Serve { plugin: 0 });
    story.does(Op::Stop { restart: false, budget: 2_000 });
    story.does(Op::Hurry);
    story.waits(199);
    assert!(story.0.reports.is_empty());
    story.waits(1);
    assert_eq!(story.row("p0").1.timed_out, 1);
    story.ends();
}

#[test]
fn ends_do_not_wait_behind_announcements() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0), Fired::Start { session: 1, key: 2, agent: 0 }]);
    assert_eq!(story.hears(0), ["start 1", "start 2"]);
    story.does(Op::Ack { plugin: 0, ack: Ack { through: 50, exceptions: vec![] } });
    story.fires(vec![end(1)]);
    // Its replay waits for the second start's answer: the first session's end must not.
    story.comes(0, Hello { announce: true, ..HELLO });
    assert_eq!(story.hears(0), ["welcome", "Redelivered: start 2"]);
    story.drains(2_000);
    assert_eq!(story.hears(0), ["drain of 2, 2000 ms", "end 1: Shutdown"]);
    story.answers(0, None);
    assert_eq!(
        story.hears(0),
        ["Redelivered: end 2: Reset", "caught up"],
        "all that a drain waits for goes before CaughtUp"
    );
    story.answers(0, None);
    assert_eq!(story.hears(0), ["gateway_stop", "drained, 0 of 2 carried over"]);
    story.answers(0, None);
    assert_eq!(story.row("p0").1.acked, 2);
    story.ends();
}

#[test]
fn no_start_is_written_once_a_drain_has_begun() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0), event(0)]);
    story.drains(2_000);
    let heard = story.hears(0);
    assert_eq!(heard[0], "drain of 0, 2000 ms");
    assert!(!heard.iter().any(|text| text.contains("start")), "{heard:?}");
    story.fires(vec![event(1), Fired::Start { session: 2, key: 0, agent: 0 }]);
    assert_eq!(story.hears(0), ["late of 0"], "and nothing starts in that boot any more");
    story.ends();
}
