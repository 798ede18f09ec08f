//! Core NATS. It acknowledges nothing, so the consumer says how far it is, on a subject of its own, whenever its input
//! runs dry; that also keeps the producer within what the server lets a subscriber be behind.

pub(super) mod client;

use hookwire_protocol::v1::Event;
use prost::Message as _;

use super::credit::{Acknowledged, credit};
use crate::{
    load::Source,
    role::{BoxError, Received, Report, Stage},
};
use client::{Incoming, connect};

const EVENTS: &str = "hooks";
const ACKS: &str = "acks";

/// Events ahead of the consumer: 2 MiB, where the server gives up on a subscriber at 64 MiB.
const IN_FLIGHT: u64 = 8192;

/// Events in one write.
const WRITE_EVENTS: u64 = 256;

pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let (mut incoming, mut outgoing) = connect(&stage.role.address).await?;
    outgoing.subscribe(ACKS, 1);
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
            outgoing.publish(EVENTS, "", &source.event().encode_to_vec());
        }
        outgoing.flush().await?;
    }
    acks.await??;
    Ok(Report::sent(source.sent()))
}

async fn read_acks(mut incoming: Incoming, acknowledged: Acknowledged, events: u64) -> Result<(), BoxError> {
    let mut through = 0;
    while through < events {
        let message = incoming.next().await?;
        through = u64::from_be_bytes(message.payload.as_ref().try_into()?);
        acknowledged.through(through);
    }
    Ok(())
}

pub(super) async fn consume(stage: Stage) -> Result<Report, BoxError> {
    let (mut incoming, mut outgoing) = connect(&stage.role.address).await?;
    outgoing.subscribe(EVENTS, 1);
    outgoing.settle(&mut incoming).await?;
    stage.ready("");
    let mut received = Received::new(stage.role.load);
    while !received.is_complete() {
        let mut next = Some(incoming.next().await?);
        while let Some(message) = next {
            received.take(Event::decode(message.payload)?.time_unix_nano);
            next = incoming.take()?;
        }
        outgoing.publish(ACKS, "", &received.events().to_be_bytes());
        outgoing.flush().await?;
    }
    Ok(Report::received(received))
}
