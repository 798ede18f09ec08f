//! 1 — A gateway hands an event over.

pub(crate) mod attach;
pub(crate) mod boots;
pub(crate) mod check;
pub mod emitter;
pub(crate) mod encode;
pub(crate) mod given;
pub(crate) mod lot;
pub(crate) mod publish;
pub(crate) mod reconcile;
mod route;
pub(crate) mod service;
