//! What a plugin is made of.

use std::{
    env,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use hookwire_protocol::v1::{
    DrainNotice, Filter, Retention, RetentionKind, WhenFull, subscribe_request::Hello,
};
use tonic::transport::Channel;
use uuid::Uuid;

#[cfg(not(feature = "opentelemetry"))]
use crate::routes::handler as event_handler;
#[cfg(feature = "opentelemetry")]
use crate::trace::handler as event_handler;
use crate::{
    address::{ADDRESS_VARIABLE, Address, DEFAULT_ADDRESS},
    error::RunError,
    event::Event,
    outcome::{BoxError, IntoOutcome},
    routes::{Routes, handler},
    run::{run, stop_signal},
    store::{MemoryStore, Store},
    sweep::Sweep,
    work::Work,
};

/// How many handlers run at once, unless the author says otherwise.
const CONCURRENCY: usize = 256;

/// How long a plugin that was told to stop works on, unless the author says otherwise.
const GRACE: Duration = Duration::from_secs(10);

type Dial = Pin<Box<dyn Future<Output = Result<Channel, BoxError>> + Send>>;

/// How to reach the dispatcher.
pub(crate) type Connector = Arc<dyn Fn() -> Dial + Send + Sync>;

/// What a plugin's life needs beside its work.
pub(crate) struct Settings {
    pub(crate) connect: Connector,
    pub(crate) hello: Hello,
    pub(crate) grace: Duration,
}

/// A plugin. Begin with [`Plugin::builder`].
#[derive(Debug)]
pub struct Plugin;

impl Plugin {
    /// A plugin of this durable name, 1 to 128 bytes: what it is owed is kept under it.
    pub fn builder(name: impl Into<String>) -> PluginBuilder {
        let hello = Hello {
            subscriber_id: name.into(),
            instance_id: Uuid::new_v4().to_string(),
            client_name: "hookwire-sdk-rust".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        PluginBuilder {
            hello,
            connect: None,
            routes: Routes::default(),
            concurrency: CONCURRENCY,
            grace: GRACE,
            store: Box::new(MemoryStore::default()),
        }
    }
}

/// A plugin in the making: handlers first, settings where the defaults do not fit, then [`run`](Self::run).
#[must_use = "nothing happens before run()"]
pub struct PluginBuilder {
    hello: Hello,
    connect: Option<Connector>,
    routes: Routes,
    concurrency: usize,
    grace: Duration,
    store: Box<dyn Store>,
}

impl PluginBuilder {
    /// Subscribes to the hooks that a glob (`*` and `?`) matches. The first handler that matches gets the event;
    /// call it again for more. Starts and ends come together: without a handler for one of them, it is answered OK.
    ///
    /// Handlers of one session run one after the other, in order; those of different sessions at the same
    /// time. Events without a session keep their order among themselves, and a `gateway_stop` waits for all that
    /// came before it. What a handler returns decides, see [`IntoOutcome`]; a panic is as good as an error.
    ///
    /// With the feature `opentelemetry`, a handler runs in the context of its event's [`traceparent`](Event::traceparent).
    pub fn on<F, R>(
        mut self,
        glob: impl Into<String>,
        author: impl Fn(Event) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: IntoOutcome,
    {
        let glob = glob.into();
        self.routes.add(&glob, event_handler(author));
        self.hello.hooks.push(glob);
        self
    }

    /// Called at once when a gateway begins to stop, beside whatever is in hand. An error is logged, no more.
    pub fn on_drain<F, R>(mut self, author: impl Fn(DrainNotice) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: IntoOutcome,
    {
        self.routes.drain = Some(handler(author));
        self
    }

    /// Called once on each stream, when all that came from before it has been handled. What comes behind is not
    /// handled before this returns, so a sweep sees a store at rest. An error is logged, no more.
    pub fn on_sweep<F, R>(mut self, author: impl Fn(Sweep) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: IntoOutcome,
    {
        self.routes.sweep = Some(handler(author));
        self
    }

    /// Where the dispatcher listens. Otherwise `HOOKWIRE_ADDR` says so, else it is `127.0.0.1:7400`.
    pub fn address(mut self, address: Address) -> Self {
        self.connect = Some(dial(address));
        self
    }

    /// Dials in its own way, in place of an address: a transport of your own, or none in a test.
    pub fn connect_with<F, E>(mut self, connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Channel, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.connect = Some(Arc::new(move || {
            let channel = connect();
            Box::pin(async move { channel.await.map_err(Into::into) })
        }));
        self
    }

    /// Whether sessions that are alive when the plugin comes are named to it, as starts. No by default: then it
    /// sees only what starts while it is there, and its owed past.
    pub fn announce(mut self, announce: bool) -> Self {
        self.hello.announce = announce;
        self
    }

    /// How many events other than starts and ends may be unanswered at once. The dispatcher's default otherwise.
    pub fn max_in_flight(mut self, events: u32) -> Self {
        self.hello.max_in_flight = events;
        self
    }

    /// Only sessions of these agents: ids or globs.
    pub fn agents(mut self, globs: impl IntoIterator<Item: Into<String>>) -> Self {
        self.filter().agents = globs.into_iter().map(Into::into).collect();
        self
    }

    /// Only sessions with these keys: keys or globs.
    pub fn keys(mut self, globs: impl IntoIterator<Item: Into<String>>) -> Self {
        self.filter().keys = globs.into_iter().map(Into::into).collect();
        self
    }

    fn filter(&mut self) -> &mut Filter {
        self.hello.filter.get_or_insert_default()
    }

    /// What is kept while the plugin is away or does not answer, for how long, and how much of it: starts and ends, for as
    /// long as the dispatcher keeps them, by default. It grants no more than that.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.hello.retention = Some(retention);
        self
    }

    /// What is lost when the plugin is too slow: the oldest events by default, never a start or an end.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.hello.when_full = policy.into();
        self
    }

    /// This process, at most 128 bytes. Random by default, and kept over reconnects.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.hello.instance_id = id.into();
        self
    }

    /// How many handlers may run at once: 256 by default, at least 1.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers.max(1);
        self
    }

    /// How long a plugin that was told to stop may go on with what it has in hand: 10 s by default. Saying
    /// goodbye takes up to 2 s more where the dispatcher does not answer.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Where answers are remembered, in place of memory: one on disk still knows them after a crash. See [`Store`].
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Box::new(store);
        self
    }

    /// Runs until SIGTERM or SIGINT; then finishes what is in hand, acknowledges it and says Goodbye. A lost
    /// connection is dialled again, with jitter, for as long as it takes.
    ///
    /// # Errors
    /// When the dispatcher refuses the plugin, another process of its name takes its place, or nothing could be
    /// begun. See [`RunError`].
    pub async fn run(self) -> Result<(), RunError> {
        let stop = stop_signal()?;
        self.run_until(stop).await
    }

    /// Runs until `stop` is done, in place of a signal.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        if self.hello.hooks.is_empty() {
            return Err(RunError::NoHandler);
        }
        let connect = match &self.connect {
            Some(connect) => connect.clone(),
            None => dial(address_from_environment()?),
        };
        let (hello, grace) = (self.hello.clone(), self.grace);
        run(Settings { connect, hello, grace }, self.into_work(), pin!(stop)).await
    }

    /// All that is below the transport.
    pub(crate) fn into_work(self) -> Work {
        // With ALL, any event is replayed; otherwise only starts and ends come again.
        let remember_all = self.hello.retention.is_some_and(|r| r.kind() == RetentionKind::All);
        Work::new(self.routes, self.concurrency, remember_all, self.store)
    }

    /// Whether live sessions are to be named.
    pub(crate) fn announces(&self) -> bool {
        self.hello.announce
    }
}

fn dial(address: Address) -> Connector {
    Arc::new(move || {
        let address = address.clone();
        Box::pin(async move { Ok(address.connect().await?) })
    })
}

fn address_from_environment() -> Result<Address, RunError> {
    let text = env::var(ADDRESS_VARIABLE).unwrap_or_else(|_| DEFAULT_ADDRESS.to_owned());
    Ok(text.parse::<Address>()?)
}
