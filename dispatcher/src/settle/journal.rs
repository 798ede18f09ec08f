//! What must be durable before what may be seen.
//!
//! Every call into the machine leaves records and effects. The records of a call must be durable, and those of all
//! calls before it, before anything that the call returned or caused leaves the process: before a start's first byte,
//! a receipt, an answer to an Attach. [`Record::may_be_lost`] names the exceptions.

use bytes::Bytes;

use crate::fanout::registry::SubscriberIx;

/// One change of what must survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A boot's first Attach; it ends the boot before it.
    Boot { gateway: Box<str>, boot: Box<str> },
    /// A boot is over; it is refused from now on.
    BootOver { gateway: Box<str>, boot: Box<str> },
    /// What an emitter published up to here has had its effect: together with that effect, or not at all.
    Published { gateway: Box<str>, emitter: Box<str>, publish_seq: u64 },
    /// A life began.
    Started { incarnation: u64, gateway: Box<str>, event: Bytes },
    /// A life's end is decided: before the end is written anywhere.
    Decided { incarnation: u64, event: Bytes },
    /// The gateway ended this session in its present boot: a straggler must not start it again.
    Ended { gateway: Box<str>, session: Box<str>, incarnation: u64 },
    /// A subscriber is known, with the epoch of its newest stream; by which number the records behind this one name it.
    Subscribed { name: Box<str>, subscriber: SubscriberIx, stream_epoch: u64 },
    /// An entry is made: before the start's first byte, since the plugin may act on it and die.
    Entry { subscriber: SubscriberIx, incarnation: u64 },
    /// An entry's start is settled.
    StartSettled { subscriber: SubscriberIx, incarnation: u64 },
    /// An entry is closed: its end is settled, its start rejected, or the subscriber let go of it.
    Closed { subscriber: SubscriberIx, incarnation: u64 },
    /// A subscriber let go of everything. Another may get its number.
    Released { subscriber: SubscriberIx },
}

impl Record {
    /// Losing a settlement costs a redelivery, never an end: nothing needs to wait for it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a journal asks, and so far only the tests' has to"))]
    pub(crate) fn may_be_lost(&self) -> bool {
        matches!(self, Self::StartSettled { .. } | Self::Closed { .. })
    }
}
