//! The hidden role `bench-gateway`: starts sessions, fires events, drains. What it says is in [`super::lines`].

mod event;
mod link;
mod pace;

use std::time::{Duration, Instant};

use hookwire_protocol::v1::{
    DrainReport, DrainRequest, GatewayEvent, LiveSessions, StopReason, attach_request::Hello,
    drain_response::Message, gateway_service_client::GatewayServiceClient,
};
use hookwire_sdk::{Address, MAX_MESSAGE_BYTES};
use tokio::sync::watch;
use tonic::transport::Channel;
use uuid::Uuid;

use self::{event::Events, link::Link};
use super::{
    dial::dial,
    latency::unix_nano,
    lines::{Drained, FromGateway, say},
    orders::{Orders, Phase},
};
use crate::cli::{Exit, Failure, client};

/// The most events in a Publish.
const BATCH: u64 = 256;

/// The most bytes in a Publish that holds more than one event.
const BATCH_BYTES: usize = 64 << 10;

/// At a steady rate: how many events may wait for their receipts.
const UNANSWERED: u64 = 65_536;

/// How long subscribers have for their ends. Nobody wants to measure a budget.
const BUDGET: Duration = Duration::from_secs(60);

/// The bench's gateway
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where the dispatcher listens
    #[arg(long, value_name = "ADDR")]
    to: Address,
    /// The gateway's durable name
    #[arg(long, value_name = "ID")]
    name: String,
    /// How many sessions it has
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// How many events it fires
    #[arg(long, value_name = "N")]
    events: u64,
    /// The size of an event's JSON
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(2..))]
    payload: u32,
    /// How far it may be ahead of what every subscriber has acknowledged
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u64).range(1..))]
    credit: u64,
    /// How many it fires a second, whatever is acknowledged
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Publish each on its own
    #[arg(long, requires = "rate")]
    singly: bool,
}

pub(in crate::cli) fn run(args: Args) -> Result<(), Failure> {
    client::block_on(attend(&args))
}

/// Attaches, and does what it is told, until it is told to leave.
async fn attend(args: &Args) -> Result<(), Failure> {
    let orders = Orders::listen();
    let mut until_leave = orders.clone();
    let channel = dial(&args.to).await?;
    let boot_id = Uuid::new_v4().to_string();
    let hello = Hello {
        gateway_id: args.name.clone(),
        boot_id: boot_id.clone(),
        emitter_id: Uuid::new_v4().to_string(),
        live_sessions: Some(LiveSessions::default()),
        resend_through: 0,
        client_name: "hookwire-bench".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (link, receipts) = link::attach(channel.clone(), hello).await?;
    say(&FromGateway::Ready)?;
    let events = Events::new(args.sessions, args.payload);
    let mut gateway = Gateway { args, events, orders, link };
    let work = async {
        gateway.start().await?;
        gateway.fire().await?;
        gateway.orders.reach(Phase::Drain).await?;
        drain(channel, &args.name, boot_id).await?;
        // Held until then: whoever leaves for good does so behind its drain.
        gateway.orders.reach(Phase::Leave).await
    };
    tokio::select! {
        done = work => done,
        failure = receipts.read() => Err(failure),
        // The parent has had enough, or is no more.
        _ = until_leave.reach(Phase::Leave) => Ok(()),
    }
}

struct Gateway<'a> {
    args: &'a Args,
    events: Events,
    orders: Orders,
    link: Link,
}

/// How fast events go out.
enum Flow {
    /// As the slowest subscriber acknowledges them.
    Credit,
    /// As they are due.
    Rate { due: watch::Receiver<u64>, first: u64 },
}

