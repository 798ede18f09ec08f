//! What one scenario has to itself: a dispatcher, the gateway's side of it, a wire, and the plugin.

use std::{
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hookwire_protocol::{
    hook,
    v1::{
        DrainReport, GatewayEvent, SessionEnd, SessionEndReason, SessionRef, StopReason,
        gateway_event::Payload, hook_service_server::HookServiceServer,
    },
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::transport::{self, server::TcpIncoming};

use super::{
    effects::{Effects, Faulty},
    finding::Findings,
    plugin::{NAME, Plugin, Surroundings},
    record::Record,
    relay::Relay,
    rule::Rule,
    wire::Wire,
};
use crate::{
    config::Config,
    dispatcher::Dispatcher,
    emit::emitter::Emitter,
    serve::{
        connection::{ConnectionLimits, Server},
        listen::Listener,
    },
};

/// The gateway and its boot.
pub(super) const GATEWAY: &str = "verify-gateway";
const BOOT: &str = "boot-1";

/// The relay's keepalive: that of the dispatcher.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How often files and processes are looked at: they do not call.
const LOOK: Duration = Duration::from_millis(20);

/// How long an effect log may take to begin behind the last answer, and what was done last to show behind the plugin's end.
const LATE: Duration = Duration::from_secs(2);

/// How many times its patience a plugin is waited for that goes on and on.
const PATIENCES: u32 = 4;

/// Why a scenario goes no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// A finding says why.
    #[error("a rule was broken")]
    Found,
    /// The kit itself cannot go on.
    #[error("{0}")]
    Broken(String),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// See the [module](self).
pub(super) struct Stage {
    pub(super) findings: Findings,
    pub(super) relay: Relay,
    pub(super) wire: Wire,
    /// The newest last.
    pub(super) plugins: Vec<Plugin>,
    /// How long the plugin may show no sign of life where one is waited for.
    pub(super) patience: Duration,
    command: Vec<String>,
    house: House,
    serves: JoinHandle<Result<(), transport::Error>>,
    /// How many dispatchers there were: each has a socket of its own.
    houses: u32,
    log: PathBuf,
    /// The scenario's own: the command's `{dir}`.
    directory: PathBuf,
    // Last: dropped when nobody needs it any more. Of its own: a socket's path has to be short.
    sockets: TempDir,
}

/// A dispatcher that is served.
struct House {
    dispatcher: Dispatcher,
    gateway: Emitter,
    _server: Server,
}

impl House {
    async fn open(address: &Address) -> Result<Self, Halt> {
        let config = Config {
            listen: vec![address.clone()],
            in_memory: true,
            // A burst is for the plugin to take, not for the queue to lose.
            queue_events: 100_000,
            queue_bytes: 256 << 20,
            ..Config::default()
        };
        let dispatcher = Dispatcher::start(&config);
        let broken = |error: &dyn std::fmt::Display| Halt::Broken(error.to_string());
        let listener = Listener::bind(&config.listen, false).map_err(|error| broken(&error))?;
        let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
        let gateway = dispatcher.emitter(GATEWAY, BOOT).await.map_err(|error| broken(&error))?;
        Ok(Self { dispatcher, gateway, _server: server })
    }
}

impl Stage {
    /// Everything but the plugin. What there is to look at afterwards goes to this directory, which it makes.
    ///
    /// # Errors
    /// When there is no place for it.
    pub(super) async fn set(command: &[String], patience: Duration, directory: &Path) -> Result<Self, Halt> {
        fs::create_dir(directory)?;
        let log = directory.join("effects.jsonl");
        let sockets = tempfile::tempdir()?;
        let address = Address::Unix(sockets.path().join("0.sock"));
        let house = House::open(&address).await?;
        let relay = Relay::new(address, log.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let wire = Wire::to(listener.local_addr()?.to_string()).await?;
        let service = HookServiceServer::new(relay.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let server = transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(service);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serves = tokio::spawn(server.serve_with_incoming(incoming));
        Ok(Self {
            findings: Findings::default(),
            relay,
            wire,
            plugins: Vec::new(),
            command: command.to_vec(),
            patience,
            house,
            serves,
            houses: 1,
            log,
            directory: directory.to_owned(),
            sockets,
        })
    }

    /// Starts a plugin, and waits until it has caught up.
    pub(super) async fn enter(&mut self) -> Result<(), Halt> {
        let before = self.relay.record().borrow().streams.len();
        let (address, log) = (self.wire.address.clone(), self.log.clone());
        let output = self.directory.join(format!("plugin-{}.log", self.plugins.len() + 1));
        let around =
            Surroundings { address: &address, directory: &self.directory, log: &log, output: &output };
        let plugin = Plugin::start(&self.command, &around)
            .map_err(|error| Halt::Broken(format!("the plugin cannot be started: {error}")))?;
        self.plugins.push(plugin);
        let expected = "it says Hello under the name in HOOKWIRE_SUBSCRIBER";
        let seen = move |record: &Record| record.streams.len() > before && record.is_caught_up();
        self.until(Rule::Hello, expected, seen).await?;
        let name = self.relay.record().borrow().last().map(|it| it.subscriber.clone()).unwrap_or_default();
        self.findings.check(Rule::Hello, expected, name == NAME, format!("as {name:?}"));
        if name == NAME { Ok(()) } else { Err(Halt::Found) }
    }

    /// Waits until something was seen. Where it is not, that is a finding, and the scenario ends.
    pub(super) async fn until(
        &mut self,
        rule: Rule,
        expected: &str,
        seen: impl FnMut(&Record) -> bool,
    ) -> Result<(), Halt> {
        if self.comes_to(seen).await {
            return Ok(());
        }
        let standing = self.plugins.last().map(Plugin::standing).unwrap_or_default();
        let unanswered = self.relay.record().borrow().unanswered();
        let ended = self.plugins.last().is_some_and(|plugin| plugin.ended().is_some());
        let when = if ended { "never".to_owned() } else { format!("not within {:?}", self.patience) };
        let seen = format!("{when}: {unanswered} unanswered; {standing}");
        self.findings.check(rule, expected, false, seen);
        Err(Halt::Found)
    }

    /// Whether something is seen in time, while the plugin lives.
    pub(super) async fn comes_to(&self, mut seen: impl FnMut(&Record) -> bool) -> bool {
        let mut record = self.relay.record();
        let gone = async {
            match self.plugins.last() {
                // What it has said before is still on its way.
                Some(plugin) => {
                    plugin.end().await;
                    sleep(LOOK).await;
                }
                None => std::future::pending().await,
            }
        };
        let found = async {
            loop {
                if seen(&record.borrow_and_update()) {
                    return true;
                }
                // Whoever says something is waited for.
                if !matches!(timeout(self.patience, record.changed()).await, Ok(Ok(()))) {
                    return false;
                }
            }
        };
        tokio::select! {
            found = timeout(self.patience * PATIENCES, found) => found.unwrap_or(false),
            () = gone => false,
        }
    }

    /// Waits until all that was handed over is answered, and nothing else is on its way.
    pub(super) async fn settled(&mut self, hook: &str, count: usize) -> Result<(), Halt> {
        let what = format!("{count} {hook} are handed over and answered, and all before them");
        let seen = |record: &Record| record.of_hook(hook).1 >= count && record.unanswered() == 0;
        self.until(Rule::Acknowledge, &what, seen).await
    }

    /// Waits until this is so, and for what a plugin that has ended has left behind: what is looked at again and again does
    /// not call.
    pub(super) async fn eventually(&self, mut is_so: impl FnMut() -> bool) -> bool {
        let mut by = Instant::now() + self.patience;
        let mut ended = false;
        while !is_so() {
            if !ended && self.plugin().ended().is_some() {
                ended = true;
                by = by.min(Instant::now() + LATE);
            }
            if Instant::now() > by {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    /// A log that begins only behind the answers tells of that: it is waited for, though not for long.
    pub(super) async fn log_begins(&self) {
        let begun = async {
            while matches!(self.log(), Ok(None)) {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(LATE, begun).await;
    }

    /// The effect log so far; `None` where the plugin writes none.
    ///
    /// # Errors
    /// The lines that cannot be read, and why.
    pub(super) fn log(&self) -> Result<Option<Effects>, Faulty> {
        Effects::read(&self.log)
    }

    /// The effect log so far, if it can be judged by: a faulty one is a finding of its own.
    pub(super) fn effects(&self) -> Option<Effects> {
        self.log().ok().flatten()
    }

    /// The plugin that was started last.
    pub(super) fn plugin(&self) -> &Plugin {
        self.plugins.last().expect("every scenario begins with one")
    }

    /// kill -9, and it is gone when this returns.
    pub(super) async fn kill(&self) {
        self.plugin().signal(Signal::SIGKILL);
        self.plugin().end().await;
    }

    /// The gateway fires something.
    pub(super) async fn fire(&self, event: GatewayEvent) -> Result<(), Halt> {
        let receipt = self.fire_fast(event);
        receipt.await
    }

    /// The gateway fires something; whether it was taken in may be awaited.
    pub(super) fn fire_fast(&self, event: GatewayEvent) -> impl Future<Output = Result<(), Halt>> + use<> {
        let receipt = self.house.gateway.emit(event);
        async { receipt.await.map_err(|error| Halt::Broken(error.to_string())) }
    }

    /// The gateway stops.
    pub(super) async fn drain(&self, budget: Duration) -> Result<DrainReport, Halt> {
        let drained = self.house.dispatcher.drain(GATEWAY, StopReason::Restart, budget).await;
        drained.map_err(|error| Halt::Broken(error.to_string()))
    }

    /// Puts a dispatcher in the place of this one that knows nothing: the plugin loses its stream.
    pub(super) async fn replace_dispatcher(&mut self) -> Result<(), Halt> {
        let address = Address::Unix(self.sockets.path().join(format!("{}.sock", self.houses)));
        self.houses += 1;
        let house = House::open(&address).await?;
        self.relay.turn_to(address);
        self.wire.cut();
        self.house = house;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

/// A session begins.
pub(super) fn start(id: &str) -> GatewayEvent {
    of_session(id, hook::SESSION_START, None)
}

/// A session ends.
pub(super) fn end(id: &str, reason: SessionEndReason) -> GatewayEvent {
    let end = SessionEnd { reason: reason.into(), ..Default::default() };
    of_session(id, hook::SESSION_END, Some(Payload::SessionEnd(end)))
}

/// Something happens in a session.
pub(super) fn message(id: &str, json: &str) -> GatewayEvent {
    of_session(id, "message_received", Some(Payload::Json(json.to_owned().into())))
}

/// Anything happens in a session.
pub(super) fn of_session(id: &str, hook: &str, payload: Option<Payload>) -> GatewayEvent {
    let session = SessionRef { id: Some(id.to_owned()), key: format!("key:{id}"), ..Default::default() };
    GatewayEvent { hook: hook.to_owned(), session: Some(session), payload, ..Default::default() }
}
