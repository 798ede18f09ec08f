//! Schedules that found something, as they were shrunk.

use hookwire_protocol::v1::{SessionEndReason, WhenFull};

use super::{
    schedule::{
        Ack, Fired, Hello,
        Op::{self, *},
        Said, Schedule, Wants,
    },
    world::World,
};

const HELLO: Hello = Hello {
    instance: 0,
    wants: Wants::Everything,
    announce: false,
    window: 1,
    when_full: WhenFull::DropOldest,
    keep_ms: 0,
    keep_bytes: 0,
};

const ANNOUNCE: Hello = Hello { announce: true, ..HELLO };

fn play(ops: Vec<Op>) {
    if let Err(broken) = World::play(&Schedule { lag: 0, queue: 50, ops }).map(drop) {
        panic!("{broken}");
    }
}

fn comes(plugin: usize, hello: Hello) -> Op {
    Subscribe { plugin, hello }
}

fn fires(events: Vec<Fired>) -> Op {
    Publish { gateway: 0, emitter: 0, events }
}

fn start(session: usize) -> Fired {
    Fired::Start { session, key: 0, agent: 0 }
}

fn end(session: usize) -> Fired {
    Fired::End { session, reason: SessionEndReason::Reset }
}

fn event(session: usize) -> Fired {
    Fired::Event { session, key: 0, hook: 0 }
}

fn drain_all(budget: u64) -> Op {
    Drain { gateway: None, restart: true, budget, wrong_boot: false }
}

fn answers(plugin: usize, seq: u8, said: Said) -> Op {
    Op::Ack { plugin, ack: Ack { through: 0, exceptions: vec![(seq, said)] } }
}

#[test]
fn a_drain_that_nobody_is_owed_anything_in_is_reported() {
    play(vec![fires(vec![start(0)]), drain_all(0)]);
}

#[test]
fn a_second_end_does_not_change_how_a_life_ended() {
    let compacted = Fired::End { session: 2, reason: SessionEndReason::Compaction };
    play(vec![fires(vec![start(2), compacted]), comes(0, HELLO), fires(vec![end(2), start(2)])]);
}

#[test]
fn a_full_queue_disconnects_though_a_start_is_ready() {
    let hello = Hello { when_full: WhenFull::Disconnect, ..HELLO };
    let ops = vec![comes(0, hello), Pull { plugin: 0, frames: 1 }, fires(vec![event(0), event(0)])];
    World::play(&Schedule { lag: 0, queue: 1, ops }).map(drop).unwrap();
}

#[test]
fn an_announcement_waits_for_the_end_of_an_earlier_life() {
    play(vec![comes(0, ANNOUNCE), fires(vec![event(1)]), fires(vec![end(1), start(1)])]);
}

#[test]
fn an_announcement_that_waits_for_an_end_comes_to_one_who_was_not_due_it_before() {
    let keyed = |session, agent| fires(vec![Fired::Start { session, key: 2, agent }]);
    let other_agent = Hello { wants: Wants::Agent, ..HELLO };
    play(vec![
        comes(0, HELLO),
        keyed(0, 1),
        comes(0, other_agent),
        keyed(1, 0),
        comes(0, ANNOUNCE),
        fires(vec![end(0)]),
    ]);
}

#[test]
fn a_rejected_start_is_not_announced_on_the_same_stream() {
    play(vec![
        comes(0, HELLO),
        fires(vec![event(0)]),
        Serve { plugin: 0 },
        fires(vec![event(1)]),
        Pull { plugin: 0, frames: 1 },
        comes(0, ANNOUNCE),
        Pull { plugin: 0, frames: 3 },
        answers(0, 1, Said::Reject),
    ]);
}

#[test]
fn caught_up_counts_the_batch_before_it() {
    play(vec![fires(vec![start(0)]), comes(2, ANNOUNCE), Pull { plugin: 2, frames: 2 }, comes(2, HELLO)]);
}

#[test]
fn a_redelivered_start_comes_before_caught_up() {
    let keyed = |session| Fired::Event { session, key: 1, hook: 0 };
    play(vec![
        comes(1, ANNOUNCE),
        fires(vec![keyed(2), keyed(0)]),
        Pull { plugin: 1, frames: 2 },
        Leave { plugin: 1, release: false },
        drain_all(0),
    ]);
}

