//! A set of lives, of which there are few.

use super::Life;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct Set(u8);

impl Set {
    pub(super) fn has(self, life: Life) -> bool {
        self.0 & 1 << life != 0
    }

    pub(super) fn insert(&mut self, life: Life) {
        self.0 |= 1 << life;
    }

    pub(super) fn remove(&mut self, life: Life) {
        self.0 &= !(1 << life);
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(in super::super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

impl FromIterator<Life> for Set {
    fn from_iter<T: IntoIterator<Item = Life>>(lives: T) -> Self {
        Self(lives.into_iter().fold(0, |set, life| set | 1 << life))
    }
}
