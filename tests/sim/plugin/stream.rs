//! One stream of a plugin's, from Hello to its end.

use std::time::Duration;

use hookwire_protocol::{
    hook,
    v1::{
        Ack, AckException, AckStatus, Event, EventBatch, GoodbyeReason, SubscribeRequest, SubscribeResponse,
        hook_service_client::HookServiceClient, subscribe_request, subscribe_response::Message,
    },
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::{Plugin, Row, answers};
use crate::{
    dice::Dice,
    network::{PATIENCE, dial},
    records::What,
};

/// Requests that may wait to be sent.
const REQUESTS: usize = 256;

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// In whatever way: it comes back.
    Broken(#[expect(dead_code, reason = "its story is told with it")] Code),
    /// A newer instance is there.
    Displaced,
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::AlreadyExists => Self::Displaced,
            code => Self::Broken(code),
        }
    }
}

pub(super) struct Stream<'a> {
    plugin: &'a Plugin,
    boot: u32,
    number: u32,
    dice: &'a mut Dice,
    ledger: String,
    /// Answers that are not sent yet.
    ack: Ack,
}

impl<'a> Stream<'a> {
    pub(super) fn new(plugin: &'a Plugin, boot: u32, number: u32, dice: &'a mut Dice) -> Self {
        Self { plugin, boot, number, dice, ledger: String::new(), ack: Ack::default() }
    }

    pub(super) async fn run(&mut self) -> Ended {
        self.talk().await.err().unwrap_or(Ended::Broken(Code::Ok))
    }

