//! `hookwire handover`: the dispatcher makes way for its successor.

use std::time::Duration;

use hookwire_protocol::v1::{HandOverRequest, admin_service_client::AdminServiceClient};

use super::{Failure, Question, client, term};

/// How long the dispatcher may take: the longest drain budget that makes sense, and some.
const PATIENCE: Duration = Duration::from_secs(120);

/// Have the dispatcher make way for its successor: no session ends
///
/// Returns when the journal and the addresses are free: start the new `hookwire serve` then. Plugins and gateways
/// reconnect by themselves.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    question: Question,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Question { target, json } = args.question;
    let answer = client::block_on(async {
        let mut admin = AdminServiceClient::new(client::connect(&target).await?);
        Ok(client::answer(PATIENCE, admin.hand_over(HandOverRequest {})).await?.into_inner())
    })?;
    let (live, owed) = (answer.live_sessions, answer.ends_owed);
    if json {
        let ledger = answer.ledger_id;
        return term::print(
            &serde_json::json!({ "ledger_id": ledger, "live_sessions": live, "ends_owed": owed }).to_string(),
        );
    }
    term::print(&format!("handed over: {live} live sessions, {owed} ends owed"))
}
