//! 4 — One subscriber's stream: what goes to the transport, and when.

pub(crate) mod frame;
pub(crate) mod pull;
pub(crate) mod stream;
pub(crate) mod subscription;
