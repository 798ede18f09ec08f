//! Runs: events that lie side by side, shared by everybody who wants them.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

use crate::settle::lives::LifeRef;

/// Less than one part in so many is a waste: it gets a copy.
const SPARSE: u64 = 4;

/// One event that was taken in with others: what is known of it, and where its bytes are in theirs.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its place in the order of all things.
    pub(crate) position: u64,
    /// The life it belongs to, incarnation 0 where there is none.
    pub(crate) life: LifeRef,
    /// The number of the boot it was published in.
    pub(crate) boot: u32,
    /// The hook's number.
    pub(crate) hook: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Item {
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.end - self.start)
    }
}

/// A part of some events that were taken in together, without their bytes.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    items: Arc<[Item]>,
    from: u32,
    until: u32,
}

impl Span {
    /// All of these, one at least.
    pub(crate) fn new(items: Arc<[Item]>) -> Self {
        let until = items.len() as u32;
        Self { items, from: 0, until }
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items[self.from as usize..self.until as usize]
    }

    pub(crate) fn len(&self) -> usize {
        (self.until - self.from) as usize
    }

    /// In bytes: they lie side by side.
    pub(crate) fn bytes(&self) -> u64 {
        self.items().iter().next().map_or(0, |first| u64::from(self.end() - first.start))
    }

    /// The part from `from` to before `until`, counted from this one's start.
    pub(crate) fn part(&self, from: usize, until: usize) -> Self {
        Self { items: self.items.clone(), from: self.from + from as u32, until: self.from + until as u32 }
    }

    /// Takes so many off the front, at most all.
    pub(crate) fn take_front(&mut self, count: usize) -> Self {
        let front = self.part(0, count.min(self.len()));
        self.from = front.until;
        front
    }

    fn end(&self) -> u32 {
        self.items().last().map_or(0, |last| last.end)
    }
}

/// Events that lie side by side, with their bytes. Never empty where it stands in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) span: Span,
    bytes: Bytes,
}

impl Run {
    /// All of these; their bytes are ranges of `bytes`, one behind the other.
    pub(crate) fn new(items: Arc<[Item]>, bytes: Bytes) -> Self {
        Self { span: Span::new(items), bytes }
    }

    /// One run of what lies apart, with bytes of its own.
    pub(crate) fn copy(apart: &[Self]) -> Self {
        let mut bytes = BytesMut::with_capacity(apart.iter().map(|run| run.span.bytes() as usize).sum());
        let mut items = Vec::with_capacity(apart.iter().map(|run| run.span.len()).sum());
        for run in apart {
            let (of, from, until) = run.range();
            let back = |at: u32| at - from as u32 + bytes.len() as u32;
            let moved = |item: &Item| Item { start: back(item.start), end: back(item.end), ..item.clone() };
            items.extend(run.span.items().iter().map(moved));
            bytes.extend_from_slice(&of[from..until]);
        }
        Self::new(items.into(), bytes.freeze())
    }

    /// The bytes that the range is one of, and the range.
    pub(crate) fn range(&self) -> (&Bytes, usize, usize) {
        let start = self.span.items().first().map_or(0, |first| first.start);
        (&self.bytes, start as usize, self.span.end() as usize)
    }

    /// The place of its first event; the largest of all where there is none.
    pub(crate) fn position(&self) -> u64 {
        self.span.items().first().map_or(u64::MAX, |first| first.position)
    }

    pub(crate) fn part(&self, from: usize, until: usize) -> Self {
        Self { span: self.span.part(from, until), bytes: self.bytes.clone() }
    }

    pub(crate) fn take_front(&mut self, count: usize) -> Self {
        Self { span: self.span.take_front(count), bytes: self.bytes.clone() }
    }

    /// Which of its events stand at these places.
    pub(crate) fn places(&self, places: RangeInclusive<u64>) -> Range<usize> {
        let items = self.span.items();
        let from = items.partition_point(|item| item.position < *places.start());
        from..items.partition_point(|item| item.position <= *places.end())
    }

    /// The part that stands at these places.
    pub(crate) fn between(&self, places: RangeInclusive<u64>) -> Self {
        let Range { start, end } = self.places(places);
        self.part(start, end.max(start))
    }

    /// This run without those that it came with, where they are most of what it keeps alive.
    pub(crate) fn alone(self) -> Self {
        if self.is_sparse(self.span.bytes()) { Self::copy(&[self]) } else { self }
    }

    /// Whether so many bytes are too few to keep alive all that these ones were taken in with: a queue is bounded by
    /// the sizes of its events.
    pub(crate) fn is_sparse(&self, wanted: u64) -> bool {
        wanted < self.bytes.len() as u64 / SPARSE
    }

    /// Event by event.
    pub(crate) fn singles(&self) -> impl Iterator<Item = Self> + '_ {
        (0..self.span.len()).map(|at| self.part(at, at + 1))
    }

    /// Takes the next run in where it goes on exactly here; gives it back where it does not.
    pub(crate) fn join(&mut self, next: Self) -> Option<Self> {
        if Arc::ptr_eq(&self.span.items, &next.span.items) && self.span.until == next.span.from {
            self.span.until = next.span.until;
            return None;
        }
        Some(next)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Events of these positions, lives and sizes.
    pub(crate) fn run(events: &[(u64, u64, u32)]) -> Run {
        let mut end = 0;
        let item = |&(position, incarnation, size): &(u64, u64, u32)| {
            let start = end;
            end += size;
            let life = LifeRef { incarnation, slot: 0 };
            Item { position, boot: 0, hook: 0, life, start, end }
        };
        let items: Arc<[Item]> = events.iter().map(item).collect();
        Run::new(items, Bytes::from(vec![0; end as usize]))
    }

    impl Run {
        /// These bytes instead of zeros.
        pub(crate) fn with_bytes(self, bytes: Bytes) -> Self {
            Self { bytes, ..self }
        }
    }

    #[test]
    fn a_copy_has_the_same_bytes_and_no_others() {
        let items = [(1, 1, 3), (2, 1, 4), (3, 1, 5), (4, 1, 6)];
        let lot = Run { bytes: Bytes::from((0..18).collect::<Vec<_>>()), ..run(&items) };
        let copy = Run::copy(&[lot.part(1, 2), lot.part(3, 4)]);
        assert_eq!(copy.range(), (&Bytes::from_static(&[3, 4, 5, 6, 12, 13, 14, 15, 16, 17]), 0, 10));
        let last = copy.part(1, 2);
        assert_eq!((last.position(), last.range().1, last.range().2), (4, 4, 10));
    }

    #[test]
    fn what_was_split_joins_again_and_nothing_else_does() {
        let whole = run(&[(1, 1, 3), (2, 1, 4), (3, 1, 5)]);
        let mut rest = whole.clone();
        let mut front = rest.take_front(1);
        assert_eq!((front.span.bytes(), rest.span.bytes(), rest.position()), (3, 9, 2));
        assert_eq!((rest.range().1, rest.range().2), (3, 12));
        assert!(front.join(run(&[(2, 1, 4)])).is_some(), "another lot");
        assert!(front.join(whole.part(2, 3)).is_some(), "one is missing between them");
        assert!(front.join(rest).is_none());
        assert_eq!(front.span.len(), 3);
        assert_eq!(front.singles().map(|event| event.position()).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
