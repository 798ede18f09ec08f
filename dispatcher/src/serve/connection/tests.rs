//! Over real sockets and in real time: every wait is for a condition, and [`PROMPT`] only keeps a failure from
//! hanging.

use std::{convert::Infallible, future::Future, io, sync::Arc};

use hookwire_sdk::Address;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_stream::StreamExt;
use tonic::{body::Body, server::NamedService, transport::Channel};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient},
    server::{HealthReporter, health_reporter},
};

use super::{greeting::PREFACE, *};

const PROMPT: Duration = Duration::from_secs(30);
/// Beyond any test's patience: what ends before was not ended by this.
const NEVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(100);

const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

const LIMITS: ConnectionLimits =
    ConnectionLimits { first_byte_timeout: NEVER, keepalive: NEVER, max_connections: 100 };

struct Served {
    server: Server,
    address: Address,
    health: HealthReporter,
}

fn serve(limits: ConnectionLimits) -> Served {
    let (health, service) = health_reporter();
    let (server, address) = serve_routes(Routes::new(service), limits);
    Served { server, address, health }
}

fn serve_routes(routes: Routes, limits: ConnectionLimits) -> (Server, Address) {
    let listener = Listener::bind(&["127.0.0.1:0".parse().unwrap()], false).unwrap();
    let address = listener.addresses()[0].parse().unwrap();
    (listener.serve(routes, limits), address)
}

async fn prompt<T>(future: impl Future<Output = T>) -> T {
    timeout(PROMPT, future).await.expect("this should not take as long")
}

async fn dial(address: &Address) -> TcpStream {
    let Address::Tcp(text) = address else { panic!("{address} is no TCP address") };
    TcpStream::connect(text).await.unwrap()
}

/// A connection that said this, and nothing since.
async fn say(address: &Address, said: &[&[u8]]) -> TcpStream {
    let mut stream = dial(address).await;
    stream.write_all(&said.concat()).await.unwrap();
    stream
}

/// All that comes until the other side closes; being reset is being closed.
async fn hear(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match prompt(stream.read_to_end(&mut heard)).await {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => heard,
    }
}

async fn watch(address: &Address) -> tonic::Streaming<HealthCheckResponse> {
    let channel: Channel = prompt(address.connect()).await.unwrap();
    let mut health = HealthClient::new(channel);
    let mut stream = prompt(health.watch(HealthCheckRequest::default())).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await, ServingStatus::Serving as i32);
    stream
}

async fn next(stream: &mut tonic::Streaming<HealthCheckResponse>) -> i32 {
    prompt(stream.next()).await.unwrap().unwrap().status
}

#[tokio::test]
async fn who_does_not_ask_in_time_is_closed() {
    let served = serve(ConnectionLimits { first_byte_timeout: SHORT, ..LIMITS });
    assert_eq!(hear(say(&served.address, &[]).await).await, b"");
    assert_eq!(hear(say(&served.address, &[&PREFACE[..12]]).await).await, b"");
    assert_eq!(hear(say(&served.address, &[b"GE"]).await).await, b"");
    hear(say(&served.address, &[PREFACE]).await).await;
    // Our SETTINGS, and GOAWAY (type 7) for one that may have been about to ask.
    let heard = hear(say(&served.address, &[PREFACE, EMPTY_SETTINGS]).await).await;
    assert!(heard.windows(2).any(|frame| frame == [8, 7]), "{heard:?}");
}

#[tokio::test]
async fn who_asked_in_time_stays() {
    let served = serve(ConnectionLimits { first_byte_timeout: SHORT, ..LIMITS });
    let mut stream = watch(&served.address).await;
    // It came later and is gone: the first one's time is over, too.
    hear(say(&served.address, &[]).await).await;
    served.health.set_service_status("", ServingStatus::NotServing).await;
    assert_eq!(next(&mut stream).await, ServingStatus::NotServing as i32);
}

