//! In order inside one session, side by side across sessions. Pure.
//!
//! A lane is one session, or the gateway for what belongs to none. At most one item of a lane is out at a time.
//! An item that is [`After::All`] waits besides until every earlier item of every lane is done.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use hashbrown::HashMap;

/// A lane's name.
pub(crate) type Lane = Arc<str>;

/// What an item waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// What came before it in its lane.
    Lane,
    /// All that came before it in any lane.
    All,
}

/// Proof that an item is out; hand it back when the item is done.
#[derive(Debug)]
pub(crate) struct Ticket {
    lane: Lane,
    arrival: u64,
}

impl Ticket {
    /// The lane that the item is in.
    pub(crate) fn lane(&self) -> &str {
        &self.lane
    }
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: Ticket,
    after: After,
    item: T,
}

/// Items on their way.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    arrivals: u64,
    /// Arrivals that are not done.
    outstanding: BTreeSet<u64>,
    /// A lane is here while it holds an item; what waits behind that one.
    lanes: HashMap<Lane, VecDeque<Waiting<T>>>,
    /// At the head of their lane, but not yet the oldest of all.
    held: Vec<Waiting<T>>,
    ready: VecDeque<Waiting<T>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            arrivals: 0,
            outstanding: BTreeSet::new(),
            lanes: HashMap::new(),
            held: Vec::new(),
            ready: VecDeque::new(),
        }
    }
}

impl<T> Lanes<T> {
    /// How many items are not done, those out included.
    pub(crate) fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// How many items have come so far: for [`are_done`](Self::are_done).
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Whether the first so many arrivals are done.
    pub(crate) fn are_done(&self, arrivals: u64) -> bool {
        self.outstanding.first().is_none_or(|oldest| *oldest > arrivals)
    }

    /// Whether an item would wait for nothing.
    pub(crate) fn is_free(&self, lane: &str, after: After) -> bool {
        match after {
            After::Lane => !self.lanes.contains_key(lane),
            After::All => self.outstanding.is_empty(),
        }
    }

    /// Takes down that an item is out that waits for nothing: see [`is_free`](Self::is_free).
    pub(crate) fn enter(&mut self, lane: Lane) -> Ticket {
        let ticket = self.ticket(lane.clone());
        self.lanes.insert(lane, VecDeque::new());
        ticket
    }

    /// Puts an item at the end of its lane.
    pub(crate) fn push(&mut self, lane: Lane, after: After, item: T) {
        let ticket = self.ticket(lane.clone());
        let waiting = Waiting { ticket, after, item };
        match self.lanes.get_mut(&lane) {
            Some(behind) => behind.push_back(waiting),
            None => {
                self.lanes.insert(lane, VecDeque::new());
                self.step_up(waiting);
            }
        }
    }

    fn ticket(&mut self, lane: Lane) -> Ticket {
        self.arrivals += 1;
        self.outstanding.insert(self.arrivals);
        Ticket { lane, arrival: self.arrivals }
    }

    /// Whether there is an item whose turn it is.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next item whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<(Ticket, T)> {
        self.ready.pop_front().map(|waiting| (waiting.ticket, waiting.item))
    }

    /// An item is done: whoever waited for it steps up.
    pub(crate) fn done(&mut self, ticket: Ticket) {
        self.outstanding.remove(&ticket.arrival);
        match self.lanes.get_mut(&ticket.lane).and_then(VecDeque::pop_front) {
            Some(next) => self.step_up(next),
            None => {
                self.lanes.remove(&ticket.lane);
            }
        }
        while let Some(at) = self.held.iter().position(|waiting| self.is_oldest(waiting)) {
            let waiting = self.held.swap_remove(at);
            self.ready.push_back(waiting);
        }
    }

    fn step_up(&mut self, waiting: Waiting<T>) {
        if waiting.after == After::Lane || self.is_oldest(&waiting) {
            self.ready.push_back(waiting);
        } else {
            self.held.push(waiting);
        }
    }

    fn is_oldest(&self, waiting: &Waiting<T>) -> bool {
        self.outstanding.first() == Some(&waiting.ticket.arrival)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything whose turn it is, by item.
    fn out(lanes: &mut Lanes<u32>) -> Vec<(u32, Ticket)> {
        std::iter::from_fn(|| lanes.pop()).map(|(ticket, item)| (item, ticket)).collect()
    }

    fn items(out: &[(u32, Ticket)]) -> Vec<u32> {
        out.iter().map(|(item, _)| *item).collect()
    }

    #[test]
    fn one_at_a_time_in_a_lane_and_lanes_side_by_side() {
        let mut lanes = Lanes::default();
        for (lane, item) in [("a", 1), ("a", 2), ("b", 3)] {
            lanes.push(lane.into(), After::Lane, item);
        }
        let mut first = out(&mut lanes);
        assert_eq!(items(&first), [1, 3]);
        lanes.done(first.pop().expect("two are out").1);
        assert_eq!(items(&out(&mut lanes)), [] as [u32; 0]);
        lanes.done(first.pop().expect("one is out").1);
        assert_eq!(items(&out(&mut lanes)), [2]);
    }

    #[test]
    fn after_all_waits_for_what_came_before_it_and_for_nothing_else() {
        let mut lanes = Lanes::default();
        lanes.push("a".into(), After::Lane, 1);
        lanes.push("".into(), After::All, 2);
        lanes.push("".into(), After::Lane, 3);
        lanes.push("b".into(), After::Lane, 4);
        let mut first = out(&mut lanes);
        assert_eq!(items(&first), [1, 4], "what came later does not wait for it, save in its lane");
        lanes.done(first.remove(0).1);
        let mut second = out(&mut lanes);
        assert_eq!(items(&second), [2], "nor does it wait for what came later");
        lanes.done(second.remove(0).1);
        assert_eq!(items(&out(&mut lanes)), [3]);
        assert_eq!(lanes.len(), 2);
    }

    proptest! {
        /// Whatever is finished in whatever order: all get their turn, each lane in order, nothing is left.
        #[test]
        fn everything_gets_its_turn(
            pushes in proptest::collection::vec((0u8..4, any::<bool>()), 0..40),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let mut lanes = Lanes::default();
            for (item, (lane, all)) in (0u32..).zip(&pushes) {
                let after = if *all { After::All } else { After::Lane };
                lanes.push(lane.to_string().into(), after, item);
            }
            let mut running = Vec::new();
            let mut finished = Vec::new();
            for pick in picks.iter().take(pushes.len()) {
                running.extend(out(&mut lanes));
                let (item, ticket) = running.swap_remove(pick.index(running.len()));
                let (lane, all) = pushes[item as usize];
                let earlier = (0..item).filter(|i| all || pushes[*i as usize].0 == lane);
                for earlier in earlier {
                    prop_assert!(finished.contains(&earlier), "{item} overtook {earlier}");
                }
                finished.push(item);
                lanes.done(ticket);
            }
            prop_assert_eq!(finished.len(), pushes.len());
            prop_assert_eq!(lanes.len() + lanes.lanes.len() + lanes.held.len() + lanes.ready.len(), 0);
        }
    }
}
