//! A connection in memory that can be cut.

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::{mpsc, watch},
};
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

/// What a link holds while nobody reads at the other end, in bytes.
const CAPACITY: usize = 64 << 10;

/// One connection to the dispatcher. It ends when this is dropped or cut.
#[derive(Debug)]
pub struct Link {
    alive: watch::Sender<bool>,
}

impl Link {
    /// Connects to whatever these routes lead to.
    ///
    /// # Panics
    /// Where the other end does not speak HTTP/2.
    pub async fn connect(routes: Routes) -> (Self, Channel) {
        let (alive, cut) = watch::channel(true);
        let (near, far) = duplex(CAPACITY);
        tokio::spawn(serve(routes, far, cut));
        let (ends, mut waiting) = mpsc::channel(1);
        ends.try_send(near).expect("there is room for one");
        drop(ends); // a channel that has lost its link does not come back by itself
        let connector = service_fn(move |_| {
            let end = waiting.try_recv();
            async { end.map(TokioIo::new).map_err(std::io::Error::other) }
        });
        let endpoint = Endpoint::from_static("http://in-memory");
        let channel = endpoint.connect_with_connector(connector).await.expect("a link in memory connects");
        (Self { alive }, channel)
    }

    /// Cuts it: both ends see the connection break, without a word.
    pub fn cut(&self) {
        self.alive.send_replace(false);
    }
}

/// Serves one connection until it ends or is cut.
async fn serve(routes: Routes, far: DuplexStream, mut cut: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(routes.prepare());
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(far), service);
    tokio::select! {
        // Errors are the client's business: it breaks off whenever its script says so.
        _ = connection => {}
        // An error means that the link was dropped: that cuts it, too.
        _ = cut.wait_for(|alive| !alive) => {}
    }
}
