//! What a stream writes next. Called when the transport has room, so a batch is what is ready, never what is waited for.

use hookwire_protocol::v1::{self, BatchKind, GapCause, subscribe_response};

use super::{
    frame::{Batch, Frame},
    stream::{Due, Phase, Stream, StreamId, Turn},
};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Machine, Now},
    queue::Lost,
    settle::{
        journal::Untold,
        lives::{Life, LifeRef, Slot},
    },
};

/// The most events in one batch.
pub(super) const MAX_BATCH_EVENTS: usize = 256;

/// A batch takes no further event beyond this many bytes.
pub(super) const MAX_BATCH_BYTES: usize = 64 << 10;

/// So many unwritten ends are looked through rather than all that a session's id and key have lived through: others,
/// who answer nothing, may hold thousands of those.
const FEW_ENDS: usize = 16;

/// Where the next thing to write stands at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    First,
    Announcements,
    Live,
    Queue,
}

/// What a lane's front turned out to be.
enum Front {
    /// Its turn has come.
    Write,
    /// It is not due any more.
    Skip,
    /// It waits for the end of this life to be written.
    WaitFor(Slot),
    /// Events of its own session go first.
    TakeAlong(LifeRef),
}

/// What comes next of a replay.
enum Next {
    /// What stands here.
    Lane(Lane),
    /// An event that there is no window for.
    Waits,
    Nothing,
}

impl Machine {
    /// The next message for this stream; `None` while there is nothing to write.
    pub(crate) fn pull(&mut self, now: Now, id: StreamId) -> Option<Frame> {
        self.now = now;
        let ix = *self.streams.get(&id)?;
        self.registry.at(ix).stream.as_mut()?.is_pulled();
        if let Some(frame) = self.pull_control(ix) {
            return Some(frame);
        }
        let mut batch: Option<Batch> = None;
        while let Some((lane, kind, size)) = self.next_write(ix) {
            let Some(kind) = kind else { break }; // a message of its own: behind the batch
            let full = |batch: &Batch| {
                batch.kind != kind
                    || batch.events() >= MAX_BATCH_EVENTS
                    || batch.bytes() + size > MAX_BATCH_BYTES
            };
            if batch.as_ref().is_some_and(full) {
                break;
            }
            let stream = self.registry.at(ix).stream.as_ref()?;
            let batch = batch.get_or_insert_with(|| Batch::new(kind, stream.next_seq()));
            self.write(ix, lane, batch);
        }
        match batch {
            Some(batch) => Some(self.finish(ix, batch)),
            None => self.pull_control(ix).or_else(|| self.pull_message(ix)),
        }
    }

    /// Messages that go before anything else: the Welcome, notices, losses.
    fn pull_control(&mut self, ix: SubscriberIx) -> Option<Frame> {
        let mut message = self.registry.at(ix).stream.as_mut()?.control.pop_front();
        if let Some(subscribe_response::Message::Welcome(welcome)) = &mut message {
            let Untold { entries, events } = self.take_expired(ix, std::mem::take);
            let (entries, Lost { events, bytes }) = (entries.events, events);
            welcome.expired = Some(v1::Expired { entries, events, bytes });
        }
        message.or_else(|| self.pull_gap(ix)).map(Frame::control)
    }

    /// The next loss that is to be told.
    fn pull_gap(&mut self, ix: SubscriberIx) -> Option<subscribe_response::Message> {
        let entries = self.take_expired(ix, |untold| std::mem::take(&mut untold.entries));
        let (cause, lost) = if entries.events > 0 {
            (GapCause::Expired.into(), entries)
        } else {
            let events = self.take_expired(ix, |untold| std::mem::take(&mut untold.events));
            let expired = (events.events > 0).then_some((GapCause::EventsExpired.into(), events));
            expired.or_else(|| self.registry.at(ix).take_gap())?
        };
        Some(subscribe_response::Message::Gap(v1::Gap { count: lost.events, bytes: lost.bytes, cause }))
    }

    /// A message that has its place among the turns, or the last one of all.
    fn pull_message(&mut self, ix: SubscriberIx) -> Option<Frame> {
        let stream = self.registry.at(ix).stream.as_mut()?;
        let control = |turn: &mut Turn| matches!(turn.due, Due::Control(_));
        let turn = stream.first.pop_front_if(control).or_else(|| stream.live.pop_front_if(control));
        match (turn.map(|turn| turn.due), &stream.goodbye) {
            (Some(Due::Control(message)), _) => Some(Frame::control(*message)),
            (None, Some(goodbye)) if stream.first.is_empty() => {
                Some(Frame::control(subscribe_response::Message::Goodbye(goodbye.clone())))
            }
            _ => None,
        }
    }

