//! The dispatcher as a gateway embeds it: a handle on the worker.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use hookwire::{
//!     config::Config,
//!     dispatcher::Dispatcher,
//!     serve::{connection::ConnectionLimits, listen::Listener},
//! };
//! use hookwire_protocol::v1::{GatewayEvent, SessionRef, StopReason};
//! use tokio::sync::watch;
//!
//! // Plugins connect here.
//! let config = Config::default();
//! let dispatcher = Dispatcher::start(&config);
//! let listener = Listener::bind(&config.listen, config.insecure_listen)?;
//! let server = listener.serve(dispatcher.routes(), ConnectionLimits::from(&config));
//!
//! // Never blocks; the receipt that it returns may be awaited, or dropped.
//! let emitter = dispatcher.emitter("my-gateway", "boot-1").await?;
//! let session = SessionRef { id: Some("s1".into()), ..Default::default() };
//! emitter.emit(GatewayEvent { hook: "session_start".into(), session: Some(session), ..Default::default() }).await?;
//!
//! // At the gateway's stop: every session ends, and its plugins have two seconds to say that they have seen it.
//! let report = dispatcher.drain("my-gateway", StopReason::Shutdown, Duration::from_secs(2)).await?;
//! println!("{} sessions ended", report.sessions_ended);
//!
//! // Plugins are told to come back for the next process, and every connection ends.
//! let (_hurry, never) = watch::channel(false);
//! dispatcher.stop(StopReason::Shutdown, Duration::ZERO, never).await?;
//! server.close(Duration::from_millis(250)).await;
//! # Ok(())
//! # }
//! ```

use std::{future::pending, io, path::Path, time::Duration};

use hookwire_protocol::v1::{
    DrainReport, GoodbyeReason, StopReason, admin_service_server::AdminServiceServer, attach_request,
    subscribe_response,
};
use tokio::sync::{oneshot, watch};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use uuid::Uuid;

use crate::{
    config::Config,
    crash,
    drain::{DrainOrder, MAX_BUDGET},
    emit::{
        emitter::{self, Emitter},
        service::{GatewayService, Sources},
    },
    machine::{Machine, RECONNECT_AFTER, Refused, Settings},
    serve::{reflection, service::HookService},
    settle::{
        journal::store::{Opened, Store, StoreError},
        restore::Inconsistent,
        retention::seconds,
    },
    status::AdminService,
    worker::{Command, Commands, commits::Commits, worker},
};

/// When a peer should come back after a handover: the successor starts at about the same time.
pub(crate) const HANDOVER_AFTER: Duration = Duration::from_millis(100);

/// What a peer is told then.
pub(crate) const HANDOVER_TEXT: &str = "the dispatcher makes way for its successor";

/// What one message may carry beyond one event: its envelope, and its neighbours in a batch.
const ENVELOPE_BYTES: usize = 1 << 20;

/// A dispatcher. Cheap to clone; it ends with its last clone and its last connection.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    commands: Commands,
    sources: Sources,
    health: HealthReporter,
    routes: Routes,
    handovers: Handovers,
    durable: bool,
}

/// Operators who ask for a handover, and whoever carries it out.
#[derive(Clone, Debug)]
pub(crate) struct Handovers {
    pub(crate) asked: watch::Sender<bool>,
    pub(crate) done: watch::Sender<bool>,
}

/// A call that the dispatcher turned down.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Declined(#[from] Refused);

impl Declined {
    /// Whether it is the journal that has failed.
    pub fn is_of_the_journal(&self) -> bool {
        matches!(self.0, Refused::Journal(_))
    }
}

/// Why a dispatcher did not start with its journal.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the journal makes no sense.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// The system has no thread for the journal.
    #[error("no thread for the journal: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// Whether another process has the journal open: it may be closed in a moment.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(StoreError::InUse { .. }))
    }
}

