//! `hookwire trigger`: one event, as a gateway would send it, for trying a plugin by hand.
//!
//! Its boot has the same name in every command, so that a start and its end can be two commands: the second comes back in the
//! boot of the first.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use hookwire_protocol::{
    hook,
    v1::{
        GatewayEvent, Publish, Receipt, SessionEndReason, SessionRef, attach_request::Hello,
        attach_response::Welcome,
    },
};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    Exit, Failure, Target, client,
    publish::{
        attach::{Heard, Link},
        openclaw,
        setback::Setback,
    },
    term::{self, clean},
};
use crate::fanout::catalogue;

/// How long a dispatcher may take for the receipt.
const RECEIPT_WITHIN: Duration = Duration::from_secs(30);

/// A boot that a drain has ended is over for good, and the next takes another name. A dispatcher remembers 16 of them.
const BOOTS: u32 = 17;

/// Send one event as a gateway would
///
/// The gateway is gone again behind it: after its grace (serve --gateway-grace) its sessions end as lost, unless another
/// trigger with the same --gateway comes before that, which goes on in the same boot:
///
///   hookwire trigger session_start --session s1
///   hookwire trigger message_received --session s1 --json '{"text":"hello"}'
///   hookwire trigger session_end --session s1 --reason reset
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// The hook's name: any, or one that `hookwire explain` knows
    #[arg(value_name = "HOOK", value_parser = NonEmptyStringValueParser::new())]
    hook: String,

    /// The session's id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    session: Option<String>,

    /// The session's key; without an id, the live session that has this key
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    key: String,

    /// The agent that owns the session
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    agent: String,

    /// Why a session ends, or a gateway stops
    #[arg(long, value_name = "WORD")]
    reason: Option<String>,

    /// The hook's own fields
    #[arg(long, value_name = "OBJECT", default_value = "{}")]
    json: String,

    /// The gateway's durable name
    #[arg(long, value_name = "NAME", default_value = "trigger")]
    gateway: String,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let event = event(&args).map_err(|why| Exit::Usage.because(why))?;
    if !catalogue::HOOKS.contains(&args.hook.as_str()) {
        term::say(format!(
            "{} is none of the hooks that `hookwire explain` knows: sent all the same",
            clean(&args.hook)
        ));
    }
    client::block_on(async {
        let (mut link, boot, welcome) = attach(&args).await?;
        let publish = Publish { first_publish_seq: welcome.resume_after + 1, events: vec![event] };
        let receipt = timeout(RECEIPT_WITHIN, receipt(&mut link, publish)).await;
        let receipt = receipt.map_err(|_| Exit::Unavailable.because("no receipt came"))??;
        link.close().await;
        if let Some(refusal) = receipt.refused.first() {
            return Err(Exit::Refused.because(format!("refused: {}", clean(&refusal.text))));
        }
        term::print(&became(&args, &boot))
    })
}

/// What is sent, or what is wrong with it.
fn event(args: &Args) -> Result<GatewayEvent, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_str(&args.json).map_err(|error| format!("--json: no object: {error}"))?;
    let raw = match &args.reason {
        None => args.json.clone(),
        Some(reason) => {
            check_reason(&args.hook, reason)?;
            fields.insert("reason".to_owned(), reason.as_str().into());
            Value::Object(fields).to_string()
        }
    };
    let hook = json!(args.hook);
    let line = format!(r#"{{"hook":{hook},"event":{raw}}}"#);
    let event = openclaw::read_line(line.as_bytes()).map_err(|error| format!("--json: {error}"))?;
    let named = args.session.is_some() || !args.key.is_empty();
    let given = SessionRef { id: args.session.clone(), key: args.key.clone(), agent_id: args.agent.clone() };
    let session = if named { Some(given) } else { event.session };
    if session.is_none() && matches!(args.hook.as_str(), hook::SESSION_START | hook::SESSION_END) {
        return Err(format!("{} needs --session", args.hook));
    }
    Ok(GatewayEvent { session, ..event })
}

