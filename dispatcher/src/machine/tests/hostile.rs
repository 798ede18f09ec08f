//! What a hostile peer can make the machine keep is bounded.

use std::time::Duration;

use hookwire_protocol::{
    hook,
    v1::{
        Ack, AckException, AckStatus, GatewayEvent, Publish, Retention, RetentionKind, SessionRef,
        attach_request, subscribe_request,
    },
};

use crate::{
    emit::boots::SourceId,
    machine::{Effect, Machine, Now, Settings},
    serve::stream::StreamId,
};

const SOURCE: SourceId = SourceId(1);

pub(super) fn settings() -> Settings {
    Settings {
        ledger_id: "ledger".into(),
        epoch: 1,
        durable: false,
        ack_timeout: Duration::from_secs(30),
        drain_budget: Duration::from_secs(2),
        gateway_grace: Duration::from_secs(10),
        retry_after: Duration::from_secs(1),
        retry_after_max: Duration::from_secs(60),
        retention_age: 7 * 86_400,
        retention_all_bytes: 256 << 20,
        retention_bytes: 1 << 30,
        forget_after: 30 * 86_400,
        queue_events: 8192,
        queue_bytes: 16 << 20,
        max_in_flight: 1024,
        max_event_bytes: 3 << 20,
    }
}

fn machine() -> Machine {
    let mut machine = Machine::new(settings());
    let hello = attach_request::Hello {
        gateway_id: "gw".into(),
        boot_id: "boot".into(),
        emitter_id: "emitter".into(),
        ..Default::default()
    };
    machine.attach(Now::default(), SOURCE, &hello).expect("it may attach");
    machine
}

fn subscribe(machine: &mut Machine, stream: StreamId, hello: subscribe_request::Hello) {
    let hello = subscribe_request::Hello {
        subscriber_id: "plugin".into(),
        instance_id: format!("{stream:?}"),
        ..hello
    };
    machine.subscribe(Now::default(), stream, &hello).expect("it may subscribe");
}

fn event(hook: &str, session: &str) -> GatewayEvent {
    let session = SessionRef { id: Some(session.into()), ..Default::default() };
    GatewayEvent { hook: hook.into(), session: Some(session), ..Default::default() }
}

fn publish(machine: &mut Machine, first_publish_seq: u64, events: Vec<GatewayEvent>) {
    let receipt = machine.publish(Now::default(), SOURCE, &Publish { first_publish_seq, events }.into());
    assert_eq!(receipt.expect("it is attached").refused, []);
    machine.take_step();
}

/// Reads all that there is.
fn pull(machine: &mut Machine, stream: StreamId) {
    while machine.pull(Now::default(), stream).is_some() {}
    machine.take_step();
}

#[test]
fn a_retry_goes_with_its_stream() {
    let mut machine = machine();
    subscribe(&mut machine, StreamId(0), Default::default());
    publish(&mut machine, 1, vec![event(hook::SESSION_START, "s1"), event(hook::SESSION_START, "s2")]);
    for stream in (0..9).map(StreamId) {
        if stream.0 > 0 {
            subscribe(&mut machine, stream, Default::default());
        }
        pull(&mut machine, stream);
        let retry = |seq| AckException {
            seq,
            status: AckStatus::Retry.into(),
            retry_after_ms: u32::MAX,
            ..Default::default()
        };
        let ack = Ack { through_seq: 0, exceptions: (1..=2).map(retry).collect() };
        machine.ack(Now::default(), stream, &ack);
        assert_eq!(machine.retries.len(), 2, "{stream:?}");
    }
    machine.leave(Now::default(), StreamId(8), false);
    assert_eq!(machine.next_tick(), machine.next_overdue_check, "nothing waits any more");
}

#[test]
fn of_what_has_ended_only_what_is_owed_stays_in_line() {
    let mut machine = machine();
    let stream = StreamId(0);
    subscribe(&mut machine, stream, Default::default());
    let all = |hook: &str| (0..500).map(|number| event(hook, &number.to_string())).collect();
    publish(&mut machine, 1, all(hook::SESSION_START));
    pull(&mut machine, stream);
    machine.ack(Now::default(), stream, &Ack { through_seq: 500, exceptions: vec![] });
    publish(&mut machine, 501, all(hook::SESSION_END));
    pull(&mut machine, stream);
    let answered = (501..=1000).filter(|seq| seq % 100 != 50);
    let ok = |seq| AckException { seq, status: AckStatus::Ok.into(), ..Default::default() };
    machine.ack(Now::default(), stream, &Ack { through_seq: 0, exceptions: answered.map(ok).collect() });
    let owed: Vec<_> = machine.lives.ended_after(0).map(|(.., life)| life.id().to_owned()).collect();
    assert_eq!(owed, ["49", "149", "249", "349", "449"]);
    let eight_days = Now { mono: Duration::from_secs(8 * 86_400), ..Now::default() };
    machine.tick(eight_days);
    assert_eq!((machine.counters.entries_expired, machine.lives.held()), (5, 0));
}

