//! A lot that was taken in goes to whoever wants it.

use hookwire_protocol::v1::{GapCause, GoodbyeReason, subscribe_response};

use super::{catalogue::Hooks, registry::Subscriber};
use crate::{
    machine::{Effect, Machine, RECONNECT_AFTER},
    metrics::Counters,
    queue::{Lost, Pushed, run::Run},
    settle::life::agent_and_key,
};

impl Machine {
    /// Hands the lot to every queue that wants any of it: the same bytes to all.
    pub(crate) fn fan_out(&mut self) {
        if self.lot.items.is_empty() {
            return;
        }
        let Self { lot, registry, step, hooks, counters, .. } = self;
        let run = lot.close();
        let mut keeps = false;
        for (_, subscriber) in registry.iter_mut() {
            subscriber.look_at_hooks(hooks);
            if subscriber.keeps_all() {
                keeps = true;
                continue;
            }
            subscriber.take_wanted(&run, counters);
            if let Some(stream) = &mut subscriber.stream
                && stream.wake()
            {
                step.effects.push(Effect::Ready(stream.id));
            }
        }
        if keeps {
            self.keep(&run);
        }
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
    /// Judges hooks that were seen since the last look.
    pub(crate) fn look_at_hooks(&mut self, hooks: &Hooks) {
        for name in &hooks.names()[self.wanted_hooks.len()..] {
            self.wanted_hooks.push(self.filter.wants_hook(name));
        }
    }

    /// Takes what it wants of a lot: as it is, or a copy where that is so little that keeping all of it for so long
    /// would be a waste.
    fn take_wanted(&mut self, lot: &Run, counters: &mut Counters) {
        if self.filter.wants_all() {
            return self.take(lot.clone(), counters);
        }
        let wanted: Vec<_> = self.wanted(lot).collect();
        let size: u64 = wanted.iter().map(|run| run.span.bytes()).sum();
        if self.stream.is_none() || !lot.is_sparse(size) {
            return wanted.into_iter().for_each(|run| self.take(run, counters));
        }
        if !wanted.is_empty() {
            self.take(Run::copy(&wanted), counters);
        }
    }

    /// The parts of a lot that it wants.
    pub(crate) fn wanted<'a>(&'a self, lot: &'a Run) -> impl Iterator<Item = Run> + 'a {
        let items = lot.span.items();
        let wants = move |at: usize| {
            let event = || &lot.range().0[items[at].start as usize..items[at].end as usize];
            let session =
                || agent_and_key(event()).is_none_or(|(agent, key)| self.filter.wants_session(agent, key));
            self.wanted_hooks[items[at].hook as usize] && (self.filter.wants_all_sessions() || session())
        };
        let mut next = 0;
        std::iter::from_fn(move || {
            let from = (next..items.len()).find(|at| wants(*at))?;
            let until = (from..items.len()).find(|at| !wants(*at)).unwrap_or(items.len());
            next = until;
            Some(lot.part(from, until))
        })
    }

    fn take(&mut self, run: Run, counters: &mut Counters) {
        if self.stream.is_none() {
            let mut lost = Lost::default();
            lost.add_all(&run);
            return self.lose(GapCause::Away, lost, counters);
        }
        if self.queue.has_room_for(&run) {
            self.queue.push(run);
        } else {
            run.singles().for_each(|event| self.squeeze_in(event, counters));
        }
    }

    /// There may be no room for this event.
    fn squeeze_in(&mut self, event: Run, counters: &mut Counters) {
        let size = event.span.bytes();
        match self.queue.push(event) {
            Pushed::Kept => {}
            Pushed::Lost(lost) => self.lose(GapCause::QueueFull, lost, counters),
            Pushed::Disconnect => {
                self.say_goodbye();
                let mut lost = self.queue.shed_all();
                lost.add(size);
                self.lose(GapCause::QueueFull, lost, counters);
            }
        }
    }

    fn say_goodbye(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        stream.goodbye.get_or_insert_with(|| subscribe_response::Goodbye {
            reason: GoodbyeReason::Slow.into(),
            reconnect_after_ms: RECONNECT_AFTER.as_millis() as u32,
            text: "the queue was full, and the policy is DISCONNECT".to_owned(),
        });
    }
}
