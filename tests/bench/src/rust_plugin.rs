//! A plugin that counts, in Rust: `rust-plugin current_thread|multi_thread|generated ADDR DELIVERIES`.
//!
//! The first two are a handler of the SDK on that runtime; `generated` is the client that tonic's generator makes, with an
//! ack for each batch. What it says on stdout are the words of `hookwire bench-plugin`; it leaves when its stdin ends.

use std::{
    future::ready,
    io::{self, Write as _},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use hookwire_protocol::v1::{
    Ack, SubscribeRequest,
    hook_service_client::HookServiceClient,
    subscribe_request::{Hello, Message as Says},
    subscribe_response::Message,
};
use hookwire_sdk::Plugin;
use tokio::{runtime::Builder, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::{clock::unix_ns, role::BoxError};

/// The first argument of a process that is this plugin.
pub const ARGUMENT: &str = "rust-plugin";

/// Deliveries between two words of how far it is: they are the gateway's credit.
const STEP: u64 = 1024;

/// How far it is.
#[derive(Debug)]
struct Tally {
    wanted: u64,
    taken: AtomicU64,
    bytes: AtomicU64,
}

/// Takes what comes until the driver hangs up. It ends the process.
pub fn play(arguments: &[String]) -> ! {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink()); // it ends, however
        process::exit(0) // the stream is still open
    });
    if let Err(why) = run(arguments) {
        eprintln!("{why}");
    }
    process::exit(1)
}

fn run(arguments: &[String]) -> Result<(), BoxError> {
    let [form, address, wanted] = arguments else { return Err("rust-plugin FORM ADDR DELIVERIES".into()) };
    let tally =
        Arc::new(Tally { wanted: wanted.parse()?, taken: AtomicU64::new(0), bytes: AtomicU64::new(0) });
    let mut runtime = match form.as_str() {
        "multi_thread" => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match form.as_str() {
        "generated" => runtime.block_on(generated(address, &tally)),
        _ => runtime.block_on(subscribe(address, tally)),
    }
}

async fn subscribe(address: &str, tally: Arc<Tally>) -> Result<(), BoxError> {
    let plugin = Plugin::builder("rust").address(address.parse()?);
    let plugin = plugin.on("*", move |event| {
        tally.take(event.hook());
        ready(())
    });
    plugin
        .on_sweep(|_| {
            say(r#"{"type":"ready"}"#);
            ready(())
        })
        .run()
        .await?;
    Ok(())
}

async fn generated(address: &str, tally: &Tally) -> Result<(), BoxError> {
    let (says, said) = mpsc::channel(64);
    let hello = Hello { subscriber_id: "rust".into(), instance_id: "1".into(), ..Hello::default() };
    says.send(SubscribeRequest { message: Some(Says::Hello(hello)) }).await?;
    let channel = Endpoint::new(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
    let mut stream = HookServiceClient::new(channel).subscribe(ReceiverStream::new(said)).await?.into_inner();
    while let Some(response) = stream.message().await? {
        match response.message {
            Some(Message::CaughtUp(_)) => say(r#"{"type":"ready"}"#),
            Some(Message::Events(batch)) => {
                batch.events.iter().for_each(|event| tally.take(&event.hook));
                let through_seq = batch.first_seq + batch.events.len() as u64 - 1;
                let ack = Says::Ack(Ack { through_seq, ..Ack::default() });
                says.send(SubscribeRequest { message: Some(ack) }).await?;
            }
            _ => {}
        }
    }
    Err("the dispatcher has ended the stream".into())
}

impl Tally {
    /// What a plugin does with an event, at the least: look at it.
    fn take(&self, hook: &str) {
        self.bytes.fetch_add(hook.len() as u64, Ordering::Relaxed);
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken.is_multiple_of(STEP) || taken == self.wanted {
            say(&format!(r#"{{"type":"acked","count":{taken},"lost":0}}"#));
        }
        if taken == self.wanted {
            say(&format!(r#"{{"type":"measured","at_unix_nano":{},"latency":[]}}"#, unix_ns()));
        }
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        process::exit(1) // nobody listens any more
    }
}
