//! A gateway comes, comes back, comes in a new boot, goes.

use std::collections::VecDeque;

use hookwire_protocol::v1::{GoodbyeReason, attach_request, attach_response};

use super::{
    boots::{Boot, Emitter, Gateway, GatewayIx, SourceId, digest},
    reconcile::check_list,
};
use crate::{
    machine::{Effect, Machine, Now, Refused},
    settle::journal::Record,
};

/// The longest gateway_id, boot_id or emitter_id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Gateways that one dispatcher knows.
const MAX_GATEWAYS: usize = 1024;

/// Publishing keys in one boot.
const MAX_EMITTERS: usize = 1024;

impl Machine {
    /// A gateway's stream says Hello.
    ///
    /// # Errors
    /// A malformed Hello or list, a boot that is over, or too many gateways or emitters.
    pub(crate) fn attach(
        &mut self,
        now: Now,
        source: SourceId,
        hello: &attach_request::Hello,
    ) -> Result<attach_response::Welcome, Refused> {
        self.now = now;
        if self.stopping {
            return Err(Refused::Stopping);
        }
        for (field, id) in [
            ("gateway_id", &hello.gateway_id),
            ("boot_id", &hello.boot_id),
            ("emitter_id", &hello.emitter_id),
        ] {
            check_id(field, id)?;
        }
        check_list(hello)?; // first of all: a Hello that is refused changes nothing
        let gateway = self.boot_of(hello)?;
        let resume_after = self.take_source(gateway, source, &hello.emitter_id)?;
        self.take_list(gateway, hello.live_sessions.as_ref(), hello.resend_through, resume_after);
        Ok(attach_response::Welcome {
            ledger_id: self.settings.ledger_id.clone(),
            resume_after,
            max_event_bytes: self.settings.max_event_bytes,
            drain_budget_ms: self.settings.drain_budget.as_millis() as u32,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// A gateway's stream is gone.
    pub(crate) fn detach(&mut self, now: Now, source: SourceId) {
        self.now = now;
        let Some((gateway, _)) = self.sources.remove(&source) else { return };
        self.drop_list(gateway, "its stream ended before the resend was done"); // the next Hello says anew
        let boot = &mut self.gateways.at_mut(gateway).boot;
        boot.sources.remove(&source);
        if boot.sources.is_empty() && !boot.closed {
            boot.lost_at = Some(now.mono + self.settings.gateway_grace);
        }
    }

    /// The gateways that have not come back in time are lost.
    pub(crate) fn lose_gateways(&mut self) {
        for gateway in self.gateways.lost(self.now.mono) {
            self.counters.gateways_lost += 1;
            let boot = &mut self.gateways.at_mut(gateway).boot;
            boot.lost_at = None;
            let reason = boot.reason_without_drain();
            let id = self.gateways.at(gateway).id.to_string();
            self.effect(Effect::GatewayLost(id));
            self.close_boot_quietly(gateway, reason);
        }
    }

    /// The gateway, in the boot that the Hello names; a boot that was not seen before ends the one before it.
    fn boot_of(&mut self, hello: &attach_request::Hello) -> Result<GatewayIx, Refused> {
        let Some(ix) = self.gateways.find(&hello.gateway_id) else {
            return self.first_boot_of(hello);
        };
        let gateway = self.gateways.at(ix);
        if gateway.is_over(&hello.boot_id) {
            let (gateway, boot) = (hello.gateway_id.clone(), hello.boot_id.clone());
            return Err(Refused::BootOver { gateway, boot });
        }
        if *gateway.boot.id != *hello.boot_id {
            self.end_boot(ix);
            self.boots += 1;
            self.gateways.at_mut(ix).boot = Boot::new(&hello.gateway_id, &hello.boot_id, self.boots);
            self.record_boot(ix, hello);
        }
        Ok(ix)
    }

    /// A gateway that is not known. Where there is no room for it, one that has gone is forgotten.
    fn first_boot_of(&mut self, hello: &attach_request::Hello) -> Result<GatewayIx, Refused> {
        let gone = (self.gateways.len() >= MAX_GATEWAYS).then(|| self.gone_gateway());
        self.boots += 1;
        let boot = Boot::new(&hello.gateway_id, &hello.boot_id, self.boots);
        let gateway = Gateway::new(&hello.gateway_id, boot, VecDeque::new());
        let ix = match gone {
            None => self.gateways.insert(gateway),
            Some(Some(ix)) => self.gateways.replace(ix, gateway),
            Some(None) => {
                let text = format!("{MAX_GATEWAYS} gateways are known: no room for another");
                return Err(Refused::Exhausted(text));
            }
        };
        self.record_boot(ix, hello);
        Ok(ix)
    }

    /// The gateway whose last boot began first, of those that are over or lost, and of which nobody is due anything.
    fn gone_gateway(&self) -> Option<GatewayIx> {
        let gone = |(ix, gateway): &(GatewayIx, &Gateway)| {
            let Boot { sources, closed, lost_at, .. } = &gateway.boot;
            let ended = sources.is_empty() && (*closed || lost_at.is_none());
            ended && self.lives.of(*ix).len() == 0 && !self.closings.is_closing(*ix)
        };
        self.gateways.by_id().filter(gone).min_by_key(|(_, gateway)| gateway.boot.number).map(|(ix, _)| ix)
    }

    fn record_boot(&mut self, gateway: GatewayIx, hello: &attach_request::Hello) {
        let (name, boot) = (hello.gateway_id.as_str().into(), hello.boot_id.as_str().into());
        self.record(Record::Boot { gateway, name, boot });
    }

    /// A newer boot has come: this one's streams lose their place, its sessions are decided.
    fn end_boot(&mut self, ix: GatewayIx) {
        let sources = std::mem::take(&mut self.gateways.at_mut(ix).boot.sources);
        for source in sources {
            self.sources.remove(&source);
            self.effect(Effect::EndSource(source, GoodbyeReason::Displaced));
        }
        let boot = &self.gateways.at(ix).boot;
        if !boot.closed {
            let reason = boot.reason_without_drain();
            self.close_boot_quietly(ix, reason);
            self.boot_is_over(ix);
        }
    }

    /// From now on nothing starts in this boot, and once its streams are gone it does not come back.
    pub(crate) fn boot_is_over(&mut self, ix: GatewayIx) {
        self.drop_list(ix, "its boot is over");
        let gateway = self.gateways.at_mut(ix);
        gateway.boot.closed = true;
        gateway.boot.lost_at = None;
        gateway.boot_is_over();
        self.record(Record::BootOver { gateway: ix });
    }

    /// Ties a stream to its publishing key; says where to resume.
    fn take_source(&mut self, ix: GatewayIx, source: SourceId, emitter_id: &str) -> Result<u64, Refused> {
        let gateway = self.gateways.at_mut(ix);
        let known = gateway.boot.emitters.len();
        let (last, older) = match gateway.boot.emitters.get_mut(emitter_id) {
            Some(emitter) => (emitter.last, emitter.source.replace(source)),
            None if known >= MAX_EMITTERS => {
                let text = format!("{MAX_EMITTERS} emitters are known in this boot: no room for another");
                return Err(Refused::Exhausted(text));
            }
            None => {
                let digest = digest(&[&gateway.id, &gateway.boot.id, emitter_id]);
                gateway
                    .boot
                    .emitters
                    .insert(emitter_id.into(), Emitter { last: 0, digest, source: Some(source) });
                (0, None)
            }
        };
        gateway.boot.sources.insert(source);
        gateway.boot.lost_at = None;
        self.sources.insert(source, (ix, emitter_id.into()));
        // The key came back on a new stream before the old one was seen to break.
        if let Some(older) = older
            && self.sources.remove(&older).is_some()
        {
            self.gateways.at_mut(ix).boot.sources.remove(&older);
            self.effect(Effect::EndSource(older, GoodbyeReason::Displaced));
        }
        Ok(last)
    }
}

fn check_id(field: &str, id: &str) -> Result<(), Refused> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        let size = id.len();
        return Err(Refused::Invalid(format!("{field}: it has 1 to {MAX_ID_BYTES} bytes, not {size}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{config::Config, dispatcher::settings};

    fn hello(number: usize) -> attach_request::Hello {
        attach_request::Hello {
            gateway_id: format!("gw-{number}"),
            boot_id: format!("boot-{number}"),
            emitter_id: "emitter".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_gateway_that_has_gone_makes_room_for_another_and_no_other_does() {
        let (mut machine, mut now) = (Machine::new(settings(&Config::default())), Now::default());
        for number in 0..MAX_GATEWAYS {
            machine.attach(now, SourceId(number as u64), &hello(number)).expect("there is room");
        }
        let another = |machine: &mut Machine, now, number: usize| {
            machine.attach(now, SourceId(number as u64), &hello(number)).map(drop)
        };
        assert!(matches!(another(&mut machine, now, MAX_GATEWAYS), Err(Refused::Exhausted(_))));
        machine.detach(now, SourceId(7));
        assert!(
            matches!(another(&mut machine, now, MAX_GATEWAYS), Err(Refused::Exhausted(_))),
            "not lost yet"
        );
        now.mono += Duration::from_secs(3600);
        machine.tick(now);
        assert_eq!(another(&mut machine, now, MAX_GATEWAYS), Ok(()));
        assert_eq!(machine.gateways.find("gw-7"), None);
        assert!(matches!(another(&mut machine, now, 7), Err(Refused::Exhausted(_))));
    }
}
