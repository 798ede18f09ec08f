//! What must be durable before what may be seen.
//!
//! Every call into the machine leaves records and effects. The records of a call must be durable, and those of all
//! calls before it, before anything that the call returned or caused leaves the process: before a start's first byte,
//! a receipt, an answer to an Attach. [`Record::may_be_lost`] names the exceptions.
//!
//! What the records of a ledger add up to is its [`Image`](image::Image), from which a new process goes on.

pub(crate) mod image;
pub(crate) mod sound;
pub(crate) mod store;

use bytes::Bytes;
use hookwire_protocol::v1::{SessionEndReason, subscribe_request};

use super::backlog::{LotId, Parts};
use crate::{
    emit::boots::{GatewayIx, HeldStop},
    queue::Lost,
};

/// A subscriber's number: never used again in its ledger.
pub(crate) type SubscriberNumber = u32;

/// How long the dispatchers of this ledger have run, all in all, in seconds: retention counts no other time.
pub(crate) type RanSeconds = u32;

/// One change of what must survive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    /// A boot's first Attach; the gateway's emitters, ended sessions and gateway_stop are those of this boot from now on.
    /// Another name means another gateway, for which the one of this index was forgotten.
    Boot { gateway: GatewayIx, name: Box<str>, boot: Box<str> },
    /// The gateway's present boot is over; it is refused from now on.
    BootOver { gateway: GatewayIx },
    /// The present boot's gateway_stop: the gateway's own, where it said one, and whether plugins were told of the stop.
    GatewayStop { gateway: GatewayIx, said: Option<HeldStop>, told: bool },
    /// What an emitter published up to here has had its effect: together with that effect, or not at all.
    Published { gateway: GatewayIx, emitter: Box<str>, publish_seq: u64 },
    /// A life began, and these subscribers are to be handed its start.
    Started {
        incarnation: u64,
        gateway: GatewayIx,
        event: Bytes,
        wanted: Box<[SubscriberNumber]>,
        ran: RanSeconds,
        /// Where in the order of all things.
        position: u64,
    },
    /// A life's end is decided: before the end is written anywhere.
    Decided { incarnation: u64, event: Bytes, reason: SessionEndReason, ran: RanSeconds, position: u64 },
    /// A life has ended, and nobody is due anything of it.
    Forgotten { incarnation: u64 },
    /// The gateway ended this session in its present boot: a straggler must not start it again.
    Ended { gateway: GatewayIx, session: Box<str>, incarnation: u64, reason: SessionEndReason },
    /// That is not remembered any longer: its own session_start came, or it is too long ago.
    EndedForgotten { gateway: GatewayIx, session: Box<str> },
    /// A subscriber is known: what it asked for, and the epoch of its newest stream.
    Subscribed { subscriber: SubscriberNumber, hello: Box<subscribe_request::Hello>, stream_epoch: u64 },
    /// A subscriber's stream has ended.
    Left { subscriber: SubscriberNumber, ran: RanSeconds },
    /// An entry is made: before the start's first byte, since the plugin may act on it and die.
    Entry { subscriber: SubscriberNumber, incarnation: u64 },
    /// An entry's start is settled.
    StartSettled { subscriber: SubscriberNumber, incarnation: u64 },
    /// Nothing of this life is due to the subscriber: the end is settled, the start rejected or not wanted any more, or
    /// the entry expired.
    Closed { subscriber: SubscriberNumber, incarnation: u64 },
    /// Retention let go of so much, and the subscriber has not been told yet.
    Expired { subscriber: SubscriberNumber, untold: Untold },
    /// Other events that were taken in together, and for whom which of them are kept: before the receipt.
    Lot {
        lot: LotId,
        /// The place of each, in the order of all things.
        positions: Box<[u64]>,
        /// One behind the other, as they are encoded.
        events: Bytes,
        ran: RanSeconds,
        kept_for: Box<[(SubscriberNumber, Parts)]>,
    },
    /// A subscriber has settled events of a lot, or they expired: so much is left of it.
    LotSettled { subscriber: SubscriberNumber, lot: LotId, left: Parts },
    /// Nobody keeps anything of this lot.
    LotForgotten { lot: LotId },
    /// A subscriber is not known any more: it let go of everything, or was forgotten.
    Unsubscribed { subscriber: SubscriberNumber },
}

/// What expired, and was not told yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    /// Open entries, and the size of their starts and ends.
    pub(crate) entries: Lost,
    /// Other events, and starts that were not handed over yet with their ends.
    pub(crate) events: Lost,
}

impl Untold {
    pub(crate) fn merge(&mut self, other: Self) {
        self.entries.merge(other.entries);
        self.events.merge(other.events);
    }
}

impl Record {
    /// Losing these costs a redelivery, never an end: nothing needs to wait for them.
    pub(crate) fn may_be_lost(&self) -> bool {
        matches!(
            self,
            Self::StartSettled { .. }
                | Self::Closed { .. }
                | Self::Forgotten { .. }
                | Self::Left { .. }
                | Self::Expired { .. }
                | Self::LotSettled { .. }
                | Self::LotForgotten { .. }
        )
    }
}
