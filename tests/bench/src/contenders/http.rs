//! Webhooks: a POST for each event on 64 connections that stay open; the plugin is the server, 200 is its answer.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use hookwire_protocol::v1::Event;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1::SendRequest, service::service_fn};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinSet,
};

use super::CALLS_IN_FLIGHT;
use crate::{
    load::Source,
    role::{BoxError, Desk, Report, Stage},
};

/// One connection for each request that may be in flight.
pub(super) async fn produce(mut stage: Stage) -> Result<Report, BoxError> {
    let address = stage.role.address.clone();
    let mut connections = Vec::new();
    for _ in 0..CALLS_IN_FLIGHT {
        connections.push(connect(&address).await?);
    }
    stage.ready("");
    let source = Arc::new(Mutex::new(Source::new(stage.role.load)));
    stage.go().await;
    let mut posters = JoinSet::new();
    for connection in connections {
        posters.spawn(post(connection, address.clone(), Arc::clone(&source)));
    }
    while let Some(outcome) = posters.join_next().await {
        outcome??;
    }
    let sent = source.lock().await.sent();
    Ok(Report::sent(sent))
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn post(
    mut connection: SendRequest<Full<Bytes>>,
    host: String,
    source: Arc<Mutex<Source>>,
) -> Result<(), BoxError> {
    loop {
        let event = {
            let mut source = source.lock().await; // the next event is waited for by one poster
            if source.due(1).await == 0 {
                return Ok(());
            }
            source.event()
        };
        let body = Full::new(Bytes::from(event.encode_to_vec()));
        let request = Request::post("/hooks").header("host", &host).body(body)?;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("the webhook answered {}", answer.status()).into());
        }
        answer.into_body().collect().await?; // the connection is free again behind the body
    }
}

pub(super) async fn consume(stage: Stage) -> Result<Report, BoxError> {
    let listener = TcpListener::bind(&stage.role.address).await?;
    stage.ready(&listener.local_addr()?.to_string());
    let desk = Arc::new(Desk::new(stage.role.load));
    tokio::spawn(serve(listener, Arc::clone(&desk)));
    Ok(Report::received(desk.complete().await))
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) -> Result<(), BoxError> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let desk = Arc::clone(&desk);
        let answer = service_fn(move |request| answer(request, Arc::clone(&desk)));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

async fn answer(request: Request<Incoming>, desk: Arc<Desk>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let taken = match request.into_body().collect().await {
        Ok(body) => Event::decode(body.to_bytes()).is_ok_and(|event| {
            desk.take(event.time_unix_nano);
            true
        }),
        Err(_) => false,
    };
    let mut response = Response::new(Empty::new());
    if !taken {
        *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
    }
    Ok(response)
}
