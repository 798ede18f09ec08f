//! Both sides' records, held against each other.

use std::collections::HashMap;

use hookwire_protocol::{hook, v1::SessionEndReason};
use serde_json::Value;

use super::party::{Plugin, Sessions};
use crate::{
    account::Account,
    cast::line::{self, Delivery},
};

/// How often each start and end was printed, by event id.
pub(super) type Copies = HashMap<String, usize>;

/// How often each start and end was printed so far.
pub(super) fn copies(plugin: &Plugin) -> Copies {
    let mut copies = Copies::new();
    for delivery in lifecycle(&plugin.printed()) {
        *copies.entry(delivery.event_id).or_default() += 1;
    }
    copies
}

/// What was settled for good has not come again.
pub(super) fn nothing_comes_again(plugin: &Plugin, settled: &Copies) {
    let now = copies(plugin);
    let again: Vec<_> = settled.iter().filter(|(id, count)| now[*id] != **count).collect();
    assert!(again.is_empty(), "{}: settled for good, and here again: {again:?}", plugin.name);
}

/// Lives that it saw start and not end.
pub(super) fn open_lives(plugin: &Plugin) -> u64 {
    let account = account(plugin);
    (account.started().len() - account.ended()) as u64
}

/// The promise, over all plugins: each life that one saw start it saw end, decided once.
pub(super) fn every_life_ended(plugins: &[Plugin]) {
    let mut known: HashMap<String, Value> = HashMap::new();
    let mut ids: HashMap<(u64, String), String> = HashMap::new();
    for plugin in plugins {
        account(plugin).every_life_ended();
        for line in plugin.printed().iter().flatten().map(|line| line::parse(line)) {
            // What is no more than observed has no bytes of its own beyond a crash: it is published again.
            if line["hook"] != hook::SESSION_START && line["hook"] != hook::SESSION_END {
                continue;
            }
            let delivery: Delivery = serde_json::from_value(line.clone()).unwrap();
            let first = known.entry(delivery.event_id.clone()).or_insert_with(|| event(line.clone()));
            assert_eq!(*first, event(line), "{}: one id, two events", plugin.name);
            let life = (delivery.session.incarnation, delivery.hook);
            let id = ids.entry(life.clone()).or_insert_with(|| delivery.event_id.clone());
            assert_eq!(*id, delivery.event_id, "{}: {life:?} was decided twice", plugin.name);
        }
    }
}

/// The sessions of a gateway that was never lost: each lived once, to the end that its gateway gave it.
pub(super) fn is_as_published(plugin: &Plugin, sessions: &Sessions) {
    let lives = account(plugin).lives();
    for id in &sessions.open {
        assert_eq!(lives.get(id), Some(&1), "{}: {id} has a receipt", plugin.name);
    }
    for (id, _) in &sessions.ended {
        assert!(lives.get(id).is_none_or(|count| *count == 1), "{}: {id} lived twice", plugin.name);
    }
    let reasons: HashMap<_, _> = sessions.ended.iter().map(|(id, reason)| (id, word(*reason))).collect();
    for end in lifecycle(&plugin.printed()).into_iter().filter(|it| it.hook == hook::SESSION_END) {
        let given = reasons.get(&end.session.id);
        assert!(given.is_none_or(|reason| *reason == end.reason), "{}: not {given:?}: {end:?}", plugin.name);
    }
}

/// A reason as it is printed.
pub(super) fn word(reason: SessionEndReason) -> String {
    reason.as_str_name().trim_start_matches("SESSION_END_REASON_").to_lowercase()
}

/// A gateway that was lost and is back goes on behind its gateway_stop: that is left out.
fn account(plugin: &Plugin) -> Account {
    let stop = "\"hook\":\"gateway_stop\",";
    let printed = plugin.printed().into_iter();
    let printed: Vec<Vec<_>> =
        printed.map(|lines| lines.into_iter().filter(|line| !line.contains(stop)).collect()).collect();
    Account::of(plugin.name, &printed)
}

/// A line without what belongs to its delivery.
fn event(mut line: Value) -> Value {
    let fields = line.as_object_mut().expect("an event is an object");
    ["seq", "kind", "budget_ms"].into_iter().for_each(|name| drop(fields.remove(name)));
    line
}

fn lifecycle(printed: &[Vec<String>]) -> Vec<Delivery> {
    let is_lifecycle = |it: &Delivery| it.hook == hook::SESSION_START || it.hook == hook::SESSION_END;
    printed.iter().flat_map(|lines| line::deliveries(lines)).filter(is_lifecycle).collect()
}
