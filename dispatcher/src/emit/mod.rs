//! 1 — A gateway hands an event over.

pub(crate) mod boots;
pub(crate) mod check;
pub(crate) mod encode;
pub(crate) mod publish;
