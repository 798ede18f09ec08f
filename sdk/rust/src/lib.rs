//! The plugin side of Hookwire.

mod address;

pub use address::{ADDRESS_VARIABLE, Address, DEFAULT_ADDRESS, InvalidAddress, MAX_MESSAGE_BYTES};
