//! Redis Streams: XADD in a pipeline, XREADGROUP of up to 256, one XACK for each read of those.

use bytes::Bytes;
use hookwire_protocol::v1::Event;
use prost::Message as _;

use super::{
    credit::{Acknowledged, credit},
    resp::{Incoming, Outgoing, Value, connect},
};
use crate::{
    load::Source,
    role::{BoxError, Received, Report, Stage},
};

/// Events whose XADD is not answered yet.
const IN_FLIGHT: u64 = 4096;

/// Events in one write.
const WRITE_EVENTS: u64 = 256;

/// How long a read may wait for its first event, in milliseconds.
const BLOCK_MS: &[u8] = b"10000";

/// A message's id and its one field's value.
type Entry = (Bytes, Bytes);

pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let (incoming, mut outgoing) = connect(&stage.role.address).await?;
    stage.ready("");
    let mut source = Source::new(stage.role.load);
    stage.go().await;
    let (mut credit, acknowledged) = credit(IN_FLIGHT);
    let acks = tokio::spawn(read_answers(incoming, acknowledged, stage.role.load.events));
    loop {
        let due = source.due(WRITE_EVENTS).await;
        if due == 0 {
            break;
        }
        credit.take(due).await?;
        for _ in 0..due {
            outgoing.command(&[b"XADD", b"hooks", b"*", b"e", &source.event().encode_to_vec()]);
        }
        outgoing.flush().await?;
    }
    acks.await??;
    Ok(Report::sent(source.sent()))
}

async fn read_answers(
    mut incoming: Incoming,
    acknowledged: Acknowledged,
    events: u64,
) -> Result<(), BoxError> {
    for stored in 1..=events {
        incoming.next().await?;
        acknowledged.through(stored);
    }
    Ok(())
}

pub(super) async fn consume(stage: Stage) -> Result<Report, BoxError> {
    let (mut incoming, mut outgoing) = connect(&stage.role.address).await?;
    outgoing.command(&[b"XGROUP", b"CREATE", b"hooks", b"plugins", b"$", b"MKSTREAM"]);
    outgoing.flush().await?;
    incoming.next().await?;
    stage.ready("");
    let mut received = Received::new(stage.role.load);
    let mut answers = 0; // of XACKs, which come before that of the read behind them
    while !received.is_complete() {
        read(&mut outgoing);
        outgoing.flush().await?;
        for _ in 0..answers {
            incoming.next().await?;
        }
        let entries = entries(incoming.next().await?)?;
        let mut ack: Vec<&[u8]> = vec![b"XACK", b"hooks", b"plugins"];
        for (id, event) in &entries {
            received.take(Event::decode(event.clone())?.time_unix_nano);
            ack.push(id);
        }
        outgoing.command(&ack);
        answers = 1;
    }
    outgoing.command(&[b"XPENDING", b"hooks", b"plugins"]);
    outgoing.flush().await?;
    incoming.next().await?;
    match incoming.next().await? {
        Value::Array(pending) if matches!(pending.first(), Some(Value::Integer(0))) => {
            Ok(Report::received(received))
        }
        pending => Err(format!("unacknowledged: {pending:?}").into()),
    }
}

fn read(outgoing: &mut Outgoing) {
    let words: [&[u8]; 11] = [
        b"XREADGROUP",
        b"GROUP",
        b"plugins",
        b"plugin",
        b"COUNT",
        b"256",
        b"BLOCK",
        BLOCK_MS,
        b"STREAMS",
        b"hooks",
        b">",
    ];
    outgoing.command(&words);
}

/// What a read of one stream brought: `[[name, [[id, [field, value]] …]]]`.
fn entries(answer: Value) -> Result<Vec<Entry>, BoxError> {
    let mut stream = answer.array()?.pop().ok_or("no stream")?.array()?;
    let entries = stream.pop().ok_or("no entries")?.array()?;
    entries.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Result<Entry, BoxError> {
    let mut entry = value.array()?;
    let event = entry.pop().ok_or("no fields")?.array()?.pop().ok_or("no value")?.bytes()?;
    Ok((entry.pop().ok_or("no id")?.bytes()?, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_where_redis_puts_them() {
        let bytes = |text: &'static str| Value::Bytes(Bytes::from(text));
        let entry = |id, event| Value::Array(vec![bytes(id), Value::Array(vec![bytes("e"), bytes(event)])]);
        let stream = vec![bytes("hooks"), Value::Array(vec![entry("1-0", "a"), entry("1-1", "b")])];
        let found = entries(Value::Array(vec![Value::Array(stream)])).unwrap();
        assert_eq!(found, [("1-0".into(), "a".into()), ("1-1".into(), "b".into())]);
        assert!(entries(Value::Nothing).is_err());
    }
}
