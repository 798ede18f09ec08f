//! gRPC as tonic's guide would have it: the gateway is the server, every subscriber holds a stream, every event is a
//! message that is encoded for each of them, and is answered by a message.

use std::pin::Pin;

use hookwire_protocol::v1::Event;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Endpoint, Server, server::TcpIncoming},
};

use super::peers::{
    Ack,
    per_event_client::PerEventClient,
    per_event_server::{PerEvent, PerEventServer},
};
use crate::{
    load::Source,
    role::{BoxError, Received, Report, Stage, keep},
};

/// Messages that may wait for one stream, on either side.
const WAITING: usize = 1024;

/// Events that are made between two looks at the rest of the world.
const TURN: u64 = 256;

/// What the gateway's connections may have unread, in bytes. h2 hangs up on a peer of whose small frames too many wait: they
/// may make up half of this, 256 each. A stream's window of 64 KiB is full at 13,107 answers, 3.2 MiB in that count.
const CONNECTION_WINDOW: u32 = 8 << 20;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// One that has subscribed.
struct Subscriber {
    events: mpsc::Sender<Result<Event, Status>>,
    acks: Streaming<Ack>,
}

struct Gateway {
    subscribers: mpsc::Sender<Subscriber>,
}

#[tonic::async_trait]
impl PerEvent for Gateway {
    type SubscribeStream = Messages<Event>;

    async fn subscribe(
        &self,
        request: Request<Streaming<Ack>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (events, waiting) = mpsc::channel(WAITING);
        let subscriber = Subscriber { events, acks: request.into_inner() };
        self.subscribers.send(subscriber).await.map_err(|_| Status::unavailable("all are here"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(waiting))))
    }
}

pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let load = stage.role.load;
    let listener = TcpListener::bind(&stage.role.address).await?;
    stage.ready(&listener.local_addr()?.to_string());
    let (subscribers, mut arriving) = mpsc::channel(1);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(
        Server::builder()
            .initial_connection_window_size(CONNECTION_WINDOW)
            .add_service(PerEventServer::new(Gateway { subscribers }))
            .serve_with_incoming(incoming),
    );
    let (mut streams, mut acks) = (Vec::new(), JoinSet::new());
    for _ in 0..load.subscribers {
        let subscriber = arriving.recv().await.ok_or("the server has ended")?;
        streams.push(subscriber.events);
        acks.spawn(acknowledged(subscriber.acks, load.events));
    }
    let mut source = Source::new(load);
    stage.go().await;
    loop {
        let due = source.due(TURN).await;
        if due == 0 {
            break;
        }
        for _ in 0..due {
            hand_out(source.event(), &streams).await?;
        }
    }
    while let Some(outcome) = acks.join_next().await {
        outcome??;
    }
    keep(streams); // a subscriber whose stream ends would leave
    Ok(Report::sent(source.sent()))
}

async fn hand_out(event: Event, streams: &[mpsc::Sender<Result<Event, Status>>]) -> Result<(), BoxError> {
    for stream in streams {
        stream.send(Ok(event.clone())).await.map_err(|_| "a subscriber has gone")?;
    }
    Ok(())
}

async fn acknowledged(mut acks: Streaming<Ack>, events: u64) -> Result<(), BoxError> {
    for _ in 0..events {
        acks.message().await?.ok_or("a subscriber has gone")?;
    }
    Ok(())
}

pub(super) async fn consume(stage: Stage) -> Result<Report, BoxError> {
    let endpoint = Endpoint::new(format!("http://{}", stage.role.address))?.tcp_nodelay(true);
    let mut client = PerEventClient::new(endpoint.connect().await?);
    let (acks, waiting) = mpsc::channel(WAITING);
    let mut events = client.subscribe(ReceiverStream::new(waiting)).await?.into_inner();
    stage.ready("");
    let mut received = Received::new(stage.role.load);
    while !received.is_complete() {
        let event = events.next().await.ok_or("the gateway has ended")??;
        received.take(event.time_unix_nano);
        acks.send(Ack {}).await?;
    }
    keep((acks, events)); // without its events the stream is reset, and the last answers with it
    Ok(Report::received(received))
}
