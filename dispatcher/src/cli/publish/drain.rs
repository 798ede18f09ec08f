//! The Drain call at a boot's end, tried until it has an answer.

use std::time::Duration;

use hookwire_protocol::v1::{DrainReport, DrainRequest, drain_response::Message};
use hookwire_sdk::Address;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{
    attach::dial,
    setback::{Patience, Setback},
};
use crate::cli::Failure;

/// How long the report may take beyond the dispatcher's budget.
const MARGIN: Duration = Duration::from_secs(10);

/// Drains a boot, and says on stderr how that went.
///
/// # Errors
/// When it is refused, or nobody answers for 30 seconds.
pub(super) async fn drain(address: &Address, request: DrainRequest, budget: Duration) -> Result<(), Failure> {
    let mut patience = Patience::default();
    let mut tried = false;
    loop {
        let silent = |_| Setback::Lost(format!("{address} does not report on its drain"));
        let answer = timeout(budget + MARGIN, ask(address, &request, tried)).await.map_err(silent);
        match answer.flatten() {
            Ok(report) => {
                tell(&request.boot_id, report);
                return Ok(());
            }
            Err(setback) => patience.wait_out(setback).await?,
        }
        tried = true;
    }
}

/// One try. No report where the boot is over and an earlier try has seen to it: its answer was lost.
async fn ask(address: &Address, request: &DrainRequest, tried: bool) -> Result<Option<DrainReport>, Setback> {
    let mut client = dial(address).await?;
    let answer = async { report(client.drain(request.clone()).await?.into_inner()).await };
    match answer.await {
        Ok(report) => Ok(Some(report)),
        Err(status) if tried && matches!(status.code(), Code::FailedPrecondition | Code::NotFound) => {
            Ok(None)
        }
        Err(status) => Err(status.into()),
    }
}

/// Reads on to the report, which is the last message.
async fn report(
    mut answers: tonic::Streaming<hookwire_protocol::v1::DrainResponse>,
) -> Result<DrainReport, Status> {
    while let Some(answer) = answers.message().await? {
        if let Some(Message::Report(report)) = answer.message {
            return Ok(report);
        }
    }
    Err(Status::unavailable("the drain ended without a report"))
}

fn tell(boot: &str, report: Option<DrainReport>) {
    let Some(report) = report else {
        anstream::eprintln!("hookwire: boot {boot} is over");
        return;
    };
    let owed: u64 = report.subscribers.iter().map(|subscriber| subscriber.owed).sum();
    let carried: u64 = report.subscribers.iter().map(|subscriber| subscriber.carried_over).sum();
    anstream::eprintln!(
        "hookwire: drained boot {boot} in {} ms: {} sessions ended, {owed} ends owed, {carried} carried over",
        report.elapsed_ms,
        report.sessions_ended,
    );
}
