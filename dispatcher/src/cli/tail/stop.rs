//! Being asked to stop.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

/// How long the farewell may take once a stop was asked for.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often a stop was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Never,
    Once,
    /// Whoever asks does not wait for what is on its way.
    Twice,
}

/// A stop that may be asked for at any time, and then once more.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Stop(watch::Receiver<Asked>);

impl Stop {
    /// Asked for by SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub(in crate::cli) fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (asked, stop) = Self::pair();
        tokio::spawn(async move {
            for times in [Asked::Once, Asked::Twice] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                // Nobody left to stop is fine.
                let _ = asked.send(times);
            }
        });
        Ok(stop)
    }

    /// The end that asks, and the end that is asked.
    pub(super) fn pair() -> (watch::Sender<Asked>, Self) {
        let (asked, stop) = watch::channel(Asked::Never);
        (asked, Self(stop))
    }

    /// Returns once a stop is asked for. Cancel-safe.
    pub(super) async fn asked(&mut self) {
        self.times(Asked::Once).await;
    }

    /// Returns once a stop is asked for so often. Cancel-safe.
    pub(super) async fn times(&mut self, times: Asked) {
        if self.0.wait_for(|&asked| asked >= times).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the farewell has taken too long: an unread stdout or a mute dispatcher holds nobody. Before it, `patience` is
    /// left for what is on its way, unless somebody insists.
    pub(super) async fn overdue(mut self, patience: Duration) {
        self.asked().await;
        tokio::select! {
            () = sleep(patience) => {}
            () = self.times(Asked::Twice) => {}
        }
        sleep(FAREWELL).await;
    }
}
