//! Retention ALL: what a subscriber wants of the events that are neither start nor end, until it has settled them.
//!
//! Starts and ends are state, and always kept; with ALL, the rest is a log. Events are kept by the lot in which they were
//! taken in, named by the place of its first event, and each subscriber keeps the parts of it that it wants and has not
//! answered. A lot is written to the journal once, whoever keeps it, and is gone when nobody does.

use std::collections::{BTreeMap, BTreeSet};

use hookwire_protocol::v1::GapCause;

use super::journal::{RanSeconds, Record};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::Machine,
    queue::{
        Lost, Queue,
        run::{Item, Run, Span},
    },
};

/// A lot, by the place of its first event in the order of all things.
pub(crate) type LotId = u64;

/// Which events of a lot: the places of the first and the last of each part, in order.
pub(crate) type Parts = Box<[(u64, u64)]>;

/// What is kept for anybody.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// For how many subscribers.
    lots: BTreeMap<LotId, u16>,
    /// Where the lives began that a subscriber with retention ALL wants, by incarnation.
    began: BTreeMap<u64, u64>,
}

impl Log {
    /// Where this life began; before everything, where nobody asked for retention ALL then.
    pub(crate) fn began(&self, incarnation: u64) -> u64 {
        self.began.get(&incarnation).copied().unwrap_or(0)
    }

    /// This life began there.
    pub(crate) fn begins(&mut self, incarnation: u64, position: u64) {
        self.began.insert(incarnation, position);
    }

    /// Nobody is due anything of this life.
    pub(crate) fn forget(&mut self, incarnation: u64) {
        if !self.began.is_empty() {
            self.began.remove(&incarnation);
        }
    }
}

/// What is kept for one subscriber.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    lots: BTreeMap<LotId, Kept>,
    size: Lost,
    /// The size of those lots, of which the journal keeps each as long as anybody keeps anything of it.
    bytes: u64,
    /// Lots of which something was settled, and that is not recorded yet.
    changed: BTreeSet<LotId>,
}

/// What is kept of one lot: in order, and never nothing.
#[derive(Debug)]
struct Kept {
    parts: Vec<Run>,
    /// The size of the whole lot.
    bytes: u64,
    /// How long dispatchers had run when it was taken in.
    since: RanSeconds,
}

impl Backlog {
    /// How many events are kept, and their size.
    pub(crate) fn size(&self) -> Lost {
        self.size
    }

    /// What counts against its limit, in bytes: the lots that something is kept of.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps these parts of a lot, which is one run; gives them back as they are kept.
    pub(crate) fn keep(&mut self, lot: &Run, parts: Vec<Run>, since: RanSeconds) -> &[Run] {
        parts.iter().for_each(|run| self.size.add_all(run));
        let bytes = lot.span.bytes();
        self.bytes += bytes;
        let mut kept = Kept { parts, bytes, since };
        kept.let_go_of_the_rest();
        &self.lots.entry(lot.position()).insert_entry(kept).into_mut().parts
    }

