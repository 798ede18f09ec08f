//! Being asked to stop.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

/// How long the farewell may take once a stop was asked for.
const FAREWELL: Duration = Duration::from_secs(2);

/// A stop that may be asked for at any time, once.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Stop(watch::Receiver<bool>);

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
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Nobody left to stop is fine.
            let _ = asked.send(true);
        });
        Ok(stop)
    }

    /// The end that asks, and the end that is asked.
    pub(super) fn pair() -> (watch::Sender<bool>, Self) {
        let (asked, stop) = watch::channel(false);
        (asked, Self(stop))
    }

    /// Returns once a stop is asked for. Cancel-safe.
    pub(super) async fn asked(&mut self) {
        if self.0.wait_for(|&asked| asked).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the farewell has taken too long: an unread stdout or a mute dispatcher holds nobody.
    pub(super) async fn overdue(mut self) {
        self.asked().await;
        sleep(FAREWELL).await;
    }
}
