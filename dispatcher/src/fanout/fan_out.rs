//! A batch that was taken in goes to whoever wants it.

use bytes::{Bytes, BytesMut};
use hookwire_protocol::v1::{GapCause, GoodbyeReason, subscribe_response};

use super::registry::Subscriber;
use crate::{
    emit::publish::Item,
    machine::{Effect, Machine, RECONNECT_AFTER},
    metrics::Counters,
    queue::{Lost, Pushed, Queued},
};

/// A subscriber that wants less than one part in so many of a chunk's bytes gets a copy: whoever holds one event holds
/// the whole chunk, and a queue is bounded by the sizes of its events.
const SPARSE: usize = 4;

impl Machine {
    /// Hands the batch's events to every queue that wants them: one chunk of bytes for all.
    pub(crate) fn fan_out(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let chunk = self.chunk.split().freeze();
        let Self { items, registry, step, hooks, counters, .. } = self;
        for (_, subscriber) in registry.iter_mut() {
            for name in &hooks.names()[subscriber.wanted_hooks.len()..] {
                subscriber.wanted_hooks.push(subscriber.filter.wants_hook(name));
            }
            subscriber.take_wanted(items, &chunk, counters);
            if let Some(stream) = &mut subscriber.stream
                && stream.wake()
            {
                step.effects.push(Effect::Ready(stream.id));
            }
        }
        items.clear();
    }

    /// An embedded emitter had no room for these: who would have got them, nobody knows any more.
    pub(crate) fn emitter_lost(&mut self, lost: Lost) {
        for ix in self.registry.indices() {
            self.registry.at(ix).lose(GapCause::EmitterFull, lost, &mut self.counters);
            self.wake(ix);
        }
    }
}

impl Subscriber {
    fn wants(&self, item: &Item) -> bool {
        let wants = |(agent, key): &(Box<str>, Box<str>)| self.filter.wants_session(agent, key);
        self.wanted_hooks[item.hook] && item.session.as_ref().is_none_or(wants)
    }

    /// Takes what it wants of a chunk: as it is, or a copy where that is so little that keeping all of it for so
    /// long would be a waste.
    fn take_wanted(&mut self, items: &[Item], chunk: &Bytes, counters: &mut Counters) {
        let wanted: Vec<_> = items.iter().filter(|item| self.wants(item)).collect();
        let size: usize = wanted.iter().map(|item| item.bytes(chunk).len()).sum();
        if self.stream.is_none() || size >= chunk.len() / SPARSE {
            return wanted.into_iter().for_each(|item| self.take(item, chunk, item.start, counters));
        }
        let mut copy = BytesMut::with_capacity(size);
        wanted.iter().for_each(|item| copy.extend_from_slice(item.bytes(chunk)));
        let (copy, mut start) = (copy.freeze(), 0);
        for item in wanted {
            self.take(item, &copy, start, counters);
            start += item.end - item.start;
        }
    }

    fn take(&mut self, item: &Item, chunk: &Bytes, start: u32, counters: &mut Counters) {
        let event = Queued {
            position: item.position,
            boot: item.boot,
            life: item.life,
            chunk: chunk.clone(),
            start,
            end: start + (item.end - item.start),
        };
        let size = event.bytes();
        let Some(stream) = &mut self.stream else {
            return self.lose(GapCause::Away, Lost { events: 1, bytes: size }, counters);
        };
        match self.queue.push(event) {
            Pushed::Kept => {}
            Pushed::Lost(lost) => self.lose(GapCause::QueueFull, lost, counters),
            Pushed::Disconnect => {
                stream.goodbye.get_or_insert_with(|| subscribe_response::Goodbye {
                    reason: GoodbyeReason::Slow.into(),
                    reconnect_after_ms: RECONNECT_AFTER.as_millis() as u32,
                    text: "the queue was full, and the policy is DISCONNECT".to_owned(),
                });
                let mut lost = self.queue.shed_all();
                lost.add(size);
                self.lose(GapCause::QueueFull, lost, counters);
            }
        }
    }
}
