//! Those whose processes come and go: a plugin, and a gateway's sessions.

use hookwire_protocol::v1::SessionEndReason;
use nix::sys::signal::Signal;

use super::plan::Deed;
use crate::cast::tail::Tail;

/// A subscriber, over all its processes. What they print before they answer is its log: it survives a kill.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) name: &'static str,
    address: String,
    flags: &'static [&'static str],
    tail: Option<Tail>,
    /// What earlier processes printed.
    printed: Vec<Vec<String>>,
}

impl Plugin {
    /// It has no process yet.
    pub(super) fn new(name: &'static str, address: &str, flags: &'static [&'static str]) -> Self {
        Self { name, address: address.to_owned(), flags, tail: None, printed: Vec::new() }
    }

    /// Starts a process where there is none.
    pub(super) fn launch(&mut self) {
        let Self { name, address, flags, .. } = self;
        self.tail.get_or_insert_with(|| Tail::launch(address, name, &[flags, &["--follow"][..]].concat()));
    }

    /// Starts processes until one has caught up: where nobody answers the first dial, it ends.
    pub(super) async fn comes(&mut self) {
        loop {
            self.launch();
            let tail = self.tail.take().expect("it was launched");
            if tail.comes().await {
                self.tail = Some(tail);
                return;
            }
            let ended = tail.end().await;
            assert_eq!(ended.code(), Some(69), "{ended:#?}");
            self.printed.push(ended.stdout);
        }
    }

    /// Sends its process a signal, where there is one.
    pub(super) fn signal(&mut self, signal: Signal) {
        if let Some(tail) = &mut self.tail
            && !tail.is_over()
        {
            tail.signal(signal);
        }
    }

    pub(super) async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(tail) = self.tail.take() {
            self.printed.push(tail.end().await.stdout);
        }
    }

    /// It leaves in order.
    pub(super) async fn leave(&mut self) {
        if let Some(tail) = self.tail.take() {
            self.printed.push(tail.leave().await);
        }
    }

    /// All that its processes printed.
    pub(super) fn printed(&self) -> Vec<Vec<String>> {
        let mut printed = self.printed.clone();
        printed.extend(self.tail.iter().map(Tail::lines));
        printed
    }
}

/// A gateway's sessions, each of which lives once.
#[derive(Debug)]
pub(super) struct Sessions {
    prefix: &'static str,
    begun: usize,
    /// Those that are open.
    pub(super) open: Vec<String>,
    /// Those that were ended, and why.
    pub(super) ended: Vec<(String, SessionEndReason)>,
}

/// A deed that names its session.
#[derive(Debug)]
pub(super) enum Said {
    Start(String),
    Message(String),
    End(String, SessionEndReason),
}

impl Sessions {
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, begun: 0, open: Vec::new(), ended: Vec::new() }
    }

    /// What becomes of a deed; nothing, where it needs a session and none is open.
    pub(super) fn act(&mut self, deed: Deed) -> Option<Said> {
        match deed {
            Deed::Start => {
                let id = format!("{}{}", self.prefix, self.begun);
                self.begun += 1;
                self.open.push(id.clone());
                Some(Said::Start(id))
            }
            Deed::Message(any) if !self.open.is_empty() => {
                Some(Said::Message(self.open[any % self.open.len()].clone()))
            }
            Deed::End(any) if !self.open.is_empty() => {
                let id = self.open.swap_remove(any % self.open.len());
                let reason =
                    [SessionEndReason::Idle, SessionEndReason::Daily, SessionEndReason::New][any % 3];
                self.ended.push((id.clone(), reason));
                Some(Said::End(id, reason))
            }
            Deed::Message(_) | Deed::End(_) => None,
        }
    }
}
