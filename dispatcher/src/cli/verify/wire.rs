//! The TCP connection between the plugin and its dispatcher: it can be cut, refused, or held half open, and it counts.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::pings::Pings;

/// Bytes on their way in one direction.
const BUFFER: usize = 64 << 10;

/// How the wire is, and what went over it.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Connections that were tried.
    attempts: u64,
    /// HTTP/2 pings that the plugin sent of its own accord.
    pings: u64,
    /// Each new connection is closed at once.
    refuses: bool,
    /// Connections up to here carry nothing any more, and nobody is told.
    held: u64,
    /// Connections up to here are closed.
    cut: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Wire {
    /// Where the plugin dials.
    pub(super) address: String,
    state: watch::Sender<State>,
    accepts: JoinHandle<()>,
}

impl Wire {
    /// A wire to this address.
    ///
    /// # Errors
    /// When there is no free port.
    pub(super) async fn to(target: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let state = watch::Sender::new(State::default());
        let shared = state.clone();
        let accepts = tokio::spawn(async move {
            while let Ok((plugin, _)) = listener.accept().await {
                shared.send_modify(|state| state.attempts += 1);
                let State { attempts, refuses, .. } = *shared.borrow();
                if !refuses {
                    tokio::spawn(carry(plugin, target.clone(), attempts, shared.clone()));
                }
            }
        });
        Ok(Self { address, state, accepts })
    }

    /// How many connections were tried so far.
    pub(super) fn attempts(&self) -> u64 {
        self.state.borrow().attempts
    }

    /// How many pings were sent so far.
    pub(super) fn pings(&self) -> u64 {
        self.state.borrow().pings
    }

    /// Closes every connection.
    pub(super) fn cut(&self) {
        self.state.send_modify(|state| state.cut = state.attempts);
    }

    /// Whether new connections are closed at once.
    pub(super) fn refuse(&self, refuses: bool) {
        self.state.send_modify(|state| state.refuses = refuses);
    }

    /// Nothing goes over the connections that are there any more: half open. New ones are carried.
    pub(super) fn hold(&self) {
        self.state.send_modify(|state| state.held = state.attempts);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

/// One connection, to its end or its cut.
async fn carry(plugin: TcpStream, target: String, number: u64, state: watch::Sender<State>) {
    let Ok(dispatcher) = TcpStream::connect(target).await else { return };
    for stream in [&plugin, &dispatcher] {
        // Without it, it is only slower.
        let _ = stream.set_nodelay(true);
    }
    let (plugin_reads, plugin_writes) = plugin.into_split();
    let (dispatcher_reads, dispatcher_writes) = dispatcher.into_split();
    let mut cut = state.subscribe();
    let mut pings = Pings::default();
    let count = |bytes: &[u8]| {
        let sent = pings.read(bytes);
        if sent > 0 {
            state.send_modify(|state| state.pings += sent);
        }
    };
    tokio::select! {
        () = pump(plugin_reads, dispatcher_writes, number, state.subscribe(), count) => {}
        () = pump(dispatcher_reads, plugin_writes, number, state.subscribe(), |_| {}) => {}
        _ = cut.wait_for(|state| state.cut >= number) => {}
    }
}

/// Until either side is gone.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    state: watch::Receiver<State>,
    mut see: impl FnMut(&[u8]),
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if state.borrow().held >= number {
            return std::future::pending().await;
        }
        see(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    if state.borrow().held >= number {
        std::future::pending().await
    }
}
