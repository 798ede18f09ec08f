//! 2 — Who wants it: the registry of subscribers, their subscriptions and filters.

pub(crate) mod catalogue;
pub(crate) mod fan_out;
pub(crate) mod filter;
pub(crate) mod registry;
