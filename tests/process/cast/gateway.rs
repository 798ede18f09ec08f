//! `hookwire publish`, line by line.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{
    daemon::Daemon,
    line,
    process::{Ended, Process},
};

/// A gateway process that reads its hooks from us.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Process,
}

impl Gateway {
    /// Starts one.
    pub(crate) fn start(daemon: &Daemon, name: &str, flags: &[&str]) -> Self {
        Self::launch(&daemon.address, name, flags)
    }

    /// Starts one that attaches there.
    pub(crate) fn launch(address: &str, name: &str, flags: &[&str]) -> Self {
        let publish = ["publish", "--to", address, "--gateway", name];
        Self { process: Process::start(&[&publish, flags].concat(), &[]) }
    }

    /// Hands it these hook firings.
    pub(crate) async fn fire(&mut self, events: &[Value]) {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        self.write(&lines).await;
    }

    /// Hands it these hook firings, unless it has ended.
    pub(crate) async fn try_fire(&mut self, events: &[Value]) -> bool {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        self.process.try_write(&lines).await
    }

    /// Hands it any text.
    pub(crate) async fn write(&mut self, text: &str) {
        self.process.write(text).await;
    }

    /// Its input ends here; what it took in and refused is what it says.
    pub(crate) async fn receipts(&mut self) -> (u64, u64) {
        self.process.close_stdin();
        self.process.until("receipts", |lines| !lines.is_empty()).await;
        tally(&self.process.stdout())
    }

    /// Its input ends here, and so does it; what it took in and refused is what it says.
    pub(crate) async fn finish(mut self) -> (u64, u64) {
        self.process.close_stdin();
        let ended = self.process.end().await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        tally(&ended.stdout)
    }

    /// Waits for a line on its standard error.
    pub(crate) async fn until_stderr(&self, text: &str) {
        self.process.until_stderr(text, |lines| lines.iter().any(|line| line.contains(text))).await;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// kill -9, where it has not ended by itself.
    pub(crate) async fn kill(mut self) {
        if !self.process.is_over() {
            self.process.signal(Signal::SIGKILL);
        }
        self.process.end().await;
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        self.process.close_stdin();
        self.process.end().await
    }
}

fn tally(lines: &[String]) -> (u64, u64) {
    let tally = line::parse(&lines[0]);
    (tally["published"].as_u64().unwrap(), tally["rejected"].as_u64().unwrap())
}

/// A session begins.
pub(crate) fn start(id: &str) -> Value {
    json!({"hook": "session_start", "event": {"sessionId": id, "sessionKey": key(id)}})
}

/// A session ends.
pub(crate) fn end(id: &str, reason: &str) -> Value {
    json!({"hook": "session_end", "event": {"sessionId": id, "sessionKey": key(id), "reason": reason}})
}

/// Something happens in a session; `name` is for whoever waits for it.
pub(crate) fn message(id: &str, name: &str) -> Value {
    json!({"hook": "message_received", "event": {"sessionId": id, "name": name}})
}

/// Something happens in the session that has this key.
pub(crate) fn keyed_message(key: &str, name: &str) -> Value {
    json!({"hook": "message_received", "event": {"sessionKey": key, "name": name}})
}

/// Something happens outside of any session; `name` is for whoever waits for it.
pub(crate) fn mark(name: &str) -> Value {
    json!({"hook": "mark", "event": {"name": name}})
}

/// The gateway boots.
pub(crate) fn gateway_start() -> Value {
    json!({"hook": "gateway_start", "event": {"port": 1}})
}

/// The gateway stops, and says so in these words.
pub(crate) fn gateway_stop(text: &str) -> Value {
    json!({"hook": "gateway_stop", "event": {"reason": text}})
}

/// The key of a session.
pub(crate) fn key(id: &str) -> String {
    format!("agent:main:{id}")
}
