//! The wire: messages and services of `hookwire.v1`, generated from the `.proto` files beside this one.
//!
//! Everything here is plain data with documented fields; rules about it live in the dispatcher.

pub mod codec;

/// Version 1 of the wire.
#[allow(missing_docs, clippy::all)] // generated: docs of fields come from the .proto, module glue has none
pub mod v1 {
    tonic::include_proto!("hookwire.v1");
}

/// The `.proto` files, compiled: what reflection tells.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("hookwire.v1");

/// Names of the hooks that the contract itself speaks of.
pub mod hook {
    /// A session began.
    pub const SESSION_START: &str = "session_start";
    /// A session ended.
    pub const SESSION_END: &str = "session_end";
    /// A gateway has booted.
    pub const GATEWAY_START: &str = "gateway_start";
    /// A gateway's boot is over.
    pub const GATEWAY_STOP: &str = "gateway_stop";
}

impl v1::SessionEndReason {
    /// What an end for this reason means for the conversation.
    pub fn disposition(self) -> v1::Disposition {
        use v1::{Disposition, SessionEndReason as Reason};
        match self {
            Reason::New | Reason::Reset | Reason::Idle | Reason::Daily | Reason::Deleted => {
                Disposition::Ended
            }
            Reason::Compaction => Disposition::Moved,
            Reason::Shutdown | Reason::Restart => Disposition::Suspended,
            Reason::Unspecified | Reason::Unknown | Reason::Lost => Disposition::Unknown,
        }
    }
}
