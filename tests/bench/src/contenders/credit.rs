//! How far a producer may be ahead of what was acknowledged.

use tokio::sync::watch;

use crate::role::BoxError;

/// The producer's end.
pub(super) struct Credit {
    acknowledged: watch::Receiver<u64>,
    in_flight: u64,
    used: u64,
}

/// The end of whoever reads the acknowledgements.
pub(super) struct Acknowledged(watch::Sender<u64>);

/// Lets so many events be in flight.
pub(super) fn credit(in_flight: u64) -> (Credit, Acknowledged) {
    let (sender, acknowledged) = watch::channel(0);
    (Credit { acknowledged, in_flight, used: 0 }, Acknowledged(sender))
}

impl Credit {
    /// Waits until so many more may go.
    pub(super) async fn take(&mut self, events: u64) -> Result<(), BoxError> {
        self.used += events;
        let needed = self.used.saturating_sub(self.in_flight);
        self.acknowledged.wait_for(|&acknowledged| acknowledged >= needed).await?;
        Ok(())
    }
}

impl Acknowledged {
    /// Everything up to this many is.
    pub(super) fn through(&self, events: u64) {
        self.0.send_replace(events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_runs_further_ahead_than_granted() {
        let (mut producer, acknowledged) = credit(10);
        producer.take(10).await.unwrap();
        let moment = std::time::Duration::from_secs(1);
        let blocked = tokio::time::timeout(moment, producer.take(1)).await;
        assert!(blocked.is_err());
        acknowledged.through(1);
        tokio::time::timeout(moment, producer.take(0)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_an_error() {
        let (mut producer, acknowledged) = credit(1);
        drop(acknowledged);
        assert!(producer.take(2).await.is_err());
    }
}
