//! The drain report as everybody prints it: one JSON line.

use hookwire_protocol::v1::{DrainReport, SlowestEnd, StopReason, SubscriberReport};
use serde::Serialize;

#[derive(Serialize)]
struct Report<'a> {
    reason: &'static str,
    scope: &'a str,
    durable: bool,
    budget_ms: u32,
    elapsed_ms: u32,
    last_ack_ms: Option<u32>,
    sessions_ended: u64,
    subscribers: Vec<Subscriber<'a>>,
}

#[derive(Serialize)]
struct Subscriber<'a> {
    id: &'a str,
    owed: u64,
    acked: u64,
    accepted: u64,
    rejected: u64,
    timed_out: u64,
    unreachable: u64,
    retried: u64,
    carried_over: u64,
    slowest: Option<Slowest<'a>>,
}

#[derive(Serialize)]
struct Slowest<'a> {
    session: &'a str,
    ms: u32,
}

/// The report as one JSON object, without a line feed. `last_ack_ms` and `slowest` are null where no answer came.
pub fn to_json(report: &DrainReport) -> String {
    let line = Report {
        reason: reason(report.reason()),
        scope: &report.scope,
        durable: report.durable,
        budget_ms: report.budget_ms,
        elapsed_ms: report.elapsed_ms,
        last_ack_ms: report.last_ack_ms,
        sessions_ended: report.sessions_ended,
        subscribers: report.subscribers.iter().map(subscriber).collect(),
    };
    serde_json::to_string(&line).expect("numbers and strings always serialize")
}

/// A stop's reason in lower case; a sender that did not say stops for good.
pub(crate) fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Unspecified | StopReason::Shutdown => "shutdown",
        StopReason::Restart => "restart",
    }
}

fn subscriber(report: &SubscriberReport) -> Subscriber<'_> {
    Subscriber {
        id: &report.id,
        owed: report.owed,
        acked: report.acked,
        accepted: report.accepted,
        rejected: report.rejected,
        timed_out: report.timed_out,
        unreachable: report.unreachable,
        retried: report.retried,
        carried_over: report.carried_over,
        slowest: report.slowest.as_ref().map(|SlowestEnd { session, ms }| Slowest { session, ms: *ms }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_line_in_the_fixed_order() {
        let audit = SubscriberReport {
            id: "audit".into(),
            owed: 9,
            acked: 3,
            accepted: 1,
            rejected: 1,
            timed_out: 2,
            unreachable: 1,
            retried: 1,
            carried_over: 4,
            slowest: Some(SlowestEnd { session: "s\"1".into(), ms: 87 }),
        };
        let report = DrainReport {
            reason: StopReason::Restart.into(),
            scope: "openclaw".into(),
            durable: true,
            budget_ms: 2000,
            elapsed_ms: 120,
            last_ack_ms: Some(87),
            sessions_ended: 9,
            subscribers: vec![audit],
        };
        assert_eq!(
            to_json(&report),
            concat!(
                r#"{"reason":"restart","scope":"openclaw","durable":true,"budget_ms":2000,"elapsed_ms":120,"#,
                r#""last_ack_ms":87,"sessions_ended":9,"subscribers":[{"id":"audit","owed":9,"acked":3,"accepted":1,"#,
                r#""rejected":1,"timed_out":2,"unreachable":1,"retried":1,"carried_over":4,"#,
                r#""slowest":{"session":"s\"1","ms":87}}]}"#,
            )
        );
    }

    #[test]
    fn says_null_where_no_answer_came() {
        let report = DrainReport {
            scope: "all".into(),
            subscribers: vec![SubscriberReport { id: "mute".into(), ..Default::default() }],
            ..Default::default()
        };
        let line = to_json(&report);
        assert!(line.starts_with(r#"{"reason":"shutdown","scope":"all","durable":false,"#), "{line}");
        assert!(line.contains(r#""last_ack_ms":null"#), "{line}");
        assert!(line.ends_with(r#""carried_over":0,"slowest":null}]}"#), "{line}");
    }
}
