//! Named moments at which a test kills this process, as `kill -9` would, or has one of its threads hang: in a build with
//! debug assertions only.
//!
//! `HOOKWIRE_CRASH_AT=after-commit:3` kills it when it passes `after-commit` for the third time. `HOOKWIRE_HANG_AT=opened`
//! keeps whoever comes to `opened` there for ever, and says so on stderr.

#[cfg(debug_assertions)]
pub(crate) use armed::{point, step, within};

#[cfg(not(debug_assertions))]
pub(crate) use unarmed::{point, step, within};

#[cfg(debug_assertions)]
mod armed {
    use std::{
        cell::Cell,
        env,
        sync::{
            LazyLock,
            atomic::{AtomicU64, Ordering},
        },
        thread,
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    /// Where to die, and how often that is passed until then.
    static FATE: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let text = env::var("HOOKWIRE_CRASH_AT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
    });

    /// Where to hang.
    static SNARE: LazyLock<Option<String>> = LazyLock::new(|| env::var("HOOKWIRE_HANG_AT").ok());

    thread_local! {
        /// What this thread does that takes many steps.
        static WITHIN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// The process passes this moment, unless it is the one to die or to hang at.
    pub(crate) fn point(name: &str) {
        if SNARE.as_deref() == Some(name) {
            eprintln!("hangs at {name}");
            loop {
                thread::park();
            }
        }
        let Some((fatal, left)) = &*FATE else { return };
        if fatal == name && left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nothing can be done where the system refuses even this.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }

    /// Every [`step`] of this work passes the moment of that name.
    pub(crate) fn within<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
        WITHIN.set(Some(name));
        let outcome = work();
        WITHIN.set(None);
        outcome
    }

    /// One of the steps that this thread's work takes.
    pub(crate) fn step() {
        WITHIN.get().into_iter().for_each(point);
    }
}

#[cfg(not(debug_assertions))]
mod unarmed {
    pub(crate) fn point(_: &str) {}

    pub(crate) fn within<T>(_: &'static str, work: impl FnOnce() -> T) -> T {
        work()
    }

    pub(crate) fn step() {}
}
