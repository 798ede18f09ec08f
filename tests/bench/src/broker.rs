//! The brokers in the middle, each in a directory and on a port of its own, as they are out of the box.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    case::Failure,
    process::{Ear, Process},
};

/// What is between a producer and its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// `nats-server`, with JetStream switched on.
    Nats,
    /// `redis-server`, without its log and without snapshots.
    Redis,
}

/// A broker that answers. Its data goes with it.
#[derive(Debug)]
pub struct Running {
    /// Where it answers.
    pub address: String,
    /// It.
    pub process: Process,
    _data: TempDir,
}

impl Broker {
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, or does not come up.
    pub fn start(self, ear: &Ear, who: usize) -> Result<Running, Failure> {
        let data = TempDir::with_prefix("hookwire-bench-").map_err(wrong)?;
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(wrong)?;
        let (port, directory) = (address.port().to_string(), data.path().to_string_lossy().into_owned());
        let mut process = match self {
            Self::Nats => {
                let args = ["-a", "127.0.0.1", "-p", &port, "-js", "-sd", &directory];
                ear.start(who, "nats-server", args)?
            }
            Self::Redis => {
                let place = ["--bind", "127.0.0.1", "--port", &port, "--dir", &directory];
                let nothing_kept = ["--save", "", "--appendonly", "no"];
                ear.start(who, "redis-server", place.into_iter().chain(nothing_kept))?
            }
        };
        let patience = Duration::from_millis(100);
        let answers = || match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => Some(Ok(())),
            Err(_) => process.cpu_ns().err().map(Err),
        };
        ear.poll("the broker does not answer", answers)??;
        Ok(Running { address: address.to_string(), process, _data: data })
    }
}

fn wrong(error: std::io::Error) -> Failure {
    Failure::Wrong(error.to_string())
}
