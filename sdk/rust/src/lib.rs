//! Write a Hookwire plugin.
//!
//! A plugin says which hooks it wants, and gets each event with its session and the time that is left for it.
//! What its handler returns is the answer. Every session that it saw start, it sees end.
//!
//! ```no_run
//! use hookwire_sdk::{BoxError, Delivery, Plugin};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     Plugin::builder("audit").on("session_*", audit).run().await?;
//!     Ok(())
//! }
//!
//! async fn audit(delivery: Delivery) -> Result<(), BoxError> {
//!     let session = delivery.session().ok_or("no session")?;
//!     println!("{} {} #{}", delivery.hook(), session.id, session.incarnation);
//!     Ok(())
//! }
//! ```
//!
//! # The way of a delivery
//!
//! ```text
//!            dispatcher
//!     EventBatch │  ▲ Ack
//!  ┌─────────────▼──┴────────────┐  run      stream after stream, backoff between them
//!  │           stream            │           Hello … Goodbye
//!  ├─────────────────────────────┤
//!  │ dedupe   settled before?    ├──► the same answer
//!  │ work     in hand already?   ├──► the same outcome, when it is there
//!  │ lanes    one per session    │
//!  │ routes   whose code is it?  │
//!  │ begin    here, or in a task │
//!  │   your handler → outcome    │
//!  │ acks     what to say next   │
//!  └─────────────────────────────┘
//! ```
//!
//! Modules, in reading order: `plugin` (the builder), `delivery` and `caught_up` (what your code gets), `outcome` (what it
//! returns), `error`, `run`, `backoff`, `stream`, `call`, `work`, `dedupe`, `lanes`, `routes`, `begin`, `acks`, `address`.
//!
//! # Once, and at least once
//!
//! A delivery comes again when its answer got lost. The SDK remembers the last 100,000 starts and ends (all events
//! with a retention of ALL) while the process lives, and answers those again by itself. A process that crashes forgets: an
//! effect that must happen once is keyed on ([`Delivery::ledger_id`], incarnation) in your own store, as the
//! example `session_table` does.

mod acks;
mod address;
mod backoff;
mod begin;
mod caught_up;
mod dedupe;
mod delivery;
mod error;
mod lanes;
mod outcome;
mod plugin;
mod routes;
mod run;
mod stream;
mod work;

pub use address::{ADDRESS_VARIABLE, Address, DEFAULT_ADDRESS, InvalidAddress, MAX_MESSAGE_BYTES};
pub use caught_up::CaughtUp;
pub use delivery::Delivery;
pub use error::{RunError, is_refusal};
pub use outcome::{BoxError, IntoOutcome, Outcome, Reject};
pub use plugin::{Plugin, PluginBuilder};

/// The wire's own types: events, sessions, reasons, settings.
pub use hookwire_protocol::v1 as wire;