    /// Where the next write stands, its kind (`None` for a message of its own), and its size in bytes.
    fn next_write(&mut self, ix: SubscriberIx) -> Option<(Lane, Option<BatchKind>, usize)> {
        let due = self.settle_front(ix, Lane::First);
        if self.replays_backlog(ix) {
            match self.next_replayed(ix, due) {
                Next::Lane(lane) => return self.describe(ix, lane),
                Next::Waits => return None,
                Next::Nothing => {}
            }
        } else if due {
            return self.describe(ix, Lane::First);
        }
        if self.stream_of(ix)?.goodbye.is_some() {
            return None;
        }
        if self.stream_of(ix)?.phase == Phase::Replay && !self.finish_replay(ix) {
            return None;
        }
        if self.stream_of(ix)?.phase == Phase::Announce {
            if self.next_announcement(ix) {
                return self.describe(ix, Lane::Announcements);
            }
            self.catch_up(ix);
            return None; // CaughtUp goes out by itself
        }
        let due = self.settle_front(ix, Lane::Live);
        self.settle_queue(ix, Lane::Live, due);
        let subscriber = self.registry.get(ix)?;
        let stream = subscriber.stream.as_ref()?;
        let (turn, event) = (stream.live.front().filter(|_| due), subscriber.queue.front());
        let window = stream.window_left() > 0;
        let lane = match (turn, event) {
            (Some(turn), Some(event)) if event.position < turn.position => match window {
                true => Lane::Queue,
                // With retention ALL it is one log: what waits for the window holds up what comes behind it.
                false if subscriber.keeps_all() && turn.is_of_a_life() => return None,
                false => Lane::Live,
            },
            (Some(_), _) => Lane::Live,
            (None, Some(_)) if window => Lane::Queue,
            (None, _) => return None,
        };
        self.describe(ix, lane)
    }

    /// Whether the backlog is part of what is due before CaughtUp, and that is not through.
    fn replays_backlog(&self, ix: SubscriberIx) -> bool {
        let replays = |stream: &Stream| stream.phase == Phase::Replay && stream.goodbye.is_none();
        self.registry.get(ix).is_some_and(|it| it.keeps_all() && it.stream.as_ref().is_some_and(replays))
    }

    /// Of what is replayed, starts and ends among the events of the backlog, what comes next.
    fn next_replayed(&mut self, ix: SubscriberIx, due: bool) -> Next {
        self.settle_queue(ix, Lane::First, due);
        let Some(subscriber) = self.registry.get(ix) else { return Next::Nothing };
        let Some(stream) = &subscriber.stream else { return Next::Nothing };
        let event = subscriber.queue.front().filter(|event| event.position <= stream.began);
        match (stream.first.front().filter(|_| due), event) {
            (Some(turn), Some(event)) if turn.position < event.position => Next::Lane(Lane::First),
            (_, Some(_)) if stream.window_left() > 0 => Next::Lane(Lane::Queue),
            (_, Some(_)) => Next::Waits,
            (Some(_), None) => Next::Lane(Lane::First),
            (None, None) => Next::Nothing,
        }
    }

    fn describe(&self, ix: SubscriberIx, lane: Lane) -> Option<(Lane, Option<BatchKind>, usize)> {
        let subscriber = self.registry.get(ix)?;
        let stream = subscriber.stream.as_ref()?;
        let turn = match lane {
            Lane::First => stream.first.front()?,
            Lane::Live => stream.live.front()?,
            Lane::Queue => {
                let kind = if stream.phase == Phase::Live { BatchKind::Live } else { BatchKind::Redelivered };
                return Some((lane, Some(kind), subscriber.queue.front()?.bytes() as usize));
            }
            Lane::Announcements => {
                let life = self.lives.get(*stream.announcements.front()?)?;
                return Some((lane, Some(BatchKind::Announced), life.start().len()));
            }
        };
        let size = match &turn.due {
            Due::Start(life) => self.lives.get(*life)?.start().len(),
            Due::End { life, .. } => self.lives.get(*life)?.end()?.event.len(),
            Due::Event(event) => event.span.bytes() as usize,
            Due::GatewayStop(_, event) => event.len(),
            Due::Control(_) => return Some((lane, None, 0)),
        };
        Some((lane, Some(turn.kind), size))
    }

    /// Brings something to the front of a lane whose turn has come; says whether there is anything.
    fn settle_front(&mut self, ix: SubscriberIx, lane: Lane) -> bool {
        loop {
            let Some(front) = self.look_at_front(ix, lane) else { return false };
            match front {
                Front::Write => return true,
                Front::Skip => drop(self.pop(ix, lane)),
                Front::WaitFor(blocker) => {
                    if let Some(Turn { due: Due::Start(life), .. }) = self.pop(ix, lane) {
                        self.wait_for(ix, blocker, life);
                    }
                }
                Front::TakeAlong(life) => self.take_along(ix, lane, life),
            }
        }
    }

