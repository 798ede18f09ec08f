//! One connection, from its first byte to its last.

use std::{
    io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{
    rt::Executor,
    server::conn::http2,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};
use tonic::service::Routes;
use tracing::debug;

use super::{
    ConnectionLimits, Phase,
    greeting::{self, Greeting, PREFACE},
    reached,
    socket::Socket,
};

/// What a client that never asked has, after GOAWAY, to see it.
const FAREWELL: Duration = Duration::from_millis(200);

/// What every connection is given.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) routes: Routes,
    pub(super) limits: ConnectionLimits,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Peer {
    /// Serves one connection; `name` is for logs. Returns when nothing of it is left.
    pub(super) async fn run<S>(mut self, mut stream: S, name: String)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let deadline = Instant::now() + self.limits.first_byte_timeout;
        let greeted = tokio::select! {
            greeted = timeout_at(deadline, greet(&mut stream)) => greeted,
            // Who has not spoken by now is owed no goodbye.
            () = reached(&mut self.phase, Phase::Closing) => return,
        };
        match greeted {
            Ok(Ok(Greeting::Http2)) => self.serve(stream, name, deadline).await,
            Ok(Ok(other)) => debug!(peer = name, spoke = ?other, "not HTTP/2"),
            Ok(Err(error)) => debug!(peer = name, %error, "gone before it spoke"),
            Err(_) => debug!(peer = name, "silent for too long"),
        }
    }

    async fn serve<S>(self, stream: S, name: String, deadline: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let streams = Streams::default();
        let socket = Socket::new(stream, PREFACE, self.limits.keepalive * 2);
        self.converse(socket, &streams, name, deadline).await;
        streams.end().await;
    }

    /// Speaks HTTP/2 until the peer, a deadline or the phase ends it. The socket is closed when this returns.
    ///
    /// hyper ends a connection gracefully once the peer has answered a ping and the last stream has ended: both
    /// are up to the peer, so the phase [`Phase::Cut`] does not wait for it.
    async fn converse<S>(mut self, socket: Socket<S>, streams: &Streams, name: String, deadline: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = AtomicBool::new(false);
        let routes = TowerToHyperService::new(self.routes);
        let service = service_fn(|request| {
            asked.store(true, Ordering::Relaxed);
            routes.call(request)
        });
        let http2 = http2(&self.limits, streams.spawner());
        let mut connection = pin!(http2.serve_connection(TokioIo::new(socket), service));
        let mut deadline = pin!(sleep_until(deadline));
        // `silent`: no request came yet. `told`: that has cost it a GOAWAY.
        let (mut silent, mut told, mut next) = (true, false, Phase::Closing);
        loop {
            tokio::select! {
                outcome = connection.as_mut() => return debug!(peer = name, ?outcome, "connection ended"),
                () = reached(&mut self.phase, next) => {
                    if next == Phase::Cut {
                        return debug!(peer = name, "connection cut");
                    }
                    connection.as_mut().graceful_shutdown();
                    next = Phase::Cut;
                }
                () = deadline.as_mut(), if silent => {
                    silent = !asked.load(Ordering::Relaxed);
                    if silent && told {
                        return debug!(peer = name, "asked for nothing");
                    }
                    if silent {
                        // A request that is on its way is served, or its sender learns that it was not.
                        connection.as_mut().graceful_shutdown();
                        told = true;
                        deadline.as_mut().reset(Instant::now() + FAREWELL);
                    }
                }
            }
        }
    }
}

/// Finds out what the peer speaks, and answers what is not for us.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<Greeting> {
    let greeting = greeting::read(stream).await?;
    if greeting == Greeting::Http1 {
        greeting::turn_away_http1(stream).await?;
    }
    Ok(greeting)
}

/// Every limit is set: hyper's defaults are not part of its promises.
fn http2(limits: &ConnectionLimits, spawner: Spawner) -> http2::Builder<Spawner> {
    let mut http2 = http2::Builder::new(spawner);
    http2
        .timer(TokioTimer::new())
        // A plugin or gateway has one stream, an operator a few; a proxy may bundle some of them.
        .max_concurrent_streams(128)
        // What one stream may send before we read it: a third of the largest event, so that it flows while read.
        .initial_stream_window_size(1 << 20)
        // The same for all of a connection's streams: what is under way on it. A message that is only half there is held
        // beside that, up to the largest that a stream may send.
        .initial_connection_window_size(4 << 20)
        // What a gateway publishes at once: four frames of the smallest size cost both sides more. It holds up other
        // streams of the same connection no longer than that.
        .max_frame_size(64 << 10)
        // gRPC's metadata are a few hundred bytes; this is decoded before anybody knows who asks.
        .max_header_list_size(16 << 10)
        // HPACK's memory, for each direction: the protocol's own default.
        .header_table_size(4096)
        // Streams reset before we looked at them (CVE-2023-44487, rapid reset): honest clients rarely have two.
        .max_pending_accept_reset_streams(20)
        // Streams that we reset for the peer's errors (RUSTSEC-2024-0003): beyond this it is hostile, or broken.
        .max_local_error_reset_streams(256)
        // What a stream may have waiting in HTTP/2 for a peer that does not read: the rest waits in our queues,
        // where it is counted, and shed by policy.
        .max_send_buf_size(256 << 10)
        // A stopped process or a cut wire is noticed after twice this, whether or not anything is sent.
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive);
    http2
}

/// The tasks that hyper spawns for a connection's requests. Dropping it ends them.
#[derive(Debug, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.0))
    }

    /// Ends all tasks; returns when none is left.
    async fn end(self) {
        let mut tasks = {
            let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        tasks.shutdown().await;
    }
}

/// Spawns into [`Streams`]; weak, since the tasks themselves hold it.
#[derive(Clone, Debug)]
struct Spawner(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        // Without its connection, a request has nobody to answer.
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {} // what has ended need not be kept
        tasks.spawn(task);
    }
}
