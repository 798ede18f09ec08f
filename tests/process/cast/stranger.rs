//! Sockets that speak something else than gRPC, or nothing.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{daemon::Daemon, process::DEADLINE};

/// What an HTTP/2 client says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A SETTINGS frame that changes nothing.
pub(crate) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Connects, and says this.
pub(crate) async fn say(daemon: &Daemon, words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&daemon.address).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

/// So many connections that say this. They are accepted, not only in the kernel's hands, when this returns.
pub(crate) async fn crowd(daemon: &Daemon, count: usize, words: &[u8]) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(say(daemon, words).await);
    }
    daemon.status().await; // accepted behind them
    crowd
}

/// Everything that is said until the other side closes.
pub(crate) async fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let ended = timeout(DEADLINE, stream.read_to_end(&mut heard)).await;
    let ended = ended.unwrap_or_else(|_| panic!("not closed; heard {:?}", heard.escape_ascii().to_string()));
    // Cut in the middle of what we said is closed, too.
    let _ = ended;
    heard
}
