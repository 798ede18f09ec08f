//! Connections are ours: each is a task with a deadline until it speaks, a set of streams of its own, and an end
//! that no peer can put off.

mod greeting;
mod peer;
mod socket;

use std::{panic, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tonic::service::Routes;
use tracing::{debug, warn};

use self::peer::Peer;
use super::listen::{Accepted, Listener};
use crate::config::Config;

/// How long accepting rests after the system refused (no file descriptors left, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// What a connection may cost before anybody knows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// From accepting a socket to the headers of its first request.
    pub first_byte_timeout: Duration,
    /// From silence to a ping, and from that ping to giving the peer up.
    pub keepalive: Duration,
    /// Open connections; a socket beyond them is closed at once.
    pub max_connections: usize,
}

impl From<&Config> for ConnectionLimits {
    fn from(config: &Config) -> Self {
        Self {
            first_byte_timeout: config.first_byte_timeout,
            keepalive: config.keepalive,
            max_connections: config.max_connections,
        }
    }
}

/// How far the end has come. It only moves forward; a sender that is gone stands for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Sockets are accepted.
    Open,
    /// Nothing is accepted; what is connected goes on.
    Refusing,
    /// Connections were told to finish (GOAWAY).
    Closing,
    /// Connections are cut, whatever they do.
    Cut,
}

/// Returns once that phase has come.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error means that the server is gone: that is past every phase.
    let _ = phase.wait_for(|now| *now >= wanted).await;
}

/// Listening sockets and connections. Dropping it cuts all of them.
#[derive(Debug)]
pub struct Server {
    phase: watch::Sender<Phase>,
    accepting: Option<JoinHandle<JoinSet<()>>>,
    connections: JoinSet<()>,
}

impl Listener {
    /// Accepts connections, and answers their requests from `routes`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve(self, routes: Routes, limits: ConnectionLimits) -> Server {
        let (phase, watched) = watch::channel(Phase::Open);
        let peer = Peer { routes: routes.prepare(), limits, phase: watched };
        let accepting = Some(tokio::spawn(accept(self, peer)));
        Server { phase, accepting, connections: JoinSet::new() }
    }
}

impl Server {
    /// Closes the listening sockets: when this returns, connecting is refused and the files of Unix sockets are
    /// gone. Connections go on.
    pub async fn stop_listening(&mut self) {
        self.phase.send_replace(Phase::Refusing);
        let Some(accepting) = &mut self.accepting else { return };
        match accepting.await {
            Ok(connections) => self.connections = connections,
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_) => {} // the runtime is going away, and has taken the connections along
        }
        self.accepting = None;
    }

    /// Says GOAWAY on every connection, gives them `grace` to finish, and cuts what is left. When this returns,
    /// no task of any connection runs. Nothing that a peer does can delay it.
    pub async fn close(mut self, grace: Duration) {
        self.stop_listening().await;
        self.phase.send_replace(Phase::Closing);
        if timeout(grace, all_gone(&mut self.connections)).await.is_err() {
            debug!(connections = self.connections.len(), "cutting the connections that are left");
            self.phase.send_replace(Phase::Cut);
            all_gone(&mut self.connections).await;
        }
    }
}

async fn all_gone(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// Accepts until that is over; gives back the connections that are still there.
async fn accept(mut listener: Listener, mut peer: Peer) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut turned_away = 0_u64;
    loop {
        tokio::select! {
            () = reached(&mut peer.phase, Phase::Refusing) => return connections,
            // Reaps what has ended: the set's length is the number of open connections.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(socket) if connections.len() < peer.limits.max_connections => {
                    spawn(&mut connections, peer.clone(), socket);
                }
                Ok(_) => {
                    turned_away += 1;
                    // Not one line for each: whoever floods us must not flood the log.
                    if turned_away.is_power_of_two() {
                        warn!(turned_away, limit = peer.limits.max_connections, "too many connections");
                    }
                }
                Err(error) => {
                    warn!(%error, "cannot accept connections");
                    // The socket stays ready: trying again at once would spin.
                    let _ = timeout(ACCEPT_PAUSE, reached(&mut peer.phase, Phase::Refusing)).await;
                }
            },
        }
    }
}

fn spawn(connections: &mut JoinSet<()>, peer: Peer, socket: Accepted) {
    match socket {
        Accepted::Tcp(stream, from) => {
            if let Err(error) = socket::tune(&stream, peer.limits.keepalive) {
                return debug!(%from, %error, "the connection was gone before it began");
            }
            connections.spawn(peer.run(stream, from.to_string()));
        }
        Accepted::Unix(stream) => {
            connections.spawn(peer.run(stream, "unix".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