    fn look_at_front(&self, ix: SubscriberIx, lane: Lane) -> Option<Front> {
        let subscriber = self.registry.get(ix)?;
        let stream = subscriber.stream.as_ref()?;
        let turn = if lane == Lane::First { stream.first.front()? } else { stream.live.front()? };
        Some(match &turn.due {
            Due::Start(life) => self.look_at_start(subscriber, *life, turn.kind),
            Due::End { life, swept } => self.look_at_end(subscriber, *life, turn.kind, *swept),
            Due::Event(_) | Due::GatewayStop(..) | Due::Control(_) => Front::Write,
        })
    }

    fn look_at_start(&self, subscriber: &Subscriber, life: LifeRef, kind: BatchKind) -> Front {
        let Some(held) = self.lives.get(life) else { return Front::Skip };
        let marks = &subscriber.marks;
        let again =
            kind == BatchKind::Redelivered && marks.is_open(life.slot) && !marks.is_settled(life.slot);
        // A redelivery may come after anything; CaughtUp must not come before it.
        if again {
            return Front::Write;
        }
        if !marks.wants(life.slot) {
            return Front::Skip;
        }
        self.blocker(subscriber, held, life.slot).map_or(Front::Write, Front::WaitFor)
    }

    /// An earlier life of the same id or key whose end is decided, due to this subscriber, and not written yet.
    pub(super) fn blocker(&self, subscriber: &Subscriber, held: &Life, slot: Slot) -> Option<Slot> {
        let marks = &subscriber.marks;
        match marks.unwritten_len() {
            _ if !held.has_earlier() => None,
            0 => None,
            1..=FEW_ENDS => marks.unwritten().find(|earlier| self.lives.precedes(*earlier, slot)),
            _ => self.lives.earlier(slot).find(|earlier| marks.is_unwritten(*earlier)),
        }
    }

    fn look_at_end(&self, subscriber: &Subscriber, life: LifeRef, kind: BatchKind, swept: bool) -> Front {
        let Some(held) = self.lives.get(life) else { return Front::Skip };
        let marks = &subscriber.marks;
        let written = marks.end_is_written(life.slot);
        if !marks.is_settled(life.slot) || held.alive() || (written && kind != BatchKind::Redelivered) {
            return Front::Skip;
        }
        let may_hold = subscriber.queue.front().is_some_and(|event| held.may_reach(event.position));
        // With retention ALL nothing is taken along: an end has its place in the log, behind its session's events.
        let takes_along = may_hold && !written && !swept && !subscriber.keeps_all();
        if takes_along { Front::TakeAlong(life) } else { Front::Write }
    }

    /// An end takes along what the queue still holds of its own session; a drain leaves no time for that.
    fn take_along(&mut self, ix: SubscriberIx, lane: Lane, life: LifeRef) {
        let held = self.lives.at(life.slot);
        let (drains, decided) = (self.closings.drain(held), held.decided().unwrap_or(u64::MAX));
        let subscriber = self.registry.at(ix);
        // A drain that is over by now brought it before CaughtUp, where nothing live may stand.
        let early = subscriber.stream.as_ref().is_some_and(|stream| stream.phase != Phase::Live);
        let events = if drains || early {
            subscriber.shed_life(life.incarnation, decided, &mut self.counters);
            Vec::new()
        } else {
            subscriber.queue.take_life(life.incarnation, decided)
        };
        let Some(stream) = &mut subscriber.stream else { return };
        let lane = if lane == Lane::First { &mut stream.first } else { &mut stream.live };
        if let Some(Turn { due: Due::End { swept, .. }, .. }) = lane.front_mut() {
            *swept = true;
        }
        for event in events.into_iter().rev() {
            let (position, kind) = (event.position(), BatchKind::Live);
            lane.push_front(Turn { position, kind, due: Due::Event(Box::new(event)) });
        }
    }

    /// Sets aside events whose session's start waits; what is behind the turn that is due has time.
    fn settle_queue(&mut self, ix: SubscriberIx, lane: Lane, due: bool) {
        let Self { registry, lives, .. } = self;
        let Subscriber { queue, marks, stream: Some(stream), .. } = registry.at(ix) else { return };
        let turns = if lane == Lane::First { &stream.first } else { &stream.live };
        let turn = turns.front().filter(|_| due).map_or(u64::MAX, |turn| turn.position);
        while let Some(event) = queue.front().filter(|event| event.position < turn) {
            let life = event.life;
            if life.incarnation == 0 || !marks.wants(life.slot) || lives.get(life).is_none() {
                return;
            }
            queue.hold_front();
        }
    }

    pub(super) fn pop(&mut self, ix: SubscriberIx, lane: Lane) -> Option<Turn> {
        let stream = self.registry.at(ix).stream.as_mut()?;
        if lane == Lane::First { stream.first.pop_front() } else { stream.live.pop_front() }
    }

    pub(super) fn stream_of(&self, ix: SubscriberIx) -> Option<&Stream> {
        self.registry.get(ix)?.stream.as_ref()
    }
}
