//! RETRY: a start or an end is written again after a delay, on the same stream.

use std::time::Duration;

use hookwire_protocol::v1::BatchKind;

use super::lives::LifeRef;
use crate::{
    fanout::registry::SubscriberIx,
    machine::Machine,
    serve::stream::{Due, Turn},
};

/// The longest delay that an answer may name: longer ones are cut to it.
const LONGEST: Duration = Duration::from_secs(3600);

/// A start or an end that was answered RETRY, until another answer comes.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    /// How many times in a row.
    times: u32,
    /// Where it stands in `Machine::retries`; `None` while it is written again and not answered.
    pub(crate) waits: Option<(Duration, u64)>,
}

impl Retry {
    /// When it is to be written again, if it waits for that.
    pub(crate) fn at(&self) -> Option<Duration> {
        self.waits.map(|(at, _)| at)
    }
}

impl Machine {
    /// Writes it again after the delay that the answer names, else after one that doubles from RETRY to RETRY. A newer
    /// stream replays it anyway, and begins anew.
    pub(super) fn retry(&mut self, ix: SubscriberIx, life: LifeRef, named: Option<Duration>) {
        let number = self.next_position(); // two may be due at the same moment
        let (first, longest) = (self.settings.retry_after, self.settings.retry_after_max);
        let subscriber = self.registry.at(ix);
        let Some(stream) = &mut subscriber.stream else { return };
        stream.end_is_replayed(life.incarnation); // CaughtUp does not wait for a RETRY
        let retry = subscriber.retrying.entry(life).or_default();
        let delay = match named {
            Some(delay) => delay.min(LONGEST),
            None => first.saturating_mul(2_u32.saturating_pow(retry.times)).min(longest),
        };
        let at = self.now.mono + delay;
        retry.times = retry.times.saturating_add(1);
        if let Some(waits) = retry.waits.replace((at, number)) {
            self.retries.remove(&waits);
        }
        self.retries.insert((at, number), (stream.id, life));
        self.retry_in_closings(ix, life, at);
        self.let_go_live(ix, life.slot);
    }

    /// It is answered otherwise, or not to be written again at all.
    pub(crate) fn forget_retry(&mut self, ix: SubscriberIx, life: LifeRef) {
        let retrying = &mut self.registry.at(ix).retrying;
        if !retrying.is_empty()
            && let Some(waits) = retrying.remove(&life).and_then(|retry| retry.waits)
        {
            self.retries.remove(&waits);
        }
    }

    /// The stream is gone: nothing is written again on it.
    pub(crate) fn forget_retries(&mut self, ix: SubscriberIx) {
        let retrying = std::mem::take(&mut self.registry.at(ix).retrying);
        for waits in retrying.into_values().filter_map(|retry| retry.waits) {
            self.retries.remove(&waits);
        }
    }

    /// The delays of these have passed.
    pub(crate) fn write_retries_again(&mut self) {
        while let Some(entry) = self.retries.first_entry() {
            if entry.key().0 > self.now.mono {
                return;
            }
            let (stream, life) = entry.remove();
            let Some(ix) = self.streams.get(&stream).copied() else { continue };
            let subscriber = self.registry.at(ix);
            let waited = subscriber.retrying.get_mut(&life).and_then(|retry| retry.waits.take());
            if waited.is_none() || self.lives.get(life).is_none() {
                continue;
            }
            let settled = subscriber.marks.is_settled(life.slot);
            let Some(stream) = &mut subscriber.stream else { continue };
            let due = if settled { Due::End { life, swept: false } } else { Due::Start(life) };
            stream.first.push_back(Turn { position: 0, kind: BatchKind::Redelivered, due });
            self.wake(ix);
        }
    }
}
