//! What a new stream is told of the past: what is owed, what is kept, and what is alive; then CaughtUp.

use std::collections::HashSet;

use hookwire_protocol::v1::{self, BatchKind, subscribe_response};

use super::stream::{Due, Phase, Stream, Turn};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::Machine,
    settle::{
        lives::{Life, LifeRef, Slot},
        marks::Marks,
    },
};

impl Machine {
    /// Each open entry is replayed in order of incarnation; starts that came while it was away follow as they are. With
    /// retention ALL, those and the backlog are replayed together, in the order in which all of it happened.
    pub(super) fn plan_replay(&mut self, ix: SubscriberIx) {
        self.forget_unwanted(ix);
        let Self { registry, lives, log, .. } = self;
        let subscriber = registry.at(ix);
        let keeps_all = subscriber.keeps_all();
        let Subscriber { marks, stream: Some(stream), .. } = subscriber else { return };
        let by_age = |slots: &mut dyn Iterator<Item = Slot>| {
            let mut lives: Vec<_> = slots.map(|slot| lives.life_ref(slot)).collect();
            lives.sort_unstable();
            lives
        };
        for life in by_age(&mut marks.open()) {
            let held = lives.at(life.slot);
            if !held.alive() {
                stream.replay_ends.insert(life.incarnation);
            }
            let (kind, settled) = (BatchKind::Redelivered, marks.is_settled(life.slot));
            if !settled {
                let position = if keeps_all { log.began(life.incarnation) } else { 0 };
                stream.first.push_back(Turn { position, kind, due: Due::Start(life) });
            } else if let Some(position) = held.decided() {
                stream.first.push_back(Turn { position, kind, due: Due::End { life, swept: false } });
            }
        }
        let wanted = by_age(&mut marks.wanted());
        if keeps_all {
            for life in wanted {
                stream.replay_start(life, log.began(life.incarnation), lives.at(life.slot).alive());
            }
            stream.first.make_contiguous().sort_by_key(|turn| turn.position);
        } else {
            stream.live.extend(wanted.into_iter().map(|it| Turn::overdue(BatchKind::Live, Due::Start(it))));
        }
    }
    /// The new filter decides whether a start is written; that of a life that is over waits with retention ALL only.
    fn forget_unwanted(&mut self, ix: SubscriberIx) {
        let Some(subscriber) = self.registry.get(ix) else { return };
        let unwanted = |slot: &Slot| {
            let life = self.lives.at(*slot);
            let wants = subscriber.filter.wants_lifecycle()
                && subscriber.filter.wants_session(life.agent(), life.key());
            !wants || (!life.alive() && !subscriber.keeps_all())
        };
        for slot in subscriber.marks.wanted().filter(unwanted).collect::<Vec<_>>() {
            self.cancel_start(ix, slot);
        }
    }

    /// The replay is through once the ends that belong to it are written; then the announcements are known.
    pub(super) fn finish_replay(&mut self, ix: SubscriberIx) -> bool {
        let Self { registry, lives, .. } = self;
        let Subscriber { stream: Some(stream), marks, filter, .. } = registry.at(ix) else { return false };
        if !stream.replay_ends.is_empty() || !stream.replay_starts.is_empty() {
            return false;
        }
        stream.phase = Phase::Announce;
        if stream.announce {
            let named = |slot: Slot, life: &Life| {
                let wanted = filter.wants_lifecycle() && filter.wants_session(life.agent(), life.key());
                is_named(marks, slot, life) && (wanted || marks.is_open(slot))
            };
            let named = lives.iter().filter(|(slot, life)| named(*slot, life));
            let mut named: Vec<_> =
                named.map(|(slot, life)| LifeRef { incarnation: life.incarnation(), slot }).collect();
            named.sort_unstable();
            stream.announcements = named.into();
        }
        true
    }