    /// All that is kept, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.lots.values().flat_map(|kept| &kept.parts)
    }

    /// All events that are kept, in order: since when, and each one's part of what counts, in bytes.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&Item, RanSeconds, u64)> {
        self.lots.values().flat_map(|kept| {
            let events: usize = kept.parts.iter().map(|run| run.span.len()).sum();
            let share = kept.bytes / events as u64;
            kept.items().map(move |item| (item, kept.since, share))
        })
    }

    /// Since when the oldest is kept.
    pub(crate) fn oldest(&self) -> Option<RanSeconds> {
        self.lots.values().next().map(|kept| kept.since)
    }

    /// These events are settled.
    pub(crate) fn settle_all(&mut self, mut events: Span) {
        while let Some(first) = events.items().first() {
            let settled = self.settle_front(first.position, &events);
            if settled == 0 {
                self.settle(first.position);
            }
            events.take_front(settled.max(1));
        }
    }

    /// As many of these as stand at the front of what is kept of their lot.
    fn settle_front(&mut self, position: u64, events: &Span) -> usize {
        let Some((lot, kept)) = self.lots.range_mut(..=position).next_back() else { return 0 };
        let Some(front) = kept.parts.first_mut() else { return 0 };
        let both = front.span.items().iter().zip(events.items());
        let count = both.take_while(|(kept, settled)| kept.position == settled.position).count();
        if count > 0 {
            let lot = *lot;
            self.size = self.size.less(Lost::of(&front.take_front(count)));
            if front.span.len() == 0 {
                kept.parts.remove(0);
            }
            self.has_changed(lot);
        }
        count
    }

    /// The event that stands there is settled.
    pub(crate) fn settle(&mut self, position: u64) {
        let Some((lot, kept)) = self.lots.range_mut(..=position).next_back() else { return };
        let behind = kept.parts.partition_point(|run| run.position() <= position);
        let Some(part) = behind.checked_sub(1) else { return };
        let run = &kept.parts[part];
        let Ok(at) = run.span.items().binary_search_by_key(&position, |item| item.position) else { return };
        let rest = [run.part(0, at), run.part(at + 1, run.span.len())];
        let lot = *lot;
        self.size = self.size.less(Lost::of(&run.part(at, at + 1)));
        kept.parts.splice(part..behind, rest.into_iter().filter(|run| run.span.len() > 0));
        self.has_changed(lot);
    }

    /// Lets go of what is to go.
    pub(crate) fn shed(&mut self, goes: impl Fn(&Item) -> bool) -> Lost {
        let all = self.lots.values().flat_map(Kept::items);
        let gone: Vec<_> = all.filter(|item| goes(item)).map(|item| item.position).collect();
        let before = self.size;
        gone.into_iter().for_each(|position| self.settle(position));
        before.less(self.size)
    }

    /// Lets go of everything.
    fn clear(&mut self) -> Lost {
        self.changed.extend(std::mem::take(&mut self.lots).into_keys());
        self.bytes = 0;
        std::mem::take(&mut self.size)
    }

    /// The lots of which something was settled since the last call, and what is left of each.
    fn take_changes(&mut self) -> Vec<(LotId, Parts)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|lot| (lot, self.lots.get(&lot).map_or(Parts::default(), Kept::ranges))).collect()
    }

    fn has_changed(&mut self, lot: LotId) {
        self.changed.insert(lot);
        match self.lots.get_mut(&lot) {
            Some(kept) if kept.parts.is_empty() => {
                self.bytes -= kept.bytes;
                self.lots.remove(&lot);
            }
            Some(kept) => kept.let_go_of_the_rest(),
            None => {}
        }
    }
}

impl Kept {
    fn items(&self) -> impl Iterator<Item = &Item> {
        self.parts.iter().flat_map(|run| run.span.items())
    }

    fn ranges(&self) -> Parts {
        self.parts.iter().map(range).collect()
    }

    /// What is kept is bounded by the sizes of its events: it must not keep alive those that they came with.
    fn let_go_of_the_rest(&mut self) {
        let size = self.parts.iter().map(|run| run.span.bytes()).sum();
        if self.parts.first().is_some_and(|run| run.is_sparse(size)) {
            self.parts.iter_mut().for_each(|run| *run = Run::copy(std::slice::from_ref(run)));
        }
    }
}

/// The places of a run's first and last event.
fn range(run: &Run) -> (u64, u64) {
    (run.position(), run.span.items().last().map_or(0, |last| last.position))
}

impl Machine {
    /// Keeps of a lot what subscribers with retention ALL want of it.
    pub(crate) fn keep(&mut self, lot: &Run) {
        let wants = |(ix, it): (_, &mut Subscriber)| {
            let parts: Vec<_> = it.keeps_all().then(|| it.wanted(lot).map(|run| range(&run)).collect())?;
            (!parts.is_empty()).then_some((ix, parts))
        };
        let keepers: Vec<_> = self.registry.iter_mut().filter_map(wants).collect();
        if keepers.is_empty() {
            return;
        }
        let kept = union(lot, keepers.iter().flat_map(|(_, parts)| parts));
        let (id, since) = (kept.position(), self.ran());
        self.log.lots.insert(id, keepers.len() as u16); // there are no more than 4096
        let mut kept_for = Vec::with_capacity(keepers.len());
        for (ix, parts) in keepers {
            let subscriber = self.registry.at(ix);
            let runs: Vec<_> = parts.iter().map(|(first, last)| kept.between(*first..=*last)).collect();
            let runs = subscriber.backlog.keep(&kept, runs, since);
            if subscriber.stream.is_some() {
                runs.iter().for_each(|run| subscriber.queue.keep(run.clone()));
            }
            self.retention_due = self.retention_due.min(subscriber.goes_at(since));
            kept_for.push((subscriber.number, Parts::from(parts)));
            self.wake(ix);
        }
        let (_, from, until) = kept.range();
        let positions = kept.span.items().iter().map(|item| item.position).collect();
        let events = kept.range().0.slice(from..until);
        self.record(Record::Lot { lot: id, positions, events, ran: since, kept_for: kept_for.into() });
    }

