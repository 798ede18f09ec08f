//! The dispatcher behind the sockets. (A stub: to be replaced.)

use std::time::Duration;

use hookwire_protocol::v1::{DrainReport, StopReason};
use tokio::sync::watch;
use tonic::service::Routes;

use crate::config::Config;

/// A handle on the dispatcher's worker.
#[derive(Clone, Debug)]
pub struct Dispatcher;

impl Dispatcher {
    /// Starts the worker on the current runtime.
    pub fn start(_config: &Config) -> Self {
        Self
    }

    /// The gRPC services.
    pub fn routes(&self) -> Routes {
        let (_, health) = tonic_health::server::health_reporter();
        Routes::new(health)
    }

    /// Says on the health service whether new calls are welcome.
    pub fn set_ready(&self, _ready: bool) {}

    /// Drains everything and says Goodbye on every stream.
    pub async fn stop(
        &self,
        reason: StopReason,
        budget: Duration,
        _hurry: watch::Receiver<bool>,
    ) -> DrainReport {
        DrainReport {
            reason: reason.into(),
            scope: "all".to_owned(),
            budget_ms: u32::try_from(budget.as_millis()).unwrap_or(u32::MAX),
            ..DrainReport::default()
        }
    }
}
