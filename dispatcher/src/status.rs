//! How refusals are said in gRPC, and what the dispatcher says of itself.

use std::collections::HashMap;

use hookwire_protocol::v1::{self, BootState};
use tonic::{Code, Request, Response, Status};

use crate::{
    dispatcher::Handovers,
    emit::boots::GatewayIx,
    fanout::registry::Subscriber,
    machine::{Machine, Now, Refused},
    queue::Lost,
    settle::forget::Forgotten,
    worker::{Command, Commands},
};

/// A refusal as a status. After the last three, clients come back by themselves; the others are their fault.
pub(crate) fn as_status(refused: Refused) -> Status {
    let code = match refused {
        Refused::Invalid(_) => Code::InvalidArgument,
        Refused::Displaced { .. } => Code::AlreadyExists,
        Refused::BootOver { .. } | Refused::Connected { .. } | Refused::InMemory | Refused::Embedded => {
            Code::FailedPrecondition
        }
        Refused::NotFound(_) => Code::NotFound,
        Refused::Exhausted(_) => Code::ResourceExhausted,
        Refused::Stopping | Refused::Journal(_) => Code::Unavailable,
    };
    Status::new(code, refused.to_string())
}

/// What a peer sent could not be read: that is its fault, not ours.
pub(crate) fn unreadable(status: Status) -> Status {
    match status.code() {
        Code::Internal => Status::invalid_argument(format!("unreadable message: {}", status.message())),
        _ => status,
    }
}

/// What an operator speaks.
#[derive(Clone, Debug)]
pub(crate) struct AdminService {
    pub(crate) commands: Commands,
    pub(crate) handovers: Handovers,
    pub(crate) durable: bool,
}

#[tonic::async_trait]
impl v1::admin_service_server::AdminService for AdminService {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let status = self.commands.ask(Command::Status).await;
        status.map(Response::new).ok_or_else(|| as_status(self.commands.closed()))
    }

    /// Answered when the journal is closed, and the process about to end.
    async fn hand_over(
        &self,
        _: Request<v1::HandOverRequest>,
    ) -> Result<Response<v1::HandOverResponse>, Status> {
        if !self.durable {
            return Err(as_status(Refused::InMemory));
        }
        let asked = *self.handovers.asked.borrow();
        if !asked && self.handovers.asked.receiver_count() == 0 {
            return Err(as_status(Refused::Embedded));
        }
        let status = self.commands.ask(Command::Status).await;
        let status = status.ok_or_else(|| as_status(self.commands.closed()))?;
        let mut done = self.handovers.done.subscribe();
        self.handovers.asked.send_replace(true);
        tokio::select! {
            Ok(_) = done.wait_for(|done| *done) => {}
            () = self.commands.failed() => return Err(as_status(self.commands.closed())),
        }
        let ends_owed = status.subscribers.iter().map(|subscriber| subscriber.owed).sum();
        let (ledger_id, live_sessions) = (status.ledger_id, status.live_sessions);
        Ok(Response::new(v1::HandOverResponse { ledger_id, live_sessions, ends_owed }))
    }

    async fn forget_subscriber(
        &self,
        request: Request<v1::ForgetSubscriberRequest>,
    ) -> Result<Response<v1::ForgetSubscriberResponse>, Status> {
        let subscriber = request.into_inner().subscriber_id;
        let forgotten = self.commands.ask(|reply| Command::Forget { subscriber, reply }).await;
        let forgotten = forgotten.unwrap_or_else(|| Err(self.commands.closed()));
        let Forgotten { entries, owed, .. } = forgotten.map_err(as_status)?;
        Ok(Response::new(v1::ForgetSubscriberResponse { entries_released: entries, ends_owed: owed }))
    }
}

impl Machine {
    /// Who is here, and what is owed to whom.
    pub(crate) fn status(&self, now: Now) -> v1::GetStatusResponse {
        let counters = self.counters.named().into_iter();
        v1::GetStatusResponse {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            ledger_id: self.settings.ledger_id.clone(),
            durable: self.settings.durable,
            uptime_ms: now.mono.as_millis() as u64,
            live_sessions: self.lives.live() as u64,
            gateways: self.gateway_statuses(),
            subscribers: self.registry.by_id().map(|(_, it)| self.subscriber_status(it, now)).collect(),
            counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
            journal_failure: String::new(),
        }
    }

    fn gateway_statuses(&self) -> Vec<v1::GatewayStatus> {
        let mut live: HashMap<GatewayIx, u64> = HashMap::new();
        for (_, life) in self.lives.iter().filter(|(_, life)| life.alive()) {
            *live.entry(life.gateway()).or_default() += 1;
        }
        let row = |(ix, gateway): (GatewayIx, &crate::emit::boots::Gateway)| {
            let boot = &gateway.boot;
            let state = match (self.closings.drains(ix), boot.closed, boot.sources.is_empty()) {
                (true, _, _) => BootState::Draining,
                (_, true, _) => BootState::Over,
                (_, _, true) => BootState::Detached,
                (_, _, false) => BootState::Attached,
            };
            v1::GatewayStatus {
                id: gateway.id.to_string(),
                boot_id: boot.id.to_string(),
                state: state.into(),
                streams: boot.sources.len() as u32,
                live_sessions: live.get(&ix).copied().unwrap_or(0),
            }
        };
        self.gateways.by_id().map(row).collect()
    }

    fn subscriber_status(&self, subscriber: &Subscriber, now: Now) -> v1::SubscriberStatus {
        let stream = subscriber.stream.as_ref();
        let kept = subscriber.backlog.size(); // where it has a stream, its queue holds what of that is not written
        let queued = Lost { events: subscriber.queue.len() as u64, bytes: subscriber.queue.bytes() };
        let queued = if stream.is_some() { queued } else { kept };
        v1::SubscriberStatus {
            id: subscriber.id.to_string(),
            connected: stream.is_some(),
            instance_id: stream.map(|stream| stream.instance.clone()).unwrap_or_default(),
            in_flight: stream.map_or(0, |stream| stream.unanswered() as u64),
            queued: queued.events,
            queued_bytes: queued.bytes,
            open: subscriber.marks.open_len() as u64,
            owed: self.owed(subscriber) as u64,
            last_ack_ms: subscriber.last_ack.map(|at| (now.mono - at).as_millis() as u64),
            acked: subscriber.acked,
            lost: subscriber.lost,
            timed_out: subscriber.timed_out,
            retrying: subscriber.waiting_retries().count() as u64,
            expired: subscriber.account.expired,
            away_ms: subscriber
                .away_since
                .map(|since| u64::from(self.ran_at(now).saturating_sub(since)) * 1000),
        }
    }
}
