//! A Unix socket and its file: 0600 from its first moment, removed at the end.

use std::{
    fs,
    fs::Permissions,
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    task::{Context, Poll},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// A Unix socket that listens.
#[derive(Debug)]
pub(super) struct UnixSocket {
    // Dropped first: while the socket is open, its inode's number cannot come to mean another file.
    file: SocketFile,
    listener: UnixListener,
}

/// The file of a socket of ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

impl UnixSocket {
    /// Binds `path`. A stale socket file there is replaced.
    ///
    /// # Errors
    /// When somebody accepts there, when something there is no socket, or what the system says.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        ensure_free(path)?;
        // Born in a directory that nobody else can enter, and moved once its mode is right: nobody can connect
        // in between, and a stale file is replaced in one step.
        let nursery = tempfile::Builder::new()
            .prefix(".hw")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(directory_of(path))?;
        let newborn = nursery.path().join("s");
        let listener = UnixListener::bind(&newborn)?;
        fs::set_permissions(&newborn, Permissions::from_mode(0o600))?;
        let identity = identity(&newborn)?;
        fs::rename(&newborn, path)?;
        Ok(Self { file: SocketFile { path: path.to_owned(), identity }, listener })
    }

    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| stream)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // By now it may be somebody else's.
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // Nobody is left to tell; the next start finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn ensure_free(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match knock(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()), // stale
        // A full backlog is somebody, too.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process accepts connections there")),
    }
}

/// Connects, without waiting.
fn knock(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
