//! `hookwire trigger`: one event, as a gateway would send it, for trying a plugin by hand.
//!
//! Its boot has the same name in every command, so that a start and its end can be two commands: the second comes back in the
//! boot of the first.

mod fields;

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use hookwire_protocol::{
    hook,
    v1::{GatewayEvent, Publish, Receipt, attach_request::Hello, attach_response::Welcome},
};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    Exit, Failure, Target, client,
    publish::{
        attach::{Heard, Link},
        openclaw::{self, Fired},
        setback::Setback,
    },
    status,
    term::{self, clean},
};
use crate::fanout::catalogue;

/// Why a session may end, as far as its gateway can say.
const END_REASONS: [&str; 9] =
    ["new", "reset", "idle", "daily", "deleted", "compaction", "shutdown", "restart", "unknown"];

/// Why a gateway may stop.
const STOP_REASONS: [&str; 2] = ["shutdown", "restart"];

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

    /// The hook's own fields, by the names that `hookwire explain HOOK` shows, or in camel case
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
        let before = sessions(&args).await;
        let publish = Publish { first_publish_seq: welcome.resume_after + 1, events: vec![event] };
        let receipt = timeout(RECEIPT_WITHIN, receipt(&mut link, publish)).await;
        let receipt = receipt.map_err(|_| Exit::Unavailable.because("no receipt came"))??;
        let after = sessions(&args).await;
        link.close().await;
        if let Some(refusal) = receipt.refused.first() {
            return Err(Exit::Refused.because(format!("refused: {}", clean(&refusal.text))));
        }
        let in_vain =
            before.zip(after).is_some_and(|(before, after)| after.saw_an_end_in_vain_since(&before));
        term::print(&became(&args, &boot, in_vain))
    })
}

