//! 3 — One bounded queue per subscriber, and what happens when it is full.
//!
//! Starts, ends and control messages never stand here: the ledger knows what is due, so they need no room.

pub(crate) mod run;

use std::collections::{HashMap, VecDeque};

use hookwire_protocol::v1::WhenFull;

use self::run::{Item, Run};

/// So few runs are put back one by one.
const FEW: usize = 16;

/// Events that were lost, and their size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Lost {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.events += 1;
        self.bytes += bytes;
    }

    pub(crate) fn add_all(&mut self, run: &Run) {
        self.merge(Self::of(run));
    }

    /// All of these.
    pub(crate) fn of(run: &Run) -> Self {
        Self { events: run.span.len() as u64, bytes: run.span.bytes() }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }

    /// Without these, which it counts.
    pub(crate) fn less(self, other: Self) -> Self {
        Self { events: self.events - other.events, bytes: self.bytes - other.bytes }
    }
}

/// What a push did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in.
    Kept,
    /// These are lost, the new one perhaps among them.
    Lost(Lost),
    /// It does not fit, and the policy says that the stream is to end.
    Disconnect,
}

/// A bounded queue.
#[derive(Debug)]
pub(crate) struct Queue {
    ready: VecDeque<Run>,
    /// Events whose session's start waits, one by one, by incarnation. They count like the others.
    held: HashMap<u64, VecDeque<Run>>,
    events: usize,
    bytes: u64,
    max_events: usize,
    max_bytes: u64,
    when_full: WhenFull,
}

impl Queue {
    pub(crate) fn new(max_events: usize, max_bytes: u64, when_full: WhenFull) -> Self {
        Self {
            ready: VecDeque::new(),
            held: HashMap::new(),
            events: 0,
            bytes: 0,
            max_events,
            max_bytes,
            when_full,
        }
    }

