//! A process that a case holds: it is heard line by line, each wait has a deadline, and it ends with its holder.

use std::{
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{case::Failure, clock};

/// How long a process that was asked to end may take.
const LEAVE: Duration = Duration::from_secs(5);

/// What is kept of a process' stderr, in bytes.
const MAX_STDERR: u64 = 64 << 10;

/// How often a process that was asked to end is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Something that a case has started. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: Option<JoinHandle<String>>,
}

/// Processes that are heard in the order in which they speak.
#[derive(Debug)]
pub struct Ear {
    sender: Sender<(usize, Option<String>)>,
    lines: Receiver<(usize, Option<String>)>,
    deadline: Instant,
}

/// What some process has said.
#[derive(Debug)]
pub struct Said {
    /// The number that it was started with.
    pub who: usize,
    /// What it said; none means that its stdout has ended.
    pub line: Option<String>,
}

impl Ear {
    /// Waits in all for so long.
    pub fn until(patience: Duration) -> Self {
        let (sender, lines) = channel();
        Self { sender, lines, deadline: Instant::now() + patience }
    }

    /// Starts a process that is heard here under this number.
    ///
    /// # Errors
    /// [`Failure::NotMeasured`] where there is no such program.
    pub fn start(
        &self,
        who: usize,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Process, Failure> {
        let program = program.as_ref();
        // Without its folder: what is said of it is published.
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::NotMeasured(format!("{name} is not installed")),
            _ => Failure::Wrong(format!("{name} does not start: {error}")),
        })?;
        if let Some(stdout) = child.stdout.take() {
            let sender = self.sender.clone();
            thread::spawn(move || pass_on(who, stdout, &sender));
        }
        let stderr = child.stderr.take().map(|stderr| thread::spawn(move || keep(stderr)));
        let stdin = child.stdin.take();
        Ok(Process { name, child, stdin, stderr })
    }

    /// Waits for the next line of anybody.
    ///
    /// # Errors
    /// The deadline is over.
    pub fn hear(&self) -> Result<Said, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok((who, line)) => Ok(Said { who, line }),
            Err(_) => Err(Failure::Wrong("nobody said anything until the deadline".to_owned())),
        }
    }

    /// Waits until `done`, which is asked now and then.
    ///
    /// # Errors
    /// The deadline is over.
    pub fn poll<T>(&self, what: &str, mut done: impl FnMut() -> Option<T>) -> Result<T, Failure> {
        loop {
            if let Some(outcome) = done() {
                return Ok(outcome);
            }
            if Instant::now() > self.deadline {
                return Err(Failure::Wrong(format!("the deadline is over: {what}")));
            }
            thread::sleep(LOOK);
        }
    }
}

fn pass_on(who: usize, stdout: ChildStdout, sender: &Sender<(usize, Option<String>)>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if sender.send((who, Some(line))).is_err() {
            return; // the case is over
        }
    }
    let _ = sender.send((who, None)); // likewise
}

/// The beginning of it; the rest is read and forgotten, so that nobody waits for room.
fn keep(mut stderr: ChildStderr) -> String {
    let mut text = String::new();
    let _ = stderr.by_ref().take(MAX_STDERR).read_to_string(&mut text); // what cannot be read is not there
    let _ = io::copy(&mut stderr, &mut io::sink()); // likewise
    text
}

impl Process {
    /// Says a line to it.
    ///
    /// # Errors
    /// It does not listen any more.
    pub fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let told = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{line}").and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        told.map_err(|_| self.gone())
    }

    /// What it and its threads have used so far, in nanoseconds of CPU time.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu_ns(&mut self) -> Result<u64, Failure> {
        clock::cpu_ns(self.child.id()).map_err(|_| self.gone())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It does not, or not well.
    pub fn finish(&mut self, ear: &Ear) -> Result<(), Failure> {
        let status = ear.poll("it does not end", || self.child.try_wait().ok().flatten())?;
        if status.success() { Ok(()) } else { Err(self.gone()) }
    }

    /// Stops it where it is, with SIGSTOP: its sockets stay open.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may just have gone
        let _ = self.child.wait(); // likewise
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), signal); // it may just have gone
        }
    }

    /// That it has gone, with what it said last.
    pub fn gone(&mut self) -> Failure {
        self.end();
        let stderr = self.stderr.take().and_then(|stderr| stderr.join().ok()).unwrap_or_default();
        let last: Vec<_> = stderr.lines().rev().take(3).collect();
        Failure::Wrong(format!(
            "{} has gone: {}",
            self.name,
            last.into_iter().rev().collect::<Vec<_>>().join(" ")
        ))
    }

    /// The end of its stdin asks the roles to leave, SIGTERM the servers; whoever stays is killed.
    fn end(&mut self) {
        self.stdin = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            self.signal(Signal::SIGCONT); // whoever is frozen notices only then
        }
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > LEAVE {
                let _ = self.child.kill(); // likewise
                let _ = self.child.wait(); // it is dead
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_told_is_heard() {
        let ear = Ear::until(PATIENCE);
        let mut cat = ear.start(7, "cat", [""; 0]).unwrap();
        cat.tell("hello").unwrap();
        let said = ear.hear().unwrap();
        assert_eq!((said.who, said.line.as_deref()), (7, Some("hello")));
        drop(cat);
        assert_eq!(ear.hear().unwrap().line, None, "its end is heard, too");
    }

    #[test]
    fn a_program_that_is_not_there_is_not_measured() {
        let failure = Ear::until(PATIENCE).start(0, "no-such-broker", [""; 0]).unwrap_err();
        assert_eq!(failure, Failure::NotMeasured("no-such-broker is not installed".to_owned()));
    }

    #[test]
    fn silence_is_an_error_in_the_end() {
        let ear = Ear::until(Duration::ZERO);
        let _cat = ear.start(0, "cat", [""; 0]).unwrap();
        assert!(matches!(ear.hear(), Err(Failure::Wrong(_))));
    }

    #[test]
    fn whoever_goes_is_quoted() {
        let ear = Ear::until(PATIENCE);
        let mut shell = ear.start(0, "sh", ["-c", "echo no room >&2; exit 3"]).unwrap();
        assert_eq!(ear.hear().unwrap().line, None);
        assert!(shell.gone().to_string().ends_with("no room"));
    }
}
