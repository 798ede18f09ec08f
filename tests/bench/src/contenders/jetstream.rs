//! NATS with JetStream: a stream on disk, a pull consumer that acknowledges every message, a publisher that waits for
//! the server's word about each.

use hookwire_protocol::v1::Event;
use prost::Message as _;
use serde_json::{Value, json};

use super::{
    credit::{Acknowledged, credit},
    nats::client::{Incoming, Outgoing, connect},
};
use crate::{
    load::Source,
    role::{BoxError, Received, Report, Stage},
};

const EVENTS: &str = "hooks";

/// Where the server's word about what was published goes.
const STORED_INBOX: &str = "_INBOX.stored";

/// Where answers to the consumer's questions go.
const ANSWER_INBOX: &str = "_INBOX.answers";

/// Where what it pulls goes.
const PULL_INBOX: &str = "_INBOX.pulled";

/// Events whose word from the server is out, like the usual clients' limit.
const IN_FLIGHT: u64 = 4000;

/// Events in one write.
const WRITE_EVENTS: u64 = 256;

/// Messages that one request asks for; two requests are under way.
const PULL: u64 = 256;

/// The subscription for what is asked of the server.
const ANSWERS: u32 = 1;

/// The subscription for what is pulled.
const PULLED: u32 = 2;

pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let (mut incoming, mut outgoing) = connect(&stage.role.address).await?;
    outgoing.subscribe(STORED_INBOX, ANSWERS);
    outgoing.settle(&mut incoming).await?;
    stage.ready("");
    let mut source = Source::new(stage.role.load);
    stage.go().await;
    let (mut credit, acknowledged) = credit(IN_FLIGHT);
    let acks = tokio::spawn(read_acks(incoming, acknowledged, stage.role.load.events));
    loop {
        let due = source.due(WRITE_EVENTS).await;
        if due == 0 {
            break;
        }
        credit.take(due).await?;
        for _ in 0..due {
            outgoing.publish(EVENTS, STORED_INBOX, &source.event().encode_to_vec());
        }
        outgoing.flush().await?;
    }
    acks.await??;
    Ok(Report::sent(source.sent()))
}

async fn read_acks(mut incoming: Incoming, acknowledged: Acknowledged, events: u64) -> Result<(), BoxError> {
    for stored in 1..=events {
        let message = incoming.next().await?;
        if message.payload.starts_with(br#"{"error""#) {
            return Err(String::from_utf8_lossy(&message.payload).into());
        }
        acknowledged.through(stored);
    }
    Ok(())
}

pub(super) async fn consume(stage: Stage) -> Result<Report, BoxError> {
    let events = stage.role.load.events;
    let (mut incoming, mut outgoing) = connect(&stage.role.address).await?;
    outgoing.subscribe(ANSWER_INBOX, ANSWERS);
    outgoing.subscribe(PULL_INBOX, PULLED);
    set_up(&mut incoming, &mut outgoing).await?;
    request_more(&mut outgoing);
    request_more(&mut outgoing);
    outgoing.settle(&mut incoming).await?;
    stage.ready("");
    let mut received = Received::new(stage.role.load);
    while !received.is_complete() {
        let mut next = Some(incoming.next().await?);
        while let Some(message) = next {
            received.take(Event::decode(message.payload)?.time_unix_nano);
            outgoing.publish(&message.reply, "", b"+ACK");
            if received.events().is_multiple_of(PULL) {
                request_more(&mut outgoing);
            }
            next = incoming.take()?;
        }
        outgoing.flush().await?;
    }
    while acknowledged(&mut incoming, &mut outgoing).await? < events {}
    Ok(Report::received(received))
}

/// The stream as it is by default, on disk, and a consumer whose window does not hold it up.
async fn set_up(incoming: &mut Incoming, outgoing: &mut Outgoing) -> Result<(), BoxError> {
    let stream = json!({ "name": "HOOKS", "subjects": [EVENTS], "storage": "file" });
    ask(incoming, outgoing, "$JS.API.STREAM.CREATE.HOOKS", &stream).await?;
    let config = json!({ "durable_name": "plugin", "ack_policy": "explicit", "max_ack_pending": 16_384 });
    let consumer = json!({ "stream_name": "HOOKS", "config": config });
    ask(incoming, outgoing, "$JS.API.CONSUMER.DURABLE.CREATE.HOOKS.plugin", &consumer).await?;
    Ok(())
}

fn request_more(outgoing: &mut Outgoing) {
    let request = format!(r#"{{"batch":{PULL}}}"#);
    outgoing.publish("$JS.API.CONSUMER.MSG.NEXT.HOOKS.plugin", PULL_INBOX, request.as_bytes());
}

/// How far the server knows the consumer to be.
async fn acknowledged(incoming: &mut Incoming, outgoing: &mut Outgoing) -> Result<u64, BoxError> {
    let info = ask(incoming, outgoing, "$JS.API.CONSUMER.INFO.HOOKS.plugin", &json!({})).await?;
    info["ack_floor"]["stream_seq"].as_u64().ok_or_else(|| format!("no ack_floor in {info}").into())
}

async fn ask(
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
    subject: &str,
    request: &Value,
) -> Result<Value, BoxError> {
    outgoing.publish(subject, ANSWER_INBOX, request.to_string().as_bytes());
    outgoing.flush().await?;
    loop {
        let message = incoming.next().await?;
        if message.subscription == ANSWERS {
            let answer: Value = serde_json::from_slice(&message.payload)?;
            return if answer.get("error").is_some() { Err(answer.to_string().into()) } else { Ok(answer) };
        }
    }
}
