//! Both sides' own records, held against each other and against the contract.

mod account;
mod alive;
mod drains;
mod log;
mod origin;

use std::collections::BTreeMap;

use hookwire_protocol::v1::GetStatusResponse;

pub(crate) use self::alive::alive;
use self::{account::Account, origin::Origins};
use crate::{plan::Plan, records::Records};

/// Everything that the records say against the contract.
pub(crate) fn all(plan: &Plan, records: &Records) -> Vec<String> {
    let mut complaints = records.complaints();
    let mut origins = Origins::new(records);
    let mut accounts = BTreeMap::new();
    let plugins = records.plugins.borrow();
    for (name, entries) in plugins.iter() {
        let keeps_all = plan.plugins.iter().any(|plugin| plugin.name == *name && plugin.keeps_all());
        let mut account = Account::new(name, keeps_all, records);
        for entry in entries {
            let found = [origins.enter(entry), account.enter(entry)];
            let at = format!("{name} at {:.3} on stream {}", entry.at.as_secs_f64(), entry.stream);
            let found = found.into_iter().filter_map(Result::err);
            complaints.extend(found.map(|complaint| format!("{at}, {}: {complaint}", entry.what)));
        }
        complaints.extend(account.finish().into_iter().map(|complaint| format!("{name}: {complaint}")));
        accounts.insert(name.clone(), account);
    }
    complaints.extend(drains::all(plan, records, &accounts));
    complaints.extend(log::all(plan, records));
    complaints
}

/// Everybody has acknowledged everything, and nothing lives.
pub(crate) fn nothing_left(status: &GetStatusResponse) -> Vec<String> {
    let mut complaints = Vec::new();
    if status.live_sessions > 0 {
        complaints.push(format!("{} sessions live for ever", status.live_sessions));
    }
    for row in &status.subscribers {
        if row.open + row.owed + row.in_flight + row.queued + row.retrying > 0 {
            complaints.push(format!("something is left: {row:?}"));
        }
    }
    complaints
}