impl Dispatcher {
    /// Starts the worker on the current runtime. The ledger is in memory: what is owed is lost with the process.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(config: &Config) -> Self {
        Self::with(config, Machine::new(settings(config)), None)
    }

    /// Starts the worker on the current runtime, with the ledger that the journal in this directory holds; makes one where
    /// there is none. Reads all of it first: a million open sessions take about two seconds.
    ///
    /// # Errors
    /// Another process has the journal open, it cannot be read or written, or is damaged.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(config: &Config, directory: &Path) -> Result<Self, OpenError> {
        let (store, opened) = Store::open(directory, config.durability)?;
        crash::point("opened"); // a large one takes seconds
        let machine = restored(config, opened)?;
        let journal = Commits::on_a_thread(store).map_err(OpenError::Thread)?;
        Ok(Self::with(config, machine, Some(journal)))
    }

    /// As [`Dispatcher::open`], for tests in virtual time: the journal is on this storage, without a thread of its own, and
    /// a commit takes this long by the runtime's clock.
    ///
    /// # Errors
    /// What is on the storage cannot be read or written, or is damaged.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(feature = "simulation")]
    pub fn open_simulated(
        config: &Config,
        storage: impl redb::StorageBackend,
        commit_takes: Duration,
    ) -> Result<Self, OpenError> {
        let (store, opened) = Store::on(storage, Path::new("simulated"))?;
        let machine = restored(config, opened)?;
        Ok(Self::with(config, machine, Some(Commits::in_a_task(store, commit_takes))))
    }

    fn with(config: &Config, machine: Machine, journal: Option<Commits>) -> Self {
        let durable = journal.is_some();
        let (commands, worker) = worker(machine, journal);
        tokio::spawn(worker.run());
        let sources = Sources::default();
        let (health, health_service) = tonic_health::server::health_reporter();
        let (failed, reporter) = (commands.failed(), health.clone());
        tokio::spawn(async move {
            failed.await;
            reporter.set_service_status("", ServingStatus::NotServing).await;
        });
        let gateways = GatewayService {
            commands: commands.clone(),
            sources: sources.clone(),
            hello_timeout: config.hello_timeout,
            drain_budget: config.drain_budget,
            // Twice the largest event: one that is too large is refused by itself, and does not end its stream.
            max_request_bytes: 2 * config.max_event_bytes + ENVELOPE_BYTES,
        };
        let handovers = Handovers { asked: watch::Sender::new(false), done: watch::Sender::new(false) };
        let admin = AdminService { commands: commands.clone(), handovers: handovers.clone(), durable };
        let mut routes = Routes::builder();
        routes
            .add_service(health_service)
            .add_service(HookService::new(commands.clone(), config.hello_timeout))
            .add_service(gateways)
            .add_service(AdminServiceServer::new(admin));
        if config.reflection {
            reflection::add_to(&mut routes);
        }
        Self { commands, sources, health, routes: routes.routes().prepare(), handovers, durable }
    }

    /// The gRPC services, for any server that speaks HTTP/2.
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Says on the health service whether new calls are welcome.
    pub async fn set_ready(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.health.set_service_status("", status).await;
    }

    /// Attaches a gateway that lives in this process: its `boot_id` is new at every start of the process, its `gateway_id`
    /// stays. So the first emitter of a process ends the sessions that the process before left open, as LOST, or as that
    /// one's gateway_stop said, and each plugin that saw them start is told. There is nothing to list: a session that goes on
    /// begins another life, with its own session_start or with any event that names it.
    ///
    /// # Errors
    /// A name that is empty or too long, a boot that is over, too many gateways or emitters (1024 emitters in one
    /// boot: clone one instead of asking for another), or a dispatcher that has stopped.
    pub async fn emitter(&self, gateway_id: &str, boot_id: &str) -> Result<Emitter, Declined> {
        let hello = attach_request::Hello {
            gateway_id: gateway_id.to_owned(),
            boot_id: boot_id.to_owned(),
            emitter_id: Uuid::new_v4().simple().to_string(),
            client_name: env!("CARGO_PKG_NAME").to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        Ok(emitter::attach(self.commands.clone(), self.sources.next(), hello).await?)
    }

    /// Ends all sessions of one gateway, and waits for the acknowledgements until the budget is spent: an hour at
    /// most. A second call joins the first.
    ///
    /// # Errors
    /// The gateway has never attached, or the dispatcher has stopped.
    pub async fn drain(
        &self,
        gateway_id: &str,
        reason: StopReason,
        budget: Duration,
    ) -> Result<DrainReport, Declined> {
        let (gateway, restart_expected) = (Some(gateway_id.to_owned()), Duration::ZERO);
        let budget = budget.min(MAX_BUDGET);
        let order = DrainOrder { gateway, boot: None, reason, budget, restart_expected };
        let (report, awaited) = oneshot::channel();
        let ticket = self.commands.ask(|reply| Command::Drain { order, reply, report }).await;
        ticket.ok_or_else(|| self.commands.closed())??;
        Ok(awaited.await.map_err(|_| self.commands.closed())?)
    }

    /// Drains every gateway, for an hour at most, then ends every stream with Goodbye(STOPPING). From its start on
    /// nothing is taken in. When `hurry` turns true, 200 ms of the budget are left.
    ///
    /// # Errors
    /// The worker is gone: it panicked, or the runtime ends.
    pub async fn stop(
        &self,
        reason: StopReason,
        budget: Duration,
        mut hurry: watch::Receiver<bool>,
    ) -> Result<DrainReport, Declined> {
        let (report, mut drained) = oneshot::channel();
        let budget = budget.min(MAX_BUDGET);
        self.commands.send(Command::Stop { reason, budget, report }).await;
        let report = tokio::select! {
            report = &mut drained => report,
            () = hurried(&mut hurry) => {
                self.commands.send(Command::Hurry).await;
                drained.await
            }
        };
        self.say_farewell(GoodbyeReason::Stopping, RECONNECT_AFTER, "the dispatcher is stopping").await;
        Ok(report.map_err(|_| self.commands.closed())?)
    }

    /// Makes way for a successor on the same journal: no session ends. Gateways are told at once; plugins have the
    /// budget to answer what there is for them, and are told then. What they have not answered the successor delivers
    /// again. When this returns, the journal is closed. When `hurry` turns true, 200 ms of the budget are left.
    ///
    /// # Errors
    /// The ledger is in memory, where no successor finds it, or the journal has failed.
    pub async fn hand_over(
        &self,
        budget: Duration,
        mut hurry: watch::Receiver<bool>,
    ) -> Result<(), Declined> {
        if !self.durable {
            return Err(Refused::InMemory.into());
        }
        let (done, mut quiet) = oneshot::channel();
        let budget = budget.min(MAX_BUDGET);
        self.commands.send(Command::HandOver { budget, done }).await;
        let outcome = tokio::select! {
            outcome = &mut quiet => outcome,
            () = hurried(&mut hurry) => {
                self.commands.send(Command::Hurry).await;
                quiet.await
            }
        };
        let closed = self.say_farewell(GoodbyeReason::Handover, HANDOVER_AFTER, HANDOVER_TEXT).await;
        outcome.ok().and(closed).ok_or_else(|| self.commands.closed())?;
        self.handovers.done.send_replace(true);
        Ok(())
    }

    /// Returns once somebody asks for a handover over the wire: then it is time for [`Dispatcher::hand_over`], which
    /// answers them. Nobody may ask while nobody waits for this.
    pub async fn handover_asked(&self) {
        if self.handovers.asked.subscribe().wait_for(|asked| *asked).await.is_err() {
            pending().await // nobody can ask any more
        }
    }

    /// `None` where the journal has failed.
    async fn say_farewell(&self, reason: GoodbyeReason, reconnect_after: Duration, text: &str) -> Option<()> {
        let goodbye = subscribe_response::Goodbye {
            reason: reason.into(),
            reconnect_after_ms: reconnect_after.as_millis() as u32,
            text: text.to_owned(),
        };
        self.commands.ask(|done| Command::Farewell { goodbye, done }).await
    }
}

