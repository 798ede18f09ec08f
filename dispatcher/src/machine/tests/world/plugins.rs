//! Plugins: they come, read, answer and go.

use std::time::Duration;

use hookwire_protocol::v1::{
    self, AckException, AckStatus, event::Payload, subscribe_request, subscribe_response::Message,
};

use super::{Expected, World};
use crate::{
    machine::tests::{
        Checked,
        journal::Output,
        rule,
        schedule::{Ack, Hello, PLUGINS, Said},
        wire,
    },
    serve::stream::StreamId,
};

impl World {
    pub(super) fn subscribe(&mut self, ix: usize, hello: &Hello) -> Checked {
        let stream = StreamId(self.number());
        let wire = subscribe_request::Hello {
            subscriber_id: PLUGINS[ix].to_owned(),
            instance_id: format!("i{}", hello.instance),
            hooks: hello.wants.hooks(),
            filter: Some(hello.wants.filter()),
            announce: hello.announce,
            max_in_flight: hello.window,
            when_full: hello.when_full.into(),
            retention: Some(v1::Retention {
                max_age_ms: hello.keep_ms,
                max_bytes: hello.keep_bytes,
                ..Default::default()
            }),
            ..Default::default()
        };
        let welcome = self.machine.subscribe(self.time(), stream, &wire);
        let expected = self.model.subscribe(ix, hello);
        rule!(welcome.is_ok() == expected.is_ok(), "{welcome:?}, the model says {expected:?}");
        let Ok(displaces) = expected else { return self.compare(vec![], Expected::default()) };
        let older = self.streams.insert(ix, stream);
        rule!(older.is_some() == displaces, "the model has lost a stream");
        self.old_streams.extend(older.map(|older| (ix, older)));
        self.compare(vec![], Expected { dismissed: older, ..Expected::default() })
    }

    pub(super) fn leave(&mut self, ix: usize, release: bool) -> Checked {
        let Some(stream) = self.streams.remove(&ix) else { return Ok(()) };
        self.machine.leave(self.time(), stream, release);
        self.model.leave(ix, release);
        self.old_streams.insert(ix, stream);
        self.compare(vec![], Expected::default())
    }

    /// An operator forgets a plugin, unless it is connected.
    pub(super) fn forget(&mut self, ix: usize) -> Checked {
        let forgotten = self.machine.forget(self.time(), PLUGINS[ix]);
        let there = forgotten.as_ref().map(|it| (it.entries, it.owed)).map_err(drop);
        let here = self.model.forget(ix);
        rule!(there == here, "{forgotten:?}, the model says {here:?}");
        self.compare(vec![], Expected::default())
    }

    /// Pulls so many frames, if there are as many; says how many there were.
    pub(super) fn pull(&mut self, ix: usize, frames: usize) -> Checked<usize> {
        for pulled in 0..frames {
            let Some(stream) = self.streams.get(&ix).copied() else { return Ok(pulled) };
            let Some(frame) = self.machine.pull(self.time(), stream) else {
                self.ready.remove(&stream);
                wire::observe_silence(&self.model, ix)
                    .map_err(|error| format!("{} falls silent: {error}", PLUGINS[ix]))?;
                self.compare(vec![], Expected::default())?;
                return Ok(pulled);
            };
            let message = wire::decode(&frame)?;
            if matches!(message, Message::CaughtUp(_)) {
                self.put_announcements_off(ix);
            }
            rule!(self.ready.contains(&stream), "nobody said that there was {message:?}");
            wire::observe(&mut self.model, ix, &message)
                .map_err(|error| format!("{} gets {error}", PLUGINS[ix]))?;
            self.put_announcements_off(ix);
            self.count(&message);
            if let Some(heard) = &mut self.heard {
                heard.push((ix, message.clone()));
            }
            let last = frame.last;
            let message = Box::new(message);
            let output = Output::Message { subscriber: PLUGINS[ix], stream, message };
            self.compare(vec![output], Expected::default())?;
            if last {
                self.leave(ix, false)?;
            }
        }
        Ok(frames)
    }

    /// The machine has gone through the announcements where it wants starts that nobody wanted before.
    fn put_announcements_off(&mut self, ix: usize) {
        let announcing =
            self.model.plugins[&ix].stream.as_ref().is_some_and(|it| it.announce && !it.caught_up);
        let there = self.machine.registry.find(PLUGINS[ix]).and_then(|ix| self.machine.registry.get(ix));
        let wanted = there.map_or(0, |subscriber| subscriber.marks.wanted().count());
        if announcing && wanted > self.model.plugins[&ix].wanted.len() {
            self.model.put_announcements_off(ix);
        }
    }

