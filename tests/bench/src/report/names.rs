//! What the contenders are called, in rows and on the page.

/// What this is about, in the gateway's own process: two processes on the way, as with a bare socket.
pub const EMBEDDED: &str = "Hookwire embedded";
/// The same as a process between gateway and plugin, as a broker is.
pub const DAEMON: &str = "Hookwire daemon";
/// The limit.
pub const RAW_TCP: &str = "raw TCP";
/// The limit, without a network.
pub const RAW_UNIX: &str = "raw Unix socket";
/// The fair limit.
pub const PROTOBUF: &str = "raw TCP + protobuf";
/// A call for each event.
pub const UNARY: &str = "unary gRPC";
/// A message and an ack for each event.
pub const PER_EVENT: &str = "per-event stream";
/// A POST for each event.
pub const HTTP: &str = "HTTP webhook";
/// A broker that keeps nothing.
pub const NATS: &str = "core NATS";
/// A broker that stores.
pub const JETSTREAM: &str = "NATS JetStream";
/// A broker that stores.
pub const REDIS: &str = "Redis Streams";
