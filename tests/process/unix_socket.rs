//! A Unix socket is its owner's alone; a stale file is replaced, a live one is an error.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::PathBuf,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::cast::{daemon::Daemon, process::Process, tail::Tail};

/// A directory of our own, the path of a socket in it, and its address.
fn place() -> (TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hookwire.sock");
    let address = format!("unix:{}", path.display());
    (directory, path, address)
}

#[tokio::test]
async fn it_is_its_owners_alone_and_gone_at_the_end() {
    let (directory, path, address) = place();
    let daemon = Daemon::listen(&address, &[], &["--listen", "127.0.0.1:0"]).await;
    assert_eq!(daemon.address, address);
    let found = fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let tail = Tail::start(&daemon, "tail", &[]).await;
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
    assert_eq!(tail.end().await.code(), Some(0));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_stale_one_is_replaced() {
    let (_directory, path, address) = place();
    let killed = Daemon::listen(&address, &[], &[]).await;
    killed.signal(Signal::SIGKILL);
    killed.end().await;
    assert!(path.exists(), "kill -9 leaves it");
    let daemon = Daemon::listen(&address, &[], &[]).await;
    daemon.status().await;
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
}

#[tokio::test]
async fn a_live_one_is_left_alone() {
    let (_directory, path, address) = place();
    let daemon = Daemon::listen(&address, &[], &[]).await;
    let second = Process::run(&["serve", "--in-memory", "--listen", &address], &[]).await;
    second.expect(69, "another process accepts connections there");
    daemon.status().await;
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
    fs::write(&path, "precious").unwrap();
    let third = Process::run(&["serve", "--in-memory", "--listen", &address], &[]).await;
    third.expect(69, "there is a file that is no socket");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}
