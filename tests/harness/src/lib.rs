//! A dispatcher in a small world: scripted gateways and plugins on links that can be cut.
//!
//! All of it lives in one process and in virtual time: links are in memory, and the clock moves only when everybody
//! waits. So "not yet" can be asserted as well as "now", and a deadline to the millisecond.
//!
//! ```
//! # use std::time::Duration;
//! # use hookwire_harness::World;
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let world = World::new();
//! let mut gateway = world.gateway("gw").await;
//! let mut plugin = world.plugin("audit").caught_up().await;
//! gateway.start("s1").await;
//! plugin.expect_start("s1").await;
//! plugin.expect_nothing_for(Duration::from_secs(5)).await;
//! # }
//! ```

pub mod codec;
mod drain;
pub mod events;
mod gateway;
mod heard;
mod link;
mod plugin;
mod script;
#[cfg(test)]
mod tests;
mod world;

pub use drain::{Draining, assert_adds_up};
pub use gateway::{Attaching, Gateway};
pub use heard::{Delivery, Heard};
pub use link::Link;
pub use plugin::Plugin;
pub use script::Script;
pub use world::{Stopping, World, at_rest};

use std::time::Duration;

/// How long anybody here waits for something that must come, in virtual time: only a test that fails waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);
