//! The plugin's process: started with what it needs to know, and killed with all that it started.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::cli::process::Complaints;

/// The name under which it subscribes.
pub(super) const NAME: &str = "verify";

/// What stands for the scenario's own directory in the command.
const DIRECTORY: &str = "{dir}";

/// A process, or a group of them.
#[derive(Debug)]
pub(super) struct Plugin {
    group: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    said: watch::Receiver<String>,
}

/// Where it runs.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) address: &'a str,
    pub(super) directory: &'a Path,
    pub(super) log: &'a Path,
}

impl Plugin {
    /// Starts it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(command: &[String], around: &Surroundings<'_>) -> io::Result<Self> {
        let directory = around.directory.to_string_lossy();
        let words: Vec<_> = command.iter().map(|word| word.replace(DIRECTORY, &directory)).collect();
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("HOOKWIRE_ADDR", around.address)
            .env("HOOKWIRE_SUBSCRIBER", NAME)
            .env("HOOKWIRE_VERIFY_LOG", around.log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // What wraps a plugin is signalled and killed with it.
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        let (says, said) = watch::channel(String::new());
        let stderr = child.stderr.take();
        tokio::spawn(async move { listen(stderr, &says).await });
        let (ends, ended) = watch::channel(None);
        tokio::spawn(wait(child, ends));
        Ok(Self { group: Pid::from_raw(id), ended, said })
    }

    /// Sends it a signal; one that is gone already hears nothing.
    pub(super) fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none() {
            let _ = killpg(self.group, signal);
        }
    }

    /// How it ended, where it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub(super) async fn end(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// The last of what it wrote to stderr, and how it stands.
    pub(super) fn standing(&self) -> String {
        let said = self.said.borrow();
        let said = if said.is_empty() { String::new() } else { format!("; it said: {}", said.trim()) };
        match self.ended() {
            None => format!("it runs{said}"),
            Some(status) => format!("{}{said}", in_words(status)),
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // Also where it has ended: what it started may go on.
        let _ = killpg(self.group, Signal::SIGKILL);
    }
}

/// How a process ended.
pub(super) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, signal) => format!("it was killed by signal {}", signal.unwrap_or_default()),
    }
}

async fn wait(mut child: Child, ends: watch::Sender<Option<ExitStatus>>) {
    // It cannot be waited for: then it is as good as gone.
    let status = child.wait().await.unwrap_or_default();
    ends.send_replace(Some(status));
}

async fn listen(stderr: Option<impl AsyncRead + Unpin>, says: &watch::Sender<String>) {
    let Some(stderr) = stderr else { return };
    let mut complaints = Complaints::new();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        complaints.add((), line);
        says.send_replace(complaints.below((), ""));
    }
}
