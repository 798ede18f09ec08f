//! `hookwire record`: a run becomes a file, and the file is the run again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cast::{
    daemon::Daemon,
    gateway::{self, Gateway},
    line,
    process::{Process, eventually},
    tail::Tail,
};

/// Real runs: what a gateway fired, as it fired it.
const RUNS: [&str; 2] = ["killed", "restart-then-stop"];

/// A recorder, and where it records to.
struct Recorder {
    process: Process,
    file: PathBuf,
}

impl Recorder {
    /// Starts one, and waits until it records.
    async fn start(address: &str, file: &Path, flags: &[&str]) -> Self {
        Self::start_as("recorder", address, file, flags).await
    }

    async fn start_as(name: &str, address: &str, file: &Path, flags: &[&str]) -> Self {
        let record = ["record", file.to_str().unwrap(), "--to", address, "--as", name];
        let process = Process::start(&[&record, flags].concat(), &[]);
        process.until_stderr("recording", |lines| lines.iter().any(|it| it.contains("recording to"))).await;
        Self { process, file: file.to_owned() }
    }

    /// Waits until it has written so many events of that hook: all lines.
    async fn until(&self, hook: &str, count: usize) -> Vec<Value> {
        let of_hook = |lines: &[Value]| lines.iter().filter(|line| line["hook"] == hook).count();
        eventually(&format!("{count} {hook}"), async || {
            let lines = lines(&self.file);
            if of_hook(&lines) >= count { Ok(lines) } else { Err(format!("{lines:#?}")) }
        })
        .await
    }

    /// Stops it: its result line, and all lines.
    async fn stop(self) -> (Value, Vec<Value>) {
        self.process.signal(Signal::SIGTERM);
        let ended = self.process.end().await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        (line::parse(&ended.stdout[0]), lines(&self.file))
    }

    async fn kill(self) {
        self.process.signal(Signal::SIGKILL);
        self.process.end().await;
    }
}

/// The whole lines of a file.
fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(line::parse).collect()
}

/// What has to be the same in every run: what happened in each session, in its order, and what happened outside of any. All of
/// it but the event's id, the boot's, and when a dispatcher made what it made; which boot it was is the same.
fn same_in_every_run(lines: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let (mut sessions, mut boots) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for mut line in lines {
        let fields = line.as_object_mut().unwrap();
        fields.remove("id").unwrap();
        let boot = fields.remove("boot").unwrap();
        if !boots.contains(&boot) {
            boots.push(boot.clone());
        }
        fields.insert("boot".to_owned(), boots.iter().position(|it| *it == boot).into());
        if fields.contains_key("synthetic") {
            fields.remove("time");
        }
        sessions.entry(line["session"]["id"].to_string()).or_default().push(line);
    }
    sessions
}

/// What was made by the dispatcher: the hook, and why.
fn made(lines: &[Value]) -> Vec<(&str, &str)> {
    let made = lines.iter().filter(|line| line["synthetic"] == true);
    made.map(|it| (it["hook"].as_str().unwrap(), it["event"]["reason"].as_str().unwrap_or_default()))
        .collect()
}

/// Publishes a file to a dispatcher of its own, to the end of its last boot: what is recorded there, and what was published.
async fn replay(from: &Path, to: &Path) -> (Vec<Value>, Value) {
    let daemon = Daemon::start(&["--gateway-grace", "100ms"]).await;
    let recorder = Recorder::start(&daemon.address, to, &[]).await;
    let publish = ["publish", "--to", &daemon.address, "--gateway", "gw", "--strict", from.to_str().unwrap()];
    let published = Process::run(&publish, &[]).await;
    assert_eq!(published.code(), Some(0), "{published:#?}");
    let boots = lines(from).iter().filter(|line| line["hook"] == "gateway_start").count();
    recorder.until("gateway_stop", boots).await;
    let (tally, lines) = recorder.stop().await;
    let expected = [json!(lines.len()), json!(made(&lines).len()), json!(0), json!(0), json!(0)];
    let fields = ["recorded", "synthetic", "redelivered", "lost", "unwritable"];
    assert_eq!(fields.map(|field| tally[field].clone()), expected);
    (lines, line::parse(&published.stdout[0]))
}

