//! What is written on a stream and not answered.
//!
//! Deliveries have consecutive numbers and are mostly answered in order, so they stand in a ring in which events lie in
//! runs. What is answered out of order is noted beside it, until all before it is answered. What is not answered while
//! much behind it is, leaves the ring: a delivery that is never answered costs no more than itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    drain::ClosingId,
    queue::{Lost, run::Span},
    settle::lives::LifeRef,
};

/// So many answers out of order are kept before it is looked whether they are the most of the ring.
const FEW: usize = 64;

/// One delivery that is written and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Start(LifeRef),
    End(LifeRef),
    Event {
        /// Its place in the order of all things.
        position: u64,
        bytes: u64,
        /// It takes a place in the window.
        windowed: bool,
    },
    GatewayStop(ClosingId),
}

/// What was answered at once.
#[derive(Debug)]
pub(crate) enum Answered {
    One(Delivered),
    /// These events, all windowed.
    Events(Span),
}

#[derive(Debug)]
enum Flight {
    One(Delivered),
    /// Windowed events.
    Events(Span),
}

impl Flight {
    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Events(span) => span.len() as u64,
        }
    }

    /// The delivery that stands so far behind this one's first.
    fn at(&self, offset: u64) -> Delivered {
        match self {
            Self::One(delivered) => *delivered,
            Self::Events(span) => {
                let item = &span.items()[offset as usize];
                Delivered::Event { position: item.position, bytes: item.bytes(), windowed: true }
            }
        }
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// With the number of each one's first delivery: those of all of them follow one another.
    ring: VecDeque<(u64, Flight)>,
    /// Numbers in the ring that are answered.
    answered: BTreeSet<u64>,
    /// Older than the ring.
    stuck: BTreeMap<u64, Delivered>,
    /// The last number that was given out.
    last: u64,
    open: usize,
}

impl InFlight {
    /// The number of the next delivery.
    pub(crate) fn next_seq(&self) -> u64 {
        self.last + 1
    }

    /// How many deliveries are not answered.
    pub(crate) fn len(&self) -> usize {
        self.open
    }

    /// Numbers one delivery.
    pub(crate) fn push(&mut self, delivered: Delivered) {
        self.enter(Flight::One(delivered));
    }

    /// Numbers windowed events.
    pub(crate) fn push_events(&mut self, span: Span) {
        self.enter(Flight::Events(span));
    }

    fn enter(&mut self, flight: Flight) {
        let first = self.next_seq();
        self.last += flight.len();
        self.open += flight.len() as usize;
        self.ring.push_back((first, flight));
    }

    /// The answer to one delivery came; `None` for a number that was never given out or is answered already.
    pub(crate) fn answer(&mut self, seq: u64) -> Option<Delivered> {
        let delivered = match self.stuck.remove(&seq) {
            Some(delivered) => delivered,
            None => {
                let (first, flight) = self.in_ring(seq)?;
                let delivered = flight.at(seq - first);
                if !self.answered.insert(seq) {
                    return None;
                }
                delivered
            }
        };
        self.open -= 1;
        self.trim();
        Some(delivered)
    }

    /// Takes the oldest that are not answered and stand together, if their numbers are not beyond this one.
    pub(crate) fn answer_through(&mut self, seq: u64) -> Option<Answered> {
        if let Some(oldest) = self.stuck.first_entry() {
            let oldest = (*oldest.key() <= seq).then(|| oldest.remove())?;
            self.open -= 1;
            return Some(Answered::One(oldest));
        }
        let (first, flight) = self.ring.front_mut()?;
        let until = seq.min(self.last).checked_add(1).filter(|until| *until > *first)?;
        // The front is never answered: it would have been trimmed.
        let until = self.answered.first().map_or(until, |answered| until.min(*answered));
        let count = (until - *first).min(flight.len());
        let answered = match flight {
            Flight::One(delivered) => Answered::One(*delivered),
            Flight::Events(span) => Answered::Events(span.part(0, count as usize)),
        };
        self.open -= count as usize;
        self.leave_front(count);
        self.trim();
        Some(answered)
    }

    /// How many of these numbers are not answered.
    pub(crate) fn open_in(&self, first: u64, last: u64) -> u64 {
        let stuck = self.stuck.range(first..=last).count() as u64;
        let Some((base, _)) = self.ring.front() else { return stuck };
        let (from, until) = (first.max(*base), last.min(self.last) + 1);
        let answered = self.answered.range(first..=last).count() as u64;
        stuck + until.saturating_sub(from) - answered
    }

    /// The events that will not be answered any more.
    pub(crate) fn into_lost(self) -> Lost {
        let Self { ring, answered, stuck, .. } = self;
        let all = ring.iter().flat_map(|(first, flight)| {
            (0..flight.len()).map(move |offset| (first + offset, flight.at(offset)))
        });
        let in_ring = all.filter(|(seq, _)| !answered.contains(seq)).map(|(_, delivered)| delivered);
        let mut lost = Lost::default();
        for delivered in in_ring.chain(stuck.into_values()) {
            if let Delivered::Event { bytes, .. } = delivered {
                lost.add(bytes);
            }
        }
        lost
    }

