//! Where lives stand: in segments, so that growing copies nothing, and a segment that is empty is given back.

use super::{bits::Bits, life::Life, lives::Slot};

/// Lives in a segment.
const SEGMENT: usize = 1024;

/// All slots: those that are taken, and those that are free.
#[derive(Debug, Default)]
pub(super) struct Slots {
    segments: Vec<Segment>,
    /// Segments with a slot that is free, the lowest is filled first.
    open: Bits,
    taken: usize,
}

#[derive(Debug, Default)]
struct Segment {
    /// All of them, or nothing.
    lives: Box<[Life]>,
    free: Vec<u16>,
}

impl Slots {
    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Life> {
        let (segment, at) = place(slot);
        self.segments.get(segment)?.lives.get(at).filter(|life| !life.is_none())
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Life> {
        let (segment, at) = place(slot);
        self.segments.get_mut(segment)?.lives.get_mut(at).filter(|life| !life.is_none())
    }

    /// All lives, with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Life)> {
        let segments = self.segments.iter().enumerate();
        let lives = segments.flat_map(|(at, segment)| (at * SEGMENT..).zip(&segment.lives));
        lives.filter(|(_, life)| !life.is_none()).map(|(slot, life)| (slot as Slot, life))
    }

    /// Takes a slot.
    pub(super) fn insert(&mut self, life: Life) -> Slot {
        let at = self.open.first().unwrap_or_else(|| {
            self.segments.push(Segment::default());
            self.open.insert(self.segments.len() as u32 - 1);
            self.segments.len() as u32 - 1
        });
        let segment = &mut self.segments[at as usize];
        if segment.lives.is_empty() {
            *segment = Segment::new();
        }
        let place = segment.free.pop().expect("it is among the open ones");
        segment.lives[usize::from(place)] = life;
        if segment.free.is_empty() {
            segment.free = Vec::new(); // of most segments nothing is free
            self.open.remove(at);
        }
        self.taken += 1;
        at * SEGMENT as u32 + u32::from(place)
    }

    /// Gives a slot up that is taken.
    pub(super) fn remove(&mut self, slot: Slot) {
        let (at, place) = place(slot);
        let segment = &mut self.segments[at];
        segment.lives[place] = Life::none();
        segment.free.push(place as u16);
        self.taken -= 1;
        self.open.insert(at as u32);
        // One is kept: what comes and goes asks for no memory.
        if segment.free.len() == SEGMENT && self.open.len() > 1 {
            *segment = Segment::default();
        }
    }
}

impl Segment {
    fn new() -> Self {
        let lives = std::iter::repeat_with(Life::none).take(SEGMENT).collect();
        Self { lives, free: (0..SEGMENT as u16).rev().collect() }
    }
}

fn place(slot: Slot) -> (usize, usize) {
    (slot as usize / SEGMENT, slot as usize % SEGMENT)
}
