//! What is pulled is written: entries are made, deliveries numbered, batches finished.

use hookwire_protocol::v1::BatchKind;

use super::{
    flight::Delivered,
    frame::{Batch, Frame},
    pull::{Lane, MAX_BATCH_BYTES, MAX_BATCH_EVENTS},
    stream::{Due, Phase},
};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Machine, OVERDUE_CHECK},
    queue::run::Item,
    settle::{journal::Record, lives::LifeRef},
};

impl Machine {
    /// Writes a lane's front into the batch, and of the queue what may follow it at once.
    pub(super) fn write(&mut self, ix: SubscriberIx, lane: Lane, batch: &mut Batch) {
        if lane == Lane::Queue {
            return self.write_run(ix, batch);
        }
        self.counters.deliveries += 1;
        if batch.kind == BatchKind::Redelivered {
            self.counters.redeliveries += 1;
            let stream = self.registry.at(ix).stream.as_mut();
            // At once: CaughtUp may be made before this batch is finished.
            stream.filter(|stream| stream.phase != Phase::Live).into_iter().for_each(|it| it.replayed += 1);
        }
        let turn = match lane {
            Lane::Announcements => {
                let Some(stream) = &mut self.registry.at(ix).stream else { return };
                stream.announced += 1;
                stream.announcements.pop_front().map(Due::Start)
            }
            _ => self.pop(ix, lane).map(|turn| turn.due),
        };
        match turn {
            Some(Due::Start(life)) => self.write_start(ix, life, batch),
            Some(Due::End { life, .. }) => self.write_end(ix, life, batch),
            Some(Due::Event(event)) => {
                batch.push(&event);
                let (position, bytes) = (event.position(), event.span.bytes());
                self.deliver(ix, Delivered::Event { position, bytes, windowed: false });
            }
            Some(Due::GatewayStop(closing, event)) => {
                batch.copy(&event);
                self.deliver(ix, Delivered::GatewayStop(closing));
            }
            Some(Due::Control(_)) | None => {}
        }
        if lane == Lane::Live {
            self.write_turns(ix, batch);
        }
    }

    /// Writes the event at the queue's front, and those of its run that have their turn, too.
    fn write_run(&mut self, ix: SubscriberIx, batch: &mut Batch) {
        let Self { registry, counters, .. } = self;
        let Subscriber { queue, marks, stream: Some(stream), .. } = registry.at(ix) else { return };
        let Some(run) = queue.front_run() else { return };
        let replays = batch.kind == BatchKind::Redelivered;
        let turns = if replays { &stream.first } else { &stream.live };
        let turn = turns.front().map_or(u64::MAX, |turn| turn.position);
        let turn = if replays { turn.min(stream.began + 1) } else { turn };
        let most = stream.window_left().min(MAX_BATCH_EVENTS - batch.events());
        let (_, start, _) = run.range();
        let room = MAX_BATCH_BYTES.saturating_sub(batch.bytes());
        // An event of a session whose start waits is for the queue's next look.
        let has_turn = |event: &&Item| {
            event.position < turn && event.end as usize - start <= room && !marks.wants(event.life.slot)
        };
        let count = 1 + run.span.items().iter().take(most).skip(1).take_while(has_turn).count();
        let Some(run) = queue.pop(count) else { return };
        counters.deliveries += count as u64;
        if replays {
            counters.redeliveries += count as u64;
            stream.replayed += count as u64;
        }
        batch.push(&run);
        stream.deliver_events(run.span);
    }

    /// The entry is made as the start is written: the plugin may act on it and die.
    fn write_start(&mut self, ix: SubscriberIx, life: LifeRef, batch: &mut Batch) {
        let Self { registry, lives, .. } = self;
        let subscriber = registry.at(ix);
        let held = lives.at_mut(life.slot);
        if !subscriber.marks.holds(life.slot) {
            held.hold(1); // announced to somebody who was not due it
        }
        let fresh = !subscriber.marks.is_open(life.slot);
        subscriber.marks.write_start(life.slot);
        subscriber.queue.release(life.incarnation);
        batch.copy(held.start());
        if let Some(stream) = &mut subscriber.stream {
            stream.start_is_replayed(life.incarnation);
        }
        if fresh {
            let (subscriber, incarnation) = (subscriber.number, life.incarnation);
            self.record(Record::Entry { subscriber, incarnation });
        }
        self.deliver(ix, Delivered::Start(life));
    }

    fn write_end(&mut self, ix: SubscriberIx, life: LifeRef, batch: &mut Batch) {
        let Self { registry, lives, .. } = self;
        let Some(end) = lives.at(life.slot).end() else { return };
        batch.copy(&end.event);
        let subscriber = registry.at(ix);
        subscriber.marks.write_end(life.slot);
        if let Some(stream) = &mut subscriber.stream {
            stream.end_is_replayed(life.incarnation);
        }
        self.deliver(ix, Delivered::End(life));
        self.unblock(ix, life.slot);
    }

    fn deliver(&mut self, ix: SubscriberIx, delivered: Delivered) {
        if let Some(stream) = &mut self.registry.at(ix).stream {
            stream.deliver(delivered);
        }
    }

    pub(super) fn finish(&mut self, ix: SubscriberIx, mut batch: Batch) -> Frame {
        let now = self.now.mono;
        let budget = self.closings.left(ix, now).unwrap_or(self.settings.ack_timeout);
        batch.set_budget_ms(budget.as_millis() as u32);
        if let Some(stream) = &mut self.registry.at(ix).stream {
            stream.wrote_batch(batch.first_seq(), now);
        }
        self.next_overdue_check.get_or_insert(now + OVERDUE_CHECK);
        batch.frame()
    }
}
