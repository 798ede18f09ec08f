//! What a plugin will say in its Hello.

use hookwire_protocol::v1::{
    SubscribeRequest, SubscribeResponse, WhenFull, hook_service_client::HookServiceClient, subscribe_request,
    subscribe_response,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{World, link::Link, plugin::Plugin};

/// Requests that may wait to be sent.
const REQUESTS: usize = 64;

/// A plugin that is not connected yet.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    world: &'a World,
    /// What it will say: set here what has no method of its own.
    pub hello: subscribe_request::Hello,
}

impl<'a> Script<'a> {
    pub(crate) fn new(world: &'a World, id: &str) -> Self {
        let hello = subscribe_request::Hello {
            subscriber_id: id.to_owned(),
            instance_id: format!("{id}-1"),
            ..Default::default()
        };
        Self { world, hello }
    }

    /// The process it is: `{id}-1` where nothing is said.
    pub fn instance(mut self, instance: &str) -> Self {
        self.hello.instance_id = instance.to_owned();
        self
    }

    /// Asks for the sessions that are alive.
    pub fn announce(mut self) -> Self {
        self.hello.announce = true;
        self
    }

    /// Wants only these hooks.
    pub fn hooks(mut self, patterns: &[&str]) -> Self {
        self.hello.hooks = owned(patterns);
        self
    }

    /// Wants only sessions of these agents.
    pub fn agents(mut self, patterns: &[&str]) -> Self {
        self.hello.filter.get_or_insert_default().agents = owned(patterns);
        self
    }

    /// Wants only sessions with these keys.
    pub fn keys(mut self, patterns: &[&str]) -> Self {
        self.hello.filter.get_or_insert_default().keys = owned(patterns);
        self
    }

    /// How many events it takes unanswered.
    pub fn window(mut self, events: u32) -> Self {
        self.hello.max_in_flight = events;
        self
    }

    /// What it loses when its queue is full.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.hello.set_when_full(policy);
        self
    }

    /// Says Hello, and takes the Welcome.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn connect(self) -> Plugin {
        let id = self.hello.subscriber_id.clone();
        match self.try_connect().await {
            Ok(plugin) => plugin,
            Err(status) => panic!("{id} was refused: {status}"),
        }
    }

    /// Says Hello, and takes the Welcome and a CaughtUp before which nothing comes.
    ///
    /// # Panics
    /// Where it is refused, or anything is replayed or announced.
    pub async fn caught_up(self) -> Plugin {
        let mut plugin = self.connect().await;
        let caught_up = plugin.expect_caught_up().await;
        assert_eq!((caught_up.replayed, caught_up.announced), (0, 0), "{} had to catch up", plugin.id());
        plugin
    }

    /// Says Hello, and is turned away.
    ///
    /// # Panics
    /// Where it is not.
    pub async fn refused(self) -> Status {
        let id = self.hello.subscriber_id.clone();
        match self.try_connect().await {
            Ok(_) => panic!("{id} was not refused"),
            Err(status) => status,
        }
    }

    async fn try_connect(self) -> Result<Plugin, Status> {
        let id = self.hello.subscriber_id.clone();
        let hello = subscribe_request::Message::Hello(self.hello);
        let (requests, mut responses, link) = open(self.world, hello).await?;
        let welcome = match responses.message().await?.and_then(|response| response.message) {
            Some(subscribe_response::Message::Welcome(welcome)) => welcome,
            other => panic!("{id} got {other:?} and no Welcome"),
        };
        Ok(Plugin::new(id, requests, responses, link, welcome))
    }
}

type Opened = (mpsc::Sender<SubscribeRequest>, Streaming<SubscribeResponse>, Link);

/// Opens a stream whose first message this is.
async fn open(world: &World, first: subscribe_request::Message) -> Result<Opened, Status> {
    let (link, channel) = world.link().await;
    let (requests, outbound) = mpsc::channel(REQUESTS);
    let first = SubscribeRequest { message: Some(first) };
    requests.try_send(first).expect("there is room for the first");
    let response = HookServiceClient::new(channel).subscribe(ReceiverStream::new(outbound)).await?;
    Ok((requests, response.into_inner(), link))
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
