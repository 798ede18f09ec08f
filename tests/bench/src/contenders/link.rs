//! Byte streams over TCP or a Unix socket, cut in halves.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

/// What a Unix socket's address begins with.
pub(super) const UNIX: &str = "unix:";

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, String),
}

impl Listener {
    /// `unix:/path`, or a TCP address whose port may be 0.
    pub(super) async fn bind(address: &str) -> io::Result<Self> {
        match address.strip_prefix(UNIX) {
            Some(path) => Ok(Self::Unix(UnixListener::bind(path)?, address.to_owned())),
            None => Ok(Self::Tcp(TcpListener::bind(address).await?)),
        }
    }

    pub(super) fn address(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Self::Unix(_, address) => Ok(address.clone()),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match self {
            Self::Tcp(listener) => tcp(listener.accept().await?.0),
            Self::Unix(listener, _) => Ok(unix(listener.accept().await?.0)),
        }
    }
}

pub(super) async fn connect(address: &str) -> io::Result<(Reader, Writer)> {
    match address.strip_prefix(UNIX) {
        Some(path) => Ok(unix(UnixStream::connect(path).await?)),
        None => tcp(TcpStream::connect(address).await?),
    }
}

fn tcp(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((Box::new(reader), Box::new(writer)))
}

fn unix(stream: UnixStream) -> (Reader, Writer) {
    let (reader, writer) = stream.into_split();
    (Box::new(reader), Box::new(writer))
}
