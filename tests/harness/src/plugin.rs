//! A plugin that does what its test says, and nothing by itself: it reads when it is asked to, and acks when told.

use std::{collections::VecDeque, time::Duration};

use hookwire_protocol::{
    hook,
    v1::{
        Ack, AckException, AckStatus, CaughtUp, DrainNotice, DrainSummary, EventBatch, Gap, GapCause,
        GoodbyeReason, SubscribeRequest, SubscribeResponse, subscribe_request,
        subscribe_response::{self, Goodbye, Welcome},
    },
};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Streaming};

use crate::{Delivery, Heard, Link, PATIENCE};

/// One plugin's stream. Dropping it breaks the connection, like a process that is killed.
#[derive(Debug)]
pub struct Plugin {
    id: String,
    /// What the dispatcher said first.
    pub welcome: Welcome,
    /// `None` once half-closed.
    requests: Option<mpsc::Sender<SubscribeRequest>>,
    responses: Streaming<SubscribeResponse>,
    link: Link,
    /// Heard, and not asked for yet.
    waiting: VecDeque<Heard>,
    /// What was asked for, for the message of a test that fails.
    seen: Vec<String>,
    /// The last delivery that the test has asked for.
    last_seq: u64,
    /// The last delivery that came.
    came: u64,
}

impl Plugin {
    pub(crate) fn new(
        id: String,
        requests: mpsc::Sender<SubscribeRequest>,
        responses: Streaming<SubscribeResponse>,
        link: Link,
        welcome: Welcome,
    ) -> Self {
        let (waiting, seen) = (VecDeque::new(), Vec::new());
        Self { id, welcome, requests: Some(requests), responses, link, waiting, seen, last_seq: 0, came: 0 }
    }

    /// Its durable name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next thing it hears.
    ///
    /// # Panics
    /// Where nothing comes within [`PATIENCE`], or where deliveries are not numbered 1, 2, 3 ….
    pub async fn next(&mut self) -> Heard {
        self.next_within(PATIENCE)
            .await
            .unwrap_or_else(|| panic!("{} heard nothing; {}", self.id, self.story()))
    }

    /// Hears nothing at all for so long.
    ///
    /// # Panics
    /// Where anything comes.
    pub async fn expect_nothing_for(&mut self, time: Duration) {
        if let Some(heard) = self.next_within(time).await {
            panic!("{} heard {heard} and should not; {}", self.id, self.story());
        }
    }

    /// An event, whichever.
    pub async fn expect_delivery(&mut self) -> Delivery {
        match self.next().await {
            Heard::Delivery(delivery) => *delivery,
            other => self.unexpected("an event", &other),
        }
    }

    /// An event of this hook.
    pub async fn expect_event(&mut self, hook: &str) -> Delivery {
        match self.next().await {
            Heard::Delivery(delivery) if delivery.event.hook == hook => *delivery,
            other => self.unexpected(hook, &other),
        }
    }

    /// The start of this session.
    pub async fn expect_start(&mut self, session: &str) -> Delivery {
        self.expect_lifecycle(hook::SESSION_START, session).await
    }

    /// The end of this session.
    pub async fn expect_end(&mut self, session: &str) -> Delivery {
        self.expect_lifecycle(hook::SESSION_END, session).await
    }

    /// All of the replay and the announcements is through.
    pub async fn expect_caught_up(&mut self) -> CaughtUp {
        match self.next().await {
            Heard::CaughtUp(caught_up) => caught_up,
            other => self.unexpected("CaughtUp", &other),
        }
    }

    /// A loss for this cause.
    pub async fn expect_gap(&mut self, cause: GapCause) -> Gap {
        match self.next().await {
            Heard::Gap(gap) if gap.cause() == cause => gap,
            other => self.unexpected(cause.as_str_name(), &other),
        }
    }

    /// A drain begins.
    pub async fn expect_notice(&mut self) -> DrainNotice {
        match self.next().await {
            Heard::DrainNotice(notice) => notice,
            other => self.unexpected("DrainNotice", &other),
        }
    }

    /// A drain is over for this plugin.
    pub async fn expect_summary(&mut self) -> DrainSummary {
        match self.next().await {
            Heard::DrainSummary(summary) => summary,
            other => self.unexpected("DrainSummary", &other),
        }
    }

    /// A Goodbye for this reason, and the end of the stream behind it.
    pub async fn expect_goodbye(&mut self, reason: GoodbyeReason) -> Goodbye {
        let goodbye = match self.next().await {
            Heard::Goodbye(goodbye) if goodbye.reason() == reason => goodbye,
            other => self.unexpected(reason.as_str_name(), &other),
        };
        self.expect_closed(Code::Ok).await;
        goodbye
    }

    /// The stream ends with this status; its text.
    pub async fn expect_closed(&mut self, code: Code) -> String {
        match self.next().await {
            Heard::Closed(status, text) if status == code => text,
            other => self.unexpected(&format!("the end with {code:?}"), &other),
        }
    }

