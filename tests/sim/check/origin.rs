//! Where each event came from: what gateways fired, told once, and the same for everybody.

use std::{collections::HashMap, time::Duration};

use hookwire_protocol::{
    hook,
    v1::{Disposition, Event, SessionEndReason, event::Payload},
};

use super::account::ensure;
use crate::{
    network::DISPATCHER,
    records::{Entry, Fired, Hook, Records, What},
};

type Found = Result<(), String>;

/// Every event that anybody was handed.
#[derive(Debug)]
pub(super) struct Origins<'a> {
    records: &'a Records,
    /// By id: the same bytes, on every delivery and for every plugin.
    events: HashMap<String, (Duration, Event)>,
    /// By what it stands for, such as the end of life 7: one id.
    ids: HashMap<(String, u64), String>,
    /// By the firing that it comes from: one id.
    fired: HashMap<u64, String>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(records: &'a Records) -> Self {
        Self { records, events: HashMap::new(), ids: HashMap::new(), fired: HashMap::new() }
    }

    pub(super) fn enter(&mut self, entry: &Entry) -> Found {
        let What::Delivered { event, .. } = &entry.what else { return Ok(()) };
        self.same_as_before(entry.at, event)?;
        let incarnation = event.session.as_ref().map_or(0, |session| session.incarnation);
        match event.hook.as_str() {
            hook::SESSION_START => {
                self.named_once(event, incarnation)?;
                self.start(event)
            }
            hook::SESSION_END => {
                self.named_once(event, incarnation)?;
                self.end(event)
            }
            hook::GATEWAY_STOP => self.stop(event),
            _ => self.message(event),
        }
    }

    /// Starts and ends never change. What needs no journal has another session_seq, if it is published again to a
    /// dispatcher that has forgotten it.
    fn same_as_before(&mut self, at: Duration, event: &Event) -> Found {
        let Some((before, first)) = self.events.get(&event.id) else {
            self.events.insert(event.id.clone(), (at, event.clone()));
            return Ok(());
        };
        let lifecycle = matches!(event.hook.as_str(), hook::SESSION_START | hook::SESSION_END);
        let forgotten =
            !lifecycle && !self.records.undisturbed(DISPATCHER, *before.min(&at), *before.max(&at));
        ensure(first == event || forgotten, || format!("one id, and two events: first {first:?}"))
    }

    /// One start and one end for each incarnation.
    fn named_once(&mut self, event: &Event, incarnation: u64) -> Found {
        let id = self.ids.entry((event.hook.clone(), incarnation)).or_insert_with(|| event.id.clone());
        ensure(*id == event.id, || format!("incarnation {incarnation} has two, the other is {id}"))
    }

    /// A firing begins one life at most. What a gateway lists begins by the dispatcher's own clock.
    fn start(&mut self, event: &Event) -> Found {
        let session = event.session.clone().unwrap_or_default().id;
        let fired = match self.firing(event) {
            Err(_) if event.synthetic && self.records.was_listed(&event.boot_id, &session) => return Ok(()),
            fired => fired?,
        };
        let hook = if event.synthetic { Hook::Message } else { Hook::Start };
        ensure(fired.hook == hook, || format!("it comes from {fired:?}"))?;
        let id = self.fired.entry(event.time_unix_nano).or_insert_with(|| event.id.clone());
        ensure(*id == event.id, || format!("a second life of one firing, the other is {id}"))
    }

    /// What the gateway decided has its reason; what the dispatcher decides has one of three.
    fn end(&self, event: &Event) -> Found {
        let Some(Payload::SessionEnd(end)) = &event.payload else {
            return Err("an end without a reason".to_owned());
        };
        ensure(end.disposition() == end.reason().disposition(), || {
            format!("disposition {:?}", end.disposition())
        })?;
        if event.synthetic {
            let reasons = [SessionEndReason::Shutdown, SessionEndReason::Restart, SessionEndReason::Lost];
            let suspended = end.disposition() != Disposition::Ended;
            return ensure(suspended && reasons.contains(&end.reason()), || {
                format!("reason {:?}", end.reason())
            });
        }
        let fired = self.firing(event)?;
        ensure(fired.hook == Hook::End(end.reason()), || format!("it comes from {fired:?}"))
    }

    /// Once a boot.
    fn stop(&mut self, event: &Event) -> Found {
        let boot = (format!("stop of {}", event.boot_id), 0);
        let id = self.ids.entry(boot).or_insert_with(|| event.id.clone());
        ensure(*id == event.id, || format!("two for one boot, the other is {id}"))
    }

    fn message(&self, event: &Event) -> Found {
        let fired = self.firing(event)?;
        ensure(fired.hook == Hook::Message, || format!("it comes from {fired:?}"))
    }

    /// The firing says in its time which one it is.
    fn firing(&self, event: &Event) -> Result<Fired, String> {
        let fired = self.records.fired.borrow();
        let number = usize::try_from(event.time_unix_nano).ok().and_then(|it| it.checked_sub(1));
        let fired = number.and_then(|number| fired.get(number)).ok_or("nobody fired this")?;
        let session = event.session.clone().unwrap_or_default();
        let same = fired.boot == event.boot_id && (fired.session.is_empty() || fired.session == session.id);
        ensure(same, || format!("it comes from {fired:?}"))?;
        Ok(fired.clone())
    }
}
