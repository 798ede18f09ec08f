//! `hookwire subscribers`: who is known, connected or away; `forget` lets go of one.

use clap::builder::NonEmptyStringValueParser;
use hookwire_protocol::v1::{
    ForgetSubscriberRequest, ForgetSubscriberResponse, SubscriberStatus,
    admin_service_client::AdminServiceClient,
};
use serde_json::json;

use super::{Failure, Question, client, status, term};

/// List subscribers, or forget one
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    list: Question,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Forget(Forget),
}

/// Let go of all that a subscriber is owed; it must not be connected
#[derive(Debug, clap::Args)]
struct Forget {
    /// The subscriber's durable name
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,

    #[command(flatten)]
    question: Question,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Some(Action::Forget(args)) => forget(&args),
        None => list(&args.list),
    }
}

fn list(args: &Question) -> Result<(), Failure> {
    let subscribers = client::block_on(status::ask(&args.target))?.subscribers;
    if args.json {
        let rows: Vec<_> = subscribers.iter().map(status::subscriber_json).collect();
        return term::print(&json!({ "subscribers": rows }).to_string());
    }
    term::print(&for_eyes(&subscribers))
}

fn for_eyes(subscribers: &[SubscriberStatus]) -> String {
    let row = |it: &SubscriberStatus| {
        let mut row = vec![it.id.clone(), status::presence(it)];
        row.extend([it.owed, it.open, it.retrying, it.expired].map(|count| count.to_string()));
        row
    };
    let header = ["subscriber", "connected", "owed", "open", "retrying", "expired"];
    term::table(&header, 2, subscribers.iter().map(row))
}

fn forget(args: &Forget) -> Result<(), Failure> {
    let response = client::block_on(ask_to_forget(args))?;
    let ForgetSubscriberResponse { entries_released, ends_owed } = response;
    if args.question.json {
        let (name, entries, owed) = (&args.name, entries_released, ends_owed);
        return term::print(
            &json!({ "forgotten": name, "entries_released": entries, "ends_owed": owed }).to_string(),
        );
    }
    let name = term::clean(&args.name);
    term::print(&format!("{name} is forgotten: {entries_released} open entries, {ends_owed} ends owed"))
}

async fn ask_to_forget(args: &Forget) -> Result<ForgetSubscriberResponse, Failure> {
    let mut admin = AdminServiceClient::new(client::connect(&args.question.target).await?);
    let request = ForgetSubscriberRequest { subscriber_id: args.name.clone() };
    Ok(client::answer(status::PATIENCE, admin.forget_subscriber(request)).await?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_says_for_how_long() {
        let here = SubscriberStatus { id: "audit".into(), connected: true, open: 3, ..Default::default() };
        let away = SubscriberStatus {
            id: "mail".into(),
            away_ms: Some(180_000),
            owed: 2,
            open: 2,
            expired: 7,
            ..Default::default()
        };
        assert_eq!(
            for_eyes(&[here, away]),
            "subscriber  connected      owed  open  retrying  expired\n\
             audit       yes               0     3         0        0\n\
             mail        no, for 3 min     2     2         0        7"
        );
    }
}