    /// A start is set aside until the end of this life is written; of the replay it is only where that end is.
    pub(super) fn wait_for(&mut self, ix: SubscriberIx, blocker: Slot, life: LifeRef) {
        let awaited = self.lives.at(blocker).incarnation();
        let subscriber = self.registry.at(ix);
        subscriber.waiting.entry(blocker).or_default().push(life);
        if let Some(stream) = subscriber.stream.as_mut().filter(|it| !it.replay_ends.contains(&awaited)) {
            stream.goes_live(life);
        }
    }

    /// The end of this life comes behind CaughtUp, and so do the starts that wait for it.
    pub(crate) fn let_go_live(&mut self, ix: SubscriberIx, slot: Slot) {
        let Subscriber { waiting, stream: Some(stream), .. } = self.registry.at(ix) else { return };
        let mut blockers = vec![slot];
        while let Some(blocker) = blockers.pop() {
            for life in waiting.get(&blocker).into_iter().flatten() {
                stream.goes_live(*life);
                blockers.push(life.slot);
            }
        }
    }

    /// Brings an announcement to the front that is still to be made; says whether there is one.
    pub(super) fn next_announcement(&mut self, ix: SubscriberIx) -> bool {
        while let Some(life) = self.stream_of(ix).and_then(|stream| stream.announcements.front().copied()) {
            if self.is_announced(ix, life) {
                return true;
            }
            if let Some(stream) = &mut self.registry.at(ix).stream {
                stream.announcements.pop_front();
            }
        }
        false
    }

    /// Whether this life is named before CaughtUp. A start that waits for an earlier life's end comes live, behind it.
    fn is_announced(&mut self, ix: SubscriberIx, life: LifeRef) -> bool {
        let Some(subscriber) = self.registry.get(ix) else { return false };
        let Some(held) = self.lives.get(life).filter(|held| is_named(&subscriber.marks, life.slot, held))
        else {
            return false;
        };
        let (marks, stream) = (&subscriber.marks, subscriber.stream.as_ref());
        let closed = stream.is_none_or(|stream| stream.closed.contains(&life.incarnation));
        if closed || marks.start_is_written(life.slot) {
            return false;
        }
        if marks.is_open(life.slot) || self.blocker(subscriber, held, life.slot).is_none() {
            return true;
        }
        let wanted = marks.wants(life.slot);
        let subscriber = self.registry.at(ix);
        if let Some(stream) = subscriber.stream.as_mut().filter(|_| !wanted) {
            stream.live.push_front(Turn::overdue(BatchKind::Live, Due::Start(life)));
            subscriber.marks.want(life.slot);
            self.lives.at_mut(life.slot).hold(1);
        }
        false
    }

    pub(super) fn catch_up(&mut self, ix: SubscriberIx) {
        if let Some(stream) = &mut self.registry.at(ix).stream {
            stream.phase = Phase::Live;
            stream.closed = HashSet::new();
            let caught_up = v1::CaughtUp { replayed: stream.replayed, announced: stream.announced };
            stream.control.push_back(subscribe_response::Message::CaughtUp(caught_up));
        }
    }
}

/// Whether an announcement names this life: it is alive, or its end comes live on this stream. Whoever holds it open
/// would otherwise take it for one that is owed no end.
fn is_named(marks: &Marks, slot: Slot, life: &Life) -> bool {
    life.alive() || (marks.is_open(slot) && !marks.end_is_written(slot))
}

impl Stream {
    /// This start waits for an end that CaughtUp does not wait for: it is no part of the replay any more.
    fn goes_live(&mut self, life: LifeRef) {
        if self.replay_starts.remove(&life.incarnation) {
            self.replay_ends.remove(&life.incarnation);
            self.gone_live.insert(life.incarnation);
        }
    }

    /// A start that was kept for a plugin that was away is part of the replay, and so is its end.
    fn replay_start(&mut self, life: LifeRef, position: u64, alive: bool) {
        self.replay_starts.insert(life.incarnation);
        if !alive {
            self.replay_ends.insert(life.incarnation);
        }
        let kind = BatchKind::Redelivered;
        self.first.push_back(Turn { position, kind, due: Due::Start(life) });
    }
}