impl Gateway<'_> {
    async fn start(&mut self) -> Result<(), Failure> {
        self.orders.reach(Phase::Start).await?;
        self.publish(self.args.sessions.into(), Flow::Credit, Events::start).await
    }

    async fn fire(&mut self) -> Result<(), Failure> {
        if self.args.events == 0 {
            return Ok(());
        }
        self.orders.reach(Phase::Fire).await?;
        let event_bytes = self.events.event_bytes() as u64;
        say(&FromGateway::Fired { at_unix_nano: unix_nano(), event_bytes })?;
        let flow = match self.args.rate {
            Some(rate) => Flow::Rate { due: pace::begin(rate, self.args.events), first: self.link.sent() },
            None => Flow::Credit,
        };
        self.publish(self.args.events, flow, Events::event).await
    }

    /// Publishes so many events, and sees them taken in.
    async fn publish(
        &mut self,
        count: u64,
        mut flow: Flow,
        make: impl Fn(&Events, u64, u64) -> GatewayEvent,
    ) -> Result<(), Failure> {
        let most = self.batch();
        let mut done = 0;
        while done < count {
            let ready = self.ready(&mut flow).await?.min(most).min(count - done);
            // An event's time is when it is fired, and that is now, not when its batch is begun.
            let events = (done..done + ready).map(|n| make(&self.events, n, unix_nano())).collect();
            self.link.publish(events).await?;
            done += ready;
        }
        self.link.taken_but(0).await?;
        say(&FromGateway::Published { count: self.link.sent() })
    }

    /// Waits until there are events to send, and room for them. Returned is how many.
    async fn ready(&mut self, flow: &mut Flow) -> Result<u64, Failure> {
        self.link.room().await?;
        let sent = self.link.sent();
        match flow {
            Flow::Credit => match sent.checked_sub(self.args.credit) {
                None => Ok(self.args.credit - sent),
                Some(behind) => Ok(self.orders.acked_beyond(behind).await? - behind),
            },
            Flow::Rate { due, first } => {
                self.link.taken_but(UNANSWERED).await?;
                let fired = sent - *first;
                let due = due.wait_for(|due| *due > fired).await;
                let due = due.map_err(|_| Exit::Fault.because("the schedule ended before its events"))?;
                Ok(*due - fired)
            }
        }
    }

    fn batch(&self) -> u64 {
        let most = if self.args.singly { 1 } else { BATCH };
        most.min((BATCH_BYTES / self.events.event_bytes()).max(1) as u64)
    }
}

/// Drains the boot, and says how that went.
async fn drain(channel: Channel, gateway: &str, boot_id: String) -> Result<(), Failure> {
    let request = DrainRequest {
        gateway_id: gateway.to_owned(),
        boot_id,
        reason: StopReason::Shutdown.into(),
        budget_ms: Some(u32::try_from(BUDGET.as_millis()).expect("a minute fits")),
        restart_expected_ms: 0,
    };
    let (began, at_unix_nano) = (Instant::now(), unix_nano());
    let report = ask(channel, request).await?;
    let subscribers = || report.subscribers.iter();
    let carried: u64 = subscribers().map(|subscriber| subscriber.carried_over).sum();
    if carried > 0 {
        return Err(
            Exit::Fault.because(format_args!("{carried} ends were not acknowledged within {BUDGET:?}"))
        );
    }
    say(&FromGateway::Drained(Drained {
        at_unix_nano,
        ends: subscribers().map(|subscriber| subscriber.acked).sum(),
        elapsed_ms: report.elapsed_ms,
        last_ack_ms: report.last_ack_ms,
        wall_ms: (began.elapsed().as_micros() as f64) / 1e3,
    }))
}

async fn ask(channel: Channel, request: DrainRequest) -> Result<DrainReport, Failure> {
    let mut client = GatewayServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let patience = BUDGET * 2;
    let mut answers = client::answer(patience, client.drain(request)).await?.into_inner();
    while let Some(answer) = client::answer(patience, answers.message()).await? {
        if let Some(Message::Report(report)) = answer.message {
            return Ok(report);
        }
    }
    Err(Exit::Unavailable.because("the drain ended without a report"))
}
