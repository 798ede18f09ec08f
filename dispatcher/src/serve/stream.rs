//! One subscriber's stream: what is in flight on it, and how far it has caught up.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use hookwire_protocol::v1::{BatchKind, subscribe_response};

use super::flight::{Answered, Delivered, InFlight};
use crate::{
    drain::ClosingId,
    queue::{
        Lost,
        run::{Run, Span},
    },
    settle::lives::LifeRef,
};

/// A line that is empty keeps room for so many; what a drain made of it is given back.
const ROOMY: usize = 64;

/// A stream, as the worker names it. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamId(pub u64);

/// A new stream goes through these in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Open entries are written again.
    Replay,
    /// Live sessions are named.
    Announce,
    /// CaughtUp is written: what happens now, as it happens.
    Live,
}

/// What is to be written, outside the window. Lanes are long: what is rare and large stands in a box.
#[derive(Debug)]
pub(crate) enum Due {
    Start(LifeRef),
    End {
        life: LifeRef,
        /// The queue holds nothing of its session any more.
        swept: bool,
    },
    /// Taken along by its session's end.
    Event(Box<Run>),
    GatewayStop(ClosingId, Box<Bytes>),
    /// A message without a number, in its place behind what is due before it.
    Control(Box<subscribe_response::Message>),
}

/// One thing that is due, and its place in the order of all things.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) position: u64,
    pub(crate) kind: BatchKind,
    pub(crate) due: Due,
}

impl Turn {
    /// The event that its session's end took along.
    pub(crate) fn event(&self) -> Option<&Run> {
        match &self.due {
            Due::Event(event) => Some(event),
            _ => None,
        }
    }

    /// A start or an end.
    pub(crate) fn is_of_a_life(&self) -> bool {
        matches!(self.due, Due::Start(_) | Due::End { .. })
    }

    /// What nothing that is queued now stands before.
    pub(crate) fn overdue(kind: BatchKind, due: Due) -> Self {
        Self { position: 0, kind, due }
    }
}

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) instance: String,
    /// Where in the order of all things it began: what was decided before is redelivery.
    pub(crate) began: u64,
    pub(crate) phase: Phase,
    pub(crate) announce: bool,
    /// Messages that go before anything else.
    pub(crate) control: VecDeque<subscribe_response::Message>,
    /// Due in every phase: the replay, what was answered RETRY, what a drain waits for.
    pub(crate) first: VecDeque<Turn>,
    /// Sessions that are still to be named.
    pub(crate) announcements: VecDeque<LifeRef>,
    /// Due once caught up.
    pub(crate) live: VecDeque<Turn>,
    /// Lives whose start was kept, belongs to the replay, and is not written yet.
    pub(crate) replay_starts: HashSet<u64>,
    /// Lives whose start was kept, and comes behind CaughtUp with its end: another life's RETRY holds it up.
    pub(crate) gone_live: HashSet<u64>,
    /// Replayed lives whose end belongs to the replay, too, and is not written yet.
    pub(crate) replay_ends: HashSet<u64>,
    /// Lives whose entry closed before CaughtUp: a start that was rejected here is not named again here.
    pub(crate) closed: HashSet<u64>,
    pub(crate) replayed: u64,
    pub(crate) announced: u64,
    /// Written once nothing else is left.
    pub(crate) goodbye: Option<subscribe_response::Goodbye>,
    /// It was said that there is something to pull, and nothing was pulled since.
    woken: bool,
    in_flight: InFlight,
    window: u32,
    in_window: u32,
    /// First and last number of each batch, and when it was written.
    written: VecDeque<(u64, u64, Duration)>,
}

impl Stream {
    pub(crate) fn new(id: StreamId, instance: String, began: u64, announce: bool, window: u32) -> Self {
        Self {
            id,
            instance,
            began,
            phase: Phase::Replay,
            announce,
            control: VecDeque::new(),
            first: VecDeque::new(),
            announcements: VecDeque::new(),
            live: VecDeque::new(),
            replay_starts: HashSet::new(),
            gone_live: HashSet::new(),
            replay_ends: HashSet::new(),
            closed: HashSet::new(),
            replayed: 0,
            announced: 0,
            goodbye: None,
            woken: false,
            in_flight: InFlight::default(),
            window,
            in_window: 0,
            written: VecDeque::new(),
        }
    }

    /// The start of this life is not awaited before CaughtUp any more.
    pub(crate) fn start_is_replayed(&mut self, incarnation: u64) {
        if !self.replay_starts.is_empty() {
            self.replay_starts.remove(&incarnation);
        }
    }

    /// The end of this life is not awaited before CaughtUp any more.
    pub(crate) fn end_is_replayed(&mut self, incarnation: u64) {
        // Asked for every end, and hardly ever is there one: that is no reason to hash.
        if !self.replay_ends.is_empty() {
            self.replay_ends.remove(&incarnation);
        }
    }

