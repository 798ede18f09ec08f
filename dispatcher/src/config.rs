//! The settings: flags over `HOOKWIRE_*` variables over a TOML file over the file that is compiled in.

mod layers;
mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use hookwire_sdk::Address;

use self::layers::Layers;
pub use self::layers::Origin;

/// The commented file that is compiled in: it names every setting, and no default is anywhere else.
pub const DEFAULT_FILE: &str = include_str!("config.default.toml");

/// How a dispatcher behaves. `config.default.toml` says more about each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; at least one.
    pub listen: Vec<Address>,
    /// Whether TCP beyond loopback is allowed.
    pub insecure_listen: bool,
    /// Whether reflection tells what the services are, to `buf curl` and its like.
    pub reflection: bool,
    /// Whether the ledger is in memory only: then nothing survives the process.
    pub in_memory: bool,
    /// Where the journal is, unless the ledger is in memory; `None` is the user's own directory for state.
    pub data_dir: Option<PathBuf>,
    /// What the journal survives.
    pub durability: Durability,
    /// What SIGTERM, SIGINT and SIGUSR2 mean.
    pub on_term: OnTerm,
    /// How long a drain waits for acknowledgements, where its caller does not say.
    pub drain_budget: Duration,
    /// How long a gateway may be away without a drain.
    pub gateway_grace: Duration,
    /// From silence to a ping, and from a ping to giving the peer up.
    pub keepalive: Duration,
    /// Where the last drain report goes, beside stdout.
    pub report: Option<PathBuf>,
    /// How long a delivery may go unacknowledged before it is counted as timed out.
    pub ack_timeout: Duration,
    /// How long a new stream may take to say Hello.
    pub hello_timeout: Duration,
    /// Ordinary events that may wait for one subscriber.
    pub queue_events: usize,
    /// The size of those, in bytes; at least [`Self::max_event_bytes`].
    pub queue_bytes: usize,
    /// The largest window granted, in events.
    pub max_in_flight: u32,
    /// The largest event taken in, in bytes.
    pub max_event_bytes: usize,
    /// How long the first RETRY in a row waits, where the answer does not say; each further one twice as long.
    pub retry_after: Duration,
    /// The longest that such a RETRY waits; at least [`Self::retry_after`].
    pub retry_after_max: Duration,
    /// How long what is owed to a subscriber is kept, while a dispatcher runs.
    pub retention_age: Duration,
    /// How much of it is kept, in bytes.
    pub retention_bytes: usize,
    /// How much is kept for a subscriber with retention ALL, in bytes.
    pub retention_all_bytes: usize,
    /// How long a subscriber may be away before it is forgotten, while a dispatcher runs.
    pub forget_after: Duration,
    /// How long a new connection may take to its first request.
    pub first_byte_timeout: Duration,
    /// Connections that may be open at the same time.
    pub max_connections: usize,
}

/// What a commit withstands once it has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: it waits for the disk.
    Power,
    /// `kill -9` and a panic, not the loss of power: it waits for the system only. A system that stopped may leave a
    /// journal that cannot be opened.
    Process,
}

/// What a signal that ends the daemon does to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTerm {
    /// All of them end, and their ends are delivered within the budget.
    Drain,
    /// None of them ends: the next daemon goes on with them.
    Handover,
}

/// Settings given by name: the key as in the file, and its text or texts.
pub type Flags = Vec<(&'static str, Vec<String>)>;

/// A setting that cannot be used, and where it was given.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is no TOML.
    #[error("{origin}: {why}")]
    Syntax {
        /// The line.
        origin: Origin,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such setting.
    #[error("{origin}: there is no setting {key:?}")]
    Unknown {
        /// The line.
        origin: Origin,
        /// What it names.
        key: String,
    },
    /// The value is none for this setting.
    #[error("{key} (from {origin}): {why}")]
    Value {
        /// The setting.
        key: String,
        /// Where the value was given.
        origin: Origin,
        /// What is wrong with it.
        why: String,
    },
}

impl Config {
    /// Reads all sources. `variable` looks up an environment variable; an empty one is as good as none.
    ///
    /// # Errors
    /// The first setting that is unknown or has a value that it cannot have, and where it was given.
    pub fn load(
        flags: Flags,
        variable: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::defaults()?;
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
            layers.put_file(&text, &path.display().to_string())?;
        }
        layers.put_variables(variable);
        layers.put_flags(flags);
        Self::read(&layers)
    }

    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let config = Self {
            listen: layers.list("listen", value::address)?,
            insecure_listen: layers.one("insecure_listen", value::switch)?,
            reflection: layers.one("reflection", value::switch)?,
            in_memory: layers.one("in_memory", value::switch)?,
            data_dir: layers.one("data_dir", value::path)?,
            durability: layers.one("durability", value::durability)?,
            on_term: layers.one("on_term", value::on_term)?,
            drain_budget: layers.one("drain_budget", value::duration)?,
            gateway_grace: layers.one("gateway_grace", value::duration)?,
            keepalive: layers.one("keepalive", value::interval)?,
            report: layers.one("report", value::path)?,
            ack_timeout: layers.one("ack_timeout", value::interval)?,
            hello_timeout: layers.one("hello_timeout", value::interval)?,
            queue_events: layers.one("queue_events", value::count)?,
            queue_bytes: layers.one("queue_bytes", value::bytes)?,
            max_in_flight: layers.one("max_in_flight", value::count)?,
            max_event_bytes: layers.one("max_event_bytes", value::message_bytes)?,
            retry_after: layers.one("retry_after", value::duration)?,
            retry_after_max: layers.one("retry_after_max", value::duration)?,
            retention_age: layers.one("retention_age", value::interval)?,
            retention_bytes: layers.one("retention_bytes", value::bytes)?,
            retention_all_bytes: layers.one("retention_all_bytes", value::bytes)?,
            forget_after: layers.one("forget_after", value::interval)?,
            first_byte_timeout: layers.one("first_byte_timeout", value::interval)?,
            max_connections: layers.one("max_connections", value::count)?,
        };
        if config.queue_bytes < config.max_event_bytes {
            return Err(
                layers.refuse("queue_bytes", "less than max_event_bytes: no queue could hold such an event")
            );
        }
        if config.retry_after_max < config.retry_after {
            return Err(layers.refuse("retry_after_max", "less than retry_after"));
        }
        Ok(config)
    }
}

impl Default for Config {
    fn default() -> Self {
        Layers::defaults()
            .and_then(|layers| Self::read(&layers))
            .expect("the compiled-in file is read by a test")
    }
}

#[cfg(test)]
mod tests;
