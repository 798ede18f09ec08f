//! A scripted dispatcher on a real socket: it takes in, refuses, cuts and remembers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use hookwire_protocol::v1::{
    AttachRequest, AttachResponse, DrainReport, DrainRequest, DrainResponse, GatewayEvent, Receipt, Refusal,
    RefusalCode,
    attach_request::{self, Hello},
    attach_response::{self, Goodbye, Welcome},
    drain_response,
    gateway_service_server::{GatewayService, GatewayServiceServer},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinSet,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, service::Routes};

/// What a test has it do. Everything happens once, save what lasts.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Events of this hook are refused.
    pub(crate) refuses: Option<&'static str>,
    /// 0 says nothing.
    pub(crate) max_event_bytes: u32,
    /// Cuts all connections when it has taken in this many events, before their receipt.
    pub(crate) cuts_at: Option<usize>,
    /// Says this when it has taken in this many events, after their receipt.
    pub(crate) goodbye_at: Option<(usize, Goodbye)>,
    /// Answers to the first Attach calls.
    pub(crate) attach_errors: VecDeque<Status>,
    /// Nobody is let in while this lasts.
    pub(crate) away: bool,
    /// Answers to the first Drain calls.
    pub(crate) drain_errors: VecDeque<Status>,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) hellos: Vec<Hello>,
    /// Attach calls that came while it was away.
    pub(crate) turned_away: usize,
    /// Every event that was taken in: boot, number, event.
    pub(crate) events: Vec<(String, u64, GatewayEvent)>,
    pub(crate) drains: Vec<DrainRequest>,
    /// How many events had been taken in when each drain came.
    pub(crate) events_before_drain: Vec<usize>,
    /// How many Attach streams had been accepted when each drain came.
    pub(crate) attached_before_drain: Vec<usize>,
    /// Events that came a second time.
    pub(crate) duplicates: usize,
    through: HashMap<String, u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Dispatcher {
    pub(crate) address: String,
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
    cut: Arc<Notify>,
}

impl Dispatcher {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dispatcher = Self {
            address: listener.local_addr().unwrap().to_string(),
            script: Arc::new(Mutex::new(script)),
            seen: Arc::default(),
            changed: Arc::default(),
            cut: Arc::default(),
        };
        tokio::spawn(dispatcher.clone().serve(listener));
        dispatcher
    }

    async fn serve(self, listener: TcpListener) {
        let routes = Routes::new(GatewayServiceServer::new(self.clone()));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.cut.notified() => connections.abort_all(),
                Ok((socket, _)) = listener.accept() => {
                    let service = TowerToHyperService::new(routes.clone());
                    connections.spawn(
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(socket), service),
                    );
                }
            }
        }
    }

    /// Cuts every connection, and lets nobody in until it is back.
    pub(crate) fn goes_away(&self) {
        self.script().away = true;
        self.cut();
    }

    pub(crate) fn comes_back(&self) {
        self.script().away = false;
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Waits until it has seen something.
    pub(crate) async fn until(&self, condition: impl Fn(&Seen) -> bool) {
        let met = async {
            loop {
                let changed = self.changed.notified();
                if condition(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        timeout(Duration::from_secs(60), met).await.expect("the dispatcher sees it in time");
    }

    fn welcome(&self, hello: &Hello) -> AttachResponse {
        let mut seen = self.seen();
        seen.hellos.push(hello.clone());
        let resume_after = seen.through.get(&hello.emitter_id).copied().unwrap_or(0);
        let max_event_bytes = self.script().max_event_bytes;
        response(attach_response::Message::Welcome(Welcome {
            resume_after,
            max_event_bytes,
            drain_budget_ms: 2000,
            ..Welcome::default()
        }))
    }

    fn take_in(&self, hello: &Hello, seq: u64, event: GatewayEvent) -> Option<Refusal> {
        let mut seen = self.seen();
        let through = seen.through.entry(hello.emitter_id.clone()).or_default();
        if seq <= *through {
            seen.duplicates += 1;
            return None;
        }
        *through = seq;
        if self.script().refuses == Some(event.hook.as_str()) {
            let (code, text) = (RefusalCode::Invalid.into(), "not this one".to_owned());
            return Some(Refusal { publish_seq: seq, code, text });
        }
        seen.events.push((hello.boot_id.clone(), seq, event));
        None
    }

    /// Takes in what comes, one receipt for each Publish.
    async fn attached(
        self,
        hello: Hello,
        mut requests: Streaming<AttachRequest>,
        answers: mpsc::Sender<Result<AttachResponse, Status>>,
    ) {
        while let Ok(Some(request)) = requests.message().await {
            let Some(attach_request::Message::Publish(publish)) = request.message else {
                panic!("only events follow the Hello")
            };
            let mut receipt = Receipt::default();
            for (event, seq) in publish.events.into_iter().zip(publish.first_publish_seq..) {
                receipt.through_publish_seq = seq;
                receipt.refused.extend(self.take_in(&hello, seq, event));
            }
            self.changed.notify_waiters();
            let taken = self.seen().events.len();
            let due = |at: &usize| taken >= *at;
            if self.script().cuts_at.take_if(|at| due(at)).is_some() {
                return self.cut();
            }
            let _ = answers.send(Ok(response(attach_response::Message::Receipt(receipt)))).await;
            let goodbye = self.script().goodbye_at.take_if(|(at, _)| due(at));
            if let Some((_, goodbye)) = goodbye {
                let _ = answers.send(Ok(response(attach_response::Message::Goodbye(goodbye)))).await;
                return;
            }
        }
    }
}

fn response(message: attach_response::Message) -> AttachResponse {
    AttachResponse { message: Some(message) }
}

#[tonic::async_trait]
impl GatewayService for Dispatcher {
    type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;
    type DrainStream = ReceiverStream<Result<DrainResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut requests = request.into_inner();
        let Some(attach_request::Message::Hello(hello)) = requests.message().await?.and_then(|r| r.message)
        else {
            panic!("Hello comes first")
        };
        if self.script().away {
            self.seen().turned_away += 1;
            self.changed.notify_waiters();
            return Err(Status::unavailable("away"));
        }
        if let Some(status) = self.script().attach_errors.pop_front() {
            return Err(status);
        }
        let (answers, stream) = mpsc::channel(64);
        let _ = answers.try_send(Ok(self.welcome(&hello)));
        self.changed.notify_waiters();
        tokio::spawn(self.clone().attached(hello, requests, answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<Self::DrainStream>, Status> {
        let (answers, stream) = mpsc::channel(2);
        {
            let mut seen = self.seen();
            let (events, attached) = (seen.events.len(), seen.hellos.len());
            seen.drains.push(request.into_inner());
            seen.events_before_drain.push(events);
            seen.attached_before_drain.push(attached);
        }
        if let Some(status) = self.script().drain_errors.pop_front() {
            return Err(status);
        }
        for message in [
            drain_response::Message::Progress(Default::default()),
            drain_response::Message::Report(DrainReport::default()),
        ] {
            let _ = answers.try_send(Ok(DrainResponse { message: Some(message) }));
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
