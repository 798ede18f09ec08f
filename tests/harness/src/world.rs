//! A dispatcher, and the way to everybody around it.

use std::time::Duration;

use hookwire::{config::Config, dispatcher::Dispatcher};
use hookwire_protocol::v1::{
    DrainReport, DrainRequest, ForgetSubscriberRequest, ForgetSubscriberResponse, GetStatusRequest,
    GetStatusResponse, StopReason, SubscriberStatus, admin_service_client::AdminServiceClient,
    gateway_service_client::GatewayServiceClient,
};
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tonic::{Status, transport::Channel};

use crate::{Attaching, Draining, Gateway, Link, Script, assert_adds_up};

/// A dispatcher and links to it.
#[derive(Debug)]
pub struct World {
    dispatcher: Dispatcher,
}

impl World {
    /// With the settings that are compiled in.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new() -> Self {
        Self::start(&Config::default())
    }

    /// With these settings.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(config: &Config) -> Self {
        Self::around(Dispatcher::start(config))
    }

    /// Around this dispatcher.
    pub fn around(dispatcher: Dispatcher) -> Self {
        Self { dispatcher }
    }

    /// The dispatcher itself, as a gateway embeds it.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// A connection of its own.
    pub async fn link(&self) -> (Link, Channel) {
        Link::connect(self.dispatcher.routes()).await
    }

    /// A gateway in its first boot, attached.
    pub async fn gateway(&self, id: &str) -> Gateway {
        self.attach(id).attach().await
    }

    /// A gateway that is about to attach.
    pub fn attach(&self, id: &str) -> Attaching<'_> {
        Attaching::new(self, id)
    }

    /// A plugin that is about to connect.
    pub fn plugin(&self, id: &str) -> Script<'_> {
        Script::new(self, id)
    }

    /// Drains one gateway; the ends are decided when this returns.
    ///
    /// # Panics
    /// Where the dispatcher refuses.
    pub async fn drain(&self, gateway: &str, reason: StopReason, budget: Duration) -> Draining {
        let request = DrainRequest {
            gateway_id: gateway.to_owned(),
            reason: reason.into(),
            budget_ms: Some(budget.as_millis() as u32),
            ..Default::default()
        };
        self.try_drain(request).await.expect("this drain should not be refused")
    }

    /// Asks for a drain.
    ///
    /// # Errors
    /// The dispatcher's refusal.
    pub async fn try_drain(&self, request: DrainRequest) -> Result<Draining, Status> {
        let (link, channel) = self.link().await;
        let response = GatewayServiceClient::new(channel).drain(request).await?;
        Ok(Draining::new(response.into_inner(), link))
    }

    /// Stops the dispatcher; it has begun when this returns.
    pub async fn stop(&self, reason: StopReason, budget: Duration) -> Stopping {
        let (hurry, hurried) = watch::channel(false);
        let dispatcher = self.dispatcher.clone();
        let stop =
            async move { dispatcher.stop(reason, budget, hurried).await.expect("the worker is there") };
        let report = tokio::spawn(stop);
        tokio::task::yield_now().await; // lets it begin
        Stopping { hurry, report }
    }

    /// What the dispatcher says of itself.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn status(&self) -> GetStatusResponse {
        let (_link, channel) = self.link().await;
        let response = AdminServiceClient::new(channel).get_status(GetStatusRequest {}).await;
        response.expect("a dispatcher says how it is").into_inner()
    }

    /// What the dispatcher says of one subscriber.
    ///
    /// # Panics
    /// Where it does not know it.
    pub async fn subscriber(&self, id: &str) -> SubscriberStatus {
        let subscribers = self.status().await.subscribers;
        subscribers.into_iter().find(|row| row.id == id).expect("this subscriber should be known")
    }

    /// Has the dispatcher forget a subscriber.
    ///
    /// # Errors
    /// The dispatcher's refusal.
    pub async fn forget(&self, id: &str) -> Result<ForgetSubscriberResponse, Status> {
        let (_link, channel) = self.link().await;
        let request = ForgetSubscriberRequest { subscriber_id: id.to_owned() };
        Ok(AdminServiceClient::new(channel).forget_subscriber(request).await?.into_inner())
    }

    /// One of the dispatcher's counters, when everybody is [at rest](at_rest).
    ///
    /// # Panics
    /// Where there is no such counter.
    pub async fn counter(&self, name: &str) -> u64 {
        at_rest().await;
        self.status().await.counters.get(name).copied().expect("this counter should exist")
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until everybody waits. It takes one virtual millisecond: the clock moves only when nobody has anything to do.
pub async fn at_rest() {
    sleep(Duration::from_millis(1)).await;
}

/// A dispatcher on its way out.
#[derive(Debug)]
pub struct Stopping {
    hurry: watch::Sender<bool>,
    report: JoinHandle<DrainReport>,
}

impl Stopping {
    /// The second signal: 200 ms are left.
    pub fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// How it went, once every stream has its Goodbye.
    ///
    /// # Panics
    /// Where the numbers do not add up.
    pub async fn report(self) -> DrainReport {
        let report = self.report.await.expect("a stop does not panic");
        assert_adds_up(&report);
        report
    }
}
