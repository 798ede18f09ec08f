//! What lives, as the dispatcher, the gateways and the plugins hold it, while nothing happens.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use hookwire_protocol::v1::{Event, Session};

use crate::{
    gateway::Gateway,
    operator::Announced,
    plugin::{Plugin, Row},
    records::{Records, What},
};

/// What is not the same on all sides.
pub(crate) fn alive(
    announced: &Announced,
    gateways: &[Rc<Gateway>],
    plugins: &[Rc<Plugin>],
    records: &Records,
) -> Vec<String> {
    let mut complaints = Vec::new();
    let named = announced.iter().map(|event| (event.gateway_id.clone(), session(event).id));
    let named: BTreeSet<_> = named.collect();
    let held: BTreeSet<_> = gateways.iter().flat_map(|gateway| gateway.alive()).collect();
    if named != held {
        complaints.push(format!("{named:?} live for the dispatcher, {held:?} for their gateways"));
    }
    let lives = lives(announced.iter());
    for plugin in plugins {
        let (name, open) = (&plugin.party.name, plugin.lives(Row::Open));
        let ghosts: Vec<_> = open.difference(&lives).collect();
        if !ghosts.is_empty() {
            complaints.push(format!("{name} holds {ghosts:?} open, which do not live"));
        }
        let known: BTreeSet<_> = open.union(&plugin.lives(Row::LetGo)).copied().collect();
        let due = due(plugin, announced, records);
        if !due.is_subset(&known) {
            complaints.push(format!("{name} was handed {known:?}, and is due {due:?}"));
        }
    }
    complaints
}

/// What this plugin must have been handed of what lives: what is announced to it, and what began since it is known,
/// connected or away.
fn due(plugin: &Plugin, announced: &Announced, records: &Records) -> BTreeSet<u64> {
    if plugin.is_told_all() {
        return lives(announced.iter());
    }
    let Some(known) = known_since(plugin, records).filter(|_| plugin.wants_all()) else {
        return BTreeSet::new();
    };
    lives(announced.iter().filter(|event| began(event, records) > known))
}

fn known_since(plugin: &Plugin, records: &Records) -> Option<Duration> {
    let plugins = records.plugins.borrow();
    plugins.get(&plugin.party.name)?.iter().fold(None, |since, entry| match &entry.what {
        What::Released => None,
        What::Welcome(welcome) => since.filter(|_| welcome.known).or(Some(entry.at)),
        _ => since,
    })
}

/// When what began this life was fired.
fn began(start: &Event, records: &Records) -> Duration {
    let fired = records.fired.borrow();
    let number = usize::try_from(start.time_unix_nano).unwrap_or_default();
    number.checked_sub(1).and_then(|number| fired.get(number)).map(|fired| fired.at).unwrap_or_default()
}

fn lives<'a>(starts: impl Iterator<Item = &'a Event>) -> BTreeSet<u64> {
    starts.map(|event| session(event).incarnation).collect()
}

fn session(event: &Event) -> Session {
    event.session.clone().unwrap_or_default()
}
