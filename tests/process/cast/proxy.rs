//! A wire that breaks when it is told to, between TCP on one side and a dispatcher's Unix socket on the other.

use std::path::PathBuf;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::AbortHandle,
};

/// Bytes on their way in one direction.
const BUFFER: usize = 16 << 10;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the peer to the dispatcher.
    Up,
    /// From the dispatcher to the peer.
    Down,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where peers dial.
    pub(crate) address: String,
    wire: watch::Sender<Wire>,
    accepts: AbortHandle,
}

/// How the wire is.
#[derive(Clone, Copy, Debug, Default)]
struct Wire {
    held: [bool; 2],
    /// Connections of an earlier one are cut.
    generation: u64,
}

impl Proxy {
    /// A wire to this socket.
    pub(crate) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (wire, state) = watch::channel(Wire::default());
        let accepts = tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                tokio::spawn(carry(peer, socket.clone(), state.clone()));
            }
        });
        Self { address, wire, accepts: accepts.abort_handle() }
    }

    /// Nothing goes that way any more, and nobody is told: half open.
    pub(crate) fn hold(&self, way: Way) {
        self.wire.send_modify(|wire| wire.held[way as usize] = true);
    }

    /// What was held goes on, as after a pause.
    pub(crate) fn release(&self) {
        self.wire.send_modify(|wire| wire.held = [false; 2]);
    }

    /// Cuts every connection, and what is under way with it; new ones are carried.
    pub(crate) fn cut(&self) {
        self.wire.send_modify(|wire| *wire = Wire { generation: wire.generation + 1, held: [false; 2] });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

/// One connection, to its end or its cut.
async fn carry(peer: TcpStream, socket: PathBuf, mut state: watch::Receiver<Wire>) {
    let generation = state.borrow().generation;
    let Ok(dispatcher) = UnixStream::connect(socket).await else { return };
    peer.set_nodelay(true).unwrap();
    let (peer_reads, peer_writes) = peer.into_split();
    let (dispatcher_reads, dispatcher_writes) = dispatcher.into_split();
    let (up, down) = (state.clone(), state.clone());
    tokio::select! {
        () = pump(peer_reads, dispatcher_writes, Way::Up, up) => {}
        () = pump(dispatcher_reads, peer_writes, Way::Down, down) => {}
        _ = state.wait_for(|wire| wire.generation != generation) => {}
    }
}

/// Until either side is gone.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mut state: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let open = state.wait_for(|wire| !wire.held[way as usize]).await.is_ok();
        if !open || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