    /// Pulls and answers OK until nothing more comes; says how many frames and answers there were.
    pub(super) fn serve(&mut self, ix: usize) -> Checked<usize> {
        let mut all = 0;
        while self.streams.contains_key(&ix) {
            let pulled = self.pull(ix, 500)?;
            rule!(pulled < 500, "{} gets no end of frames", PLUGINS[ix]);
            if !self.streams.contains_key(&ix) {
                return Ok(all + pulled);
            }
            let deliveries = &self.model.stream(ix).deliveries;
            let (through_seq, answers) = (deliveries.len() as u64, deliveries.iter());
            let answers = answers.filter(|delivery| !delivery.answered).count();
            if answers > 0 {
                self.send_ack(ix, &v1::Ack { through_seq, exceptions: vec![] })?;
            }
            if pulled + answers == 0 {
                break;
            }
            all += pulled + answers;
        }
        Ok(all)
    }

    pub(super) fn ack(&mut self, ix: usize, ack: &Ack) -> Checked {
        let Some(stream) = self.streams.get(&ix) else { return Ok(()) };
        let last = self.left.get(stream).copied().unwrap_or(0);
        let seq = |place: u8| match u64::from(place) {
            place @ 0..=100 => (last * place).div_ceil(100),
            place => last + place - 100,
        };
        let exception = |(place, said): &(u8, Said)| {
            let (status, retry_after_ms) = match *said {
                Said::Nothing => (AckStatus::Unspecified, 0),
                Said::Ok => (AckStatus::Ok, 0),
                Said::Accepted => (AckStatus::Accepted, 0),
                Said::Retry { ms } => (AckStatus::Retry, ms),
                Said::Reject => (AckStatus::Reject, 0),
            };
            AckException { seq: seq(*place), status: status.into(), retry_after_ms, ..Default::default() }
        };
        let exceptions = ack.exceptions.iter().map(exception).collect();
        self.send_ack(ix, &v1::Ack { through_seq: seq(ack.through), exceptions })
    }

    fn send_ack(&mut self, ix: usize, ack: &v1::Ack) -> Checked {
        let stream = self.streams[&ix];
        self.machine.ack(self.time(), stream, ack);
        self.model.ack(ix, ack);
        self.compare(vec![], Expected::default())
    }

    /// Answers RETRY without a delay again and again, and looks right before each is due and when it is.
    pub(super) fn postpone(&mut self, ix: usize, times: usize) -> Checked {
        const MOMENT: Duration = Duration::from_millis(1);
        for _ in 0..times {
            self.pull(ix, 500)?;
            if !self.streams.contains_key(&ix) {
                return Ok(());
            }
            let stream = self.model.stream(ix);
            let open = (1..).zip(&stream.deliveries).filter(|(_, delivery)| !delivery.answered);
            let retry =
                |(seq, _)| AckException { seq, status: AckStatus::Retry.into(), ..Default::default() };
            let exceptions = open.map(retry).collect();
            self.send_ack(ix, &v1::Ack { through_seq: 0, exceptions })?;
            let now = self.now;
            let Some(due) = self.model.stream(ix).retries.values().filter(|at| **at > now).min().copied()
            else {
                break;
            };
            self.wait((due - now).saturating_sub(MOMENT))?;
            self.pull(ix, 500)?;
            self.wait(MOMENT)?;
        }
        self.serve(ix).map(drop)
    }

    /// An answer on a stream that is gone changes nothing.
    pub(super) fn ack_old(&mut self, ix: usize) -> Checked {
        let Some(stream) = self.old_streams.get(&ix).copied() else { return Ok(()) };
        let through_seq = self.left.get(&stream).copied().unwrap_or(1);
        let reject = AckException { seq: 1, status: AckStatus::Reject.into(), ..Default::default() };
        self.machine.ack(self.time(), stream, &v1::Ack { through_seq, exceptions: vec![reject] });
        self.compare(vec![], Expected::default())
    }

    fn count(&mut self, message: &Message) {
        match message {
            Message::Events(batch) => {
                let number = batch.events.len() as u64;
                match batch.kind() {
                    v1::BatchKind::Redelivered => self.seen.redelivered += number,
                    v1::BatchKind::Announced => self.seen.announced += number,
                    _ => {}
                }
                for event in &batch.events {
                    let life = event.session.as_ref().map_or(0, |session| session.incarnation);
                    let over_a_crash =
                        batch.kind() == v1::BatchKind::Redelivered && life <= self.lives_before;
                    self.seen.redelivered_over_a_crash += u64::from(over_a_crash);
                    match event.payload {
                        Some(Payload::SessionStart(_)) => self.seen.starts += 1,
                        Some(Payload::SessionEnd(_)) => self.seen.ends += 1,
                        _ => self.seen.others += 1,
                    }
                }
            }
            Message::Gap(_) => self.seen.gaps += 1,
            Message::Goodbye(_) => self.seen.goodbyes += 1,
            _ => {}
        }
    }
}
