//! What is kept, what is let go of, and what is listed instead.

use bytes::Bytes;
use hookwire_protocol::v1::{SessionRef, gateway_event::Payload};

use super::*;

fn event(bytes: usize) -> GatewayEvent {
    GatewayEvent { payload: Some(Payload::Json(Bytes::from(vec![b'x'; bytes]))), ..Default::default() }
}

fn filled(events: u64) -> Resend {
    let mut resend = Resend::default();
    for line in 1..=events {
        resend.push(line, event(1));
    }
    resend
}

fn through(publish_seq: u64) -> Receipt {
    Receipt { through_publish_seq: publish_seq, refused: Vec::new() }
}

fn next(resend: &mut Resend) -> Option<(u64, usize)> {
    resend.next_batch().map(|batch| (batch.first_publish_seq, batch.events.len()))
}

#[test]
fn batches_are_consecutive_and_bounded() {
    let mut resend = filled(300);
    assert_eq!(next(&mut resend), Some((1, 256)));
    assert_eq!(next(&mut resend), Some((257, 44)));
    assert_eq!(next(&mut resend), None);
    resend.push(301, event(1 << 20));
    resend.push(302, event(1));
    assert_eq!(next(&mut resend), Some((301, 1)), "a large event travels alone");
    assert_eq!(next(&mut resend), Some((302, 1)));
}

#[test]
fn a_receipt_counts_what_it_covers_once() {
    let mut resend = filled(3);
    resend.next_batch();
    let refusal = Refusal { publish_seq: 2, ..Refusal::default() };
    let receipt = Receipt { through_publish_seq: 2, refused: vec![refusal.clone()] };
    assert_eq!(resend.settle(receipt.clone()), Settled { taken: 1, refused: vec![(2, refusal)] });
    assert_eq!(resend.settle(receipt), Settled::default());
    assert!(resend.awaits_receipt());
    assert_eq!(resend.settle(through(99)).taken, 1);
    assert!(resend.is_settled() && !resend.awaits_receipt());
}

#[test]
fn after_a_break_it_goes_on_where_the_welcome_says() {
    let mut resend = filled(5);
    resend.next_batch();
    resend.push(6, event(1));
    resend.settle(through(1));
    assert_eq!(resend.rewind(3), Settled { taken: 2, refused: Vec::new() });
    assert!(resend.has_unsent() && !resend.awaits_receipt());
    assert_eq!(next(&mut resend), Some((4, 3)));
    assert_eq!(resend.rewind(0).taken, 0, "a dispatcher that knows nothing gets what is still held");
    assert_eq!(next(&mut resend), Some((4, 3)));
}

#[test]
fn a_receipt_for_what_was_never_sent_is_harmless() {
    let mut resend = filled(3);
    assert_eq!(resend.settle(through(9)).taken, 3);
    assert!(resend.is_settled() && !resend.has_unsent());
    assert_eq!(next(&mut resend), None);
}

fn lifecycle(hook: &str, id: &str) -> GatewayEvent {
    let session = Some(SessionRef { id: Some(id.to_owned()), ..SessionRef::default() });
    GatewayEvent { hook: hook.to_owned(), session, ..GatewayEvent::default() }
}

/// What is held, by number and hook.
fn held(resend: &Resend) -> Vec<(u64, &str)> {
    resend.pending.iter().map(|pending| (pending.seq, pending.event.hook.as_str())).collect()
}

fn of(events: usize) -> Resend {
    Resend::of(Size { events, bytes: 1 << 20 })
}

#[test]
fn without_room_ordinary_events_are_lost_and_starts_and_ends_are_not() {
    let mut resend = of(8);
    (1..=8).for_each(|line| assert_eq!(resend.push(line, event(1)), 0));
    assert_eq!(resend.push(9, event(1)), 1, "it is not even numbered");
    assert_eq!(resend.push(10, lifecycle("session_start", "a")), 8);
    assert_eq!(resend.push(11, event(1)), 0, "there is room again");
    assert_eq!(held(&resend), [(9, "session_start"), (10, "")]);
    assert_eq!(resend.list(), None, "all lives can still be told");
}

#[test]
fn what_was_sent_is_kept_whatever_it_is() {
    let mut resend = of(7);
    (1..=7).for_each(|line| assert_eq!(resend.push(line, event(1)), 0));
    resend.next_batch();
    resend.rewind(0);
    assert_eq!(resend.push(8, lifecycle("session_start", "a")), 0);
    assert_eq!(resend.held(), 8);
}

#[test]
fn where_ends_had_to_go_what_is_alive_is_listed_until_that_was_heard() {
    let mut resend = of(8);
    for number in 0..4 {
        let id = number.to_string();
        resend.push(1, lifecycle("session_start", &id));
        resend.push(2, lifecycle("session_end", if number == 2 { "long alive" } else { &id }));
    }
    assert_eq!(resend.push(3, lifecycle("session_end", "1")), 8, "itself among them");
    assert_eq!(held(&resend), [(5, "session_start")], "of what is alive");
    assert!(resend.owes_list() && !resend.is_settled());
    let (list, behind) = resend.list().expect("it is needed");
    assert_eq!((list.sessions[0].id(), list.sessions.len(), behind), ("2", 1, 5));
    assert!(!resend.owes_list());
    resend.push(4, event(1));
    assert_eq!(resend.list().map(|(_, behind)| behind), Some(10), "its stream broke: the next says it anew");
    assert_eq!((next(&mut resend), next(&mut resend)), (Some((5, 1)), Some((10, 1))), "a batch has no gap");
    resend.settle(through(9));
    assert!(resend.list().is_some());
    resend.settle(through(10));
    assert!(resend.is_settled() && resend.list().is_none());
}

#[test]
fn live_sessions_keep_their_start_and_what_ended_them_before() {
    let mut resend = of(4);
    for (hook, id) in [
        ("session_start", "reset"),
        ("session_end", "reset"),
        ("session_start", "reset"),
        ("session_start", "other"),
        ("gateway_stop", ""),
    ] {
        resend.push(1, lifecycle(hook, id));
    }
    let kept = [(2, "session_end"), (3, "session_start"), (4, "session_start"), (5, "gateway_stop")];
    assert_eq!(held(&resend), kept);
}

#[test]
fn who_holds_only_live_sessions_does_not_look_for_room_again_and_again() {
    let mut resend = of(64);
    let mut looked = 0;
    for number in 0..640 {
        let before = resend.shed_beyond.events;
        assert_eq!(resend.push(1, lifecycle("session_start", &number.to_string())), 0);
        looked += usize::from(resend.shed_beyond.events != before);
    }
    assert_eq!(resend.held(), 640);
    assert!(looked <= 640 / 8, "{looked} times; once for an eighth of the bound will do");
}

#[test]
fn the_room_is_bounded_in_events_and_bytes() {
    let mut resend = filled(255);
    assert!(resend.has_room());
    resend.push(256, event(1));
    assert!(!resend.has_room(), "a whole batch is ready");
    resend.next_batch();
    assert!(resend.has_room());
    resend.push(257, event(9 << 20));
    resend.next_batch();
    assert!(!resend.has_room(), "too many bytes wait for receipts");
    resend.settle(through(257));
    assert!(resend.has_room());
}
