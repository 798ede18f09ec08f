//! What is pulled is written: entries are made, deliveries numbered, batches finished.

use hookwire_protocol::v1::BatchKind;

use super::{
    frame::{Batch, Frame},
    pull::Lane,
    stream::{Delivered, Due, Phase},
};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::{Machine, OVERDUE_CHECK},
    settle::{journal::Record, lives::LifeRef},
};

impl Machine {
    /// Writes a lane's front into the batch.
    pub(super) fn write(&mut self, ix: SubscriberIx, lane: Lane, batch: &mut Batch) {
        self.counters.deliveries += 1;
        if batch.kind == BatchKind::Redelivered {
            self.counters.redeliveries += 1;
            let stream = self.registry.at(ix).stream.as_mut();
            // At once: CaughtUp may be made before this batch is finished.
            stream.filter(|stream| stream.phase != Phase::Live).into_iter().for_each(|it| it.replayed += 1);
        }
        let turn = match lane {
            Lane::First | Lane::Live => self.pop(ix, lane).map(|turn| turn.due),
            Lane::Queue => {
                let Subscriber { queue, stream: Some(stream), .. } = self.registry.at(ix) else { return };
                let Some(event) = queue.pop() else { return };
                batch.push(&event.chunk, event.start as usize, event.end as usize);
                return stream.deliver(Delivered::Event { bytes: event.bytes(), windowed: true });
            }
            Lane::Announcements => {
                let Some(stream) = &mut self.registry.at(ix).stream else { return };
                stream.announced += 1;
                stream.announcements.pop_front().map(Due::Start)
            }
        };
        match turn {
            Some(Due::Start(life)) => self.write_start(ix, life, batch),
            Some(Due::End { life, .. }) => self.write_end(ix, life, batch),
            Some(Due::Event(event)) => {
                batch.push(&event.chunk, event.start as usize, event.end as usize);
                self.deliver(ix, Delivered::Event { bytes: event.bytes(), windowed: false });
            }
            Some(Due::GatewayStop(closing, event)) => {
                batch.push_one(&event);
                self.deliver(ix, Delivered::GatewayStop(closing));
            }
            Some(Due::Control(_)) | None => {}
        }
        if lane == Lane::Live {
            self.write_turns(ix, batch);
        }
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
        if fresh {
            self.record(Record::Entry { subscriber: ix, incarnation: life.incarnation });
        }
        self.deliver(ix, Delivered::Start(life));
    }

    fn write_end(&mut self, ix: SubscriberIx, life: LifeRef, batch: &mut Batch) {
        let Self { registry, lives, .. } = self;
        let Some(end) = lives.at(life.slot).end() else { return };
        batch.push_one(&end.event);
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