    /// One that holds these, and all that comes: something else bounds it.
    pub(crate) fn unbounded<'a>(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut queue = Self::new(usize::MAX, u64::MAX, WhenFull::DropOldest);
        runs.for_each(|run| queue.keep(run.clone()));
        queue
    }

    pub(crate) fn len(&self) -> usize {
        self.events
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is room for all of it.
    pub(crate) fn has_room_for(&self, run: &Run) -> bool {
        self.events + run.span.len() <= self.max_events && self.bytes + run.span.bytes() <= self.max_bytes
    }

    /// Puts a run in that there is room for, or a single event; may lose events by the policy.
    pub(crate) fn push(&mut self, run: Run) -> Pushed {
        let mut lost = Lost::default();
        while !self.has_room_for(&run) {
            match self.when_full {
                WhenFull::Disconnect => return Pushed::Disconnect,
                WhenFull::DropNewest => {
                    lost.add_all(&run);
                    return Pushed::Lost(lost);
                }
                WhenFull::DropOldest | WhenFull::Unspecified => match self.drop_oldest() {
                    Some(bytes) => lost.add(bytes),
                    None => break, // alone it is let in, however large: what is too large was refused at the door
                },
            }
        }
        self.keep(run);
        if lost.events == 0 { Pushed::Kept } else { Pushed::Lost(lost) }
    }

    /// Puts a run in, whatever room there is.
    pub(crate) fn keep(&mut self, run: Run) {
        self.events += run.span.len();
        self.bytes += run.span.bytes();
        append(&mut self.ready, run);
    }

    /// The event whose turn it is.
    pub(crate) fn front(&self) -> Option<&Item> {
        self.ready.front()?.span.items().first()
    }

    /// The run that begins with the event whose turn it is.
    pub(crate) fn front_run(&self) -> Option<&Run> {
        self.ready.front()
    }

    /// Takes so many off the front run, at most all of it.
    pub(crate) fn pop(&mut self, count: usize) -> Option<Run> {
        let run = self.take_front(count)?;
        self.count_out(&run);
        Some(run)
    }

    /// Sets the front event aside until its session's start is written, and those of its session that follow it at once.
    pub(crate) fn hold_front(&mut self) {
        let Some(life) = self.front().map(|event| event.life) else { return };
        let same = |run: &Run| run.span.items().iter().take_while(|event| event.life == life).count();
        let count = self.ready.front().map_or(0, same);
        let Some(events) = self.take_front(count) else { return };
        self.held.entry(life.incarnation).or_default().push_back(events.alone());
    }

    /// The start is written, or never will be: its events go back to where they stood.
    pub(crate) fn release(&mut self, incarnation: u64) {
        if self.held.is_empty() {
            return; // asked for every start and end: that is no reason to hash
        }
        let Some(events) = self.held.remove(&incarnation) else { return };
        // In order: an end looks no further than the front for what it is to take along.
        if events.len() < FEW {
            return events.into_iter().rev().for_each(|event| self.put_back(event));
        }
        self.ready.extend(events);
        self.ready.make_contiguous().sort_by_key(Run::position);
    }

    /// Takes out what there is of one life up to its end: event by event, in order.
    pub(crate) fn take_life(&mut self, incarnation: u64, decided: u64) -> Vec<Run> {
        let taken = extract(&mut self.ready, |event| {
            event.life.incarnation == incarnation && event.position <= decided
        });
        taken.iter().for_each(|event| self.count_out(event));
        taken
    }

    /// Loses all of one boot's.
    pub(crate) fn shed_boot(&mut self, boot: u32) -> Lost {
        self.shed(|event| event.boot == boot)
    }

    /// Loses everything.
    pub(crate) fn shed_all(&mut self) -> Lost {
        self.ready.clear();
        self.held.clear();
        let events = std::mem::take(&mut self.events) as u64;
        Lost { events, bytes: std::mem::take(&mut self.bytes) }
    }

    /// Loses what is to go.
    pub(crate) fn shed(&mut self, goes: impl Fn(&Item) -> bool) -> Lost {
        let mut lost = Lost::default();
        extract(&mut self.ready, &goes).iter().for_each(|event| lost.add_all(event));
        self.held.retain(|_, events| {
            extract(events, &goes).iter().for_each(|event| lost.add_all(event));
            !events.is_empty()
        });
        self.events -= lost.events as usize;
        self.bytes -= lost.bytes;
        lost
    }

    fn take_front(&mut self, count: usize) -> Option<Run> {
        let run = self.ready.front_mut()?;
        if count >= run.span.len() {
            return self.ready.pop_front();
        }
        Some(run.take_front(count))
    }

    /// No run reaches from before it to behind it: it was the front of its own.
    fn put_back(&mut self, event: Run) {
        let at = self.ready.partition_point(|run| run.position() < event.position());
        self.ready.insert(at, event);
    }

    fn drop_oldest(&mut self) -> Option<u64> {
        let event = self.take_front(1).or_else(|| self.drop_oldest_held())?;
        self.count_out(&event);
        Some(event.span.bytes())
    }

    fn drop_oldest_held(&mut self) -> Option<Run> {
        let incarnation = *self.held.keys().min()?;
        let events = self.held.get_mut(&incarnation)?;
        let event = events.front_mut().map(|run| run.take_front(1));
        while events.pop_front_if(|run| run.span.len() == 0).is_some() {}
        if events.is_empty() {
            self.held.remove(&incarnation);
        }
        event
    }

    fn count_out(&mut self, run: &Run) {
        self.events -= run.span.len();
        self.bytes -= run.span.bytes();
    }
}

/// Puts a run behind the others, as part of the last where it goes on there.
fn append(runs: &mut VecDeque<Run>, run: Run) {
    let apart = match runs.back_mut() {
        Some(last) => last.join(run),
        None => Some(run),
    };
    runs.extend(apart);
}

