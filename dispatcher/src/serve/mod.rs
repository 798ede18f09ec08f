//! Stage 4: the sockets, and one subscriber's stream.

pub mod connection;
pub mod listen;
