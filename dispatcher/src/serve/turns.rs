//! Starts and ends that follow one another are written in one go: that is most of a drain.

use hookwire_protocol::v1::BatchKind;

use super::{
    flight::Delivered,
    frame::Batch,
    pull::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS},
    stream::{Due, Phase},
};
use crate::{
    fanout::registry::{Subscriber, SubscriberIx},
    machine::Machine,
    settle::{
        journal::Record,
        lives::{LifeRef, Lives},
        marks::Marks,
    },
};

impl Machine {
    /// Writes the live lane's front as long as it is plain that nothing stands before it. Where it is not, nothing is
    /// decided here: [`Machine::pull`] has another look.
    pub(super) fn write_turns(&mut self, ix: SubscriberIx, batch: &mut Batch) {
        let Self { registry, lives, step, counters, .. } = self;
        let Subscriber { number, queue, waiting, marks, stream: Some(stream), .. } = registry.at(ix) else {
            return;
        };
        let plain = stream.first.is_empty() && queue.len() == 0 && waiting.is_empty();
        if !plain || stream.goodbye.is_some() || stream.phase != Phase::Live {
            return;
        }
        while let Some(turn) = stream.live.front().filter(|turn| turn.kind == batch.kind)
            && batch.kind == BatchKind::Live
            && batch.events() < MAX_BATCH_EVENTS
        {
            let written = match turn.due {
                Due::Start(life) if write_start(lives, marks, life, batch) => {
                    step.record(Record::Entry { subscriber: *number, incarnation: life.incarnation });
                    Delivered::Start(life)
                }
                Due::End { life, .. } if write_end(lives, marks, life, batch) => Delivered::End(life),
                _ => return,
            };
            stream.live.pop_front();
            stream.deliver(written);
            counters.deliveries += 1;
        }
    }
}

/// A start that is wanted, waits for no earlier life's end, and fits. As in `write.rs`, less what [`Machine::write_turns`]
/// has ruled out: who wants it holds it already and has no entry, and with an empty queue no event of its waits.
fn write_start(lives: &Lives, marks: &mut Marks, life: LifeRef, batch: &mut Batch) -> bool {
    let Some(held) = lives.get(life) else { return false };
    let writes = marks.wants(life.slot) && !held.has_earlier() && has_room(batch, held.start().len());
    if writes {
        marks.write_start(life.slot);
        batch.copy(held.start());
    }
    writes
}

/// An end that is due, not written yet, and fits. As in `write.rs`, less what [`Machine::write_turns`] has ruled out: nothing
/// is replayed any more, and no start waits for it.
fn write_end(lives: &Lives, marks: &mut Marks, life: LifeRef, batch: &mut Batch) -> bool {
    let Some(end) = lives.get(life).and_then(|held| held.end()) else { return false };
    let due = marks.is_settled(life.slot) && !marks.end_is_written(life.slot);
    let writes = due && has_room(batch, end.event.len());
    if writes {
        marks.write_end(life.slot);
        batch.copy(&end.event);
    }
    writes
}

fn has_room(batch: &Batch, size: usize) -> bool {
    batch.bytes() + size <= MAX_BATCH_BYTES
}
