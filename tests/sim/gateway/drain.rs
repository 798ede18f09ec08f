//! A gateway's Drain, after which its process is over.

use std::{rc::Rc, time::Duration};

use hookwire_protocol::v1::{
    DrainReport, DrainRequest, StopReason, drain_response, gateway_service_client::GatewayServiceClient,
};
use tokio::{
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{Gateway, Order, process::Process};
use crate::{
    dice::Dice,
    network::{PATIENCE, dial},
    records::Drained,
};

/// How often it looks whether all is taken in.
const LOOK: Duration = Duration::from_millis(10);

impl Gateway {
    /// Ends its sessions, and is over whatever comes of it.
    pub(super) async fn drain(self: &Rc<Self>, process: &Rc<Process>, dice: &mut Dice) {
        if dice.percent(50) {
            self.stop(process, dice);
        }
        // What was fired before is taken in first, where it can be.
        let _ = timeout(PATIENCE, self.settled()).await;
        let budget = if self.party.calm.get() { Duration::from_secs(1) } else { dice.ms(0, 1_000) };
        let reason = *dice.pick(&[StopReason::Shutdown, StopReason::Restart]);
        let alive = process.alive().len();
        let asked = self.party.records.now();
        self.party.say(format_args!("drains {alive} sessions within {budget:?}"));
        let Ok(Some(report)) =
            timeout(budget + PATIENCE * 2, self.ask_to_drain(process, reason, budget)).await
        else {
            return self.party.say("hears nothing of its drain");
        };
        let answered = self.party.records.now();
        self.party.say(format_args!("is drained: {} ended", report.sessions_ended));
        let ordered = self.order.get() == Order::Drain;
        let drained = Drained { gateway: self.number, asked, budget, answered, ordered, alive, report };
        self.party.records.drains.borrow_mut().push(drained);
        if dice.percent(30) {
            spawn_local(Rc::clone(self).straggle(Rc::clone(process), dice.ms(10, 2_000)));
        }
    }

    async fn settled(&self) {
        while !self.is_settled() {
            sleep(LOOK).await;
        }
    }

    async fn ask_to_drain(
        &self,
        process: &Process,
        reason: StopReason,
        budget: Duration,
    ) -> Option<DrainReport> {
        let mut client = GatewayServiceClient::new(dial().await?);
        let request = DrainRequest {
            gateway_id: self.party.name.clone(),
            boot_id: process.boot.clone(),
            reason: reason.into(),
            budget_ms: Some(budget.as_millis() as u32),
            ..DrainRequest::default()
        };
        let mut responses = client.drain(request).await.ok()?.into_inner();
        loop {
            if let drain_response::Message::Report(report) = responses.message().await.ok()??.message? {
                return Some(report);
            }
        }
    }
}
