//! What dies with a gateway's process: its sessions, and what it is not sure was taken in.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
};

use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, LiveSessions},
};
use tokio::sync::Notify;

use super::script::named;

#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) boot: String,
    /// Random per process and stream object, kept over reconnects.
    pub(super) emitter: String,
    sessions: RefCell<Sessions>,
    /// Fired, and not known to be taken in, with their numbers.
    buffer: RefCell<VecDeque<(u64, GatewayEvent)>>,
    /// How many it has room for.
    room: usize,
    /// The last publish_seq that was given out.
    pub(super) published: Cell<u64>,
    /// Starts and ends that had to go, and those of them that a list has made up for: until then the dispatcher does not
    /// know what lives.
    lost: Cell<u64>,
    made_up_for: Cell<u64>,
    pub(super) more: Notify,
}

/// What lives, for the dispatcher to go by.
#[derive(Debug)]
pub(super) struct List {
    pub(super) live: LiveSessions,
    /// It holds behind this publish_seq.
    pub(super) behind: u64,
    /// What had to go until then.
    lost: u64,
}

#[derive(Debug, Default)]
struct Sessions {
    alive: BTreeSet<String>,
    /// Ended in this boot.
    ended: BTreeSet<String>,
    /// Their end had to go: only a start tells the dispatcher for sure how they are.
    unsure: BTreeSet<String>,
}

impl Process {
    pub(super) fn new(boot: String, emitter: String, room: usize) -> Self {
        Self { boot, emitter, room, ..Self::default() }
    }

    pub(super) fn alive(&self) -> BTreeSet<String> {
        self.sessions.borrow().alive.clone()
    }

    /// Whether all is taken in.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.borrow().is_empty()
    }

    /// Keeps an event until it is taken in. Says which one had to go for it, if any.
    pub(super) fn keep(&self, publish_seq: u64, event: GatewayEvent) -> Option<String> {
        self.buffer.borrow_mut().push_back((publish_seq, event));
        self.more.notify_one();
        if self.buffer.borrow().len() <= self.room { None } else { self.make_room() }
    }

    /// Lets go of the oldest that may go: ordinary events, and what concerns a session that is over.
    fn make_room(&self) -> Option<String> {
        let mut buffer = self.buffer.borrow_mut();
        let at = buffer.iter().position(|(_, event)| self.may_go(event))?;
        let (publish_seq, event) = buffer.remove(at)?;
        if matches!(event.hook.as_str(), hook::SESSION_START | hook::SESSION_END) {
            self.lost.set(self.lost.get() + 1);
            let session = event.session.unwrap_or_default().id().to_owned();
            self.sessions.borrow_mut().unsure.insert(session);
        }
        Some(format!("#{publish_seq}, {}", event.hook))
    }

    fn may_go(&self, event: &GatewayEvent) -> bool {
        let session = event.session.as_ref().map(|session| session.id()).unwrap_or_default();
        match event.hook.as_str() {
            hook::SESSION_START | hook::SESSION_END => !self.sessions.borrow().alive.contains(session),
            hook => hook != hook::GATEWAY_STOP,
        }
    }

    /// Which list the dispatcher needs, if it does.
    pub(super) fn owes_list(&self) -> Option<List> {
        let lost = self.lost.get();
        let sessions = self.alive().iter().map(|session| named(session)).collect();
        // What had to go will not come: the list holds behind the last that will.
        let behind = self.buffer.borrow().back().map_or(0, |(publish_seq, _)| *publish_seq);
        (lost > self.made_up_for.get()).then_some(List { live: LiveSessions { sessions }, behind, lost })
    }

    /// This list has been acted on.
    pub(super) fn is_reconciled(&self, list: &List) {
        self.made_up_for.set(list.lost);
    }

    /// Whether starts or ends had to go that no list makes up for, nor this one.
    pub(super) fn has_lost_more(&self, than: Option<&List>) -> bool {
        self.lost.get() > than.map_or(self.made_up_for.get(), |list| list.lost)
    }

    /// What is kept behind this number.
    pub(super) fn behind(&self, sent: u64) -> Vec<(u64, GatewayEvent)> {
        self.buffer.borrow().iter().filter(|(publish_seq, _)| *publish_seq > sent).cloned().collect()
    }

    /// All up to here is taken in.
    pub(super) fn taken_in(&self, through: u64) {
        self.buffer.borrow_mut().retain(|(publish_seq, _)| *publish_seq > through);
    }

    pub(super) fn start(&self, session: &str) {
        let mut sessions = self.sessions.borrow_mut();
        sessions.ended.remove(session);
        sessions.unsure.remove(session);
        sessions.alive.insert(session.to_owned());
    }

    pub(super) fn end(&self, session: &str) {
        let mut sessions = self.sessions.borrow_mut();
        sessions.alive.remove(session);
        sessions.ended.insert(session.to_owned());
    }

    /// An event starts what nobody has started, but not what was ended in this boot.
    pub(super) fn touch(&self, session: &str) {
        let mut sessions = self.sessions.borrow_mut();
        if !sessions.ended.contains(session) {
            sessions.alive.insert(session.to_owned());
        }
    }

    pub(super) fn is_unsure(&self, session: &str) -> bool {
        self.sessions.borrow().unsure.contains(session)
    }
}
