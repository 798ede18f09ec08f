//! The processes on the stage, and everything they say, in one queue.

use std::{
    env, io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use super::plugin::PLUGINS;

/// How much may be said and not heard yet; who says more waits.
const QUEUE: usize = 1_024;

/// How long a process may take to be gone once its output has ended, and to read what it is fed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who a process is. The plugins are numbered as in [`PLUGINS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Dispatcher,
    Gateway,
    Plugin(usize),
}

impl Role {
    /// Its name for a person.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Gateway => "gateway",
            Self::Plugin(plugin) => PLUGINS[plugin].name,
        }
    }
}

/// What the queue holds.
#[derive(Debug)]
pub(super) enum Said {
    /// A line on stdout.
    Line { role: Role, at: Instant, text: String },
    /// A line on stderr.
    Complaint { role: Role, text: String },
    /// Both have ended.
    Gone(Role),
}

/// Where processes are started, and listened to.
#[derive(Debug)]
pub(super) struct Stage {
    program: PathBuf,
    sender: mpsc::Sender<Said>,
    queue: mpsc::Receiver<Said>,
}

impl Stage {
    /// Nobody is on it yet. All will be this very program.
    ///
    /// # Errors
    /// When the program is not known.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        Ok(Self { program: env::current_exe()?, sender, queue })
    }

    /// Starts a process, with settings of nobody else.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(&self, role: Role, args: &[&str]) -> io::Result<Process> {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWIRE_")) {
            command.env_remove(name);
        }
        let stdin = if role == Role::Gateway { Stdio::piped() } else { Stdio::null() };
        command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Whatever becomes of the demo: nobody stays behind.
        let mut child = command.kill_on_drop(true).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdin = child.stdin.take();
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let line = |text| Said::Line { role, at: Instant::now(), text };
            let complaint = |text| Said::Complaint { role, text };
            tokio::join!(listen(stdout, &sender, line), listen(stderr, &sender, complaint));
            // Nobody listens any more: then nobody waits for this either.
            let _ = sender.send(Said::Gone(role)).await;
        });
        Ok(Process { child, stdin })
    }

    /// What is said next.
    pub(super) async fn next(&mut self) -> Said {
        self.queue.recv().await.expect("the stage itself holds a sender")
    }
}

/// Passes a stream on, line by line, to its end.
async fn listen<R: AsyncRead + Unpin>(
    stream: Option<R>,
    sender: &mpsc::Sender<Said>,
    said: impl Fn(String) -> Said,
) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send(said(line)).await.is_err() {
            return;
        }
    }
}

/// A process that was started, and is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Feeds its stdin.
    ///
    /// # Errors
    /// When it does not read.
    pub(super) async fn feed(&mut self, text: &str) -> io::Result<()> {
        let Some(stdin) = &mut self.stdin else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let fed = async {
            stdin.write_all(text.as_bytes()).await?;
            stdin.flush().await
        };
        timeout(PATIENCE, fed).await?
    }

    /// Ends its stdin.
    pub(super) fn feed_no_more(&mut self) {
        self.stdin = None;
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn terminate(&self) -> io::Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        Ok(signal::kill(Pid::from_raw(id), Signal::SIGTERM)?)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.start_kill()
    }

    /// How it ended. Its output has ended already.
    ///
    /// # Errors
    /// When it goes on nevertheless.
    pub(super) async fn status(&mut self) -> io::Result<ExitStatus> {
        timeout(PATIENCE, self.child.wait()).await?
    }
}