#[test]
fn a_subscriber_that_wants_little_of_a_lot_does_not_hold_all_of_it() {
    let mut machine = machine();
    let rare =
        subscribe_request::Hello { hooks: vec!["rare".into()], max_in_flight: 1, ..Default::default() };
    subscribe(&mut machine, StreamId(0), rare);
    let mut large = event("common", "s1");
    large.traceparent = "x".repeat(10_000);
    publish(&mut machine, 1, vec![large.clone(), event("rare", "s1"), large]);
    let subscriber = machine.registry.find("plugin").and_then(|ix| machine.registry.get(ix));
    let queued = subscriber.and_then(|subscriber| subscriber.queue.front_run()).expect("it waits");
    assert_eq!(queued.range().0.len() as u64, queued.span.bytes());
}

#[test]
fn what_is_published_at_once_is_cut_into_lots() {
    let mut machine = machine();
    subscribe(&mut machine, StreamId(0), Default::default());
    let mut large = event("large", "s1");
    large.traceparent = "x".repeat(40 << 10);
    publish(&mut machine, 1, vec![large; 9]);
    let ix = machine.registry.find("plugin").expect("it has subscribed");
    while let Some(queued) = machine.registry.at(ix).queue.pop(usize::MAX) {
        assert!(queued.range().0.len() < 128 << 10, "{}", queued.range().0.len());
    }
}

#[test]
fn a_stream_is_woken_once_until_it_pulls() {
    let mut machine = machine();
    subscribe(&mut machine, StreamId(0), Default::default());
    pull(&mut machine, StreamId(0));
    let starts = (0..100).map(|number| event(hook::SESSION_START, &number.to_string())).collect();
    machine.publish(Now::default(), SOURCE, &Publish { first_publish_seq: 1, events: starts }.into());
    let effects = machine.take_step().effects;
    assert!(matches!(effects.as_slice(), [Effect::Ready(StreamId(0))]), "{effects:?}");
}

#[test]
fn what_an_end_took_along_is_counted_where_the_stop_overtakes_it() {
    let mut machine = machine();
    let stream = StreamId(0);
    subscribe(&mut machine, stream, subscribe_request::Hello { max_in_flight: 1, ..Default::default() });
    let events = (0..400).map(|_| event("tick", "s1")).collect();
    publish(&mut machine, 1, events);
    pull(&mut machine, stream);
    let settled = AckException { seq: 1, status: AckStatus::Ok.into(), ..Default::default() };
    machine.ack(Now::default(), stream, &Ack { through_seq: 0, exceptions: vec![settled] });
    publish(&mut machine, 401, vec![event(hook::SESSION_END, "s1")]);
    let written = machine.counters.deliveries;
    assert!(machine.pull(Now::default(), stream).is_some(), "a batch of what the end took along");
    let taken_along = machine.counters.deliveries - written;
    machine.farewell(Now::default(), &Default::default());
    assert_eq!(machine.counters.deliveries_lost, 400 - 1 - taken_along);
}

/// The journal keeps a lot whole for whoever keeps anything of it.
#[test]
fn a_subscriber_that_keeps_little_of_each_lot_is_charged_for_the_lots() {
    let mut machine = machine();
    let retention =
        |max_bytes| Some(Retention { kind: RetentionKind::All.into(), max_bytes, ..Retention::default() });
    let (wide, narrow) = (StreamId(0), StreamId(1));
    subscribe(&mut machine, wide, subscribe_request::Hello { retention: retention(0), ..Default::default() });
    let hooks = vec!["rare".to_owned()];
    let hello = subscribe_request::Hello {
        subscriber_id: "narrow".into(),
        hooks,
        retention: retention(100_000),
        ..Default::default()
    };
    machine.subscribe(Now::default(), narrow, &hello).expect("it may subscribe");
    for lot in 0..40 {
        let session = lot.to_string();
        let mut events = vec![event("often", &session); 99];
        events.push(event("rare", &session));
        publish(&mut machine, lot * 100 + 1, events);
        machine.tick(Now { mono: Duration::from_secs(lot), ..Now::default() });
        pull(&mut machine, wide);
        let through_seq = machine.registry.at(0).stream.as_ref().expect("it is there").next_seq() - 1;
        machine.ack(Now::default(), wide, &Ack { through_seq, exceptions: vec![] });
    }
    let narrow = machine.registry.find("narrow").expect("it is known");
    let backlog = &machine.registry.at(narrow).backlog;
    assert!(backlog.bytes() <= 100_000, "{} bytes of lots", backlog.bytes());
    assert!(backlog.size().bytes < backlog.bytes() / 50, "{:?}", backlog.size());
    assert!(machine.counters.events_expired > 0);
}
