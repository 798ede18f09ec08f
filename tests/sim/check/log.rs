//! Retention ALL: what anybody heard, everybody hears who asked to have everything kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hookwire_protocol::v1::Event;

use crate::{
    plan::Plan,
    records::{Entry, Hook, Records, What},
};

/// Events that did not reach a plugin that was to get all of them. Without a journal a crash takes them along.
pub(super) fn all(plan: &Plan, records: &Records) -> Vec<String> {
    let plugins = records.plugins.borrow();
    let keepers = plan.plugins.iter().filter(|plugin| plan.commit_takes.is_some() && plugin.gets_all());
    let told: BTreeMap<_, _> = plugins.values().flatten().filter_map(message).collect();
    let mut complaints = Vec::new();
    for entries in keepers.filter_map(|plugin| plugins.get(&plugin.name)) {
        let Some(known) = known_since(entries) else { continue };
        let heard: BTreeSet<_> = entries.iter().filter_map(message).map(|(id, _)| id).collect();
        let due = told.iter().filter(|(_, number)| fired_behind(records, **number, known));
        let missing: Vec<_> = due.map(|(id, _)| *id).filter(|id| !heard.contains(id)).collect();
        if !missing.is_empty() {
            complaints.push(format!("one that asked for everything never heard {missing:?}"));
        }
    }
    complaints
}

/// An ordinary event: its id, and the number of its firing.
fn message(entry: &Entry) -> Option<(&str, u64)> {
    match &entry.what {
        What::Delivered { event, .. } if is_message(event) => Some((&event.id, event.time_unix_nano)),
        _ => None,
    }
}

fn is_message(event: &Event) -> bool {
    event.hook == "message_received"
}

/// Since when the dispatcher has not forgotten it.
fn known_since(entries: &[Entry]) -> Option<Duration> {
    let news = |entry: &&Entry| matches!(&entry.what, What::Welcome(welcome) if !welcome.known);
    entries.iter().rfind(news).map(|entry| entry.at)
}

fn fired_behind(records: &Records, number: u64, moment: Duration) -> bool {
    let fired = records.fired.borrow();
    let fired = usize::try_from(number).ok().and_then(|number| fired.get(number.checked_sub(1)?));
    fired.is_some_and(|fired| fired.hook == Hook::Message && fired.at > moment)
}
