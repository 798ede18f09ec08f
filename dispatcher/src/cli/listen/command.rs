//! One run of the command: the event in, the answer out.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use hookwire_sdk::{Event, Outcome};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin},
    time::timeout,
};

use crate::cli::{
    group::Group,
    last_words::LastWords,
    tail,
    term::{clean, say},
};

/// EX_TEMPFAIL of sysexits(3).
const COME_AGAIN: i32 = 75;

/// What sh says of a command that cannot be run, or is not there.
const NOT_RUN: [i32; 2] = [126, 127];

/// What sh adds to the signal that a command died of.
const BY_SIGNAL: i32 = 128;

/// How much of what a command complained about is kept, in bytes.
const KEPT: usize = 256;

/// How long its stderr may stay open behind it: somebody else may have inherited it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What is run for each event.
#[derive(Debug)]
pub(super) struct Command {
    shell: String,
}

impl Command {
    /// By `sh -c`.
    pub(super) fn new(shell: String) -> Self {
        Self { shell }
    }

    /// Runs it for one event.
    pub(super) async fn run(self: Arc<Self>, event: Event) -> Outcome {
        match self.start(&event) {
            Ok(group) => outcome(&group, &event).await,
            Err(error) => Outcome::failed(format!("the command cannot be started: {error}")),
        }
    }

    fn start(&self, event: &Event) -> io::Result<Group> {
        let session = event.session().cloned().unwrap_or_default();
        let mut command = tokio::process::Command::new("sh");
        command
            .args(["-c", &self.shell])
            .env("HOOKWIRE_HOOK", event.hook())
            .env("HOOKWIRE_SESSION_ID", session.id)
            .env("HOOKWIRE_INCARNATION", session.incarnation.to_string())
            .env("HOOKWIRE_LEDGER_ID", event.ledger_id())
            .env("HOOKWIRE_EVENT_ID", event.id())
            .env("HOOKWIRE_TIME_LEFT_MS", event.time_left().as_millis().to_string())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        Group::start(&mut command)
    }
}

/// What it answers. It is killed, with all that it started, where this is dropped before its end.
async fn outcome(group: &Group, event: &Event) -> Outcome {
    let (stdin, _, stderr) = group.pipes();
    let line = tail::event_json(event.kind(), event.time_left(), event.wire());
    let mut complaint = LastWords::new(KEPT);
    let status = {
        let (mut feed, mut listen) = (pin!(feed(stdin, line)), pin!(listen(stderr, &mut complaint)));
        let (mut is_fed, mut is_heard) = (false, false);
        let status = loop {
            tokio::select! {
                status = group.end() => break status,
                () = &mut feed, if !is_fed => is_fed = true,
                () = &mut listen, if !is_heard => is_heard = true,
            }
        };
        if !is_heard {
            // Later words are only missed.
            let _ = timeout(LAST_WORDS, listen).await;
        }
        status
    };
    match status {
        Ok(status) => answer(status, complaint.text()),
        Err(error) => Outcome::failed(format!("the command is lost: {error}")),
    }
}

/// Whether it reads that is its own business.
async fn feed(stdin: Option<ChildStdin>, line: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(line.as_bytes()).await;
    }
}

/// Reads to its end. May be dropped at any time.
async fn listen(stderr: Option<ChildStderr>, complaint: &mut LastWords) {
    let Some(mut stderr) = stderr else { return };
    let mut piece = [0; 4 << 10];
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        complaint.add(&piece[..count]);
    }
}

fn answer(status: ExitStatus, complaint: String) -> Outcome {
    match status.code() {
        Some(0) => {
            // An answer that is not OK is logged with its text.
            if !complaint.is_empty() {
                say(clean(&complaint));
            }
            Outcome::ok()
        }
        Some(COME_AGAIN) => Outcome::retry(complaint),
        Some(code) if NOT_RUN.contains(&code) || is_signal(code - BY_SIGNAL) => {
            Outcome::failed(format!("exit code {code}: {complaint}"))
        }
        Some(code) => Outcome::reject(format!("exit_{code}"), complaint),
        None => {
            let signal = status.signal().unwrap_or_default();
            Outcome::failed(format!("killed by signal {signal}: {complaint}"))
        }
    }
}

fn is_signal(number: i32) -> bool {
    Signal::try_from(number).is_ok()
}

#[cfg(test)]
mod tests {
    use hookwire_sdk::{Plugin, testing::Driven, wire::SessionEndReason};

    use super::*;

    /// A plugin that runs this.
    fn driven(shell: &str) -> Driven {
        let command = Arc::new(Command::new(shell.to_owned()));
        Driven::new(Plugin::builder("test").on("*", move |event| command.clone().run(event)))
    }

    #[tokio::test]
    async fn the_exit_code_is_the_answer() {
        for (shell, expected) in [
            ("exit 0", Outcome::ok()),
            ("echo busy >&2; exit 75", Outcome::retry("busy")),
            ("echo no such agent >&2; exit 3", Outcome::reject("exit_3", "no such agent")),
            ("kill -9 $$", Outcome::retry("killed by signal 9:")),
            ("exit 137", Outcome::retry("exit code 137:")),
        ] {
            let said = match driven(shell).start("s").await {
                Outcome::Retry { after, text } => Outcome::Retry { after, text: text.trim().to_owned() },
                said => said,
            };
            assert_eq!(said, expected, "{shell}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_run_comes_again_if_it_can() {
        let mut driven = driven("/no/such/command");
        assert!(matches!(driven.start("s").await, Outcome::Retry { text, .. } if text.contains("127")));
        let said = driven.event("message", "s", "{}").await;
        assert!(matches!(said, Outcome::Reject { code, .. } if code == "exception"));
    }

    #[tokio::test]
    async fn the_event_is_on_stdin_and_in_the_environment() {
        let said = driven(r#"read line; echo "$HOOKWIRE_HOOK $HOOKWIRE_SESSION_ID $HOOKWIRE_INCARNATION $line" >&2; exit 9"#)
            .start("s")
            .await;
        let Outcome::Reject { text, .. } = said else { panic!("{said:?}") };
        let (words, json) = text.split_at(text.find('{').expect("an object"));
        assert_eq!(words, "session_start s 1 ");
        assert!(json.starts_with(r#"{"type":"event","kind":"live","hook":"session_start""#), "{json}");
    }

    #[tokio::test]
    async fn a_command_that_does_not_read_or_writes_too_much_is_no_trouble() {
        let mut driven = driven(
            "case $HOOKWIRE_HOOK in session_start) exit 0;; esac
            head -c 1000000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1",
        );
        driven.start("s").await;
        let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20));
        let said = driven.event("message", "s", &large).await;
        assert!(matches!(said, Outcome::Reject { text, .. } if text.len() <= KEPT && text.ends_with("end")));
    }

    #[tokio::test]
    async fn who_inherits_its_stderr_holds_nobody() {
        let mut driven = driven("sleep 30 & exit 0");
        assert_eq!(driven.start("s").await, Outcome::Ok);
        assert_eq!(driven.end("s", SessionEndReason::Idle).await, Outcome::Ok);
    }
}
