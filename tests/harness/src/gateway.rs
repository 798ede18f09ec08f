//! A gateway that does what its test says.

use hookwire_protocol::v1::{
    AttachRequest, AttachResponse, GatewayEvent, GoodbyeReason, LiveSessions, Publish, Receipt,
    SessionEndReason, SessionRef, StopReason,
    attach_request::{self, Hello},
    attach_response::{self, Goodbye, Message, Welcome},
    gateway_service_client::GatewayServiceClient,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{Link, PATIENCE, World, at_rest, events};

/// Requests that may wait to be sent.
const REQUESTS: usize = 64;

/// A gateway that is not attached yet.
#[derive(Clone, Debug)]
pub struct Attaching<'a> {
    world: &'a World,
    /// What it will say: set here what has no method of its own.
    pub hello: Hello,
}

impl<'a> Attaching<'a> {
    pub(crate) fn new(world: &'a World, id: &str) -> Self {
        let hello = Hello {
            gateway_id: id.to_owned(),
            boot_id: "boot-1".to_owned(),
            emitter_id: "emitter-1".to_owned(),
            ..Default::default()
        };
        Self { world, hello }
    }

    /// The process it is: `boot-1` where nothing is said.
    pub fn boot(mut self, boot: &str) -> Self {
        self.hello.boot_id = boot.to_owned();
        self
    }

    /// The publishing key: `emitter-1` where nothing is said.
    pub fn emitter(mut self, emitter: &str) -> Self {
        self.hello.emitter_id = emitter.to_owned();
        self
    }

    /// All sessions that are alive, behind what was published up to this number.
    pub fn listing(mut self, sessions: Vec<SessionRef>, behind: u64) -> Self {
        self.hello.live_sessions = Some(LiveSessions { sessions });
        self.hello.resend_through = behind;
        self
    }

    /// Says Hello, and takes the Welcome.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn attach(self) -> Gateway {
        let id = self.hello.gateway_id.clone();
        self.try_attach().await.unwrap_or_else(|status| panic!("{id} was refused: {status}"))
    }

    /// Says Hello, and is turned away.
    ///
    /// # Panics
    /// Where it is not.
    pub async fn refused(self) -> Status {
        self.try_attach().await.expect_err("this Hello should be refused")
    }

    async fn try_attach(self) -> Result<Gateway, Status> {
        let (link, channel) = self.world.link().await;
        let (requests, outbound) = mpsc::channel(REQUESTS);
        let id = self.hello.gateway_id.clone();
        let hello = AttachRequest { message: Some(attach_request::Message::Hello(self.hello)) };
        requests.try_send(hello).expect("there is room for the first");
        let response = GatewayServiceClient::new(channel).attach(ReceiverStream::new(outbound)).await?;
        let mut responses = response.into_inner();
        let welcome = match responses.message().await?.and_then(|response| response.message) {
            Some(Message::Welcome(welcome)) => welcome,
            other => panic!("{id} got {other:?} and no Welcome"),
        };
        let published = welcome.resume_after;
        Ok(Gateway { id, welcome, requests: Some(requests), responses, link, published })
    }
}

/// One gateway's stream. Dropping it breaks the connection, like a process that is killed.
#[derive(Debug)]
pub struct Gateway {
    id: String,
    /// What the dispatcher said first.
    pub welcome: Welcome,
    /// `None` once half-closed.
    requests: Option<mpsc::Sender<AttachRequest>>,
    responses: Streaming<AttachResponse>,
    link: Link,
    /// The last publish_seq that was given out.
    published: u64,
}

impl Gateway {
    /// A session begins.
    pub async fn start(&mut self, session: &str) {
        self.publish(events::start(events::session(session))).await;
    }

    /// A session ends.
    pub async fn end(&mut self, session: &str, reason: SessionEndReason) {
        self.publish(events::end(events::session(session), reason)).await;
    }

