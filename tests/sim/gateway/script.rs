//! What a gateway's sessions do.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use hookwire_protocol::{
    hook,
    v1::{
        GatewayEvent, GatewayStop, SessionEnd, SessionEndReason, SessionRef, SessionStart, StopReason,
        gateway_event::Payload,
    },
};
use tokio::time::sleep;

use super::{Gateway, Order, process::Process};
use crate::{dice::Dice, records::Hook};

/// Few ids, so that they meet often; two of them share a key.
const SESSIONS: [&str; 4] = ["a", "b", "c", "d"];

/// How often it looks whether something is asked of it.
const LOOK: Duration = Duration::from_millis(20);

const REASONS: [SessionEndReason; 4] =
    [SessionEndReason::New, SessionEndReason::Idle, SessionEndReason::Deleted, SessionEndReason::Compaction];

impl Gateway {
    /// Fires at random, then does what the driver asks. Returns when this process ends by itself.
    pub(super) async fn follow_the_script(self: &Rc<Self>, process: &Rc<Process>, dice: &mut Dice) {
        while !self.party.calm.get() {
            sleep(dice.ms(1, self.plan.pause)).await;
            if self.party.calm.get() {
                continue;
            }
            if dice.percent(1) {
                return self.drain(process, dice).await;
            }
            self.fire_something(process, dice);
        }
        loop {
            match self.order.get() {
                Order::None => sleep(LOOK).await,
                Order::Refresh => {
                    process.alive().iter().for_each(|session| self.message(process, session));
                    self.order.set(Order::None);
                }
                Order::Drain => return self.drain(process, dice).await,
            }
        }
    }

    fn fire_something(&self, process: &Process, dice: &mut Dice) {
        let session = *dice.pick(&SESSIONS);
        match dice.below(20) {
            _ if process.is_unsure(session) => self.start(process, session),
            0..=3 => self.start(process, session),
            4..=6 => self.end(process, session, *dice.pick(&REASONS)),
            7..=8 => {
                self.end(process, session, SessionEndReason::Reset);
                self.start(process, session);
            }
            9 => self.of_key(process, session),
            10 if dice.percent(20) => self.stop(process, dice),
            _ => self.message(process, session),
        }
    }

    fn start(&self, process: &Process, session: &str) {
        process.start(session);
        let payload = Payload::SessionStart(SessionStart::default());
        self.fire(process, session, Hook::Start, |_| {
            event(hook::SESSION_START, Some(named(session)), payload)
        });
    }

    fn end(&self, process: &Process, session: &str, reason: SessionEndReason) {
        process.end(session);
        let payload = Payload::SessionEnd(SessionEnd { reason: reason.into(), ..SessionEnd::default() });
        self.fire(process, session, Hook::End(reason), |_| {
            event(hook::SESSION_END, Some(named(session)), payload)
        });
    }

    fn message(&self, process: &Process, session: &str) {
        process.touch(session);
        self.fire(process, session, Hook::Message, |number| {
            event("message_received", Some(named(session)), text(number))
        });
    }

    /// With the key alone: it belongs to whatever session lives under it.
    fn of_key(&self, process: &Process, session: &str) {
        let by_key = SessionRef { id: None, ..named(session) };
        self.fire(process, "", Hook::Message, |number| event("message_sent", Some(by_key), text(number)));
    }

    pub(super) fn stop(&self, process: &Process, dice: &mut Dice) {
        let reason = *dice.pick(&[StopReason::Shutdown, StopReason::Restart]);
        let payload = Payload::GatewayStop(GatewayStop { reason: reason.into(), text: String::new() });
        self.fire(process, "", Hook::Stop, |_| event(hook::GATEWAY_STOP, None, payload));
    }
}

/// How it names a session.
pub(super) fn named(session: &str) -> SessionRef {
    let (key, agent_id) = match session {
        "a" | "b" => ("ab", "main"),
        _ => (session, "other"),
    };
    SessionRef { id: Some(session.to_owned()), key: key.to_owned(), agent_id: agent_id.to_owned() }
}

fn text(number: u64) -> Payload {
    Payload::Json(Bytes::from(format!(r#"{{"number":{number}}}"#)))
}

fn event(hook: &str, session: Option<SessionRef>, payload: Payload) -> GatewayEvent {
    GatewayEvent { hook: hook.to_owned(), session, payload: Some(payload), ..GatewayEvent::default() }
}