/// Takes out what is to go, event by event, in order.
fn extract(runs: &mut VecDeque<Run>, goes: impl Fn(&Item) -> bool) -> Vec<Run> {
    let mut taken = Vec::new();
    if !runs.iter().any(|run| run.span.items().iter().any(&goes)) {
        return taken;
    }
    for run in std::mem::take(runs) {
        let items = run.span.items();
        let mut from = 0;
        for at in (0..items.len()).filter(|at| goes(&items[*at])) {
            if from < at {
                runs.push_back(run.part(from, at).alone());
            }
            taken.push(run.part(at, at + 1).alone());
            from = at + 1;
        }
        match from {
            0 => append(runs, run),
            _ if from < items.len() => runs.push_back(run.part(from, items.len()).alone()),
            _ => {}
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::{run::tests::run, *};

    fn event(position: u64, incarnation: u64, size: u32) -> Run {
        run(&[(position, incarnation, size)])
    }

    fn positions(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop(1)).map(|event| event.position()).collect()
    }

    #[test]
    fn the_oldest_goes_first_when_that_is_the_policy() {
        let mut queue = Queue::new(2, 100, WhenFull::DropOldest);
        assert_eq!(queue.push(event(1, 1, 10)), Pushed::Kept);
        assert_eq!(queue.push(event(2, 1, 20)), Pushed::Kept);
        assert_eq!(queue.push(event(3, 1, 30)), Pushed::Lost(Lost { events: 1, bytes: 10 }));
        assert_eq!((queue.len(), queue.bytes()), (2, 50));
        assert_eq!(positions(&mut queue), [2, 3]);
    }

    #[test]
    fn bytes_are_bounded_as_well_as_events() {
        let mut queue = Queue::new(100, 50, WhenFull::DropOldest);
        for position in 1..=5 {
            queue.push(event(position, 1, 10));
        }
        assert_eq!(queue.push(event(6, 1, 35)), Pushed::Lost(Lost { events: 4, bytes: 40 }));
        assert_eq!(positions(&mut queue), [5, 6]);
    }

    #[test]
    fn the_newest_goes_first_when_that_is_the_policy() {
        let mut queue = Queue::new(1, 100, WhenFull::DropNewest);
        queue.push(event(1, 1, 10));
        assert_eq!(queue.push(event(2, 1, 7)), Pushed::Lost(Lost { events: 1, bytes: 7 }));
        assert_eq!(positions(&mut queue), [1]);
    }

    #[test]
    fn held_events_count_and_come_back_in_front() {
        let mut queue = Queue::new(3, 100, WhenFull::DropOldest);
        for (position, incarnation) in [(1, 7), (2, 8), (3, 7)] {
            queue.push(event(position, incarnation, 1));
        }
        queue.hold_front();
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.pop(1).map(|event| event.position()), Some(2));
        queue.hold_front();
        assert!(queue.front().is_none());
        queue.push(event(4, 9, 1));
        queue.release(7);
        assert_eq!(positions(&mut queue), [1, 3, 4]);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn held_events_go_back_to_where_they_stood() {
        let mut queue = Queue::new(9, 100, WhenFull::DropOldest);
        for (position, incarnation) in [(1, 7), (2, 8), (3, 7), (4, 9)] {
            queue.push(event(position, incarnation, 1));
        }
        (0..3).for_each(|_| queue.hold_front());
        queue.release(7);
        queue.release(8);
        assert_eq!(positions(&mut queue), [1, 2, 3, 4]);
    }

    #[test]
    fn a_life_is_taken_whole_and_in_order() {
        let mut queue = Queue::new(9, 100, WhenFull::DropOldest);
        for (position, incarnation) in [(1, 7), (2, 8), (3, 7), (5, 7)] {
            queue.push(event(position, incarnation, 1));
        }
        let taken: Vec<_> = queue.take_life(7, 4).iter().map(Run::position).collect();
        assert_eq!(taken, [1, 3], "what came after the end at 4 is late, and stays");
        assert_eq!((queue.len(), queue.bytes()), (2, 2));
    }

    #[test]
    fn what_is_set_aside_or_left_over_keeps_nothing_else_alive() {
        let lot = || run(&[(1, 7, 10), (2, 8, 990), (3, 9, 10)]);
        let kept = |run: &Run| run.range().0.len();
        let mut queue = Queue::new(9, 10_000, WhenFull::DropOldest);
        queue.push(lot());
        queue.hold_front();
        queue.release(7);
        assert_eq!(queue.front_run().map(kept), Some(10));

        let mut queue = Queue::new(9, 10_000, WhenFull::DropOldest);
        queue.push(lot());
        assert_eq!(queue.take_life(8, 9).iter().map(kept).collect::<Vec<_>>(), [1010], "it is most of it");
        assert_eq!(queue.ready.iter().map(kept).collect::<Vec<_>>(), [10, 10]);
    }

    #[test]
    fn what_is_shed_is_counted() {
        let mut queue = Queue::new(9, 100, WhenFull::DropOldest);
        for position in 1..=3 {
            queue.push(event(position, position, 5));
        }
        queue.hold_front();
        assert_eq!(queue.shed_boot(1), Lost::default());
        assert_eq!(queue.shed_boot(0), Lost { events: 3, bytes: 15 });
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }
}
