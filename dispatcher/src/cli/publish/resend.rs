//! What was published and has no receipt yet: numbered, bounded, and sent again after a break. Pure.
//!
//! While nobody takes anything in, what starts and ends lives is kept longest. Where some of that has to go, what
//! is alive is listed at the next Hello instead.

use std::collections::{HashMap, VecDeque};

use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, LiveSessions, Publish, Receipt, Refusal},
};
use prost::Message;

use super::alive::Alive;

/// Nothing more is read while this many events, or bytes, wait for a receipt, and there is somebody to give one.
const MAX_PENDING: Size = Size { events: 4096, bytes: 8 << 20 };

/// The most that is held while there is nobody. One event may be larger, and what keeps live sessions apart stays.
const MAX_HELD: Size = Size { events: 65_536, bytes: 64 << 20 };

/// A batch is what is ready, up to this. One event may be larger.
const MAX_BATCH: Size = Size { events: 256, bytes: 64 << 10 };

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    events: usize,
    bytes: usize,
}

impl Size {
    fn is_below(self, limit: Self) -> bool {
        self.events < limit.events && self.bytes < limit.bytes
    }

    fn fits(self, limit: Self) -> bool {
        self.events <= limit.events && self.bytes <= limit.bytes
    }

    fn plus(self, pending: &Pending) -> Self {
        Self { events: self.events + 1, bytes: self.bytes + pending.bytes }
    }

    fn minus(self, pending: &Pending) -> Self {
        Self { events: self.events - 1, bytes: self.bytes - pending.bytes }
    }

    /// At least this, and an eighth of it more than there is.
    fn or_beyond(self, held: Self) -> Self {
        Self {
            events: self.events.max(held.events + self.events / 8),
            bytes: self.bytes.max(held.bytes + self.bytes / 8),
        }
    }
}

/// The events of one emitter that have no receipt: first those that were sent, then the others.
#[derive(Debug)]
pub(super) struct Resend {
    pending: VecDeque<Pending>,
    all: Size,
    unsent: Size,
    last_seq: u64,
    /// The last that was ever sent: up to here nobody knows what was taken in.
    sent_seq: u64,
    max: Size,
    /// Beyond this, room is made for a start or an end: not for each anew, where there is little to let go of.
    shed_beyond: Size,
    alive: Alive,
    list: List,
}

/// Whether what is alive has to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// Everything that starts and ends lives is held, or was taken in.
    NotNeeded,
    /// Some of it had to go.
    Owed,
    /// A Hello says it, to hold behind this publish_seq.
    Said(u64),
}

#[derive(Debug)]
struct Pending {
    seq: u64,
    line: u64,
    bytes: usize,
    event: GatewayEvent,
}

impl Pending {
    fn is_lifecycle(&self) -> bool {
        matches!(self.event.hook.as_str(), hook::SESSION_START | hook::SESSION_END | hook::GATEWAY_STOP)
    }
}

/// What a receipt settled.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Settled {
    /// How many events were taken in.
    pub(super) taken: u64,
    /// Those that were refused: the line of each, and the refusal.
    pub(super) refused: Vec<(u64, Refusal)>,
}

impl Default for Resend {
    fn default() -> Self {
        Self::of(MAX_HELD)
    }
}

impl Resend {
    fn of(max: Size) -> Self {
        Self {
            pending: VecDeque::new(),
            all: Size::default(),
            unsent: Size::default(),
            last_seq: 0,
            sent_seq: 0,
            max,
            shed_beyond: max,
            alive: Alive::default(),
            list: List::NotNeeded,
        }
    }

    /// Whether another event may be pushed: not while a whole batch waits to be sent, nor beyond the bound.
    pub(super) fn has_room(&self) -> bool {
        self.all.is_below(MAX_PENDING) && self.unsent.is_below(MAX_BATCH)
    }

    /// Gives an event that was read from this line its number. Where there is no room, events are lost: says how many.
    pub(super) fn push(&mut self, line: u64, event: GatewayEvent) -> u64 {
        let (seq, bytes) = (self.last_seq + 1, event.encoded_len());
        let pending = Pending { seq, line, bytes, event };
        self.alive.follow(seq, &pending.event);
        let lifecycle = pending.is_lifecycle();
        if !lifecycle && !self.all.is_below(self.max) {
            return 1;
        }
        self.last_seq = seq;
        self.all = self.all.plus(&pending);
        self.unsent = self.unsent.plus(&pending);
        self.pending.push_back(pending);
        if lifecycle { self.make_room() } else { 0 }
    }

