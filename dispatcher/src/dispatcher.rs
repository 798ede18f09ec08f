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

use std::{future::pending, time::Duration};

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
    drain::{DrainOrder, MAX_BUDGET},
    emit::{
        emitter::{self, Emitter},
        service::{GatewayService, Sources},
    },
    machine::{RECONNECT_AFTER, Refused, Settings},
    serve::service::HookService,
    status::AdminService,
    worker::{Command, Commands, worker},
};

/// What one message may carry beyond one event: its envelope, and its neighbours in a batch.
const ENVELOPE_BYTES: usize = 1 << 20;

/// A dispatcher. Cheap to clone; it ends with its last clone and its last connection.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    commands: Commands,
    sources: Sources,
    health: HealthReporter,
    routes: Routes,
}

/// A call that the dispatcher turned down.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Declined(#[from] Refused);

impl Dispatcher {
    /// Starts the worker on the current runtime. The ledger is in memory.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(config: &Config) -> Self {
        let (commands, worker) = worker(settings(config));
        tokio::spawn(worker.run());
        let sources = Sources::default();
        let (health, health_service) = tonic_health::server::health_reporter();
        let gateways = GatewayService {
            commands: commands.clone(),
            sources: sources.clone(),
            hello_timeout: config.hello_timeout,
            drain_budget: config.drain_budget,
            // Twice the largest event: one that is too large is refused by itself, and does not end its stream.
            max_request_bytes: 2 * config.max_event_bytes + ENVELOPE_BYTES,
        };
        let mut routes = Routes::builder();
        routes
            .add_service(health_service)
            .add_service(HookService::new(commands.clone(), config.hello_timeout))
            .add_service(gateways)
            .add_service(AdminServiceServer::new(AdminService { commands: commands.clone() }));
        Self { commands, sources, health, routes: routes.routes().prepare() }
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

    /// Attaches a gateway that lives in this process.
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
        ticket.ok_or(Refused::Stopping)??;
        Ok(awaited.await.map_err(|_| Refused::Stopping)?)
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
        let goodbye = subscribe_response::Goodbye {
            reason: GoodbyeReason::Stopping.into(),
            reconnect_after_ms: RECONNECT_AFTER.as_millis() as u32,
            text: "the dispatcher is stopping".to_owned(),
        };
        self.commands.ask(|done| Command::Farewell { goodbye, done }).await;
        Ok(report.map_err(|_| Refused::Stopping)?)
    }
}

async fn hurried(hurry: &mut watch::Receiver<bool>) {
    if hurry.wait_for(|hurry| *hurry).await.is_err() {
        pending().await // whoever could hurry us is gone
    }
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
        queue_events: config.queue_events,
        queue_bytes: config.queue_bytes as u64,
        max_in_flight: config.max_in_flight,
        max_event_bytes: config.max_event_bytes as u32,
    }
}