#[tokio::test]
async fn a_recorded_run_is_the_run_again() {
    let place = tempfile::tempdir().unwrap();
    for run in RUNS {
        let [first, second] =
            ["first", "second"].map(|name| place.path().join(format!("{run}-{name}.jsonl")));
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/data/openclaw/{run}.jsonl"));
        let (recorded, _) = replay(&real, &first).await;
        let (again, published) = replay(&first, &second).await;
        let made = made(&recorded).len();
        assert!(made > 0, "the dispatcher had something to add to {run}");
        // Nothing that this gateway said reached no plugin.
        let said = lines(&real).len();
        assert_eq!(recorded.len(), said + made, "{run}");
        assert_eq!(published, json!({"published": said, "rejected": 0, "synthetic": made}));
        assert_eq!(same_in_every_run(again), same_in_every_run(recorded), "{run}");
    }
}

/// What plugins received of a real gateway through its bridge, which says less than the gateway did, comes again as it was.
#[tokio::test]
async fn a_real_run_through_the_bridge_is_the_run_again() {
    let place = tempfile::tempdir().unwrap();
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/openclaw/through-the-bridge.jsonl");
    let recorded = lines(&real);
    let count = |hook| recorded.iter().filter(|line| line["hook"] == hook).count();
    assert_eq!(count("session_start"), count("session_end"), "every life has ended");
    let (again, _) = replay(&real, &place.path().join("again.jsonl")).await;
    assert_eq!(same_in_every_run(again), same_in_every_run(recorded));
}

#[tokio::test]
async fn a_drain_without_a_gateway_stop_comes_again_as_one() {
    let place = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| place.path().join(name));
    let daemon = Daemon::start(&[]).await;
    let recorder = Recorder::start(&daemon.address, &first, &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::gateway_start(), gateway::start("a"), gateway::message("b", "begins it")]).await;
    recorder.until("message_received", 1).await;
    let drain = ["drain", "--to", &daemon.address, "--gateway", "gw", "--reason", "restart"];
    assert_eq!(Process::run(&drain, &[]).await.code(), Some(0));
    recorder.until("gateway_stop", 1).await;
    let (_, recorded) = recorder.stop().await;
    let ends = [("session_end", "restart"), ("session_end", "restart"), ("gateway_stop", "restart")];
    assert_eq!(made(&recorded), [&[("session_start", "")], &ends[..]].concat());
    let (again, _) = replay(&first, &second).await;
    assert_eq!(same_in_every_run(again), same_in_every_run(recorded));
}

/// A file to record to, which goes with its place.
fn file() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("run.jsonl");
    (place, file)
}

/// The names of the messages, in order.
fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["event"]["name"].as_str()).collect()
}

#[tokio::test]
async fn one_that_was_killed_goes_on_and_writes_nothing_twice() {
    let (daemon, (_place, file)) = (Daemon::start(&[]).await, file());
    // What it has written and not acknowledged: written by another, and acknowledged by nobody under its own name.
    let writes = Recorder::start_as("another", &daemon.address, &file, &[]).await;
    let mute = Tail::start(&daemon, "recorder", &["--keep-all", "--ack", "never"]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::start("s"), gateway::message("s", "unacknowledged")]).await;
    writes.until("message_received", 1).await;
    mute.until_hook("message_received", 1).await;
    writes.kill().await;
    mute.leave().await;
    gateway.fire(&[gateway::message("s", "while it is away"), gateway::end("s", "idle")]).await;
    let half = format!("{}{{\"hook\":\"ses", fs::read_to_string(&file).unwrap());
    fs::write(&file, half).unwrap();

    let record = ["record", file.to_str().unwrap(), "--to", &daemon.address, "--as", "recorder"];
    Process::run(&record, &[]).await.expect(64, "go on in it with --append");
    let nobody = ["record", file.to_str().unwrap(), "--to", "unix:/nobody", "--as", "recorder"];
    let before = fs::read_to_string(&file).unwrap();
    Process::run(&[&nobody[..], &["--append"]].concat(), &[]).await.expect(69, "nobody answers");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let recorder = Recorder::start(&daemon.address, &file, &["--append"]).await;
    recorder.until("session_end", 1).await;
    let (tally, lines) = recorder.stop().await;
    assert_eq!(names(&lines), ["unacknowledged", "while it is away"]);
    let hooks: Vec<_> = lines.iter().map(|line| line["hook"].as_str().unwrap()).collect();
    assert_eq!(hooks, ["session_start", "message_received", "message_received", "session_end"]);
    assert_eq!((&tally["recorded"], &tally["redelivered"]), (&json!(2), &json!(2)));
    daemon.until("release", |status| status.subscribers.iter().all(|it| it.id != "recorder")).await;
}

