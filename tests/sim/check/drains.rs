//! Drains: their reports add up, are true, and come in time.

use std::{collections::BTreeMap, time::Duration};

use hookwire_protocol::v1::SubscriberReport;

use super::account::Account;
use crate::{
    plan::Plan,
    records::{Drained, Records},
};

/// What the way there and back, and the clocks' ticks, may add to a budget.
const WAYS: Duration = Duration::from_millis(300);

/// What the drains' reports say against what everybody saw.
pub(super) fn all(plan: &Plan, records: &Records, accounts: &BTreeMap<String, Account<'_>>) -> Vec<String> {
    let mut complaints = Vec::new();
    for drained in records.drains.borrow().iter() {
        let name = &plan.gateways[drained.gateway].name;
        let undisturbed = records.undisturbed(name, drained.asked, drained.answered);
        let mut found = in_time(drained, undisturbed);
        // Once all is well, the dispatcher and the gateway hold the same sessions alive.
        if drained.ordered && drained.report.sessions_ended != drained.alive as u64 {
            found.push(format!("it ended {} sessions of {}", drained.report.sessions_ended, drained.alive));
        }
        for row in &drained.report.subscribers {
            found.extend(adds_up(row));
            if let Some(account) = accounts.get(&row.id).filter(|_| undisturbed) {
                found.extend(is_true(drained, row, account, name));
            }
        }
        complaints.extend(found.into_iter().map(|it| format!("drain of {name}: {it}: {drained:?}")));
    }
    complaints
}

fn in_time(drained: &Drained, undisturbed: bool) -> Vec<String> {
    let (took, bound) = (drained.answered - drained.asked, drained.budget + WAYS);
    let mut found = Vec::new();
    // Its own, or the one of the drain that it has joined.
    if drained.report.elapsed_ms > drained.report.budget_ms {
        found.push("it took longer than its budget".to_owned());
    }
    if undisturbed && took > bound {
        found.push(format!("it was answered after {took:?}"));
    }
    found
}

fn adds_up(row: &SubscriberReport) -> Option<String> {
    let SubscriberReport { owed, acked, accepted, rejected, timed_out, unreachable, retried, .. } = *row;
    let carried_over = timed_out + unreachable + retried;
    let right = row.carried_over == carried_over && owed == acked + accepted + rejected + carried_over;
    (!right).then(|| format!("{} does not add up", row.id))
}

/// What it counts as settled is what that plugin settled in this time.
fn is_true(
    drained: &Drained,
    row: &SubscriberReport,
    account: &Account<'_>,
    gateway: &str,
) -> Option<String> {
    let settled = |from: Duration, to: Duration| {
        account.closed(gateway).filter(|at| (from..=to).contains(at)).count() as u64
    };
    let (asked, answered) = (drained.asked, drained.answered);
    let most = settled(asked.saturating_sub(WAYS), answered);
    let least = settled(asked + WAYS, answered.saturating_sub(WAYS));
    let said = row.acked + row.accepted + row.rejected;
    // What was on its way to it then, it does not know of.
    let released = account.released(asked.saturating_sub(WAYS), answered);
    (!released && !(least..=most).contains(&said))
        .then(|| format!("{} settled {least} to {most} ends, and the report says {said}", row.id))
}