    fn in_ring(&self, seq: u64) -> Option<&(u64, Flight)> {
        let behind = self.ring.partition_point(|(first, _)| *first <= seq);
        self.ring.get(behind.checked_sub(1)?).filter(|_| seq <= self.last)
    }

    /// Takes deliveries off the ring's front, no more than its first entry holds.
    fn leave_front(&mut self, count: u64) {
        match self.ring.front_mut() {
            Some((first, Flight::Events(span))) if count < span.len() as u64 => {
                span.take_front(count as usize);
                *first += count;
            }
            _ => drop(self.ring.pop_front()),
        }
    }

    /// Lets go of what is answered at the front; takes what is not out of a ring that is mostly answered.
    fn trim(&mut self) {
        while let Some((first, _)) = self.ring.front() {
            if !self.answered.remove(first) {
                break;
            }
            self.leave_front(1);
        }
        if self.answered.len() > FEW.max(2 * (self.open - self.stuck.len())) {
            for (first, flight) in std::mem::take(&mut self.ring) {
                let open = (0..flight.len()).filter(|offset| !self.answered.contains(&(first + offset)));
                self.stuck.extend(open.map(|offset| (first + offset, flight.at(offset))));
            }
            self.answered.clear();
        }
        if self.ring.is_empty() && self.ring.capacity() > FEW {
            self.ring = VecDeque::new(); // a drain's worth of room is not kept
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::queue::run::tests::run;

    fn start(incarnation: u64) -> Delivered {
        Delivered::Start(LifeRef { incarnation, slot: 0 })
    }

    #[test]
    fn one_delivery_that_is_never_answered_costs_no_more_than_itself() {
        let mut flights = InFlight::default();
        flights.push(start(1));
        for seq in 2..10_000 {
            flights.push(start(seq));
            assert_eq!(flights.answer(seq), Some(start(seq)));
            assert!(flights.ring.len() + flights.answered.len() + flights.stuck.len() < 3 * FEW);
        }
        assert_eq!((flights.len(), flights.next_seq()), (1, 10_000));
    }

    #[test]
    fn the_largest_numbers_are_no_panic() {
        let mut flights = InFlight::default();
        flights.push(start(1));
        assert_eq!(flights.answer(u64::MAX), None);
        let answered = flights.answer_through(u64::MAX);
        assert!(matches!(answered, Some(Answered::One(only)) if only == start(1)), "{answered:?}");
        assert!(flights.answer_through(u64::MAX).is_none());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Start,
        Events(u64),
        Answer(u64),
        Through(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Start),
            2 => (1..6_u64).prop_map(Step::Events),
            6 => (0..400_u64).prop_map(Step::Answer),
            1 => (0..400_u64).prop_map(Step::Through),
        ]
    }

    /// Answers all that a naive map would.
    fn through(
        flights: &mut InFlight,
        naive: &mut BTreeMap<u64, Delivered>,
        seq: u64,
    ) -> Result<(), TestCaseError> {
        while let Some(answered) = flights.answer_through(seq) {
            let count = match answered {
                Answered::One(delivered) => {
                    prop_assert_eq!(naive.values().next(), Some(&delivered));
                    1
                }
                Answered::Events(span) => span.len() as u64,
            };
            for _ in 0..count {
                prop_assert!(naive.pop_first().is_some_and(|(first, _)| first <= seq));
            }
        }
        prop_assert!(naive.keys().next().is_none_or(|first| *first > seq));
        Ok(())
    }

    proptest! {
        #[test]
        fn is_a_map_by_number(steps in prop::collection::vec(step(), 0..300)) {
            let (mut flights, mut naive) = (InFlight::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Start => {
                        naive.insert(flights.next_seq(), start(flights.next_seq()));
                        flights.push(start(flights.next_seq()));
                    }
                    Step::Events(count) => {
                        let first = flights.next_seq();
                        let events: Vec<_> = (0..count).map(|at| (at, 1, at as u32 + 1)).collect();
                        let event = |position| Delivered::Event { position, bytes: position + 1, windowed: true };
                        naive.extend((0..count).map(|at| (first + at, event(at))));
                        flights.push_events(run(&events).span);
                    }
                    Step::Answer(seq) => prop_assert_eq!(flights.answer(seq), naive.remove(&seq)),
                    Step::Through(seq) => through(&mut flights, &mut naive, seq)?,
                }
                prop_assert_eq!(flights.len(), naive.len());
                prop_assert_eq!(flights.open_in(5, 20), naive.range(5..=20).count() as u64);
            }
            let mut lost = Lost::default();
            for delivered in naive.into_values() {
                if let Delivered::Event { bytes, .. } = delivered {
                    lost.add(bytes);
                }
            }
            prop_assert_eq!(flights.into_lost(), lost);
        }
    }
}
