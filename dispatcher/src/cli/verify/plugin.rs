//! The plugin's process: started with what it needs to know, and killed with all that it started where it goes on.

use std::{
    fmt::Display,
    fs::File,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
};

use nix::sys::signal::Signal;
use tokio::process::Command;

use super::output::Output;
use crate::cli::{SUBSCRIBER_VARIABLE, group::Group};

/// The name under which it subscribes.
pub(super) const NAME: &str = "verify";

/// What stands for the scenario's own directory in the command.
pub(super) const DIRECTORY: &str = "{dir}";

/// A process, with all that it starts.
#[derive(Debug)]
pub(super) struct Plugin {
    group: Group,
    output: Output,
}

/// Where it runs.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) address: &'a str,
    pub(super) directory: &'a Path,
    pub(super) log: &'a Path,
    /// Where what it says is kept.
    pub(super) output: &'a Path,
}

impl Plugin {
    /// Starts it.
    ///
    /// # Errors
    /// When the program cannot be started, or there is no place for what it says.
    pub(super) fn start(command: &[String], around: &Surroundings<'_>) -> io::Result<Self> {
        let directory = around.directory.to_string_lossy();
        let words: Vec<_> = command.iter().map(|word| word.replace(DIRECTORY, &directory)).collect();
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let file = File::create(around.output).map_err(|error| of(around.output.display(), &error))?;
        let output = Output::new(file);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("HOOKWIRE_ADDR", around.address)
            .env(SUBSCRIBER_VARIABLE, NAME)
            .env("HOOKWIRE_VERIFY_LOG", around.log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let group = Group::start(&mut command).map_err(|error| of(program, &error))?;
        let (_, stdout, stderr) = group.pipes();
        tokio::spawn(output.clone().listen(stdout, stderr));
        Ok(Self { group, output })
    }

    /// Sends it a signal; one that is gone already hears nothing.
    pub(super) fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    /// How it ended, where it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        self.group.ended()
    }

    /// Waits for its end; for one waiter at a time.
    pub(super) async fn end(&self) {
        // One that cannot be waited for is as good as gone.
        let _ = self.group.end().await;
    }

    /// The last of what it wrote to stderr, and how it stands.
    pub(super) fn standing(&self) -> String {
        let said = self.output.complaints();
        let said = if said.is_empty() { said } else { format!("; it said: {said}") };
        match self.ended() {
            None => format!("it runs{said}"),
            Some(status) => format!("{}{said}", in_words(status)),
        }
    }
}

/// The same error, and whose it is.
fn of(whose: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{whose}: {error}"))
}

/// How a process ended.
pub(super) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, signal) => format!("it was killed by signal {}", signal.unwrap_or_default()),
    }
}
