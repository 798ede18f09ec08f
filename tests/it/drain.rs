//! A gateway's Drain: one boot, everybody in parallel, notice, ends, gateway_stop, summary.

use hookwire_harness::{World, at_rest, events};
use hookwire_protocol::v1::{
    BatchKind, DrainRequest, DrainSummary, GapCause, SessionEndReason, StopReason, event::Payload,
};
use tonic::Code;

use crate::{A_WHILE, BUDGET, ms};

#[tokio::test(start_paused = true)]
async fn notice_then_ends_then_gateway_stop_then_summary() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    for session in ["s1", "s2"] {
        gateway.start(session).await;
        plugin.expect_start(session).await;
    }
    plugin.ack_all().await;
    gateway.says_stop(StopReason::Restart).await;
    plugin.expect_nothing_for(A_WHILE).await; // gateway_stop is held

    let request = DrainRequest {
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        reason: StopReason::Restart.into(),
        budget_ms: Some(1500),
        restart_expected_ms: 20_000,
    };
    let drain = world.try_drain(request).await.unwrap();
    let notice = plugin.expect_notice().await;
    assert_eq!((notice.gateway_id.as_str(), notice.boot_id.as_str()), ("gw", "boot-1"));
    assert_eq!((notice.reason(), notice.budget_ms), (StopReason::Restart, 1500));
    assert_eq!((notice.ends_owed, notice.restart_expected_ms), (2, 20_000));

    for session in ["s1", "s2"] {
        let end = plugin.expect_end(session).await;
        assert_eq!(end.end().reason(), SessionEndReason::Restart);
        assert_eq!((end.budget_ms, end.event.synthetic), (1500, true));
    }
    plugin.expect_nothing_for(ms(100)).await; // gateway_stop waits for the answers
    plugin.ack_all().await;
    let stop = plugin.expect_event("gateway_stop").await;
    let Some(Payload::GatewayStop(payload)) = &stop.event.payload else { panic!("{stop}") };
    assert_eq!((payload.reason(), payload.text.as_str()), (StopReason::Restart, "so long"));
    assert!(!stop.event.synthetic, "the gateway has said it itself");
    let summary = plugin.expect_summary().await;
    let expected = DrainSummary {
        gateway_id: "gw".into(),
        boot_id: "boot-1".into(),
        owed: 2,
        acked: 2,
        elapsed_ms: 100,
        ..Default::default()
    };
    assert_eq!(summary, expected);
    plugin.ack_all().await;
    let report = drain.report().await;
    assert_eq!(
        (report.scope.as_str(), report.reason(), report.sessions_ended),
        ("gw", StopReason::Restart, 2)
    );

    // The stream stays.
    plugin.expect_nothing_for(A_WHILE).await;
    let mut gateway = world.attach("gw").boot("boot-2").attach().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_stop_that_comes_during_the_drain_is_the_one_that_is_told() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    gateway.says_stop(StopReason::Restart).await;
    plugin.ack_all().await;
    let stop = plugin.expect_event("gateway_stop").await;
    assert!(!stop.event.synthetic, "the gateway said it in time: nobody was told another");
    plugin.ack_all().await;
    drain.report().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_boot_that_is_meant_ends() {
    let world = World::new();
    let (mut one, mut two) = (world.gateway("one").await, world.gateway("two").await);
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    one.start("s1").await;
    two.start("s2").await;
    plugin.expect_start("s1").await;
    plugin.expect_start("s2").await;
    plugin.ack_all().await;
    let drain = world.drain("one", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    assert_eq!(plugin.expect_summary().await.owed, 1);
    assert_eq!(drain.report().await.sessions_ended, 1);
    plugin.expect_nothing_for(A_WHILE).await;
    two.end("s2", SessionEndReason::New).await;
    plugin.expect_end("s2").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_name_all_gateways_are_drained() {
    let world = World::new();
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    let mut gateways = Vec::new();
    for id in ["one", "two"] {
        let mut gateway = world.gateway(id).await;
        gateway.start("s1").await;
        plugin.expect_start("s1").await;
        gateways.push(gateway);
    }
    plugin.ack_all().await;
    let drain = world.drain("", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    let (one, two) = (plugin.expect_summary().await, plugin.expect_summary().await);
    assert_eq!((one.gateway_id.as_str(), two.gateway_id.as_str()), ("one", "two"));
    let report = drain.report().await;
    assert_eq!((report.scope.as_str(), report.sessions_ended), ("all", 2));
    assert_eq!((report.subscribers[0].owed, report.subscribers[0].acked), (2, 2));
    // Their boots are over.
    assert_eq!(world.attach("one").refused().await.code(), Code::FailedPrecondition);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_fits_is_waited_for() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    plugin.expect_notice().await;
    let end = plugin.expect_end("s1").await;
    plugin.retry(&end, ms(1500)).await;
    let again = plugin.expect_end("s1").await;
    assert_eq!(again.budget_ms, 500, "what is left of it");
    plugin.ack_all().await;
    let summary = plugin.expect_summary().await;
    assert_eq!((summary.acked, summary.retried, summary.elapsed_ms), (1, 0, 1500));
    assert_eq!(drain.report().await.elapsed_ms, 1500);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_does_not_fit_is_carried_over_at_once() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    plugin.expect_notice().await;
    let end = plugin.expect_end("s1").await;
    plugin.retry(&end, ms(2001)).await;
    let summary = plugin.expect_summary().await;
    assert_eq!((summary.retried, summary.carried_over, summary.elapsed_ms), (1, 1, 0));
    let (report, took) = drain.timed().await;
    assert_eq!((report.subscribers[0].retried, took), (1, ms(0)));
    // It is still owed, and comes when it was asked for.
    plugin.expect_nothing_for(ms(2000)).await;
    plugin.expect_end("s1").await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_subscriber_without_a_stream() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    at_rest().await;
    drop(plugin);
    at_rest().await;

    let (report, took) = world.drain("gw", StopReason::Shutdown, BUDGET).await.timed().await;
    assert_eq!(took, ms(0));
    assert_eq!((report.subscribers[0].unreachable, report.subscribers[0].carried_over), (1, 1));

    let mut plugin = world.plugin("audit").connect().await;
    assert_eq!(plugin.welcome.ends_owed, 1);
    let end = plugin.expect_end("s1").await;
    assert_eq!((end.kind, end.end().reason()), (BatchKind::Redelivered, SessionEndReason::Shutdown));
    assert_eq!(plugin.expect_caught_up().await.replayed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_comes_back_in_time_is_told_and_counted() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    let drain = world.drain("gw", StopReason::Shutdown, ms(2000)).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;
    plugin.cut();
    tokio::time::sleep(ms(500)).await;

    let mut plugin = world.plugin("audit").hooks(&["session_*"]).connect().await;
    let notice = plugin.expect_notice().await;
    assert_eq!((notice.ends_owed, notice.budget_ms), (1, 1500));
    plugin.expect_end("s1").await;
    plugin.ack_all().await;
    let report = drain.report().await;
    assert_eq!((report.subscribers[0].acked, report.elapsed_ms), (1, 500));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_drained_is_refused() {
    let world = World::new();
    let _gateway = world.gateway("gw").await;
    let ask = async |gateway: &str, boot: &str| {
        let (gateway_id, boot_id) = (gateway.to_owned(), boot.to_owned());
        let request = DrainRequest { gateway_id, boot_id, ..Default::default() };
        world.try_drain(request).await.expect_err("this drain should be refused").code()
    };
    assert_eq!(ask("nobody", "").await, Code::NotFound);
    assert_eq!(ask("gw", "boot-0").await, Code::NotFound);
    assert_eq!(world.status().await.gateways[0].state(), hookwire_protocol::v1::BootState::Attached);
}

#[tokio::test(start_paused = true)]
async fn ordinary_events_are_shed_and_a_gap_says_so() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").window(1).hooks(&["session_*", "message_*"]).caught_up().await;
    gateway.start("s1").await;
    let start = plugin.expect_start("s1").await;
    for text in ["1", "2", "3"] {
        gateway.message("s1", text).await;
    }
    plugin.expect_event("message_received").await;
    plugin.answer(&start, hookwire_protocol::v1::AckStatus::Ok).await;
    at_rest().await;
    let _drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    plugin.expect_notice().await;
    // Before the end or behind it: in any case it is said.
    let first = plugin.next().await;
    let second = plugin.next().await;
    let gap = [&first, &second].into_iter().find_map(|heard| match heard {
        hookwire_harness::Heard::Gap(gap) => Some(*gap),
        _ => None,
    });
    let gap = gap.unwrap_or_else(|| panic!("no Gap, but {first} and {second}"));
    assert_eq!((gap.cause(), gap.count), (GapCause::Drain, 2));
    assert_eq!(world.counter("deliveries_lost").await, 2, "a Gap, and a metric");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_not_written_goes_together_with_its_end() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").hooks(&["session_*"]).caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    gateway.end("s1", SessionEndReason::Reset).await;
    gateway.start("s1").await; // waits for the end of the first life
    plugin.expect_nothing_for(A_WHILE).await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    assert_eq!(plugin.expect_notice().await.ends_owed, 1);
    plugin.ack_all().await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 1);
    plugin.ack_all().await;
    assert_eq!(plugin.expect_summary().await.acked, 1);
    let report = drain.report().await;
    assert_eq!((report.sessions_ended, report.subscribers[0].owed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_boot_that_was_drained_has_nothing_left_to_drain() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    gateway.start("s1").await;
    assert_eq!(world.drain("gw", StopReason::Shutdown, BUDGET).await.report().await.sessions_ended, 1);
    let mut plugin = world.plugin("audit").caught_up().await;
    let (report, took) = world.drain("gw", StopReason::Shutdown, BUDGET).await.timed().await;
    assert_eq!((report.sessions_ended, took), (0, ms(0)), "its gateway_stop was told");
    plugin.expect_notice().await;
    plugin.expect_summary().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_a_budget_takes_the_servers() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut mute = world.plugin("mute").caught_up().await;
    gateway.publish(events::start(events::session("s1"))).await;
    mute.expect_start("s1").await;
    let request = DrainRequest { gateway_id: "gw".into(), ..Default::default() };
    let (report, took) = world.try_drain(request).await.unwrap().timed().await;
    assert_eq!((report.budget_ms, took), (2000, ms(2000)));
    assert_eq!(report.reason(), StopReason::Shutdown, "where nothing is said");
}

#[tokio::test(start_paused = true)]
async fn a_newer_boot_goes_on_while_the_older_is_still_drained() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut plugin = world.plugin("audit").caught_up().await;
    gateway.start("s1").await;
    plugin.expect_start("s1").await;
    plugin.ack_all().await;
    gateway.says_stop(StopReason::Restart).await;
    let drain = world.drain("gw", StopReason::Restart, BUDGET).await;
    plugin.expect_notice().await;
    plugin.expect_end("s1").await;

    let mut newer = world.attach("gw").boot("boot-2").attach().await;
    newer.start("s1").await;
    newer.message("s1", "in the new boot").await;
    assert_eq!(plugin.expect_start("s1").await.incarnation(), 2);
    assert_eq!(plugin.expect_event("message_received").await.event.boot_id, "boot-2");
    plugin.ack_all().await;
    let stop = plugin.expect_event("gateway_stop").await;
    assert_eq!((stop.event.boot_id.as_str(), stop.event.synthetic), ("boot-1", false));
    plugin.ack_all().await;
    assert_eq!(plugin.expect_summary().await.boot_id, "boot-1");
    assert_eq!(drain.report().await.sessions_ended, 1);
    newer.end("s1", SessionEndReason::New).await;
    assert_eq!(plugin.expect_end("s1").await.incarnation(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_first_comes_during_a_drain_has_no_part_in_it() {
    let world = World::new();
    let mut gateway = world.gateway("gw").await;
    let mut mute = world.plugin("mute").caught_up().await;
    gateway.start("s1").await;
    mute.expect_start("s1").await;
    let drain = world.drain("gw", StopReason::Shutdown, BUDGET).await;
    let mut late = world.plugin("late").announce().caught_up().await;
    late.expect_nothing_for(A_WHILE).await;
    let report = drain.report().await;
    let rows: Vec<_> = report.subscribers.iter().map(|row| (row.id.as_str(), row.owed)).collect();
    assert_eq!(rows, [("late", 0), ("mute", 1)]);
}
