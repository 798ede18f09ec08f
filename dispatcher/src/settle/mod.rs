//! 5 — Every delivery gets exactly one outcome: answers, the ledger, and what its journal needs.

pub(crate) mod ack;
pub(crate) mod backlog;
pub(crate) mod bits;
pub(crate) mod decide;
pub(crate) mod forget;
pub(crate) mod journal;
pub(crate) mod life;
pub(crate) mod lives;
pub(crate) mod marks;
mod names;
mod number;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod retry;
mod slots;
