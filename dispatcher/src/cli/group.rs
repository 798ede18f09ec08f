//! A process with a group of its own: a Ctrl-C for us does not reach it, and a signal to it reaches all that it has started.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    process::ExitStatus,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// The process that leads its group. Dropped before its end was seen, it is killed, with all that it has started.
///
/// What a leader leaves behind that ended by itself goes on: nothing says any more whose group that number is.
#[derive(Debug)]
pub(super) struct Group(Mutex<Child>);

impl Group {
    /// Starts it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self(Mutex::new(command.process_group(0).spawn()?)))
    }

    /// Its ends of the pipes that were asked for, once.
    pub(super) fn pipes(&self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        let mut child = self.child();
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    }

    /// Sends all of them a signal; where the leader's end was seen, nobody hears it.
    pub(super) fn signal(&self, signal: Signal) {
        // It is not reaped while this is held: until then its number is nobody else's.
        let child = self.child();
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
            // All may be gone by themselves.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }

    /// How the leader ended, where it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        // One that cannot be waited for is as good as gone.
        self.child().try_wait().unwrap_or_else(|_| Some(ExitStatus::default()))
    }

    /// Waits for the leader's end. Cancel-safe; for one waiter at a time.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(super) async fn end(&self) -> io::Result<ExitStatus> {
        poll_fn(|context| {
            let mut child = self.child();
            pin!(child.wait()).poll(context)
        })
        .await
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Stdio};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn shell(script: &str) -> (Group, ChildStdin, ChildStdout) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let group = Group::start(&mut command).expect("sh");
        let (Some(stdin), Some(stdout), _) = group.pipes() else { panic!("two pipes") };
        (group, stdin, stdout)
    }

    #[tokio::test]
    async fn a_signal_reaches_all_of_them_and_so_does_a_drop() {
        for drops in [false, true] {
            let (group, _stdin, mut stdout) = shell("sleep 1000 & echo; wait");
            stdout.read_u8().await.expect("both run");
            if drops {
                drop(group);
            } else {
                group.signal(Signal::SIGKILL);
                assert_eq!(group.end().await.expect("it ends").signal(), Some(9));
            }
            // The pipe ends with the last who holds it.
            assert_eq!(stdout.read(&mut [0]).await.expect("its end"), 0);
        }
    }

    #[tokio::test]
    async fn once_its_end_was_seen_nobody_is_killed() {
        let (group, mut stdin, mut stdout) = shell("exec 3<&0; (read line <&3; echo goes on) & exec true");
        assert!(group.end().await.expect("it ends").success() && group.ended().is_some());
        drop(group);
        stdin.write_all(b"now\n").await.expect("it reads");
        let mut said = String::new();
        stdout.read_to_string(&mut said).await.expect("its end");
        assert_eq!(said, "goes on\n");
    }
}