async fn hurried(hurry: &mut watch::Receiver<bool>) {
    if hurry.wait_for(|hurry| *hurry).await.is_err() {
        pending().await // whoever could hurry us is gone
    }
}

/// Goes on from what the journal held.
fn restored(config: &Config, opened: Opened) -> Result<Machine, Inconsistent> {
    let Opened { ledger_id, epoch, image } = opened;
    Machine::restore(Settings { ledger_id, epoch, durable: true, ..settings(config) }, image)
}

pub(crate) fn settings(config: &Config) -> Settings {
    Settings {
        ledger_id: Uuid::new_v4().simple().to_string(),
        epoch: 1,
        durable: false,
        ack_timeout: config.ack_timeout,
        drain_budget: config.drain_budget,
        gateway_grace: config.gateway_grace,
        retry_after: config.retry_after,
        retry_after_max: config.retry_after_max,
        retention_age: seconds(config.retention_age),
        retention_bytes: config.retention_bytes as u64,
        retention_all_bytes: config.retention_all_bytes as u64,
        forget_after: seconds(config.forget_after),
        queue_events: config.queue_events,
        queue_bytes: config.queue_bytes as u64,
        max_in_flight: config.max_in_flight,
        max_event_bytes: config.max_event_bytes as u32,
    }
}

#[cfg(test)]
mod tests;