#[tokio::test]
async fn http1_is_told_what_this_port_is() {
    let served = serve(LIMITS);
    let mut client = say(&served.address, &[b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"]).await;
    client.shutdown().await.unwrap();
    let heard = String::from_utf8(hear(client).await).unwrap();
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
    assert!(heard.ends_with("gRPC, which needs HTTP/2 from the first byte\n"), "{heard}");
}

#[tokio::test]
async fn garbage_is_closed_without_a_word() {
    let served = serve(LIMITS);
    assert_eq!(hear(say(&served.address, &[b"\x16\x03\x01\x02\x00"]).await).await, b"");
    assert_eq!(hear(say(&served.address, &[&[0xff; 4096]]).await).await, b"");
    watch(&served.address).await;
}

#[tokio::test]
async fn who_does_not_answer_pings_is_given_up() {
    let served = serve(ConnectionLimits { keepalive: SHORT, ..LIMITS });
    hear(say(&served.address, &[PREFACE, EMPTY_SETTINGS]).await).await;
}

#[tokio::test]
async fn who_does_not_read_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let address = Address::Unix(directory.path().join("s"));
    let listener = Listener::bind(std::slice::from_ref(&address), false).unwrap();
    let (_, service) = health_reporter();
    // HTTP/2 keepalive alone would not do: its GOAWAY cannot be written either.
    let server = listener.serve(Routes::new(service), ConnectionLimits { keepalive: SHORT, ..LIMITS });
    let Address::Unix(path) = address else { unreachable!() };
    let mut deaf = UnixStream::connect(path).await.unwrap();
    deaf.write_all(&[PREFACE.as_slice(), EMPTY_SETTINGS].concat()).await.unwrap();
    let error = prompt(async {
        loop {
            // Each wants an answer.
            if let Err(error) = deaf.write_all(PING).await {
                break error;
            }
        }
    });
    assert_eq!(error.await.kind(), io::ErrorKind::BrokenPipe);
    drop(server);
}

#[tokio::test]
async fn too_many_connections_are_closed_at_once() {
    let served = serve(ConnectionLimits { max_connections: 1, ..LIMITS });
    let first = watch(&served.address).await;
    assert_eq!(hear(dial(&served.address).await).await, b"");
    drop(first);
    // Its place is free once its end was noticed.
    prompt(async { while is_closed(dial(&served.address).await).await {} }).await;
}

/// Whether the other side closed it at once.
async fn is_closed(mut stream: TcpStream) -> bool {
    timeout(SHORT, stream.read_u8()).await.is_ok()
}

#[tokio::test]
async fn nobody_connects_any_more_and_who_is_connected_goes_on() {
    let mut served = serve(LIMITS);
    let mut stream = watch(&served.address).await;
    served.server.stop_listening().await;
    served.server.stop_listening().await;
    let Address::Tcp(text) = &served.address else { unreachable!() };
    assert_eq!(TcpStream::connect(text).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    served.health.set_service_status("", ServingStatus::NotServing).await;
    assert_eq!(next(&mut stream).await, ServingStatus::NotServing as i32);
    prompt(served.server.close(Duration::ZERO)).await;
}

#[tokio::test]
async fn a_client_that_has_finished_is_not_cut() {
    let served = serve(LIMITS);
    let channel = prompt(served.address.connect()).await.unwrap();
    prompt(HealthClient::new(channel).check(HealthCheckRequest::default())).await.unwrap();
    // It answers GOAWAY's ping: nothing is left to be waited for.
    prompt(served.server.close(NEVER)).await;
}

#[tokio::test]
async fn nothing_that_a_peer_does_delays_the_end() {
    let served = serve(LIMITS);
    let peers = [
        say(&served.address, &[]).await,
        say(&served.address, &[&PREFACE[..12]]).await,
        say(&served.address, &[PREFACE]).await,
        say(&served.address, &[PREFACE, EMPTY_SETTINGS]).await, // will not answer GOAWAY's ping
        say(&served.address, &[b"GET / HTTP/1.1\r\n"]).await,   // and does not close after the answer
    ];
    let mut open = watch(&served.address).await;
    prompt(served.server.close(SHORT)).await;
    for peer in peers {
        hear(peer).await;
    }
    assert!(prompt(open.next()).await.is_some_and(|item| item.is_err()));
}

#[tokio::test]
async fn dropping_the_server_cuts_everything() {
    let served = serve(LIMITS);
    let silent = say(&served.address, &[]).await;
    let mut open = watch(&served.address).await;
    drop(served.server);
    hear(silent).await;
    assert!(prompt(open.next()).await.is_some_and(|item| item.is_err()));
}

/// A service that takes a call and never answers.
#[derive(Clone)]
struct Hanging(Arc<()>);

impl NamedService for Hanging {
    const NAME: &'static str = "hanging";
}

impl tower::Service<http::Request<Body>> for Hanging {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let held = self.0.clone();
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(held);
            unreachable!()
        })
    }
}

#[tokio::test]
async fn no_request_outlives_the_end() {
    let held = Arc::new(());
    let (server, address) = serve_routes(Routes::new(Hanging(held.clone())), LIMITS);
    let mut channel = prompt(address.connect()).await.unwrap();
    let call = tokio::spawn(async move {
        let request = http::Request::post("http://localhost/hanging/call").body(Body::empty()).unwrap();
        tower::Service::call(&mut tower::ServiceExt::ready(&mut channel).await.unwrap(), request).await
    });
    let idle = Arc::strong_count(&held);
    prompt(async {
        while Arc::strong_count(&held) <= idle {
            tokio::task::yield_now().await;
        }
    })
    .await;
    prompt(server.close(Duration::ZERO)).await;
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(prompt(call).await.unwrap().is_err());
}
