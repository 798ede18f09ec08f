use std::{
    fs,
    net::TcpListener as StdTcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
    },
    path::PathBuf,
};

use super::*;

fn tcp(text: &str) -> Address {
    Address::Tcp(text.to_owned())
}

/// A directory, and the path of a socket in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hookwire.sock");
    (directory, path)
}

fn bind_unix(path: &std::path::Path) -> Result<Listener, BindError> {
    Listener::bind(&[Address::Unix(path.to_owned())], false)
}

#[tokio::test]
async fn says_what_is_really_bound() {
    let (_directory, path) = place();
    let addresses = [tcp("127.0.0.1:0"), Address::Unix(path.clone())];
    let bound = Listener::bind(&addresses, false).unwrap().addresses();
    let port: u16 = bound[0].strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
    assert_ne!(port, 0);
    assert_eq!(bound[1], format!("unix:{}", path.display()));
}

#[tokio::test]
async fn refuses_other_machines_before_anything_is_bound() {
    let (_directory, path) = place();
    let addresses = [Address::Unix(path.clone()), tcp("0.0.0.0:0")];
    let error = Listener::bind(&addresses, false).unwrap_err();
    assert!(matches!(&error, BindError::Insecure { address } if *address == addresses[1]));
    assert!(error.to_string().contains("--insecure-listen"), "{error}");
    assert!(!path.exists());
    assert!(Listener::bind(&addresses, true).is_ok());
}

#[tokio::test]
async fn a_name_of_loopback_is_loopback() {
    assert!(Listener::bind(&[tcp("localhost:0")], false).is_ok());
}

#[tokio::test]
async fn all_or_nothing() {
    let (_directory, path) = place();
    let other = StdTcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp(&other.local_addr().unwrap().to_string());
    let error = Listener::bind(&[Address::Unix(path.clone()), taken.clone()], false).unwrap_err();
    assert!(matches!(&error, BindError::Unavailable { address, .. } if *address == taken));
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn an_unknown_name_is_unavailable() {
    let error = Listener::bind(&[tcp("no-such-host.invalid:0")], false).unwrap_err();
    assert!(matches!(error, BindError::Unavailable { .. }));
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner_only_and_leaves_nothing_behind() {
    let (directory, path) = place();
    let mut listener = bind_unix(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let _client = StdUnixStream::connect(&path).unwrap();
    assert!(matches!(listener.accept().await.unwrap(), Accepted::Unix(_)));
    drop(listener);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced() {
    let (_directory, path) = place();
    drop(StdUnixListener::bind(&path).unwrap());
    let stale = fs::metadata(&path).unwrap().ino();
    let _listener = bind_unix(&path).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), stale);
    assert!(StdUnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_live_socket_is_left_alone() {
    let (_directory, path) = place();
    let _first = bind_unix(&path).unwrap();
    let error = bind_unix(&path).unwrap_err();
    assert!(error.to_string().contains("another process accepts"), "{error}");
    assert!(StdUnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let (_directory, path) = place();
    fs::write(&path, "precious").unwrap();
    let error = bind_unix(&path).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn the_file_of_a_successor_is_left_alone() {
    let (_directory, path) = place();
    let first = bind_unix(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = bind_unix(&path).unwrap();
    drop(first);
    assert!(StdUnixStream::connect(&path).is_ok());
}