    /// There is something to pull; whether that is still to be said.
    pub(crate) fn wake(&mut self) -> bool {
        !std::mem::replace(&mut self.woken, true)
    }

    /// Whoever was woken pulls.
    pub(crate) fn is_pulled(&mut self) {
        self.woken = false;
        if self.in_flight.len() == 0 {
            self.written.clear(); // nothing of it can become overdue
        }
        give_back(&mut self.first);
        give_back(&mut self.live);
        give_back(&mut self.written);
    }

    /// The number of the next delivery.
    pub(crate) fn next_seq(&self) -> u64 {
        self.in_flight.next_seq()
    }

    /// How many events may be unanswered at once.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// How many more events may be written now.
    pub(crate) fn window_left(&self) -> usize {
        (self.window - self.in_window) as usize
    }

    /// How many deliveries are not answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.in_flight.len()
    }

    /// Numbers a delivery that takes no place in the window.
    pub(crate) fn deliver(&mut self, delivered: Delivered) {
        self.in_flight.push(delivered);
    }

    /// Numbers events from the queue; there is room for them in the window.
    pub(crate) fn deliver_events(&mut self, events: Span) {
        self.in_window += events.len() as u32;
        self.in_flight.push_events(events);
    }

    /// The batch from this number on is written.
    pub(crate) fn wrote_batch(&mut self, first_seq: u64, now: Duration) {
        self.written.push_back((first_seq, self.next_seq() - 1, now));
    }

    /// The answer to one delivery came; `None` for a number that was never given out or is answered already.
    pub(crate) fn answer(&mut self, seq: u64) -> Option<Delivered> {
        let delivered = self.in_flight.answer(seq)?;
        if matches!(delivered, Delivered::Event { windowed: true, .. }) {
            self.in_window -= 1;
        }
        Some(delivered)
    }

    /// Takes the oldest deliveries that are not answered, if their numbers are not beyond this one.
    pub(crate) fn answer_through(&mut self, seq: u64) -> Option<Answered> {
        let answered = self.in_flight.answer_through(seq)?;
        self.in_window -= match &answered {
            Answered::One(Delivered::Event { windowed, .. }) => (*windowed).into(),
            Answered::One(_) => 0,
            Answered::Events(span) => span.len() as u32,
        };
        Some(answered)
    }

    /// Counts the deliveries whose answer has been outstanding for this long by now, each once.
    pub(crate) fn overdue(&mut self, now: Duration, timeout: Duration) -> u64 {
        let mut count = 0;
        while let Some((first, last, at)) = self.written.front().copied() {
            let open = self.in_flight.open_in(first, last);
            if open > 0 && at + timeout > now {
                break;
            }
            self.written.pop_front();
            count += open;
        }
        count
    }

    /// Whether there is an answer that could become overdue.
    pub(crate) fn awaits_answers(&self) -> bool {
        !self.written.is_empty()
    }

    /// The events that the plugin will not answer any more.
    pub(crate) fn into_lost(self) -> Lost {
        self.in_flight.into_lost()
    }
}

fn give_back<T>(line: &mut VecDeque<T>) {
    if line.is_empty() && line.capacity() > ROOMY {
        *line = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::run::tests::run;

    /// A stream with that window and two events on it, of 10 bytes each.
    fn stream(window: u32) -> Stream {
        let mut stream = Stream::new(StreamId(1), String::new(), 0, false, window);
        stream.deliver_events(run(&[(1, 1, 10), (2, 1, 10)]).span);
        stream
    }

    const SECOND: Delivered = Delivered::Event { position: 2, bytes: 10, windowed: true };

    #[test]
    fn an_exception_ahead_of_its_turn_is_answered_once() {
        let mut stream = stream(2);
        assert_eq!(stream.window_left(), 0);
        assert_eq!(stream.answer(2), Some(SECOND));
        assert_eq!(stream.answer(2), None);
        assert_eq!(stream.window_left(), 1);
        assert!(matches!(stream.answer_through(9), Some(Answered::Events(span)) if span.len() == 1));
        assert!(stream.answer_through(9).is_none());
        assert_eq!((stream.next_seq(), stream.window_left()), (3, 2));
    }

    #[test]
    fn numbers_never_given_out_change_nothing() {
        let mut stream = stream(2);
        for seq in [0, 3, u64::MAX] {
            assert_eq!(stream.answer(seq), None, "{seq}");
        }
        assert!(stream.answer_through(0).is_none());
        assert_eq!(stream.unanswered(), 2);
    }

    #[test]
    fn overdue_deliveries_count_once() {
        let mut stream = stream(9);
        let second = Duration::from_secs(1);
        stream.wrote_batch(1, second);
        stream.answer(1);
        assert_eq!(stream.overdue(second * 2, second * 5), 0);
        assert_eq!(stream.overdue(second * 6, second * 5), 1);
        assert_eq!(stream.overdue(second * 9, second * 5), 0);
    }
}
