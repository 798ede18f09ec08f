//! Which events are in the file already. Pure.

use std::{
    collections::{HashSet, VecDeque},
    rc::Rc,
};

/// What comes again was not acknowledged, and so is among the newest: a stream has far fewer that are not.
const NEWEST: usize = 100_000;

/// The ids of the newest.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<Rc<str>>,
    order: VecDeque<Rc<str>>,
}

impl Seen {
    /// Whether this one is new; then it is known from now on.
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        if self.ids.contains(id) {
            return false;
        }
        let id: Rc<str> = id.into();
        self.ids.insert(id.clone());
        self.order.push_back(id);
        if self.order.len() > NEWEST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_the_rest_takes_no_room() {
        let mut seen = Seen::default();
        assert!(seen.is_new("first") && !seen.is_new("first"));
        for number in 0..NEWEST {
            assert!(seen.is_new(&number.to_string()));
        }
        assert!(!seen.is_new("0") && seen.is_new("first"));
        assert_eq!((seen.ids.len(), seen.order.len()), (NEWEST, NEWEST));
    }
}
