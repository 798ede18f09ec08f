//! The dispatcher makes way for its successor, which goes on from the journal: no session ends.
//!
//! A polite crash: gateways are told first, so that nothing new comes in; plugins get what there is for them and have a
//! moment to answer it; then they are told, too. What is not answered by then comes again from the successor.

use hookwire_protocol::v1::GoodbyeReason;

use crate::{
    fanout::registry::Subscriber,
    machine::{Effect, Machine, Now},
    serve::stream::Phase,
    settle::journal::Record,
};

impl Machine {
    /// Nothing is taken in any more, and no session ends.
    pub(crate) fn hand_over(&mut self, now: Now) {
        self.now = now;
        self.stopping = true;
        for source in std::mem::take(&mut self.sources).into_keys() {
            self.effect(Effect::EndSource(source, GoodbyeReason::Handover));
        }
        self.record_emitters();
    }

    /// The successor tells gateways exactly how far they have come, with what needed no journal, too.
    fn record_emitters(&mut self) {
        let emitters = self.gateways.by_id().flat_map(|(gateway, it)| {
            it.boot.emitters.iter().map(move |(emitter, state)| Record::Published {
                gateway,
                emitter: emitter.clone(),
                publish_seq: state.last,
            })
        });
        let emitters: Vec<_> = emitters.collect();
        emitters.into_iter().for_each(|record| self.record(record));
    }

    /// Every plugin that is here has got what there was for it, and has answered it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.registry.by_id().all(|(_, subscriber)| subscriber.is_quiet())
    }
}

impl Subscriber {
    fn is_quiet(&self) -> bool {
        self.stream.as_ref().is_none_or(|stream| {
            let due = stream.control.len() + stream.first.len() + stream.live.len() + self.queue.len();
            stream.phase == Phase::Live && due == 0 && stream.unanswered() == 0
        })
    }
}