    /// A message_received in this session, that carries this text.
    pub async fn message(&mut self, session: &str, text: &str) {
        self.publish(events::message(events::session(session), text)).await;
    }

    /// The gateway_stop that comes before the boot's end.
    pub async fn says_stop(&mut self, reason: StopReason) {
        self.publish(events::gateway_stop(reason)).await;
    }

    /// One event, taken in when this returns.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn publish(&mut self, event: GatewayEvent) {
        self.publish_all(vec![event]).await;
    }

    /// Events in one message, taken in when this returns.
    ///
    /// # Panics
    /// Where any of them is refused.
    pub async fn publish_all(&mut self, events: Vec<GatewayEvent>) {
        let receipt = self.offer(events).await;
        assert_eq!(receipt.refused, [], "{}: all should be taken in", self.id);
    }

    /// Events in one message; what became of them.
    pub async fn offer(&mut self, events: Vec<GatewayEvent>) -> Receipt {
        let first = self.published + 1;
        self.published += events.len() as u64;
        let receipt = self.send_again(first, events).await;
        assert_eq!(receipt.through_publish_seq, self.published, "{}: a receipt is for all", self.id);
        receipt
    }

    /// Events with numbers that were perhaps given out before; what became of them.
    pub async fn send_again(&mut self, first_publish_seq: u64, events: Vec<GatewayEvent>) -> Receipt {
        self.send(first_publish_seq, events).await;
        self.expect_receipt().await
    }

    /// Events, without waiting for what becomes of them.
    ///
    /// # Panics
    /// After [`Gateway::half_close`].
    pub async fn send(&mut self, first_publish_seq: u64, events: Vec<GatewayEvent>) {
        let publish = attach_request::Message::Publish(Publish { first_publish_seq, events });
        let requests = self.requests.as_ref().expect("nothing is said behind a half-close");
        // Fails where the stream has ended: then nobody hears it, as on a real connection.
        let _ = requests.send(AttachRequest { message: Some(publish) }).await;
    }

    /// Events whose receipt never arrives: the connection breaks once they are taken in.
    pub async fn cut_behind(mut self, events: Vec<GatewayEvent>) {
        self.send(self.published + 1, events).await;
        at_rest().await;
        self.cut();
    }

    /// The next receipt.
    ///
    /// # Panics
    /// Where anything else comes, or nothing.
    pub async fn expect_receipt(&mut self) -> Receipt {
        match self.next().await {
            Ok(Some(Message::Receipt(receipt))) => receipt,
            other => panic!("{} waited for a receipt and got {other:?}", self.id),
        }
    }

    /// A Goodbye for this reason, and the end of the stream behind it.
    ///
    /// # Panics
    /// Where anything else comes, or nothing.
    pub async fn expect_goodbye(&mut self, reason: GoodbyeReason) -> Goodbye {
        match (self.next().await, self.next().await) {
            (Ok(Some(Message::Goodbye(goodbye))), Ok(None)) if goodbye.reason() == reason => goodbye,
            other => panic!("{} waited for {} and got {other:?}", self.id, reason.as_str_name()),
        }
    }

    /// The stream ends with this status; its text.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn expect_closed(&mut self, code: Code) -> String {
        match self.next().await {
            Ok(None) if code == Code::Ok => String::new(),
            Err(status) if status.code() == code => status.message().to_owned(),
            other => panic!("{} waited for the end with {code:?} and got {other:?}", self.id),
        }
    }

    /// Says nothing more, but still listens.
    pub fn half_close(&mut self) {
        self.requests = None;
    }

    /// Breaks the connection without a word.
    pub fn cut(&self) {
        self.link.cut();
    }

    async fn next(&mut self) -> Result<Option<attach_response::Message>, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        let response = next.unwrap_or_else(|_| panic!("{} heard nothing", self.id))?;
        Ok(response.map(|it| it.message.expect("the dispatcher sends nothing that is empty")))
    }
}
