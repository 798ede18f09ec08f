//! An event that cannot be taken in: it is refused by itself, in words, and the rest goes on.

use hookwire_protocol::v1::{
    GatewayEvent, Publish, Receipt, Refusal, RefusalCode, SessionRef, attach_request, attach_response,
    gateway_event,
};
use tonic::Code;

use crate::{
    cast::{
        daemon::Daemon,
        gateway::{self, Gateway},
        peer::{Emitter, Unchecked, call_unchecked, says},
        tail::Tail,
    },
    witness::Witness,
};

/// Larger than what is taken in.
const LARGE: usize = 5 << 20;

/// Larger than what is read at all.
const TOO_LARGE_TO_READ: usize = 10 << 20;

fn mark(bytes: usize) -> GatewayEvent {
    let text = format!("{{\"name\":\"{}\"}}", "x".repeat(bytes));
    GatewayEvent {
        hook: "mark".to_owned(),
        payload: Some(gateway_event::Payload::Json(text.into())),
        ..Default::default()
    }
}

fn in_session(id: &str) -> GatewayEvent {
    let session = SessionRef { id: Some(id.to_owned()), ..Default::default() };
    GatewayEvent { session: Some(session), ..mark(1) }
}

fn receipt(message: attach_response::Message) -> Receipt {
    match message {
        attach_response::Message::Receipt(receipt) => receipt,
        other => panic!("no receipt: {other:?}"),
    }
}

fn refused(refusal: &Refusal, publish_seq: u64, code: RefusalCode, text: &str) {
    let fits = refusal.publish_seq == publish_seq && refusal.code() == code && refusal.text.contains(text);
    assert!(fits, "not {publish_seq} {code:?} {text:?}: {refusal:?}");
}

#[tokio::test]
async fn in_a_receipt() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let (mut emitter, resume_after) = Emitter::attach(&daemon.address()).await;
    assert_eq!(resume_after, 0);
    let nameless = GatewayEvent { hook: "x".repeat(10_000), ..mark(1) };
    let events = vec![mark(1), mark(LARGE), in_session(""), nameless, in_session("kept")];
    let receipt = receipt(emitter.publish(Publish { first_publish_seq: 1, events }).await.unwrap());
    assert_eq!(receipt.through_publish_seq, 5);
    let [large, empty, long] = receipt.refused.as_slice() else { panic!("not three: {receipt:?}") };
    refused(large, 2, RefusalCode::TooLarge, "3145728 are the most");
    refused(empty, 3, RefusalCode::Invalid, "session.id: it is empty");
    refused(long, 4, RefusalCode::Invalid, "hook: a name has 1 to 256 bytes, not 10000");
    assert_eq!(daemon.counter("events_refused").await, 3);
    witness.goes_on(daemon).await;
}

/// The stream ends, since nothing of such a message can be read; the emitter comes back and goes on behind it.
#[tokio::test]
async fn too_large_to_read() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let (mut emitter, _) = Emitter::attach(&daemon.address()).await;
    let publish = |first_publish_seq, event| Publish { first_publish_seq, events: vec![event] };
    receipt(emitter.publish(publish(1, mark(1))).await.unwrap());
    let status = emitter.publish(publish(2, mark(TOO_LARGE_TO_READ))).await.unwrap_err();
    says(&status, Code::OutOfRange, "decoded message length too large");
    let (mut emitter, resume_after) = Emitter::attach(&daemon.address()).await;
    assert_eq!(resume_after, 1);
    assert_eq!(receipt(emitter.publish(publish(2, mark(1))).await.unwrap()).refused, []);
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn unreadable() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let hello = b"\x0a\x03raw\x12\x01b\x1a\x01e".to_vec(); // gateway_id, boot_id, emitter_id
    let publish = b"\x08\x01\x12\x04\x0a\x02".to_vec(); // number 1, an event that breaks off
    let requests = vec![
        Unchecked { hello: Some(hello), second: None },
        Unchecked { hello: None, second: Some(publish) },
    ];
    let status = call_unchecked(&daemon.address(), "/hookwire.v1.GatewayService/Attach", requests).await;
    says(&status, Code::InvalidArgument, "unreadable Publish");
    says(&status, Code::InvalidArgument, "a length points beyond the end");
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn before_the_hello_or_with_a_second_one() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let early = Unchecked { hello: None, second: Some(Vec::new()) };
    let status = call_unchecked(&daemon.address(), "/hookwire.v1.GatewayService/Attach", vec![early]).await;
    says(&status, Code::InvalidArgument, "the first message of a stream is its Hello");
    let (mut emitter, _) = Emitter::attach(&daemon.address()).await;
    emitter.say(attach_request::Message::Hello(attach_request::Hello::default())).await;
    let status = emitter.next().await.unwrap_err();
    says(&status, Code::InvalidArgument, "a stream has one Hello, its first message");
    witness.goes_on(daemon).await;
}

/// The same through `publish`: told on stderr with the line's number, counted, and the rest goes on.
#[tokio::test]
async fn through_publish() {
    let daemon = Daemon::start(&[]).await;
    let tail = Tail::start(&daemon, "tail", &[]).await;
    let mut publish = Gateway::start(&daemon, "gw", &[]);
    publish.fire(&[gateway::mark("first"), gateway::message("s", &"x".repeat(LARGE))]).await;
    publish.fire(&[gateway::message("", "nowhere")]).await;
    publish.write(&format!("{{\"hook\":\"{}\"}}\n", "h".repeat(10_000))).await;
    publish.write("{\"hook\":\"mark\",\"event\":{\n[]\n{\"hook\":\"\"}\n").await;
    publish.fire(&[gateway::mark("last")]).await;
    for told in [
        "line 2: an event of 5242",
        "line 3: refused (Invalid): session.id: it is empty",
        "line 4: refused (Invalid): hook: a name has 1 to 256 bytes, not 10000",
        "line 5: EOF while parsing an object",
        "line 6: it is not a JSON object",
        "line 7: the hook has no name",
    ] {
        publish.until_stderr(told).await;
    }
    assert_eq!(publish.finish().await, (2, 6));
    tail.until_named("last").await;
    let names: Vec<_> = tail.deliveries().into_iter().map(|it| it.payload["name"].clone()).collect();
    assert_eq!(names, ["first", "last"]);
}
