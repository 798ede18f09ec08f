//! Write a Hookwire plugin.
//!
//! A plugin says which hooks it wants, and gets each event with its session and the time that is left for it.
//! What its handler returns is the answer. Every session that it saw start, it sees end.
//!
//! ```no_run
//! use hookwire_sdk::{BoxError, Event, Plugin};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), BoxError> {
//!     Plugin::builder("audit").on("session_*", audit).run().await?;
//!     Ok(())
//! }
//!
//! async fn audit(event: Event) -> Result<(), BoxError> {
//!     let session = event.session().ok_or("no session")?;
//!     println!("{} {} #{}", event.hook(), session.id, session.incarnation);
//!     Ok(())
//! }
//! ```
//!
//! # The way of an event
//!
//! ```text
//!            dispatcher
//!     EventBatch │  ▲ Ack
//!  ┌─────────────▼──┴────────────┐  run      stream after stream, backoff between them
//!  │           stream            │           Hello … Goodbye
//!  ├─────────────────────────────┤
//!  │ store    settled before?    ├──► the same answer
//!  │ work     in hand already?   ├──► the same outcome, when it is there
//!  │ lanes    one per session    │
//!  │ routes   whose code is it?  │
//!  │ begin    here, or in a task │
//!  │   your handler → outcome    │
//!  │ acks     what to say next   │
//!  └─────────────────────────────┘
//! ```
//!
//! Modules, in reading order: `plugin` (the builder), `event` and `sweep` (what your code gets), `outcome` (what it returns),
//! `drains`, `store`, `memory`, `error`, `run`, `backoff`, `stream`, `work`, `case`, `lanes`, `routes`, `trace`, `begin`, `acks`, `address`;
//! [`testing`] has a plugin run without any of the transport.
//!
//! # Once, and at least once
//!
//! An event comes again when its answer got lost. The SDK remembers the last 100,000 starts and ends (all events
//! with a retention of ALL) while the process lives, and answers those again by itself. A process that crashes forgets, unless
//! its [`Store`] is on disk, as in the example `sqlite_store`. Either way, a crash between an effect and the note of it has the
//! event handled again: an effect that must happen once is keyed on ([`Event::ledger_id`], incarnation) in your own store, as
//! the example `session_table` does.
//!
//! # Features
//!
//! `opentelemetry`, off by default: a handler runs in the OpenTelemetry context that its event's [`traceparent`](Event::traceparent)
//! names, so that a span which it begins has the gateway's as its parent. A task that it spawns is given that context as
//! OpenTelemetry has it, with `FutureExt::with_current_context`.

mod acks;
mod address;
mod backoff;
mod begin;
mod case;
mod drains;
mod error;
mod event;
mod lanes;
mod memory;
mod outcome;
mod plugin;
mod routes;
mod run;
mod store;
mod stream;
mod sweep;
pub mod testing;
#[cfg(feature = "opentelemetry")]
mod trace;
mod work;

pub use address::{ADDRESS_VARIABLE, Address, DEFAULT_ADDRESS, InvalidAddress, MAX_MESSAGE_BYTES};
pub use error::{RunError, is_refusal};
pub use event::Event;
pub use outcome::{BoxError, IntoOutcome, Outcome, Reject};
pub use plugin::{Plugin, PluginBuilder};
pub use store::{MemoryStore, Store};
pub use sweep::Sweep;

/// The wire's own types: events, sessions, reasons, settings.
pub use hookwire_protocol::v1 as wire;