    /// What is not of lives goes first, then what is told of lives that are over. Says how many events were lost.
    fn make_room(&mut self) -> u64 {
        if self.all.fits(self.shed_beyond) {
            return 0;
        }
        let held = self.pending.len();
        self.keep_unsent(|pending, _| pending.is_lifecycle());
        let lifecycle = self.pending.len();
        if !self.all.fits(self.max) {
            self.keep_unsent(|pending, alive| {
                pending.event.hook == hook::GATEWAY_STOP || alive.leans_on(pending.seq, &pending.event)
            });
        }
        if self.pending.len() < lifecycle {
            self.list = List::Owed;
        }
        self.shed_beyond = self.max.or_beyond(self.all);
        (held - self.pending.len()) as u64
    }

    /// What was sent may have been taken in: it is kept whatever it is.
    fn keep_unsent(&mut self, keep: impl Fn(&Pending, &Alive) -> bool) {
        let Self { pending, all, unsent, alive, sent_seq, .. } = self;
        pending.retain(|pending| {
            let stays = pending.seq <= *sent_seq || keep(pending, alive);
            if !stays {
                (*all, *unsent) = (all.minus(pending), unsent.minus(pending));
            }
            stays
        });
    }

    /// What the next Hello says is alive, if it has to, and behind which number that holds. Nothing where it is too much.
    pub(super) fn list(&mut self) -> Option<(LiveSessions, u64)> {
        if self.list == List::NotNeeded {
            return None;
        }
        let behind = self.pending.back().map_or(0, |pending| pending.seq);
        let list = self.alive.list();
        self.list = if list.is_some() { List::Said(behind) } else { List::NotNeeded };
        Some((list?, behind))
    }

    /// What is alive has to be listed, and the present stream's Hello does not.
    pub(super) fn owes_list(&self) -> bool {
        self.list == List::Owed
    }

    /// How many events are held.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Nothing waits for a receipt, nor for a list to be said.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.list == List::NotNeeded
    }

    /// Something waits to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent.events > 0
    }

    /// Something was sent and waits for its receipt.
    pub(super) fn awaits_receipt(&self) -> bool {
        self.all.events > self.unsent.events
    }

    /// What is to be sent next, if anything; from now on it counts as sent.
    pub(super) fn next_batch(&mut self) -> Option<Publish> {
        let sent = self.all.events - self.unsent.events;
        let first_publish_seq = self.pending.get(sent)?.seq;
        let mut batch = Size::default();
        let mut events = Vec::new();
        for pending in self.pending.range(sent..) {
            let grown = batch.plus(pending);
            let gap = pending.seq != first_publish_seq + events.len() as u64; // where something had to go
            if !events.is_empty() && (gap || grown.bytes > MAX_BATCH.bytes || grown.events > MAX_BATCH.events)
            {
                break;
            }
            batch = grown;
            self.unsent = self.unsent.minus(pending);
            self.sent_seq = self.sent_seq.max(pending.seq);
            events.push(pending.event.clone());
        }
        Some(Publish { first_publish_seq, events })
    }

    /// Lets go of what the receipt covers.
    pub(super) fn settle(&mut self, receipt: Receipt) -> Settled {
        let mut refused: HashMap<_, _> =
            receipt.refused.into_iter().map(|refusal| (refusal.publish_seq, refusal)).collect();
        if matches!(self.list, List::Said(behind) if behind <= receipt.through_publish_seq) {
            self.list = List::NotNeeded;
        }
        let mut settled = Settled::default();
        while let Some(pending) = self.pop_through(receipt.through_publish_seq) {
            match refused.remove(&pending.seq) {
                Some(refusal) => settled.refused.push((pending.line, refusal)),
                None => settled.taken += 1,
            }
        }
        settled
    }

    /// Starts over on a new stream: what the dispatcher has is settled, everything else is unsent. A refusal whose
    /// receipt was lost cannot be told from an event that was taken in, and counts as one.
    pub(super) fn rewind(&mut self, resume_after: u64) -> Settled {
        (self.unsent, self.shed_beyond) = (self.all, self.max);
        self.settle(Receipt { through_publish_seq: resume_after, refused: Vec::new() })
    }

    fn pop_through(&mut self, seq: u64) -> Option<Pending> {
        let was_sent = self.awaits_receipt();
        let pending = self.pending.pop_front_if(|pending| pending.seq <= seq)?;
        self.all = self.all.minus(&pending);
        if !was_sent {
            self.unsent = self.unsent.minus(&pending);
        }
        Some(pending)
    }
}

#[cfg(test)]
mod tests;
