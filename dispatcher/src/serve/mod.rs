//! 4 — The sockets, and one subscriber's stream: what goes to the transport, and when.

pub mod connection;
pub(crate) mod flight;
pub(crate) mod frame;
pub mod listen;
pub(crate) mod outlet;
pub(crate) mod pull;
pub(crate) mod reflection;
mod replay;
pub(crate) mod service;
pub(crate) mod stream;
pub(crate) mod subscription;
mod turns;
pub(crate) mod write;
