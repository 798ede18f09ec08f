//! How commands end: 64 bad command line or config, 65 bad input, 69 nobody there, 76 refused or displaced.

use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    process::{Ended, Process},
    tail::Tail,
};

async fn run(arguments: &[&str]) -> Ended {
    Process::run(arguments, &[]).await
}

#[tokio::test]
async fn what_is_asked_for_is_no_error() {
    for flag in ["--version", "--help"] {
        let ended = run(&[flag]).await;
        assert!(ended.code() == Some(0) && ended.stdout.join("\n").contains("hookwire"), "{ended:#?}");
    }
}

#[tokio::test]
async fn a_bad_command_line_is_64() {
    for (arguments, says) in [
        (&[][..], "Usage"),
        (&["dance"], "dance"),
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["serve", "--drain-budget", "soon"], "drain_budget (from --drain-budget)"),
        (&["serve", "--listen", "nowhere"], "listen (from --listen)"),
        (&["serve", "--config", "/nonexistent/hookwire.toml"], "/nonexistent/hookwire.toml"),
        (&["serve", "--report", "/nonexistent/report.json"], "there is no directory /nonexistent"),
        (&["publish"], "--gateway"),
        (&["tail", "--as", "x", "--ack", "perhaps"], "write ok, never"),
        (&["tail", "--as", ""], "--as"),
        (&["drain"], "--reason"),
        (&["status", "--to", "nowhere"], "is no address"),
    ] {
        let ended = run(arguments).await;
        ended.expect(64, says);
        assert!(ended.stdout.is_empty(), "{ended:#?}");
    }
}

#[tokio::test]
async fn a_bad_config_is_64() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hookwire.toml");
    for (text, says) in [
        ("drain_budget = \"soon\"", "hookwire.toml:1"),
        ("\nno_such_setting = 1", "hookwire.toml:2: there is no setting \"no_such_setting\""),
        ("drain_budget = ", "hookwire.toml:1"),
    ] {
        std::fs::write(&file, text).unwrap();
        run(&["serve", "--config", file.to_str().unwrap()]).await.expect(64, says);
    }
    let ended = Process::run(&["serve"], &[("HOOKWIRE_KEEPALIVE", "0s")]).await;
    ended.expect(64, "keepalive (from HOOKWIRE_KEEPALIVE)");
}

#[tokio::test]
async fn tcp_beyond_loopback_without_its_flag_is_64() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let unix = format!("unix:{}", socket.display());
    let ended = run(&["serve", "--in-memory", "--listen", &unix, "--listen", "0.0.0.0:0"]).await;
    ended.expect(64, "--insecure-listen allows it");
    assert!(ended.stdout.is_empty() && !socket.exists(), "something was bound: {ended:#?}");
    let daemon = Daemon::listen("0.0.0.0:0", &[], &["--insecure-listen"]).await;
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
}

#[tokio::test]
async fn nobody_there_is_69() {
    let nowhere = "unix:/nonexistent/hookwire.sock";
    for arguments in [
        &["tail", "--as", "x"][..],
        &["publish", "--gateway", "x"],
        &["drain", "--reason", "shutdown"],
        &["status"],
    ] {
        run(&[arguments, &["--to", nowhere]].concat()).await.expect(69, "nobody answers");
        Process::run(arguments, &[("HOOKWIRE_ADDR", nowhere)]).await.expect(69, "nobody answers");
    }
}

#[tokio::test]
async fn an_address_in_use_is_69() {
    let daemon = Daemon::start(&[]).await;
    let ended = run(&["serve", "--in-memory", "--listen", &daemon.address]).await;
    ended.expect(69, &format!("cannot listen on {}", daemon.address));
    assert!(ended.stdout.is_empty(), "{ended:#?}");
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
}

#[tokio::test]
async fn refused_is_76() {
    let daemon = Daemon::start(&[]).await;
    let to = ["--to", daemon.address.as_str()];
    let long = "x".repeat(200);
    run(&[&["tail", "--as", &long][..], &to].concat())
        .await
        .expect(76, "subscriber_id: it has 1 to 128 bytes");
    run(&[&["publish", "--gateway", &long][..], &to].concat())
        .await
        .expect(76, "gateway_id: it has 1 to 128 bytes");
    let drain = ["drain", "--gateway", "ghost", "--reason", "shutdown"];
    run(&[&drain[..], &to].concat()).await.expect(76, "gateway \"ghost\" has never attached");
    let mut boot = Gateway::start(&daemon, "gw", &["--boot", "b"]);
    boot.fire(&[gateway::gateway_stop("stopping")]).await;
    boot.finish().await;
    let again = ["publish", "--gateway", "gw", "--boot", "b"];
    run(&[&again[..], &to].concat()).await.expect(76, "boot \"b\" of gateway \"gw\" is over");
}

#[tokio::test]
async fn displaced_is_76() {
    let daemon = Daemon::start(&[]).await;
    let first = Tail::start(&daemon, "x", &["--follow"]).await;
    let second = Tail::start(&daemon, "x", &[]).await;
    first.end().await.expect(76, "displaced by a newer stream");
    assert_eq!(daemon.stop(Signal::SIGTERM).await.ended.code(), Some(0));
    assert_eq!(second.end().await.code(), Some(0));
}

#[tokio::test]
async fn unusable_input_is_65() {
    let daemon = Daemon::start(&[]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let mut strict = Gateway::start(&daemon, "gw", &["--strict"]);
    strict.fire(&[gateway::mark("before")]).await;
    strict.write("no JSON\n").await;
    let ended = strict.end().await;
    ended.expect(65, "line 2 cannot be used");
    assert_eq!(ended.stdout, ["{\"published\":1,\"rejected\":1}"]);
    tail.until_named("before").await;
    let publish = ["publish", "--to", &daemon.address, "--gateway", "gw", "/nonexistent/hooks.jsonl"];
    run(&publish).await.expect(65, "/nonexistent/hooks.jsonl");
}
