//! 3 — One bounded queue per subscriber, and what happens when it is full.
//!
//! Starts, ends and control messages never stand here: the ledger knows what is due, so they need no room.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use hookwire_protocol::v1::WhenFull;

use crate::settle::lives::LifeRef;

/// One event that waits for one subscriber. The bytes are a range of a chunk that all subscribers share.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Its place in the order of all things.
    pub(crate) position: u64,
    /// The number of the boot it was published in.
    pub(crate) boot: u32,
    /// The life it belongs to, incarnation 0 where there is none.
    pub(crate) life: LifeRef,
    pub(crate) chunk: Bytes,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Queued {
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.end - self.start)
    }
}

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

    pub(crate) fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
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
    ready: VecDeque<Queued>,
    /// Events whose session's start waits, by incarnation. They count like the others.
    held: HashMap<u64, VecDeque<Queued>>,
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

    pub(crate) fn len(&self) -> usize {
        self.events
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts an event in, or loses one by the policy.
    pub(crate) fn push(&mut self, event: Queued) -> Pushed {
        let mut lost = Lost::default();
        while self.is_full_for(&event) {
            match self.when_full {
                WhenFull::Disconnect => return Pushed::Disconnect,
                WhenFull::DropNewest => {
                    lost.add(event.bytes());
                    return Pushed::Lost(lost);
                }
                WhenFull::DropOldest | WhenFull::Unspecified => match self.drop_oldest() {
                    Some(bytes) => lost.add(bytes),
                    None => break, // alone it is let in, however large: what is too large was refused at the door
                },
            }
        }
        self.count_in(&event);
        self.ready.push_back(event);
        if lost.events == 0 { Pushed::Kept } else { Pushed::Lost(lost) }
    }

    /// The event whose turn it is.
    pub(crate) fn front(&self) -> Option<&Queued> {
        self.ready.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let event = self.ready.pop_front()?;
        self.count_out(&event);
        Some(event)
    }

    /// Sets the front event aside until its session's start is written.
    pub(crate) fn hold_front(&mut self) {
        if let Some(event) = self.ready.pop_front() {
            self.held.entry(event.life.incarnation).or_default().push_back(event);
        }
    }

    /// The start is written, or never will be: its events go back to where they stood.
    pub(crate) fn release(&mut self, incarnation: u64) {
        if self.held.is_empty() {
            return; // asked for every start and end: that is no reason to hash
        }
        let Some(held) = self.held.remove(&incarnation) else { return };
        // In order: an end looks no further than the front for what it is to take along.
        for event in held.into_iter().rev() {
            let at = self.ready.partition_point(|ready| ready.position < event.position);
            self.ready.insert(at, event);
        }
    }

    /// Takes out what there is of one life up to its end, in order.
    pub(crate) fn take_life(&mut self, incarnation: u64, decided: u64) -> Vec<Queued> {
        let mut taken = Vec::new();
        self.ready.retain(|event| {
            let other = event.life.incarnation != incarnation || event.position > decided;
            if !other {
                taken.push(event.clone());
            }
            other
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
        self.shed(|_| true)
    }

    fn shed(&mut self, goes: impl Fn(&Queued) -> bool) -> Lost {
        let mut lost = Lost::default();
        let mut stays = |event: &Queued| {
            let goes = goes(event);
            if goes {
                lost.add(event.bytes());
            }
            !goes
        };
        self.ready.retain(&mut stays);
        self.held.retain(|_, events| {
            events.retain(&mut stays);
            !events.is_empty()
        });
        self.events -= lost.events as usize;
        self.bytes -= lost.bytes;
        lost
    }

    fn is_full_for(&self, event: &Queued) -> bool {
        self.events >= self.max_events || self.bytes + event.bytes() > self.max_bytes
    }

    fn drop_oldest(&mut self) -> Option<u64> {
        let event = match self.ready.pop_front() {
            Some(event) => event,
            None => self.drop_oldest_held()?,
        };
        self.count_out(&event);
        Some(event.bytes())
    }

    fn drop_oldest_held(&mut self) -> Option<Queued> {
        let incarnation = *self.held.keys().min()?;
        let events = self.held.get_mut(&incarnation)?;
        let event = events.pop_front();
        if events.is_empty() {
            self.held.remove(&incarnation);
        }
        event
    }

    fn count_in(&mut self, event: &Queued) {
        self.events += 1;
        self.bytes += event.bytes();
    }

    fn count_out(&mut self, event: &Queued) {
        self.events -= 1;
        self.bytes -= event.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: u64, incarnation: u64, size: u32) -> Queued {
        Queued {
            position,
            boot: 0,
            life: LifeRef { incarnation, slot: 0 },
            chunk: Bytes::new(),
            start: 0,
            end: size,
        }
    }

    fn positions(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|event| event.position).collect()
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
        assert_eq!(queue.pop().map(|event| event.position), Some(2));
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
        let taken: Vec<_> = queue.take_life(7, 4).iter().map(|event| event.position).collect();
        assert_eq!(taken, [1, 3], "what came after the end at 4 is late, and stays");
        assert_eq!((queue.len(), queue.bytes()), (2, 2));
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