    /// Answers OK to all that the test has asked for.
    pub async fn ack_all(&mut self) {
        self.ack(self.last_seq).await;
    }

    /// Answers OK up to this number.
    pub async fn ack(&mut self, through_seq: u64) {
        self.send_ack(Ack { through_seq, exceptions: Vec::new() }).await;
    }

    /// Answers one delivery.
    pub async fn answer(&mut self, delivery: &Delivery, status: AckStatus) {
        self.answer_seq(delivery.seq, status, Duration::ZERO).await;
    }

    /// Answers one delivery with RETRY.
    pub async fn retry(&mut self, delivery: &Delivery, after: Duration) {
        self.answer_seq(delivery.seq, AckStatus::Retry, after).await;
    }

    /// Sends an Ack as it is.
    pub async fn send_ack(&mut self, ack: Ack) {
        self.send(subscribe_request::Message::Ack(ack)).await;
    }

    /// Says anything.
    ///
    /// # Panics
    /// After [`Plugin::half_close`].
    pub async fn send(&mut self, message: subscribe_request::Message) {
        let requests = self.requests.as_ref().expect("nothing is said behind a half-close");
        // Fails where the stream has ended: then nobody hears it, as on a real connection.
        let _ = requests.send(SubscribeRequest { message: Some(message) }).await;
    }

    /// Says Goodbye, and whether it lets go of what it is owed.
    pub async fn leave(&mut self, release: bool) {
        self.send(subscribe_request::Message::Goodbye(subscribe_request::Goodbye { release })).await;
    }

    /// Says nothing more, but still listens.
    pub fn half_close(&mut self) {
        self.requests = None;
    }

    /// Breaks the connection without a word.
    pub fn cut(&self) {
        self.link.cut();
    }

    async fn answer_seq(&mut self, seq: u64, status: AckStatus, after: Duration) {
        let mut exception =
            AckException { seq, retry_after_ms: after.as_millis() as u32, ..Default::default() };
        exception.set_status(status);
        self.send_ack(Ack { through_seq: 0, exceptions: vec![exception] }).await;
    }

    async fn expect_lifecycle(&mut self, hook: &str, session: &str) -> Delivery {
        match self.next().await {
            Heard::Delivery(delivery) if delivery.event.hook == hook && delivery.session_id() == session => {
                *delivery
            }
            other => self.unexpected(&format!("{hook} of {session}"), &other),
        }
    }

    async fn next_within(&mut self, time: Duration) -> Option<Heard> {
        if self.waiting.is_empty() {
            let response = timeout(time, self.responses.message()).await.ok()?;
            self.hear(response);
        }
        let heard = self.waiting.pop_front()?;
        if let Heard::Delivery(delivery) = &heard {
            self.last_seq = delivery.seq;
        }
        self.seen.push(heard.to_string());
        Some(heard)
    }

    fn hear(&mut self, response: Result<Option<SubscribeResponse>, tonic::Status>) {
        use subscribe_response::Message;
        let message = match response {
            Ok(Some(response)) => response.message.expect("the dispatcher sends nothing that is empty"),
            Ok(None) => return self.waiting.push_back(Heard::Closed(Code::Ok, String::new())),
            Err(status) => {
                return self.waiting.push_back(Heard::Closed(status.code(), status.message().to_owned()));
            }
        };
        self.waiting.push_back(match message {
            Message::Events(batch) => return self.take_apart(batch),
            Message::Welcome(welcome) => panic!("{} was welcomed twice: {welcome:?}", self.id),
            Message::CaughtUp(caught_up) => Heard::CaughtUp(caught_up),
            Message::Gap(gap) => Heard::Gap(gap),
            Message::DrainNotice(notice) => Heard::DrainNotice(notice),
            Message::DrainSummary(summary) => Heard::DrainSummary(summary),
            Message::Goodbye(goodbye) => Heard::Goodbye(goodbye),
        });
    }

    fn take_apart(&mut self, batch: EventBatch) {
        assert_eq!(batch.first_seq, self.came + 1, "{}: numbers have no gap; {}", self.id, self.story());
        assert!(!batch.events.is_empty(), "{}: a batch holds at least one event", self.id);
        let (kind, budget_ms) = (batch.kind(), batch.budget_ms);
        for (seq, event) in (batch.first_seq..).zip(batch.events) {
            self.came = seq;
            let delivery = Box::new(Delivery { seq, kind, budget_ms, event });
            self.waiting.push_back(Heard::Delivery(delivery));
        }
    }

    fn unexpected(&self, wanted: &str, heard: &Heard) -> ! {
        panic!("{} waited for {wanted} and heard {heard}; {}", self.id, self.story())
    }

    fn story(&self) -> String {
        format!("so far it heard {:#?}, and {} more waits", self.seen, self.waiting.len())
    }
}
