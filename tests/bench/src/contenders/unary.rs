//! gRPC with a call for each event, 64 of them in flight on one connection: the plugin is the server.

use std::sync::Arc;

use hookwire_protocol::v1::Event;
use tokio::{net::TcpListener, sync::Mutex, task::JoinSet};
use tonic::{
    Request, Response, Status,
    transport::{Endpoint, Server, server::TcpIncoming},
};

use super::{
    CALLS_IN_FLIGHT,
    peers::{
        Ack,
        unary_client::UnaryClient,
        unary_server::{Unary, UnaryServer},
    },
};
use crate::{
    load::Source,
    role::{BoxError, Desk, Report, Stage},
};

/// Calls every subscriber with every event.
pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let load = stage.role.load;
    let mut plugins = Vec::new();
    for address in stage.role.address.split(',') {
        let endpoint = Endpoint::new(format!("http://{address}"))?.tcp_nodelay(true);
        plugins.push(UnaryClient::new(endpoint.connect().await?));
    }
    stage.ready("");
    let source = Arc::new(Mutex::new(Source::new(load)));
    stage.go().await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLS_IN_FLIGHT {
        callers.spawn(call(plugins.clone(), Arc::clone(&source)));
    }
    while let Some(outcome) = callers.join_next().await {
        outcome??;
    }
    let sent = source.lock().await.sent();
    Ok(Report::sent(sent))
}

async fn call(
    mut plugins: Vec<UnaryClient<tonic::transport::Channel>>,
    source: Arc<Mutex<Source>>,
) -> Result<(), BoxError> {
    loop {
        let event = {
            let mut source = source.lock().await; // the next event is waited for by one caller
            if source.due(1).await == 0 {
                return Ok(());
            }
            source.event()
        };
        for plugin in &mut plugins {
            plugin.deliver(event.clone()).await?;
        }
    }
}

pub(super) async fn consume(stage: Stage) -> Result<Report, BoxError> {
    let listener = TcpListener::bind(&stage.role.address).await?;
    stage.ready(&listener.local_addr()?.to_string());
    let desk = Arc::new(Desk::new(stage.role.load));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(UnaryServer::new(Plugin(Arc::clone(&desk))));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(Report::received(desk.complete().await))
}

struct Plugin(Arc<Desk>);

#[tonic::async_trait]
impl Unary for Plugin {
    async fn deliver(&self, request: Request<Event>) -> Result<Response<Ack>, Status> {
        self.0.take(request.into_inner().time_unix_nano);
        Ok(Response::new(Ack {}))
    }
}