fn check_reason(hook: &str, word: &str) -> Result<(), String> {
    match hook {
        hook::GATEWAY_STOP => Ok(()),
        hook::SESSION_END if word == "unknown" || openclaw::end_reason(word) != SessionEndReason::Unknown => {
            Ok(())
        }
        hook::SESSION_END => Err(format!(
            "--reason: no {word:?}: new, reset, idle, daily, deleted, compaction, shutdown, restart or unknown"
        )),
        _ => Err("--reason: only a session_end or a gateway_stop has one".to_owned()),
    }
}

/// Attaches, in the first boot that is not over.
async fn attach(args: &Args) -> Result<(Link, String, Welcome), Failure> {
    let mut refused = None;
    for number in 1..=BOOTS {
        let boot_id = if number == 1 { "trigger".to_owned() } else { format!("trigger-{number}") };
        let hello = Hello {
            gateway_id: args.gateway.clone(),
            boot_id: boot_id.clone(),
            // The same in every command, too: a boot has room for so many.
            emitter_id: "trigger".to_owned(),
            client_name: "hookwire trigger".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        match Link::open(&args.target.to, hello).await {
            Ok((link, welcome)) => return Ok((link, boot_id, welcome)),
            Err(Setback::Refused(text)) => refused = Some(Setback::Refused(text)),
            Err(setback) => return Err(setback.into_failure()),
        }
    }
    Err(refused.map_or_else(|| Exit::Fault.because("no boot was tried"), Setback::into_failure))
}

async fn receipt(link: &mut Link, publish: Publish) -> Result<Receipt, Failure> {
    let number = publish.first_publish_seq;
    let mut publish = Some(publish);
    loop {
        match link.next(publish.is_some()).await {
            Heard::Room => publish.take().into_iter().for_each(|publish| link.send(publish)),
            Heard::Receipt(receipt) if receipt.through_publish_seq >= number => return Ok(receipt),
            Heard::Receipt(_) => {}
            Heard::Lost(setback) => return Err(setback.into_failure()),
        }
    }
}

/// What became of it, and what will.
fn became(args: &Args, boot: &str) -> String {
    let gateway = clean(&args.gateway);
    let taken = format!("{} is taken in, from gateway {gateway}, boot {boot}", clean(&args.hook));
    let then = match args.hook.as_str() {
        hook::SESSION_END => return taken,
        hook::GATEWAY_STOP => format!(
            "It is delivered when the boot ends: hookwire drain --gateway {gateway} --reason shutdown"
        ),
        _ if args.session.is_none() => return taken,
        _ => "The session ends as lost when no other trigger comes within the gateway's grace".to_owned(),
    };
    format!("{taken}\n{}", term::paint(term::DIM, then))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use hookwire_protocol::v1::gateway_event::Payload;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &[&str]) -> Result<GatewayEvent, String> {
        event(&CommandLine::parse_from(["trigger"].iter().chain(words)).args)
    }

    #[test]
    fn an_end_has_its_reason() {
        let end = parsed(&["session_end", "--session", "s", "--reason", "reset"]).expect("an event");
        let Some(Payload::SessionEnd(said)) = end.payload else { panic!("{end:?}") };
        assert_eq!(said.reason(), SessionEndReason::Reset);
        assert_eq!(end.session.and_then(|session| session.id).as_deref(), Some("s"));
        assert!(parsed(&["session_end", "--session", "s", "--reason", "bored"]).is_err());
        assert!(parsed(&["message_sent", "--reason", "reset"]).is_err());
    }

    #[test]
    fn the_json_goes_byte_for_byte() {
        let text = r#"{ "n": 1.00, "sessionKey": "k" }"#;
        let event = parsed(&["message_sent", "--json", text]).expect("an event");
        assert_eq!(event.payload, Some(Payload::Json(text.to_owned().into())));
        assert_eq!(event.session.map(|session| session.key).as_deref(), Some("k"));
        for no_object in ["7", "[]", "{", ""] {
            assert!(parsed(&["message_sent", "--json", no_object]).is_err(), "{no_object}");
        }
    }

    #[test]
    fn a_start_needs_its_session() {
        assert!(parsed(&["session_start"]).is_err());
        assert!(parsed(&["gateway_start", "--json", r#"{"port":1}"#]).is_ok());
    }
}
