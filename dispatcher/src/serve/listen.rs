//! The addresses that the dispatcher listens on: all of them, or none.

mod unix;

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, ToSocketAddrs},
    task::Poll,
};

use hookwire_sdk::Address;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};

use self::unix::UnixSocket;

/// Connections that the kernel may hold for us: enough for every plugin coming back at once.
const BACKLOG: u32 = 1024;

/// Sockets that are bound and listening. Dropping it closes them, and removes the files of Unix sockets.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Bound>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    /// Over TCP, and from where.
    Tcp(TcpStream, SocketAddr),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Other machines could reach it, and nobody said that they may.
    #[error(
        "{address} can be reached from other machines, and there is neither TLS nor authentication: \
         --insecure-listen allows it"
    )]
    Insecure {
        /// The address.
        address: Address,
    },
    /// The system does not give it to us: in use, not ours, no such name, or no right to it.
    #[error("cannot listen on {address}: {cause}")]
    Unavailable {
        /// The address.
        address: Address,
        /// What the system says.
        cause: io::Error,
    },
}

impl Listener {
    /// Binds all addresses. Port 0 picks a free one. Names are resolved here, once. `insecure` allows TCP
    /// beyond loopback.
    ///
    /// # Errors
    /// [`BindError::Insecure`] before any port is bound; [`BindError::Unavailable`] for the first address that
    /// cannot be bound: those before it are released.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(addresses: &[Address], insecure: bool) -> Result<Self, BindError> {
        let resolved = addresses.iter().map(|address| Resolved::of(address, insecure));
        let resolved: Vec<_> = resolved.collect::<Result<_, _>>()?;
        let sockets = resolved.iter().map(Resolved::bind).collect::<Result<_, _>>()?;
        Ok(Self { sockets })
    }

    /// What is bound, with the ports that were picked: `127.0.0.1:41873`, `unix:/run/hookwire.sock`.
    pub fn addresses(&self) -> Vec<String> {
        self.sockets.iter().map(Bound::address).collect()
    }

    /// The next connection on any of the sockets.
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        poll_fn(|cx| {
            // Another one is asked first each time: a flood on one does not shut out the others.
            self.sockets.rotate_left(1);
            for socket in &self.sockets {
                let accepted = match socket {
                    Bound::Tcp(tcp) => {
                        tcp.poll_accept(cx).map_ok(|(stream, from)| Accepted::Tcp(stream, from))
                    }
                    Bound::Unix(unix) => unix.poll_accept(cx).map_ok(Accepted::Unix),
                };
                if accepted.is_ready() {
                    return accepted;
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Bound {
    fn address(&self) -> String {
        match self {
            // A bound socket has a name: it can only be missing when the system has forgotten the socket.
            Self::Tcp(tcp) => tcp.local_addr().map_or_else(|error| error.to_string(), |a| a.to_string()),
            Self::Unix(unix) => format!("unix:{}", unix.path().display()),
        }
    }
}

/// An address, and for TCP what its name stands for: what is checked is what is bound.
struct Resolved<'a> {
    address: &'a Address,
    tcp: Vec<SocketAddr>,
}

impl<'a> Resolved<'a> {
    fn of(address: &'a Address, insecure: bool) -> Result<Self, BindError> {
        let Address::Tcp(host_and_port) = address else {
            return Ok(Self { address, tcp: Vec::new() });
        };
        let tcp: Vec<_> =
            host_and_port.to_socket_addrs().map_err(|cause| unavailable(address, cause))?.collect();
        if !insecure && !tcp.iter().all(|tcp| tcp.ip().to_canonical().is_loopback()) {
            return Err(BindError::Insecure { address: address.clone() });
        }
        Ok(Self { address, tcp })
    }

    fn bind(&self) -> Result<Bound, BindError> {
        let bound = match self.address {
            Address::Tcp(_) => self.bind_tcp().map(Bound::Tcp),
            Address::Unix(path) => UnixSocket::bind(path).map(Bound::Unix),
        };
        bound.map_err(|cause| unavailable(self.address, cause))
    }

    /// A name can stand for several addresses: the first that can be bound is it.
    fn bind_tcp(&self) -> io::Result<TcpListener> {
        let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for address in &self.tcp {
            outcome = listen(*address);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn unavailable(address: &Address, cause: io::Error) -> BindError {
    BindError::Unavailable { address: address.clone(), cause }
}

#[cfg(test)]
mod tests;