/// What is sent, or what is wrong with it.
fn event(args: &Args) -> Result<GatewayEvent, String> {
    let hook = args.hook.as_str();
    let said: Map<String, Value> =
        serde_json::from_str(&args.json).map_err(|error| format!("--json: no object: {error}"))?;
    if args.reason.is_some() && !matches!(hook, hook::SESSION_END | hook::GATEWAY_STOP) {
        return Err("--reason: only a session_end or a gateway_stop has one".to_owned());
    }
    let typed = catalogue::described().into_iter().find(|(name, known)| name == hook && known.typed);
    let (raw, said) = match &typed {
        None => (args.json.clone(), said),
        Some((_, known)) => {
            let mut fields = fields::read(hook, known, said).map_err(|why| format!("--json: {why}"))?;
            fields.extend(args.reason.iter().map(|reason| ("reason".to_owned(), reason.as_str().into())));
            check_reason(hook, &fields)?;
            (json!(fields).to_string(), fields)
        }
    };
    let line = format!(r#"{{"hook":{},"session":{},"event":{raw}}}"#, json!(hook), named(args, &said));
    let Fired { event, .. } =
        openclaw::read_line(line.as_bytes()).map_err(|error| format!("--json: {error}"))?;
    match &event.session {
        None if matches!(hook, hook::SESSION_START | hook::SESSION_END) => {
            Err(format!("{hook} needs --session"))
        }
        None if !args.agent.is_empty() => {
            Err("--agent alone names no session: give --session or --key".to_owned())
        }
        _ => Ok(event),
    }
}

/// The session by the flags, and where they say nothing, by the event's own fields.
fn named(args: &Args, said: &Map<String, Value>) -> Value {
    let flag = |flag: &str| Some(flag).filter(|flag| !flag.is_empty()).map(Value::from);
    let given = [
        ("id", args.session.as_deref().map(Value::from), "sessionId"),
        ("key", flag(&args.key), "sessionKey"),
        ("agentId", flag(&args.agent), "agentId"),
    ];
    given
        .into_iter()
        .map(|(name, flag, field)| {
            (name.to_owned(), flag.or_else(|| said.get(field).cloned()).unwrap_or_default())
        })
        .collect()
}

fn check_reason(hook: &str, fields: &Map<String, Value>) -> Result<(), String> {
    let words: &[&str] = if hook == hook::GATEWAY_STOP { &STOP_REASONS } else { &END_REASONS };
    match fields.get("reason").and_then(Value::as_str) {
        Some(word) if !words.contains(&word) => {
            Err(format!("--reason: there is no {word:?} for a {hook}: {}", words.join(", ")))
        }
        _ => Ok(()),
    }
}

/// What the dispatcher says of sessions that end, where it can be asked: a receipt does not tell whether any did.
#[derive(Clone, Copy, Debug)]
struct Sessions {
    /// Of this gateway.
    alive: u64,
    /// Ends of sessions that were not, of all gateways.
    ends_in_vain: u64,
}

impl Sessions {
    fn saw_an_end_in_vain_since(self, before: &Self) -> bool {
        self.alive >= before.alive && self.ends_in_vain > before.ends_in_vain
    }
}

async fn sessions(args: &Args) -> Option<Sessions> {
    if args.hook != hook::SESSION_END {
        return None;
    }
    let status = status::ask(&args.target).await.ok()?;
    let alive = status.gateways.iter().find(|it| it.id == args.gateway)?.live_sessions;
    Some(Sessions { alive, ends_in_vain: *status.counters.get("ends_without_life")? })
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
fn became(args: &Args, boot: &str, in_vain: bool) -> String {
    let gateway = clean(&args.gateway);
    let taken = format!("{} is taken in, from gateway {gateway}, boot {boot}", clean(&args.hook));
    let then = match args.hook.as_str() {
        hook::SESSION_END if in_vain => format!(
            "No session ended: none of that name is alive in gateway {gateway}. It never was, has ended, or was lost after the grace"
        ),
        hook::SESSION_END => return taken,
        hook::GATEWAY_STOP => format!(
            "It is delivered when the boot ends: hookwire drain --gateway {gateway} --reason {}",
            args.reason.as_deref().unwrap_or(STOP_REASONS[0])
        ),
        _ if args.session.is_none() => return taken,
        _ => "The session ends as lost when no other trigger comes within the gateway's grace".to_owned(),
    };
    format!("{taken}\n{}", term::paint(term::DIM, then))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use hookwire_protocol::v1::{SessionEndReason, SessionRef, StopReason, gateway_event::Payload};

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
        let snake = r#"{"reason":"compaction","next_session_id":"t"}"#;
        let end = parsed(&["session_end", "--session", "s", "--json", snake]).expect("an event");
        let Some(Payload::SessionEnd(said)) = end.payload else { panic!("{end:?}") };
        assert_eq!((said.reason(), &*said.next_session_id), (SessionEndReason::Compaction, "t"));
        for bored in [["--reason", "bored"], ["--json", r#"{"reason":"bored"}"#]] {
            let told = parsed(&[&["session_end", "--session", "s"][..], &bored].concat()).expect_err("bored");
            assert!(END_REASONS.iter().all(|reason| told.contains(reason)), "{told}");
        }
        assert!(parsed(&["message_sent", "--reason", "reset"]).is_err());
    }

    #[test]
    fn every_reason_is_one_that_is_read() {
        for reason in END_REASONS {
            let read = openclaw::end_reason(reason);
            assert_eq!(read == SessionEndReason::Unknown, reason == "unknown", "{reason}");
        }
    }

    #[test]
    fn a_stop_has_a_reason_and_the_gateways_own_words() {
        let text = r#"{"text":"back soon"}"#;
        let stop = parsed(&["gateway_stop", "--reason", "restart", "--json", text]).expect("an event");
        let Some(Payload::GatewayStop(said)) = stop.payload else { panic!("{stop:?}") };
        assert_eq!((said.reason(), &*said.text), (StopReason::Restart, "back soon"));
        let told = parsed(&["gateway_stop", "--reason", "foo"]).expect_err("foo");
        assert!(told.contains("shutdown, restart"), "{told}");
    }

    #[test]
    fn an_end_in_vain_is_told_from_one_that_ends_something() {
        let before = Sessions { alive: 2, ends_in_vain: 1 };
        let after = |alive, ends_in_vain| Sessions { alive, ends_in_vain }.saw_an_end_in_vain_since(&before);
        assert!(after(2, 2) && !after(1, 1) && !after(1, 2) && !after(2, 1));
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
    fn the_flags_name_the_session_and_where_they_say_nothing_the_event_does() {
        let session = |words: &[&str]| parsed(words).expect("an event").session.expect("a session");
        let said = r#"{"session_id":"other","session_key":"K","agent_id":"A"}"#;
        let named = |id: &str, key: &str, agent: &str| SessionRef {
            id: Some(id.to_owned()),
            key: key.to_owned(),
            agent_id: agent.to_owned(),
        };
        assert_eq!(session(&["session_start", "--session", "s1", "--json", said]), named("s1", "K", "A"));
        let all = ["session_start", "--session", "s1", "--key", "k", "--agent", "a", "--json", said];
        assert_eq!(session(&all), named("s1", "k", "a"));
        let other = ["message_sent", "--session", "s1", "--json", r#"{"agentId":"A","sessionKey":7}"#];
        assert_eq!(session(&other), named("s1", "", "A"));
        assert!(parsed(&["message_sent", "--agent", "a"]).is_err());
        assert!(parsed(&["message_sent", "--agent", "a", "--json", r#"{"sessionKey":"k"}"#]).is_ok());
    }

    #[test]
    fn a_start_needs_its_session() {
        assert!(parsed(&["session_start"]).is_err());
        assert!(parsed(&["gateway_start", "--json", r#"{"port":1}"#]).is_ok());
    }
}
