//! A Hello that makes no sense, comes twice or not at all: a clear answer, and nobody else notices.

use hookwire_protocol::v1::{Ack, Filter};
use tonic::{Code, Status};

use crate::{
    cast::{
        daemon::Daemon,
        peer::{Plugin, Say, Unchecked, call_unchecked, hello, says},
    },
    witness::Witness,
};

const SUBSCRIBE: &str = "/hookwire.v1.HookService/Subscribe";
const ATTACH: &str = "/hookwire.v1.GatewayService/Attach";

/// What a stream that begins like this ends with.
async fn answer(daemon: &Daemon, first: Say) -> Status {
    Plugin::open(&daemon.address(), Some(first)).await.end().await
}

#[tokio::test]
async fn malformed() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let long = "x".repeat(10_000);
    let nobody = answer(&daemon, Say::Hello(hello(""))).await;
    says(&nobody, Code::InvalidArgument, "subscriber_id: it has 1 to 128 bytes, not 0");
    let named = answer(&daemon, Say::Hello(hello(&long))).await;
    says(&named, Code::InvalidArgument, "subscriber_id: it has 1 to 128 bytes, not 10000");
    let mut instance = hello("plugin");
    instance.instance_id = long.clone();
    let instance = answer(&daemon, Say::Hello(instance)).await;
    says(&instance, Code::InvalidArgument, "instance_id: it has at most 128 bytes, not 10000");
    let mut hook = hello("plugin");
    hook.hooks = vec!["session_*".to_owned(), long.clone()];
    let hook = answer(&daemon, Say::Hello(hook)).await;
    says(&hook, Code::InvalidArgument, "hooks[1]: a pattern has 1 to 256 bytes, not 10000");
    let mut many = hello("plugin");
    many.filter = Some(Filter { agents: vec!["a".to_owned(); 65], ..Default::default() });
    says(&answer(&daemon, Say::Hello(many)).await, Code::InvalidArgument, "filter.agents: 65 patterns");
    let ack = answer(&daemon, Say::Ack(Ack::default())).await;
    says(&ack, Code::InvalidArgument, "the first message of a stream is its Hello");
    let names: Vec<_> = daemon.status().await.subscribers.into_iter().map(|it| it.id).collect();
    assert_eq!(names, ["witness"], "nobody was registered");
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn oversized() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let mut huge = hello("plugin");
    huge.hooks = vec!["x".repeat(200); 10_000]; // 2 MB
    says(&answer(&daemon, Say::Hello(huge)).await, Code::OutOfRange, "decoded message length too large");
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn unreadable() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let no_text = b"\x0a\x02\xff\xfe".to_vec(); // subscriber_id, two bytes that are no UTF-8
    let cut = b"\x0a\x7fabc".to_vec(); // says 127 bytes, and has three
    for path in [SUBSCRIBE, ATTACH] {
        for (hello, text) in [(&no_text, "invalid string value"), (&cut, "buffer underflow")] {
            let request = Unchecked { hello: Some(hello.clone()), second: None };
            let status = call_unchecked(&daemon.address(), path, vec![request]).await;
            says(&status, Code::InvalidArgument, "unreadable message");
            says(&status, Code::InvalidArgument, text);
        }
    }
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn twice() {
    let daemon = Daemon::start(&[]).await;
    let witness = Witness::call(&daemon).await;
    let plugin = Plugin::subscribe(&daemon.address(), hello("plugin")).await;
    plugin.say(Say::Hello(hello("plugin"))).await;
    says(&plugin.end().await, Code::InvalidArgument, "a stream has one Hello, its first message");
    witness.goes_on(daemon).await;
}

#[tokio::test]
async fn not_at_all() {
    // Long enough for those who do say it, on any machine.
    let variables = [("HOOKWIRE_HELLO_TIMEOUT", "3s")];
    let daemon = Daemon::start_with(&variables, &[]).await;
    let witness = Witness::call(&daemon).await;
    let address = daemon.address();
    let silent = Plugin::open(&address, None).await;
    let (plugin, gateway) = tokio::join!(silent.end(), call_unchecked(&address, ATTACH, Vec::new()));
    for status in [plugin, gateway] {
        says(&status, Code::DeadlineExceeded, "no Hello came within 3s of the call");
    }
    witness.goes_on(daemon).await;
}