#[test]
fn the_gateways_own_stop_is_told_behind_a_newer_boot() {
    play(vec![
        comes(0, HELLO),
        fires(vec![start(0)]),
        fires(vec![Fired::GatewayStop { restart: false }]),
        Boot { gateway: 0, emitter: 0 },
    ]);
}

#[test]
fn who_reconnects_during_a_drain_is_told_when_the_gateway_is_back() {
    play(vec![
        comes(2, HELLO),
        fires(vec![event(0)]),
        Pull { plugin: 2, frames: 3 },
        drain_all(500),
        Wait { ms: 150 },
        comes(2, HELLO),
    ]);
}

#[test]
fn events_of_two_new_sessions_keep_their_order() {
    play(vec![comes(0, HELLO), fires(vec![event(1), event(1)]), fires(vec![end(1), event(0)])]);
}

#[test]
fn a_retry_before_a_drain_is_no_answer_to_it() {
    play(vec![
        comes(0, HELLO),
        fires(vec![event(0)]),
        Pull { plugin: 0, frames: 3 },
        answers(0, 1, Said::Retry { ms: 0 }),
        Stop { restart: false, budget: 500 },
    ]);
}

#[test]
fn a_late_retry_is_given_up_for_the_one_who_asked_for_it() {
    play(vec![
        comes(0, HELLO),
        comes(1, HELLO),
        fires(vec![start(0)]),
        Pull { plugin: 0, frames: 3 },
        Pull { plugin: 1, frames: 3 },
        answers(0, 100, Said::Retry { ms: 100 }),
        answers(1, 100, Said::Retry { ms: 5_000 }),
        drain_all(2_000),
    ]);
}

#[test]
fn a_drain_has_nothing_to_do_with_the_next_boot() {
    play(vec![
        comes(0, HELLO),
        fires(vec![start(0)]),
        comes(2, HELLO),
        drain_all(0),
        Boot { gateway: 0, emitter: 0 },
        fires(vec![event(2)]),
        Serve { plugin: 2 },
        comes(2, Hello { wants: Wants::Messages, ..HELLO }),
        fires(vec![event(2)]),
        fires(vec![end(2)]),
    ]);
}

#[test]
fn an_answer_to_an_announcement_does_not_undo_the_retry_of_the_end() {
    play(vec![
        comes(1, HELLO),
        fires(vec![start(0)]),
        Serve { plugin: 1 },
        comes(1, ANNOUNCE),
        Pull { plugin: 1, frames: 10 },
        fires(vec![end(0)]),
        Pull { plugin: 1, frames: 10 },
        answers(1, 100, Said::Retry { ms: 0 }),
    ]);
}

#[test]
fn what_a_drain_brought_before_caught_up_takes_no_live_event_along() {
    play(vec![
        comes(0, HELLO),
        fires(vec![event(0)]),
        Serve { plugin: 0 },
        OldBoot { gateway: 0 },
        comes(0, HELLO),
        fires(vec![event(0)]),
        Boot { gateway: 0, emitter: 0 },
        Stop { restart: false, budget: 0 },
        Wait { ms: 1 },
    ]);
}

#[test]
fn a_stop_that_comes_during_its_drain_is_told_where_nobody_was_told_another() {
    play(vec![
        comes(1, HELLO),
        fires(vec![start(0)]),
        Serve { plugin: 1 },
        drain_all(500),
        fires(vec![Fired::GatewayStop { restart: true }]),
    ]);
}

#[test]
fn who_joins_a_drain_gets_its_report() {
    play(vec![
        comes(0, HELLO),
        fires(vec![start(0)]),
        Pull { plugin: 0, frames: 3 },
        drain_all(500),
        Stop { restart: false, budget: 0 },
    ]);
}

#[test]
fn an_announcement_names_what_ended_meanwhile() {
    play(vec![
        comes(0, HELLO),
        fires(vec![event(1)]),
        Serve { plugin: 0 },
        comes(0, ANNOUNCE),
        fires(vec![end(1)]),
        Serve { plugin: 0 },
    ]);
}