    async fn talk(&mut self) -> Result<(), Ended> {
        let (requests, mut responses) = self.hello().await?;
        while let Some(response) = responses.message().await? {
            self.plugin.party.unless_hanging().await;
            if !self.plugin.party.calm.get() && self.dice.percent(self.plugin.plan.releases) {
                return self.release(&requests, responses).await;
            }
            match response.message {
                Some(Message::Welcome(welcome)) => {
                    self.ledger.clone_from(&welcome.ledger_id);
                    self.plugin.party.connect(self.number);
                    self.enter(What::Welcome(Box::new(welcome)));
                }
                Some(Message::Events(batch)) => self.take(batch, &requests).await,
                Some(Message::CaughtUp(_)) => self.enter(What::CaughtUp),
                Some(Message::Gap(gap)) => self.enter(What::Gap(gap)),
                Some(Message::DrainNotice(notice)) => self.enter(What::Notice(notice)),
                Some(Message::DrainSummary(summary)) => self.enter(What::Summary(summary)),
                Some(Message::Goodbye(goodbye)) => {
                    self.enter(What::Goodbye(goodbye.reason()));
                    return match goodbye.reason() {
                        GoodbyeReason::Displaced => Err(Ended::Displaced),
                        _ => Ok(()),
                    };
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Leaves, and wants nothing of what it is owed. What comes meanwhile is not for it any more.
    async fn release(
        &self,
        requests: &mpsc::Sender<SubscribeRequest>,
        mut responses: Streaming<SubscribeResponse>,
    ) -> Result<(), Ended> {
        self.enter(What::Released);
        self.plugin.let_go();
        let goodbye = subscribe_request::Message::Goodbye(subscribe_request::Goodbye { release: true });
        // Fails where the stream has ended, which is heard in a moment.
        let _ = requests.send(SubscribeRequest { message: Some(goodbye) }).await;
        while let Some(response) = responses.message().await? {
            if let Some(Message::Goodbye(goodbye)) = response.message {
                self.enter(What::Goodbye(goodbye.reason()));
            }
        }
        Ok(())
    }

    async fn hello(
        &mut self,
    ) -> Result<(mpsc::Sender<SubscribeRequest>, Streaming<SubscribeResponse>), Ended> {
        let nobody = || Ended::Broken(Code::DeadlineExceeded);
        let channel = dial().await.ok_or_else(nobody)?;
        let (requests, outbound) = mpsc::channel(REQUESTS);
        let mut hello = self.plugin.plan.hello.clone();
        hello.instance_id = format!("{}-{}", self.plugin.party.name, self.boot);
        let hello = SubscribeRequest { message: Some(subscribe_request::Message::Hello(hello)) };
        requests.try_send(hello).expect("there is room for the first");
        let mut client = HookServiceClient::new(channel);
        let response = timeout(PATIENCE, client.subscribe(ReceiverStream::new(outbound))).await;
        let responses = response.map_err(|_| nobody())??.into_inner();
        Ok((requests, responses))
    }

    /// Persists what came, then acknowledges it, in order.
    async fn take(&mut self, batch: EventBatch, requests: &mpsc::Sender<SubscribeRequest>) {
        let kind = batch.kind();
        let each_by_itself = self.dice.percent(30);
        let events: Vec<_> = (batch.first_seq..).zip(batch.events).collect();
        for (seq, event) in &events {
            self.enter(What::Delivered { seq: *seq, kind, event: Box::new(event.clone()) });
        }
        for (seq, event) in events {
            sleep(Duration::from_millis(self.dice.roll() % (self.plugin.plan.work + 1))).await;
            self.plugin.party.unless_hanging().await;
            self.decide(seq, &event);
            if each_by_itself {
                self.flush(requests).await;
            }
        }
        self.flush(requests).await;
    }

    /// What it does with one event, and what it will answer.
    fn decide(&mut self, seq: u64, event: &Event) {
        let moody = !self.plugin.party.calm.get() && self.dice.percent(self.plugin.plan.moody);
        let known = self.row(event).is_some();
        let answer = if moody { answers::moody(self.dice, seq, event, known) } else { None };
        match answer.as_ref().map_or(AckStatus::Ok, AckException::status) {
            AckStatus::Retry => {}
            // What it rejects is over for itself: no end of it will come, or none again.
            AckStatus::Reject => self.close(event),
            _ => self.apply(event),
        }
        self.ack.through_seq = seq;
        self.ack.exceptions.extend(answer);
    }

    fn row(&self, event: &Event) -> Option<Row> {
        self.plugin.rows.borrow().get(&self.key(event)).copied()
    }

    fn key(&self, event: &Event) -> (String, u64) {
        (self.ledger.clone(), event.session.as_ref().map_or(0, |session| session.incarnation))
    }

    /// Upserts a start, closes the row of an end: what comes twice has no second effect.
    fn apply(&self, event: &Event) {
        match event.hook.as_str() {
            hook::SESSION_START => {
                let mut rows = self.plugin.rows.borrow_mut();
                let row = rows.entry(self.key(event)).or_insert(Row::Open);
                if *row == Row::LetGo {
                    *row = Row::Open; // its answer was lost, and now it wants it
                }
            }
            hook::SESSION_END => self.close(event),
            _ => {}
        }
    }

    fn close(&self, event: &Event) {
        let mut rows = self.plugin.rows.borrow_mut();
        match event.hook.as_str() {
            hook::SESSION_START => _ = rows.insert(self.key(event), Row::LetGo),
            hook::SESSION_END => {
                if let Some(row) = rows.get_mut(&self.key(event)) {
                    *row = Row::Ended;
                }
            }
            _ => {}
        }
    }

    async fn flush(&mut self, requests: &mpsc::Sender<SubscribeRequest>) {
        let ack = std::mem::take(&mut self.ack);
        if ack == Ack::default() {
            return;
        }
        self.enter(What::Acked(ack.clone()));
        // Fails where the stream has ended, which is heard in a moment.
        let _ = requests.send(SubscribeRequest { message: Some(subscribe_request::Message::Ack(ack)) }).await;
    }

    fn enter(&self, what: What) {
        self.plugin.party.records.enter(&self.plugin.party.name, self.number, what);
    }
}
