//! A drain under way, and whether its numbers add up.

use std::time::Duration;

use hookwire_protocol::v1::{
    DrainProgress, DrainReport, DrainResponse, SubscriberReport, drain_response::Message,
};
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use crate::{Link, PATIENCE};

/// A Drain call whose report is still to come.
#[derive(Debug)]
pub struct Draining {
    responses: Streaming<DrainResponse>,
    began: Instant,
    _link: Link,
}

impl Draining {
    pub(crate) fn new(responses: Streaming<DrainResponse>, link: Link) -> Self {
        Self { responses, began: Instant::now(), _link: link }
    }

    /// The next word of how it goes.
    ///
    /// # Panics
    /// Where the drain is over, or nothing is said.
    pub async fn progress(&mut self) -> DrainProgress {
        match self.next().await {
            Ok(Some(Message::Progress(progress))) => progress,
            other => panic!("no progress but {other:?}"),
        }
    }

    /// How it went; progress is passed over.
    ///
    /// # Panics
    /// Where no report comes, or its numbers do not add up.
    pub async fn report(self) -> DrainReport {
        self.timed().await.0
    }

    /// How it went, and how long after the call that was said.
    ///
    /// # Panics
    /// Where no report comes, or its numbers do not add up.
    pub async fn timed(mut self) -> (DrainReport, Duration) {
        loop {
            match self.next().await {
                Ok(Some(Message::Progress(_))) => {}
                Ok(Some(Message::Report(report))) => {
                    assert_adds_up(&report);
                    return (report, self.began.elapsed());
                }
                other => panic!("no report but {other:?}"),
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Message>, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        Ok(next.expect("a drain speaks all the time")?.and_then(|response| response.message))
    }
}

/// `owed = acked + accepted + rejected + carried over`, for every subscriber.
///
/// # Panics
/// Where that is not so.
pub fn assert_adds_up(report: &DrainReport) {
    for row in &report.subscribers {
        let SubscriberReport { acked, accepted, rejected, timed_out, unreachable, retried, .. } = row;
        assert_eq!(row.carried_over, timed_out + unreachable + retried, "{row:?}");
        assert_eq!(row.owed, acked + accepted + rejected + row.carried_over, "{row:?}");
    }
    assert!(report.last_ack_ms.is_none_or(|last| last <= report.elapsed_ms), "{report:?}");
}
