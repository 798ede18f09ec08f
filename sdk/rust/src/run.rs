//! A plugin's life: stream after stream, until it is told to stop or turned away.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use crate::{
    backoff::Backoff,
    error::RunError,
    plugin::Settings,
    stream::{Ended, Stream},
    work::Work,
};

/// Lives until `stop` says so, or coming back would not help. Either way what is in hand is finished first, within
/// the grace.
pub(crate) async fn run(
    settings: Settings,
    mut work: Work,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), RunError> {
    let mut backoff = Backoff::default();
    loop {
        let (why, wait) = match one_stream(&settings, &mut work, stop.as_mut(), &mut backoff).await {
            Ended::Stopped => return Ok(()),
            Ended::ForGood(error) => {
                finish(&mut work, settings.grace).await;
                return Err(error);
            }
            Ended::Lost { why, wait } => (why, wait + backoff.next_wait()),
        };
        if backoff.is_first() {
            warn!(why, ?wait, "no stream: dialling again");
        } else {
            debug!(why, ?wait, "no stream: dialling again");
        }
        tokio::select! {
            () = stop.as_mut() => {
                finish(&mut work, settings.grace).await;
                return Ok(());
            }
            () = work.meanwhile(sleep(wait)) => {}
        }
    }
}

async fn one_stream(
    settings: &Settings,
    work: &mut Work,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    backoff: &mut Backoff,
) -> Ended {
    let opening = Stream::open(&settings.connect, settings.hello.clone());
    let opened = tokio::select! {
        () = stop.as_mut() => {
            finish(work, settings.grace).await;
            return Ended::Stopped;
        }
        opened = work.meanwhile(opening) => opened,
    };
    match opened {
        Ok(stream) => {
            backoff.reset();
            stream.serve(work, stop, settings.grace).await
        }
        Err(ended) => ended,
    }
}

/// Without a stream nothing can be acknowledged, but a handler that has begun is not cut off in the middle.
async fn finish(work: &mut Work, grace: Duration) {
    if timeout(grace, work.finish()).await.is_err() {
        warn!(in_hand = work.len(), "out of time");
    }
}

/// Ends with the first SIGTERM or SIGINT.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, RunError> {
    let install = |kind| signal(kind).map_err(RunError::Signals);
    let (mut terminate, mut interrupt): (Signal, Signal) =
        (install(SignalKind::terminate())?, install(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
