//! A socket under hyper: what was read too early is given back, and a peer that does not read is given up.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A socket whose first bytes were already read.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    /// Read from it, and to be read again.
    replay: &'static [u8],
    /// How long a write may make no progress. HTTP/2 keepalive does not cover this: after its ping went
    /// unanswered, hyper waits until its GOAWAY is written.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, replay: &'static [u8], patience: Duration) -> Self {
        Self { stream, replay, patience, stalled: None }
    }

    /// Passes a write's outcome on, or ends one that has waited for too long.
    fn time_out<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.replay.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let (now, later) = self.replay.split_at(self.replay.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.replay = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.time_out(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.time_out(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Sets the options of a TCP socket that was just accepted.
///
/// # Errors
/// When the peer has already gone.
pub(super) fn tune(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    // A batch is written when it is ready: the kernel must not wait for more.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // For what HTTP/2 pings do not see: a host that is gone before the handshake. The kernel counts in seconds.
    let seconds = keepalive.max(Duration::from_secs(1));
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(seconds).with_interval(seconds))?;
    // A host that does not acknowledge is given up as soon as a peer that does not answer pings.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(keepalive * 2))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn gives_back_what_was_read_too_early() {
        let (near, mut far) = duplex(64);
        far.write_all(b" and the rest").await.unwrap();
        drop(far);
        let mut read = String::new();
        Socket::new(near, b"the start", PATIENCE).read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "the start and the rest");
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_a_peer_that_does_not_read() {
        let (near, far) = duplex(4);
        let started = tokio::time::Instant::now();
        let error = Socket::new(near, b"", PATIENCE).write_all(b"too long").await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
        drop(far);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_no_dead_one() {
        let (near, mut far) = duplex(1);
        let write = async { Socket::new(near, b"", PATIENCE).write_all(b"slow").await };
        let read = async {
            let mut read = Vec::new();
            for _ in 0..4 {
                sleep(PATIENCE / 2).await;
                read.push(far.read_u8().await.unwrap());
            }
            read
        };
        let (written, read) = tokio::join!(write, read);
        assert_eq!((written.is_ok(), read.as_slice()), (true, b"slow".as_slice()));
    }
}
