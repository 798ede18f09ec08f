//! A process of ours: its lines are collected as they come, and it is killed when dropped.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// Nothing that is waited for takes this long on any machine that works.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How many of its last lines a process is quoted with.
const QUOTED: usize = 12;

/// A running `hookwire` command.
#[derive(Debug)]
pub(crate) struct Process {
    title: String,
    child: Child,
    stdin: Option<ChildStdin>,
    out: Lines,
    err: Lines,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

/// The complete lines of one output, so far.
#[derive(Debug)]
struct Lines {
    seen: watch::Receiver<Vec<String>>,
    reader: JoinHandle<()>,
}

impl Process {
    /// Starts `hookwire` with these arguments and variables; the variables of whoever runs the tests do not reach it.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_hookwire")), arguments, variables)
    }

    /// Starts any program, in the same way.
    pub(crate) fn of(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOOKWIRE_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        let title = format!("{} {}", program.file_name().unwrap().display(), arguments.join(" "));
        Self { title, child, stdin, out: Lines::read(out), err: Lines::read(err) }
    }

    /// Runs it to its end, without any input.
    pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut process = Self::start(arguments, variables);
        process.close_stdin();
        process.end().await
    }

    /// Writes to its standard input.
    pub(crate) async fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it is closed once, at the end");
        let written = timeout(DEADLINE, stdin.write_all(text.as_bytes())).await;
        let quote = self.quote();
        written.unwrap_or_else(|_| panic!("it does not read its input\n{quote}")).unwrap();
    }

    /// Writes to its standard input, unless it has ended.
    pub(crate) async fn try_write(&mut self, text: &str) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        timeout(DEADLINE, stdin.write_all(text.as_bytes())).await.expect("it reads its input").is_ok()
    }

    /// Its input ends here.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until its standard output is as it should be.
    pub(crate) async fn until(&self, what: &str, seen: impl FnMut(&[String]) -> bool) {
        self.wait(&self.out, what, seen).await;
    }

    /// Waits until its standard error is as it should be.
    pub(crate) async fn until_stderr(&self, what: &str, seen: impl FnMut(&[String]) -> bool) {
        self.wait(&self.err, what, seen).await;
    }

    /// Waits until its standard output is as it should be, or it has ended without: then it says no.
    pub(crate) async fn comes_to(&self, what: &str, mut seen: impl FnMut(&[String]) -> bool) -> bool {
        let mut lines = self.out.seen.clone();
        match timeout(DEADLINE, lines.wait_for(|lines| seen(lines))).await {
            Ok(found) => found.is_ok(),
            Err(_) => panic!("no {what} within {DEADLINE:?}\n{}", self.quote()),
        }
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    async fn wait(&self, lines: &Lines, what: &str, mut seen: impl FnMut(&[String]) -> bool) {
        let mut lines = lines.seen.clone();
        match timeout(DEADLINE, lines.wait_for(|lines| seen(lines))).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => panic!("it ended, and there was no {what}\n{}", self.quote()),
            Err(_) => panic!("no {what} within {DEADLINE:?}\n{}", self.quote()),
        }
    }

    /// The complete lines of its standard output, so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.out.seen.borrow().clone()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("it has ended\n{}", self.quote()))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let quote = |what: &str, process: &Self| format!("{what} within {DEADLINE:?}\n{}", process.quote());
        let status = timeout(DEADLINE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{}", quote("it did not end", &self))).unwrap();
        for lines in [&mut self.out, &mut self.err] {
            let read = timeout(DEADLINE, &mut lines.reader).await;
            read.expect("an output outlives its process: somebody has inherited it").unwrap();
        }
        let [stdout, stderr] = [&self.out, &self.err].map(|lines| lines.seen.borrow().clone());
        Ended { status, stdout, stderr }
    }

    /// What it is, and its last lines.
    fn quote(&self) -> String {
        let last = |name: &str, lines: &Lines| {
            let lines = lines.seen.borrow();
            let shown = lines.len().saturating_sub(QUOTED);
            let last: Vec<_> = lines[shown..].iter().map(|line| format!("    {line}")).collect();
            format!("  {name}, {} lines:\n{}", lines.len(), last.join("\n"))
        };
        format!("{}\n{}\n{}", self.title, last("stdout", &self.out), last("stderr", &self.err))
    }
}

impl Lines {
    fn read(output: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (lines, seen) = watch::channel(Vec::new());
        let reader = tokio::spawn(async move {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                // Without its line feed it is what a killed process did not get to write.
                let Some(complete) = line.strip_suffix(b"\n") else { break };
                let text = String::from_utf8_lossy(complete).into_owned();
                lines.send_modify(|lines| lines.push(text));
                line.clear();
            }
        });
        Self { seen, reader }
    }
}

impl Ended {
    /// Its exit code; a process that a signal ended has none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Its standard error as one text.
    pub(crate) fn errors(&self) -> String {
        self.stderr.join("\n")
    }

    /// Asserts the exit code, and that its standard error says this.
    pub(crate) fn expect(&self, code: i32, says: &str) {
        assert!(self.code() == Some(code) && self.errors().contains(says), "not {code} {says:?}: {self:#?}");
    }
}

/// Looks again and again, until there is something or the deadline has come; then `seen` says what there was.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > DEADLINE => panic!("no {what} within {DEADLINE:?}: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
