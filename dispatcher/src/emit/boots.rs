//! Gateways and their boots: who may publish, what has been taken in, and which ids have ended.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use hookwire_protocol::v1::{self, SessionEndReason, StopReason};
use uuid::Uuid;

use super::{encode::origin, reconcile::Listed};

/// One gateway's stream, as the worker names it. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SourceId(pub u64);

/// A gateway's index in the machine; used again once the gateway is forgotten.
pub(crate) type GatewayIx = u32;

/// Boots that are over and refused for good.
pub(crate) const MAX_BOOTS_OVER: usize = 16;

/// Ended ids that are remembered in one boot: the newest.
const MAX_ENDED: usize = 100_000;

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) id: Box<str>,
    /// The latest; it may be over.
    pub(crate) boot: Boot,
    over: VecDeque<Box<str>>,
}

impl Gateway {
    pub(crate) fn new(id: &str, boot: Boot, over: VecDeque<Box<str>>) -> Self {
        Self { id: id.into(), boot, over }
    }

    /// Whether this boot is refused for good.
    pub(crate) fn is_over(&self, boot: &str) -> bool {
        self.over.iter().any(|over| **over == *boot)
    }

    /// Refuses the present boot from now on.
    pub(crate) fn boot_is_over(&mut self) {
        if !self.is_over(&self.boot.id) {
            self.over.push_back(self.boot.id.clone());
            if self.over.len() > MAX_BOOTS_OVER {
                self.over.pop_front();
            }
        }
    }
}

/// One boot of a gateway.
#[derive(Debug)]
pub(crate) struct Boot {
    pub(crate) id: Box<str>,
    /// What its events have in common, encoded.
    pub(crate) origin: Box<[u8]>,
    /// Tells the boots of all gateways apart; never used again.
    pub(crate) number: u32,
    /// Its Drain has begun, or it has ended: nothing starts in it any more.
    pub(crate) closed: bool,
    /// Streams that are attached.
    pub(crate) sources: BTreeSet<SourceId>,
    pub(crate) emitters: HashMap<Box<str>, Emitter>,
    pub(crate) ended: Ended,
    /// What the gateway says is alive, until what it published before has been taken in.
    pub(super) listed: Option<Listed>,
    /// The gateway's own gateway_stop, held until the boot ends.
    pub(crate) stop: Option<HeldStop>,
    /// Its gateway_stop is on its way, or was told: once a boot.
    pub(crate) stop_told: bool,
    /// When it counts as lost; `None` while a stream is attached or once it is lost or over.
    pub(crate) lost_at: Option<Duration>,
}

impl Boot {
    pub(crate) fn new(gateway: &str, id: &str, number: u32) -> Self {
        Self {
            id: id.into(),
            origin: origin(gateway, id),
            number,
            closed: false,
            sources: BTreeSet::new(),
            emitters: HashMap::new(),
            ended: Ended::default(),
            listed: None,
            stop: None,
            stop_told: false,
            lost_at: None,
        }
    }

    /// What a boot that ends without a Drain says of its sessions.
    pub(crate) fn reason_without_drain(&self) -> SessionEndReason {
        match self.stop.as_ref().map(|stop| stop.payload.reason()) {
            None => SessionEndReason::Lost,
            Some(StopReason::Restart) => SessionEndReason::Restart,
            Some(StopReason::Shutdown | StopReason::Unspecified) => SessionEndReason::Shutdown,
        }
    }
}

/// One publishing key.
#[derive(Debug)]
pub(crate) struct Emitter {
    /// The last publish_seq that was taken in.
    pub(crate) last: u64,
    /// What its events' ids begin with.
    pub(crate) digest: Box<str>,
    /// The stream that carries it now, or did last; none of this process has where it is known from before.
    pub(crate) source: Option<SourceId>,
}

/// A gateway's own gateway_stop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeldStop {
    pub(crate) payload: v1::GatewayStop,
    pub(crate) time_unix_nano: u64,
    pub(crate) traceparent: String,
    pub(crate) emitter: Box<str>,
    pub(crate) publish_seq: u64,
}

/// A stable name for what an event's id derives from, short enough to stand in every event.
pub(crate) fn digest(parts: &[&str]) -> Box<str> {
    let name = parts.join("\0");
    let mut text = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
    text.truncate(16); // 64 bits: two of a million emitters meet once in 40 million ledgers
    text.into()
}

