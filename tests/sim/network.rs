//! The simulated network: where the dispatcher listens, and how the others reach it.

use std::{net::Ipv4Addr, time::Duration};

use hookwire::dispatcher::Dispatcher;
use hyper::{rt::Executor, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{task::spawn_local, time::timeout};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use turmoil::net::{TcpListener, TcpStream};

/// The dispatcher's host.
pub(crate) const DISPATCHER: &str = "dispatcher";

const PORT: u16 = 7400;

/// From silence to a ping, and from that to giving the peer up. A lost segment is never sent again here, so this is
/// how a connection finds out that it is dead.
const KEEPALIVE: Duration = Duration::from_millis(400);

/// How long anybody waits for an answer before it tries anew.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// Serves until the host goes down.
///
/// # Errors
/// The port is taken.
pub(crate) async fn serve(dispatcher: &Dispatcher) -> turmoil::Result {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(dispatcher.routes());
        spawn_local(async move {
            let mut stream = stream;
            // Until it has spoken, no keepalive watches over it.
            let spoke = timeout(PATIENCE, stream.peek(&mut [0])).await;
            if !matches!(spoke, Ok(Ok(bytes)) if bytes > 0) {
                return;
            }
            let mut http2 = http2::Builder::new(OnItsHost);
            http2.timer(TokioTimer::new()).keep_alive_interval(KEEPALIVE).keep_alive_timeout(KEEPALIVE);
            // How a connection ends is its client's business.
            let _ = http2.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A connection of its own; `None` where nobody answers in time.
pub(crate) async fn dial() -> Option<Channel> {
    let connector = service_fn(|_| async { TcpStream::connect((DISPATCHER, PORT)).await.map(TokioIo::new) });
    let endpoint = Endpoint::from_static("http://dispatcher")
        .executor(OnItsHost)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    timeout(PATIENCE, endpoint.connect_with_connector(connector)).await.ok()?.ok()
}

/// Spawns where a host's crash drops tasks, and the sockets in them, in a fixed order. A runtime drops its own in an order
/// that depends on what other threads have spawned.
#[derive(Clone, Copy, Debug)]
struct OnItsHost;

impl<F: Future<Output: 'static> + 'static> Executor<F> for OnItsHost {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}