#[tokio::test]
async fn who_is_stopped_takes_what_is_on_its_way() {
    const MARKS: usize = 50;
    let (daemon, (_place, file)) = (Daemon::start(&[]).await, file());
    let recorder = Recorder::start(&daemon.address, &file, &[]).await;
    recorder.process.signal(Signal::SIGSTOP);
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&vec![gateway::mark("on its way"); MARKS]).await;
    daemon.until_subscriber("recorder", "what comes", |it| it.in_flight == MARKS as u64).await;
    recorder.process.signal(Signal::SIGTERM);
    recorder.process.signal(Signal::SIGCONT);
    let ended = recorder.process.end().await;
    assert_eq!((ended.code(), lines(&file).len()), (Some(0), MARKS), "{ended:#?}");
    daemon.until("release", |status| status.subscribers.is_empty()).await;
}

#[tokio::test]
async fn a_name_that_is_not_let_go_of_is_said() {
    let (daemon, (_place, file)) = (Daemon::start(&[]).await, file());
    let recorder = Recorder::start(&daemon.address, &file, &[]).await;
    daemon.kill().await;
    recorder.process.signal(Signal::SIGTERM);
    recorder.process.end().await.expect(0, "hookwire subscribers forget recorder");
}

#[tokio::test]
async fn where_nobody_answers_no_file_stays() {
    let (_place, file) = file();
    let nobody = ["record", file.to_str().unwrap(), "--to", "unix:/nobody", "--as", "recorder"];
    for _try in 0..2 {
        Process::run(&nobody, &[]).await.expect(69, "nobody answers");
        assert!(!file.exists());
    }
}

#[tokio::test]
async fn what_is_missing_is_said_and_so_is_a_second_gateway() {
    let (_place, file) = file();
    let daemon = Daemon::start_with(&[("HOOKWIRE_RETENTION_ALL_BYTES", "4KiB")], &[]).await;
    let recorder = Recorder::start(&daemon.address, &file, &[]).await;
    let mut gateway = Gateway::start(&daemon, "gw", &["--hold"]);
    gateway.fire(&[gateway::mark("first")]).await;
    recorder.until("mark", 1).await;
    recorder.kill().await;
    daemon.until_subscriber("recorder", "leave", |it| !it.connected).await;
    gateway.fire(&[gateway::mark("large"), gateway::mark(&"x".repeat(8 << 10))]).await;
    daemon.until("what goes", |status| status.counters["events_expired"] >= 1).await;
    let recorder = Recorder::start(&daemon.address, &file, &["--append"]).await;
    let mut second = Gateway::start(&daemon, "second", &["--hold"]);
    second.fire(&[gateway::mark("of another")]).await;
    let said = |text: &'static str| move |lines: &[String]| lines.iter().any(|line| line.contains(text));
    recorder.process.until_stderr("the gap", said("a gap: ")).await;
    gateway.fire(&[gateway::mark("last")]).await;
    recorder.process.until_stderr("both gateways", said("they are one gateway")).await;
    let (tally, _) = recorder.stop().await;
    assert!(tally["lost"].as_u64() >= Some(1), "{tally}");
}
