//! `hookwire trigger`: one event, by hand; `hookwire explain`: which there are.

use nix::sys::signal::Signal;

use crate::cast::{
    daemon::Daemon,
    line,
    process::{Ended, Process},
    tail::Tail,
};

async fn trigger(daemon: &Daemon, arguments: &[&str]) -> Ended {
    Process::run(&[&["trigger", "--to", &daemon.address], arguments].concat(), &[]).await
}

#[tokio::test]
async fn a_life_is_three_commands() {
    let daemon = Daemon::start(&["--gateway-grace", "10m"]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let session = ["--session", "s1", "--key", "k", "--agent", "main"];
    for (hook, more) in [
        ("session_start", &[][..]),
        ("message_received", &["--json", r#"{"name":"hello"}"#]),
        ("session_end", &["--reason", "reset"]),
    ] {
        let ended = trigger(&daemon, &[&[hook][..], &session, more].concat()).await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        assert!(ended.stdout[0].contains("is taken in"), "{ended:#?}");
    }
    tail.until_hook("session_end", 1).await;
    let seen = tail.deliveries();
    assert_eq!(seen.iter().map(|it| it.session.incarnation).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!((seen[1].payload["name"].as_str(), seen[2].reason.as_str()), (Some("hello"), "reset"));
}

#[tokio::test]
async fn after_a_drain_it_goes_on_in_another_boot() {
    let daemon = Daemon::start(&["--gateway-grace", "10m"]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    trigger(&daemon, &["session_start", "--session", "s"]).await;
    let drain = ["drain", "--to", &daemon.address, "--gateway", "trigger", "--reason", "restart"];
    assert_eq!(Process::run(&drain, &[]).await.code(), Some(0));
    let again = trigger(&daemon, &["session_start", "--session", "s"]).await;
    assert!(again.stdout[0].contains("boot trigger-2"), "{again:#?}");
    daemon.stop(Signal::SIGTERM).await;
    let ends = line::deliveries(&tail.end().await.stdout);
    let reasons: Vec<_> = ends.iter().filter(|it| it.hook == "session_end").map(|it| &it.reason).collect();
    assert_eq!(reasons, ["restart", "shutdown"]);
}

#[tokio::test]
async fn what_is_not_taken_in_is_told() {
    let daemon = Daemon::start_with(&[("HOOKWIRE_MAX_EVENT_BYTES", "1KiB")], &[]).await;
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(2_000));
    trigger(&daemon, &["message_sent", "--json", &large]).await.expect(76, "1024 are the most");
    trigger(&daemon, &["session_end", "--session", "s", "--reason", "bored"]).await.expect(64, "bored");
    trigger(&daemon, &["gateway_stop", "--reason", "foo"]).await.expect(64, "shutdown, restart");
    let unknown = ["session_start", "--session", "s", "--json", r#"{"resumed":"r"}"#];
    trigger(&daemon, &unknown).await.expect(64, "resumed_from, session_file");
    trigger(&daemon, &["no_such_hook"]).await.expect(0, "hookwire explain");
    let nobody = ["trigger", "session_start", "--session", "s", "--to", "127.0.0.1:1"];
    Process::run(&nobody, &[]).await.expect(69, "nobody answers");
}

#[tokio::test]
async fn an_end_of_what_is_not_alive_is_told() {
    let daemon = Daemon::start(&["--gateway-grace", "10m"]).await;
    trigger(&daemon, &["session_start", "--session", "s"]).await;
    let end = ["session_end", "--json", r#"{"session_id":"s","reason":"compaction","next_session_id":"t"}"#];
    let in_vain = |ended: &Ended| ended.stdout.iter().any(|line| line.contains("No session ended"));
    let [first, second] = [trigger(&daemon, &end).await, trigger(&daemon, &end).await];
    assert!(!in_vain(&first) && in_vain(&second), "{first:#?} {second:#?}");
}

#[tokio::test]
async fn explain_says_what_can_be_sent() {
    let all = Process::run(&["explain"], &[]).await;
    assert!(all.stdout[0].starts_with("hook ") && all.stdout.len() > 20, "{all:#?}");
    let one = Process::run(&["explain", "message_received"], &[]).await;
    assert!(one.stdout.iter().any(|line| line.trim_start().starts_with("content")), "{one:#?}");
    let json = Process::run(&["explain", "--json", "session_*"], &[]).await;
    let hooks: Vec<_> = json.stdout.iter().map(|line| line::parse(line)).collect();
    assert!(hooks.len() == 2 && hooks.iter().all(|hook| hook["typed"] == true), "{json:#?}");
    Process::run(&["explain", "no_such_hook"], &[]).await.expect(65, "no_such_hook");
}
