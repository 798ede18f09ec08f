//! Whoever says Hello is welcomed, or told clearly why not.

use hookwire::config::Config;
use hookwire_harness::{Script, World, events};
use hookwire_protocol::v1::{
    AttachRequest, GoodbyeReason, RetentionKind, SubscribeRequest, WhenFull,
    gateway_service_client::GatewayServiceClient, hook_service_client::HookServiceClient, subscribe_request,
    subscribe_response,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::ms;

#[tokio::test(start_paused = true)]
async fn a_plugin_is_told_what_it_was_granted() {
    let config =
        Config { max_in_flight: 100, drain_budget: ms(1500), ack_timeout: ms(700), ..Config::default() };
    let world = World::start(&config);
    let script = world.plugin("audit").hooks(&["session_start", "made_up_*"]).keys(&["agent:*"]).window(7);
    let welcome = script.caught_up().await.welcome;

    assert!(!welcome.known, "nobody of this name was ever here");
    assert_eq!(welcome.granted_hooks, ["session_start", "made_up_*", "session_end"]);
    assert_eq!(welcome.unknown_hooks, ["made_up_*"]);
    assert_eq!(
        welcome.filter.as_ref().map(|filter| filter.keys.as_slice()),
        Some(&["agent:*".to_owned()][..])
    );
    assert_eq!((welcome.max_in_flight, welcome.when_full()), (7, WhenFull::DropOldest));
    assert_eq!(welcome.retention.map(|retention| retention.kind()), Some(RetentionKind::Owed));
    assert_eq!((welcome.ack_timeout_ms, welcome.drain_budget_ms), (700, 1500));
    assert_eq!((welcome.ends_owed, welcome.starts_to_replay), (0, 0));
    assert_eq!(welcome.stream_epoch >> 32, u64::from(welcome.dispatcher_epoch), "the epoch is its high half");
    assert!(!welcome.ledger_id.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_window_is_cut_to_the_largest() {
    let world = World::start(&Config { max_in_flight: 100, ..Config::default() });
    assert_eq!(world.plugin("greedy").window(101).connect().await.welcome.max_in_flight, 100);
    assert_eq!(world.plugin("modest").connect().await.welcome.max_in_flight, 100);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_hello_is_refused_with_the_field_and_the_limit() {
    let world = World::new();
    let refused = async |script: Script<'_>| {
        let status = script.refused().await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        status.message().to_owned()
    };
    assert!(refused(world.plugin("")).await.contains("subscriber_id"));
    assert!(refused(world.plugin(&"x".repeat(129))).await.contains("128 bytes"));
    assert!(refused(world.plugin("audit").instance(&"x".repeat(129))).await.contains("instance_id"));
    assert!(refused(world.plugin("audit").hooks(&[""])).await.contains("hooks[0]"));
    assert!(refused(world.plugin("audit").hooks(&["x"; 65])).await.contains("64"));
    assert!(refused(world.plugin("audit").keys(&[&"x".repeat(257)])).await.contains("filter.keys[0]"));
    assert_eq!(world.status().await.subscribers, [], "who was refused is not known");
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_ends_the_stream_and_nothing_else() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.send(subscribe_request::Message::Hello(world.plugin("audit").hello)).await;
    plugin.expect_closed(Code::InvalidArgument).await;

    let mut again = world.plugin("audit").connect().await;
    assert!(again.welcome.known);
    again.expect_start("s1").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_hello_ends_at_its_deadline() {
    let world = World::start(&Config { hello_timeout: ms(3000), ..Config::default() });
    let (_link, channel) = world.link().await;
    let (requests, outbound) = mpsc::channel::<SubscribeRequest>(1);
    let began = Instant::now();
    // The headers come at once: a client can wait for them before it says anything.
    let response = HookServiceClient::new(channel).subscribe(ReceiverStream::new(outbound)).await.unwrap();
    assert_eq!(began.elapsed(), ms(0));
    let status = response.into_inner().message().await.unwrap_err();
    assert_eq!((status.code(), began.elapsed()), (Code::DeadlineExceeded, ms(3000)));
    drop(requests);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_hello_ends_at_its_deadline_as_well() {
    let world = World::start(&Config { hello_timeout: ms(3000), ..Config::default() });
    let (_link, channel) = world.link().await;
    let (_requests, outbound) = mpsc::channel::<AttachRequest>(1);
    let began = Instant::now();
    let response = GatewayServiceClient::new(channel).attach(ReceiverStream::new(outbound)).await.unwrap();
    assert_eq!(began.elapsed(), ms(0));
    let status = response.into_inner().message().await.unwrap_err();
    assert_eq!((status.code(), began.elapsed()), (Code::DeadlineExceeded, ms(3000)));
}

#[tokio::test(start_paused = true)]
async fn a_first_message_that_is_no_hello_is_refused() {
    let world = World::new();
    let (_link, channel) = world.link().await;
    let ack = SubscribeRequest { message: Some(subscribe_request::Message::Ack(Default::default())) };
    let response = HookServiceClient::new(channel).subscribe(tokio_stream::iter([ack])).await.unwrap();
    let status = response.into_inner().message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_says_goodbye_is_let_go() {
    let world = World::new();
    let mut plugin = world.plugin("audit").caught_up().await;
    plugin.leave(false).await;
    plugin.expect_goodbye(GoodbyeReason::Bye).await;
    assert!(!world.subscriber("audit").await.connected);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_half_closes_has_its_last_ack_counted() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    plugin.half_close();
    plugin.expect_goodbye(GoodbyeReason::Bye).await;
    assert_eq!(world.counter("acks_ok").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_told_where_to_resume_and_what_is_too_large() {
    let world = World::start(&Config { max_event_bytes: 1000, ..Config::default() });
    let mut gateway = world.gateway("gw").await;
    assert_eq!((gateway.welcome.resume_after, gateway.welcome.max_event_bytes), (0, 1000));
    gateway.start("s1").await;
    gateway.message("s1", "hello").await;
    drop(gateway);
    assert_eq!(world.gateway("gw").await.welcome.resume_after, 2);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_names_is_refused() {
    let world = World::new();
    for attaching in [world.attach(""), world.attach("gw").boot(""), world.attach("gw").emitter("")] {
        assert_eq!(attaching.refused().await.code(), Code::InvalidArgument);
    }
    assert_eq!(world.status().await.gateways, []);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_here_is_seen_by_an_operator() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway
        .publish_all(vec![events::start(events::session("s1")), events::start(events::session("s2"))])
        .await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    plugin.expect_start("s2").await;

    let status = world.status().await;
    assert_eq!((status.live_sessions, status.durable), (2, false));
    assert_eq!((status.gateways[0].id.as_str(), status.gateways[0].streams), ("gw", 1));
    let audit = &status.subscribers[0];
    assert_eq!((audit.id.as_str(), audit.connected, audit.instance_id.as_str()), ("audit", true, "audit-1"));
    assert_eq!((audit.open, audit.owed), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_word_is_the_welcome() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.start("s1").await;
    let (_link, channel) = world.link().await;
    let hello = world.plugin("audit").announce().hello;
    let hello = SubscribeRequest { message: Some(subscribe_request::Message::Hello(hello)) };
    let (requests, outbound) = mpsc::channel(1);
    requests.send(hello).await.unwrap();
    let mut responses =
        HookServiceClient::new(channel).subscribe(ReceiverStream::new(outbound)).await.unwrap().into_inner();
    let first = responses.message().await.unwrap().and_then(|response| response.message);
    assert!(matches!(first, Some(subscribe_response::Message::Welcome(_))), "{first:?}");
}