    /// What became of this subscriber's backlog is to survive.
    pub(crate) fn record_backlog(&mut self, ix: SubscriberIx) {
        let subscriber = self.registry.at(ix);
        let number = subscriber.number;
        for (lot, left) in subscriber.backlog.take_changes() {
            let gone = left.is_empty();
            self.record(Record::LotSettled { subscriber: number, lot, left });
            if gone {
                self.let_go_of_lot(lot);
            }
        }
    }

    /// A new stream begins, with another filter perhaps: with retention ALL its queue holds what is kept and still wanted;
    /// with OWED nothing is kept.
    pub(crate) fn refresh_backlog(&mut self, ix: SubscriberIx, refiltered: bool) {
        if !self.registry.at(ix).keeps_all() {
            let lost = self.forget_backlog(ix);
            return self.registry.at(ix).lose(GapCause::Away, lost, &mut self.counters);
        }
        if refiltered {
            self.refilter_backlog(ix);
        }
        let subscriber = self.registry.at(ix);
        subscriber.queue = Queue::unbounded(subscriber.backlog.runs());
    }

    /// Lets go of what is not wanted any more.
    fn refilter_backlog(&mut self, ix: SubscriberIx) {
        let Self { registry, hooks, .. } = self;
        let subscriber = registry.at(ix);
        subscriber.look_at_hooks(hooks);
        let wanted: Vec<_> = subscriber.backlog.runs().flat_map(|run| subscriber.wanted(run)).collect();
        if wanted.iter().map(|run| run.span.len()).sum::<usize>() < subscriber.backlog.size().events as usize
        {
            let wants = |event: &Item| {
                let behind = wanted.partition_point(|run| run.position() <= event.position);
                behind > 0 && !wanted[behind - 1].places(event.position..=event.position).is_empty()
            };
            subscriber.backlog.shed(|event| !wants(event));
        }
        self.record_backlog(ix);
    }

    /// The subscriber asks for no backlog any more, or is forgotten.
    pub(crate) fn forget_backlog(&mut self, ix: SubscriberIx) -> Lost {
        let lost = self.registry.at(ix).backlog.clear();
        self.record_backlog(ix);
        lost
    }

    fn let_go_of_lot(&mut self, lot: LotId) {
        let Some(holders) = self.log.lots.get_mut(&lot) else { return };
        *holders -= 1;
        if *holders == 0 {
            self.log.lots.remove(&lot);
            self.record(Record::LotForgotten { lot });
        }
    }

    /// A lot that was journaled, and what is left of it for whom: nobody, where all of them are forgotten.
    pub(super) fn restore_lot(
        &mut self,
        lot: &Run,
        since: RanSeconds,
        kept_for: impl Iterator<Item = (SubscriberIx, Parts)>,
    ) {
        let mut holders = 0;
        for (ix, parts) in kept_for {
            let runs = parts.iter().map(|(first, last)| lot.between(*first..=*last));
            let runs: Vec<_> = runs.filter(|run| run.span.len() > 0).collect();
            if !runs.is_empty() {
                self.registry.at(ix).backlog.keep(lot, runs, since);
                holders += 1;
            }
        }
        if holders > 0 {
            self.log.lots.insert(lot.position(), holders);
        }
    }
}

/// Of a lot what anybody wants: itself, where that is all of it.
fn union<'a>(lot: &Run, parts: impl Iterator<Item = &'a (u64, u64)>) -> Run {
    let items = lot.span.items();
    let mut wanted = vec![false; items.len()];
    for (first, last) in parts {
        let range = lot.places(*first..=*last);
        wanted[range].fill(true);
    }
    if wanted.iter().all(|wanted| *wanted) {
        return lot.clone();
    }
    let mut apart = Vec::new();
    let mut from = 0;
    for same in wanted.chunk_by(|one, next| one == next) {
        if same[0] {
            apart.push(lot.part(from, from + same.len()));
        }
        from += same.len();
    }
    Run::copy(&apart)
}
