//! The journal's directory: one writer, the user's own place for state, and clear words where it cannot be used.

use std::fs;

use nix::sys::signal::Signal;

use crate::cast::{daemon::Daemon, home::Home, process::Process};

#[tokio::test]
async fn a_second_dispatcher_is_69() {
    let home = Home::new();
    let daemon = home.serve(&[]).await;
    let second = home.refuse(&[]).await;
    second.expect(69, "another process has the journal in");
    assert!(second.stdout.is_empty(), "{second:#?}");
    daemon.status().await;
    daemon.kill().await;
    Home::close(home.serve(&[]).await).await;
}

#[tokio::test]
async fn one_that_cannot_be_written_is_74() {
    let home = Home::new();
    fs::write(home.data(), "no directory").unwrap();
    let refused = home.refuse(&[]).await;
    refused.expect(74, home.data().to_str().unwrap());
    assert!(refused.stdout.is_empty(), "{refused:#?}");
    // Not even root may make anything there.
    let refused =
        Process::run(&["serve", "--data-dir", "/proc/hookwire", "--listen", "127.0.0.1:0"], &[]).await;
    refused.expect(74, "/proc/hookwire: ");
}

#[tokio::test]
async fn a_journal_that_is_none_is_74_and_stays_as_it_is() {
    let home = Home::new();
    Home::close(home.serve(&[]).await).await;
    let file = home.data().join("ledger.redb");
    fs::write(&file, "precious").unwrap();
    home.refuse(&[]).await.expect(74, "ledger.redb: ");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn the_default_is_the_users_own() {
    let directory = tempfile::tempdir().unwrap();
    let (state, home) = (directory.path().join("state"), directory.path().join("home"));
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let [state, home] = [&state, &home].map(|path| path.to_str().unwrap());
    for (variables, expected) in [
        ([("XDG_STATE_HOME", state), ("HOME", home)], format!("{state}/hookwire")),
        ([("XDG_STATE_HOME", "relative"), ("HOME", home)], format!("{home}/.local/state/hookwire")),
    ] {
        let daemon = Daemon::of(Process::start(&serve, &variables)).await;
        assert!(fs::exists(format!("{expected}/ledger.redb")).unwrap(), "{expected}");
        assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
    }
    let nowhere = Process::run(&serve, &[("XDG_STATE_HOME", ""), ("HOME", "")]).await;
    nowhere.expect(64, "data_dir: neither XDG_STATE_HOME nor HOME is set");
}