/// Sessions that the gateway itself ended in this boot: they stay ended until their own session_start.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    by_id: HashMap<Box<str>, EndedLife>,
    order: VecDeque<(u64, Box<str>)>,
    count: u64,
}

/// How a session that the gateway ended was last seen alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedLife {
    /// 0 where it never was.
    pub(crate) incarnation: u64,
    pub(crate) reason: SessionEndReason,
    number: u64,
}

impl Ended {
    pub(crate) fn get(&self, id: &str) -> Option<EndedLife> {
        self.by_id.get(id).copied()
    }

    /// Remembers an id; says which one is forgotten for it.
    pub(crate) fn insert(
        &mut self,
        id: &str,
        incarnation: u64,
        reason: SessionEndReason,
    ) -> Option<Box<str>> {
        self.count += 1;
        let number = self.count;
        self.by_id.insert(id.into(), EndedLife { incarnation, reason, number });
        self.order.push_back((number, id.into()));
        if self.order.len() > MAX_ENDED
            && let Some((oldest, id)) = self.order.pop_front()
            && self.by_id.get(&id).is_some_and(|ended| ended.number == oldest)
        {
            self.by_id.remove(&id);
            return Some(id);
        }
        None
    }

    /// Its own session_start came.
    pub(crate) fn remove(&mut self, id: &str) -> Option<EndedLife> {
        self.by_id.remove(id)
    }
}

/// All gateways.
#[derive(Debug, Default)]
pub(crate) struct Gateways {
    gateways: Vec<Gateway>,
    by_id: BTreeMap<Box<str>, GatewayIx>,
}

impl Gateways {
    pub(crate) fn len(&self) -> usize {
        self.gateways.len()
    }

    pub(crate) fn find(&self, id: &str) -> Option<GatewayIx> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn insert(&mut self, gateway: Gateway) -> GatewayIx {
        let ix = self.gateways.len() as GatewayIx;
        self.by_id.insert(gateway.id.clone(), ix);
        self.gateways.push(gateway);
        ix
    }

    /// Forgets the gateway that stood there.
    pub(crate) fn replace(&mut self, ix: GatewayIx, gateway: Gateway) -> GatewayIx {
        self.by_id.remove(&self.gateways[ix as usize].id);
        self.by_id.insert(gateway.id.clone(), ix);
        self.gateways[ix as usize] = gateway;
        ix
    }

    pub(crate) fn at(&self, ix: GatewayIx) -> &Gateway {
        &self.gateways[ix as usize]
    }

    pub(crate) fn at_mut(&mut self, ix: GatewayIx) -> &mut Gateway {
        &mut self.gateways[ix as usize]
    }

    /// All, in order of their ids.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = (GatewayIx, &Gateway)> {
        self.by_id.values().map(|ix| (*ix, self.at(*ix)))
    }

    /// When the next boot counts as lost.
    pub(crate) fn next_loss(&self) -> Option<Duration> {
        self.gateways.iter().filter_map(|gateway| gateway.boot.lost_at).min()
    }

    /// Boots whose grace has run out.
    pub(crate) fn lost(&self, now: Duration) -> Vec<GatewayIx> {
        let lost = |gateway: &Gateway| gateway.boot.lost_at.is_some_and(|at| at <= now);
        (0..).zip(&self.gateways).filter(|(_, gateway)| lost(gateway)).map(|(ix, _)| ix).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_ended_ids_are_kept() {
        let mut ended = Ended::default();
        ended.insert("first", 1, SessionEndReason::Reset);
        ended.insert("again", 2, SessionEndReason::Reset);
        for number in 0..MAX_ENDED - 2 {
            ended.insert(&number.to_string(), 0, SessionEndReason::Reset);
        }
        ended.insert("again", 3, SessionEndReason::Deleted);
        assert_eq!(ended.get("first"), None);
        ended.insert("one more", 4, SessionEndReason::Reset);
        assert_eq!(ended.get("again").map(|life| life.incarnation), Some(3), "its older mention was dropped");
    }

    #[test]
    fn digests_tell_the_parts_apart() {
        assert_eq!(digest(&["a", "b", "c"]), digest(&["a", "b", "c"]));
        assert_ne!(digest(&["a", "b", "c"]), digest(&["a", "bc", ""]));
    }
}
