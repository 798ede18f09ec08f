//! The wire does not change by accident, and yesterday's plugin and gateway still work.
//!
//! `tests/data/wire.txt` holds every kind of message with every field set. A change of the wire changes it in the same
//! commit: `HOOKWIRE_BLESS=1 cargo test --test it wire` writes it anew. `tests/data/wire-0.1.txt` is what a plugin and a
//! gateway of version 0.1 once sent; it is never written again.

mod samples;

use std::{collections::BTreeMap, env, fs};

use bytes::Bytes;
use hookwire_harness::{World, codec};
use hookwire_protocol::v1::{
    AttachResponse, SessionEndReason, SubscribeResponse, attach_response, event::Payload, subscribe_response,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

const WIRE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/wire.txt");

const YESTERDAY: &str = include_str!("../data/wire-0.1.txt");

/// Lines of a name and of bytes in hexadecimal; what begins with `#` is for people.
fn read(text: &str) -> BTreeMap<String, Bytes> {
    let line = |line: &str| {
        let (name, hex) = line.split_once(' ').unwrap_or((line, "")); // a message may have no fields
        (name.to_owned(), from_hex(hex))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

fn from_hex(hex: &str) -> Bytes {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hexadecimal digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn messages_are_the_recorded_bytes_and_are_read_from_them() {
    let samples = samples::all();
    if env::var_os("HOOKWIRE_BLESS").is_some() {
        let line = |name: &str, hex: &str| format!("{name} {hex}").trim_end().to_owned() + "\n";
        let lines = samples.iter().map(|sample| line(sample.name, &to_hex(&sample.bytes)));
        let head = "# Every kind of message with every field set. See tests/it/wire.rs.\n".to_owned();
        fs::write(WIRE, [head].into_iter().chain(lines).collect::<String>()).unwrap();
    }
    let recorded = read(&fs::read_to_string(WIRE).unwrap());
    assert_eq!(recorded.len(), samples.len(), "a kind of message was added or removed: HOOKWIRE_BLESS=1");
    for sample in samples {
        let name = sample.name;
        let recorded = recorded.get(name).unwrap_or_else(|| panic!("{name} was never recorded"));
        (sample.read)(recorded);
        assert_eq!(to_hex(&sample.bytes), to_hex(recorded), "{name} changed: HOOKWIRE_BLESS=1, if it should");
    }
}

/// The names of an enum's values, from 1 on.
fn names<E: TryFrom<i32>>(name: fn(&E) -> &'static str) -> Vec<&'static str> {
    (1..).map_while(|number| E::try_from(number).ok()).map(|value| name(&value)).collect()
}

#[test]
fn enums_keep_their_numbers() {
    use hookwire_protocol::v1::*;
    let reasons =
        ["NEW", "RESET", "IDLE", "DAILY", "DELETED", "COMPACTION", "SHUTDOWN", "RESTART", "UNKNOWN", "LOST"];
    let check = |prefix: &str, expected: &[&str], found: Vec<&'static str>| {
        let expected: Vec<_> = expected.iter().map(|name| format!("{prefix}_{name}")).collect();
        assert_eq!(found, expected);
    };
    check("SESSION_END_REASON", &reasons, names(SessionEndReason::as_str_name));
    check("DISPOSITION", &["ENDED", "MOVED", "SUSPENDED", "UNKNOWN"], names(Disposition::as_str_name));
    check("STOP_REASON", &["SHUTDOWN", "RESTART"], names(StopReason::as_str_name));
    check("BATCH_KIND", &["LIVE", "ANNOUNCED", "REDELIVERED"], names(BatchKind::as_str_name));
    check("ACK_STATUS", &["OK", "ACCEPTED", "RETRY", "REJECT"], names(AckStatus::as_str_name));
    check("WHEN_FULL", &["DROP_OLDEST", "DROP_NEWEST", "DISCONNECT"], names(WhenFull::as_str_name));
    check("RETENTION_KIND", &["OWED", "ALL"], names(RetentionKind::as_str_name));
    check("BOOT_STATE", &["ATTACHED", "DETACHED", "DRAINING", "OVER"], names(BootState::as_str_name));
    check("REFUSAL_CODE", &["INVALID", "TOO_LARGE", "BOOT_OVER"], names(RefusalCode::as_str_name));
    let causes = ["QUEUE_FULL", "AWAY", "DRAIN", "EXPIRED", "EMITTER_FULL", "EVENTS_EXPIRED"];
    check("GAP_CAUSE", &causes, names(GapCause::as_str_name));
    let goodbyes = ["STOPPING", "DISPLACED", "HANDOVER", "SLOW", "BYE"];
    check("GOODBYE_REASON", &goodbyes, names(GoodbyeReason::as_str_name));
}

/// A stream of recorded messages.
struct Yesterday {
    recorded: BTreeMap<String, Bytes>,
    requests: mpsc::Sender<Bytes>,
    responses: Streaming<Bytes>,
    _link: hookwire_harness::Link,
}

impl Yesterday {
    /// Calls, and sends the first message.
    async fn call(world: &World, method: &'static str, first: &str) -> Self {
        let recorded = read(YESTERDAY);
        let (link, channel) = world.link().await;
        let (requests, outbound) = mpsc::channel(4);
        requests.send(recorded[first].clone()).await.expect("there is room");
        let responses =
            codec::call(channel, method, ReceiverStream::new(outbound)).await.expect("it is answered");
        Self { recorded, requests, responses, _link: link }
    }

    async fn send(&self, name: &str) {
        self.requests.send(self.recorded[name].clone()).await.expect("the stream is open");
    }

    async fn next(&mut self) -> Bytes {
        self.responses.message().await.expect("the stream goes on").expect("there is more to come")
    }

    async fn heard(&mut self) -> subscribe_response::Message {
        let response = SubscribeResponse::decode(self.next().await).expect("readable");
        response.message.expect("not empty")
    }

    async fn answered(&mut self) -> attach_response::Message {
        AttachResponse::decode(self.next().await).expect("readable").message.expect("not empty")
    }
}

#[tokio::test(start_paused = true)]
async fn yesterdays_plugin_and_gateway_work_with_todays_dispatcher() {
    let world = World::new();
    let mut gateway = Yesterday::call(&world, "/hookwire.v1.GatewayService/Attach", "gateway.hello").await;
    let attach_response::Message::Welcome(welcome) = gateway.answered().await else { panic!("no Welcome") };
    assert_eq!(welcome.resume_after, 0);

    let mut plugin = Yesterday::call(&world, "/hookwire.v1.HookService/Subscribe", "plugin.hello").await;
    let subscribe_response::Message::Welcome(welcome) = plugin.heard().await else { panic!("no Welcome") };
    assert_eq!(
        (welcome.max_in_flight, welcome.granted_hooks.as_slice()),
        (64, &["session_*".to_owned()][..])
    );
    let subscribe_response::Message::CaughtUp(_) = plugin.heard().await else { panic!("no CaughtUp") };

    gateway.send("gateway.publish").await; // a start, and an end
    let attach_response::Message::Receipt(receipt) = gateway.answered().await else { panic!("no Receipt") };
    assert_eq!((receipt.through_publish_seq, receipt.refused.as_slice()), (2, &[][..]));
    let subscribe_response::Message::Events(batch) = plugin.heard().await else { panic!("no start") };
    assert_eq!((batch.first_seq, batch.events[0].hook.as_str()), (1, "session_start"));
    plugin.send("plugin.ack").await; // ACCEPTED for the first
    let subscribe_response::Message::Events(batch) = plugin.heard().await else { panic!("no end") };
    let Some(Payload::SessionEnd(end)) = &batch.events[0].payload else { panic!("{batch:?}") };
    assert_eq!((batch.first_seq, end.reason()), (2, SessionEndReason::Compaction));
    plugin.send("plugin.goodbye").await;
    let subscribe_response::Message::Goodbye(_) = plugin.heard().await else { panic!("no Goodbye") };
    assert_eq!(world.counter("acks_accepted").await, 1);
}
