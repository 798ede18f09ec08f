//! Processes that a command starts, which are this very program in other roles, and everything they say, in one queue.

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    fmt::Display,
    future::Future,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    signal::unix::{self, SignalKind},
    sync::mpsc,
    time::timeout,
};

use super::{Exit, Failure};

/// How much may be said and not heard yet; who says more waits.
const QUEUE: usize = 1_024;

/// How long a process may take to be gone once its output has ended, and to read what it is fed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of what a process complained about is shown when it failed.
const COMPLAINTS: usize = 5;

/// What the queue holds; `R` says who a process is.
#[derive(Debug)]
pub(super) enum Said<R> {
    /// A line on stdout.
    Line { role: R, at: Instant, text: String },
    /// A line on stderr.
    Complaint { role: R, text: String },
    /// Both have ended.
    Gone(R),
}

/// Where processes are started, and listened to.
#[derive(Debug)]
pub(super) struct Stage<R> {
    program: PathBuf,
    sender: mpsc::Sender<Said<R>>,
    queue: mpsc::Receiver<Said<R>>,
}

impl<R: Copy + Send + 'static> Stage<R> {
    /// Nobody is on it yet. All will be this very program.
    ///
    /// # Errors
    /// When the program is not known.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        Ok(Self { program: env::current_exe()?, sender, queue })
    }

    /// Starts a process, with settings of nobody else. It can be fed where its stdin is piped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(&self, role: R, args: &[&str], stdin: Stdio) -> io::Result<Process> {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWIRE_")) {
            command.env_remove(name);
        }
        command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Whatever becomes of the command: nobody stays behind.
        let mut child = command.kill_on_drop(true).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdin = child.stdin.take();
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let line = move |text| Said::Line { role, at: Instant::now(), text };
            let complaint = move |text| Said::Complaint { role, text };
            tokio::join!(listen(stdout, &sender, line), listen(stderr, &sender, complaint));
            // Nobody listens any more: then nobody waits for this either.
            let _ = sender.send(Said::Gone(role)).await;
        });
        Ok(Process { child, stdin })
    }

    /// What is said next.
    pub(super) async fn next(&mut self) -> Said<R> {
        self.queue.recv().await.expect("the stage itself holds a sender")
    }
}

/// Passes a stream on, line by line, to its end.
async fn listen<R>(
    stream: Option<impl AsyncRead + Unpin>,
    sender: &mpsc::Sender<Said<R>>,
    said: impl Fn(String) -> Said<R>,
) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send(said(line)).await.is_err() {
            return;
        }
    }
}

/// What processes said on stderr: of each the newest lines.
#[derive(Debug)]
pub(super) struct Complaints<R>(BTreeMap<R, VecDeque<String>>);

impl<R: Ord> Complaints<R> {
    /// Nobody said anything yet.
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// A process has said something.
    pub(super) fn add(&mut self, role: R, text: String) {
        let complaints = self.0.entry(role).or_default();
        if complaints.len() == COMPLAINTS {
            complaints.pop_front();
        }
        complaints.push_back(text);
    }

    /// What is wrong with a process, with what it said of it beneath.
    pub(super) fn below(&self, role: R, what: impl Display) -> String {
        let mut text = what.to_string();
        for complaint in self.0.get(&role).into_iter().flatten() {
            text = format!("{text}\n  {complaint}");
        }
        text
    }
}

/// A dispatcher's first line: where it listens.
#[derive(Debug, Deserialize)]
pub(super) struct Listening {
    pub(super) listening: Vec<String>,
}

/// Returns a future that is ready at SIGINT or SIGTERM, which no longer end the process by themselves.
pub(super) fn stopped() -> Result<impl Future<Output = ()>, Failure> {
    let watch =
        |kind| unix::signal(kind).map_err(|error| Exit::Fault.because(format_args!("signals: {error}")));
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
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

    /// Its process id, until its end was awaited.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn id(&self) -> io::Result<Pid> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        id.map(Pid::from_raw).ok_or(io::ErrorKind::NotFound.into())
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn terminate(&self) -> io::Result<()> {
        Ok(signal::kill(self.id()?, Signal::SIGTERM)?)
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
