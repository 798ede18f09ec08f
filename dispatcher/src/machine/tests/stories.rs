//! Rules that random schedules hit rarely, told step by step. The model listens to every step, too.

mod drains;

use hookwire_protocol::v1::{self, SessionEndReason, WhenFull, event::Payload, subscribe_response::Message};

use super::{
    schedule::{Ack, Fired, Hello, Op, Said, Wants},
    world::World,
};

const HELLO: Hello = Hello {
    instance: 0,
    wants: Wants::Everything,
    announce: false,
    window: 0,
    when_full: WhenFull::DropOldest,
    keep_ms: 0,
    keep_bytes: 0,
};

/// One gateway and plugins that do what they are told.
struct Story(World);

impl Story {
    /// All of these plugins are there, and have caught up.
    fn of(plugins: &[usize]) -> Self {
        let mut world = World::new(0, 50);
        world.heard = Some(Vec::new());
        let mut story = Self(world);
        for plugin in plugins {
            story.comes(*plugin, HELLO);
            assert_eq!(story.hears(*plugin), ["welcome", "caught up"]);
        }
        story
    }

    fn does(&mut self, op: Op) {
        if let Err(broken) = self.0.step(&op) {
            panic!("{op:?}: {broken}");
        }
    }

    fn comes(&mut self, plugin: usize, hello: Hello) {
        self.does(Op::Subscribe { plugin, hello });
    }

    fn goes(&mut self, plugin: usize, release: bool) {
        self.does(Op::Leave { plugin, release });
    }

    fn fires(&mut self, events: Vec<Fired>) {
        self.does(Op::Publish { gateway: 0, emitter: 0, events });
    }

    fn waits(&mut self, ms: u64) {
        self.does(Op::Wait { ms });
    }

    fn drains(&mut self, budget: u64) {
        self.does(Op::Drain { gateway: Some(0), restart: false, budget, wrong_boot: false });
    }

    /// Answers the last delivery; `None` is OK, to it and to all before it.
    fn answers(&mut self, plugin: usize, said: Option<Said>) {
        let ack = match said {
            None => Ack { through: 100, exceptions: vec![] },
            Some(said) => Ack { through: 0, exceptions: vec![(100, said)] },
        };
        self.does(Op::Ack { plugin, ack });
    }

    /// Pulls all there is.
    fn hears(&mut self, plugin: usize) -> Vec<String> {
        self.does(Op::Pull { plugin, frames: 100 });
        let heard = self.0.heard.replace(Vec::new()).unwrap();
        heard.iter().flat_map(|(_, message)| tell(message)).collect()
    }

    /// The only report so far, and a plugin's row of it.
    fn row(&self, plugin: &str) -> (u32, v1::SubscriberReport) {
        let [report] = self.0.reports.as_slice() else { panic!("reports: {:?}", self.0.reports) };
        let row = report.subscribers.iter().find(|row| row.id == plugin).cloned();
        (report.elapsed_ms, row.unwrap())
    }

    /// Nobody misses anything in the end.
    fn ends(mut self) {
        if let Err(broken) = self.0.fall_silent() {
            panic!("{broken}");
        }
    }
}

/// A message in a few words.
fn tell(message: &Message) -> Vec<String> {
    let text = match message {
        Message::Welcome(_) => "welcome".to_owned(),
        Message::CaughtUp(_) => "caught up".to_owned(),
        Message::Gap(gap) => format!("{} lost: {:?}", gap.count, gap.cause()),
        Message::DrainNotice(notice) => format!("drain of {}, {} ms", notice.ends_owed, notice.budget_ms),
        Message::DrainSummary(it) => format!("drained, {} of {} carried over", it.carried_over, it.owed),
        Message::Goodbye(goodbye) => format!("goodbye: {:?}", goodbye.reason()),
        Message::Events(batch) => {
            let tell = |event: &v1::Event| {
                let life = event.session.as_ref().map_or(0, |session| session.incarnation);
                let what = match &event.payload {
                    Some(Payload::SessionStart(_)) => format!("start {life}"),
                    Some(Payload::SessionEnd(end)) => format!("end {life}: {:?}", end.reason()),
                    Some(Payload::GatewayStop(_)) => "gateway_stop".to_owned(),
                    _ if event.late => format!("late of {life}"),
                    _ => format!("event of {life}"),
                };
                match batch.kind() {
                    v1::BatchKind::Live => what,
                    kind => format!("{kind:?}: {what}"),
                }
            };
            return batch.events.iter().map(tell).collect();
        }
    };
    vec![text]
}

fn start(session: usize) -> Fired {
    Fired::Start { session, key: 1, agent: 0 }
}

fn end(session: usize) -> Fired {
    Fired::End { session, reason: SessionEndReason::Reset }
}

fn event(session: usize) -> Fired {
    Fired::Event { session, key: 0, hook: 0 }
}

#[test]
fn after_a_reset_the_second_start_waits_for_the_first_end() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["start 1"]);
    story.fires(vec![event(0), end(0), start(0), event(0)]);
    assert_eq!(story.hears(0), ["event of 1"], "not yet: the first start is not settled");
    story.answers(0, None);
    assert_eq!(story.hears(0), ["end 1: Reset", "start 2", "event of 2"]);
    story.ends();
}

#[test]
fn a_key_makes_a_start_wait_as_well() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["start 1"]);
    story.fires(vec![end(0), start(1)]);
    assert!(story.hears(0).is_empty());
    story.answers(0, Some(Said::Accepted));
    assert_eq!(story.hears(0), ["end 1: Reset", "start 2"]);
    story.ends();
}

#[test]
fn a_start_that_was_rejected_holds_nothing_up_and_gets_no_end() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["start 1"]);
    story.fires(vec![end(0), start(0)]);
    story.answers(0, Some(Said::Reject));
    assert_eq!(story.hears(0), ["start 2"]);
    story.ends();
}

#[test]
fn an_end_takes_its_events_along_outside_the_window() {
    let mut story = Story::of(&[]);
    story.comes(0, Hello { window: 1, ..HELLO });
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["welcome", "caught up", "start 1"]);
    story.answers(0, None);
    story.fires(vec![event(0), event(0), event(1), event(0)]);
    assert_eq!(story.hears(0), ["event of 1", "start 2"], "the window is full");
    story.fires(vec![end(0)]);
    assert_eq!(story.hears(0), ["event of 1", "event of 1", "end 1: Reset"]);
    story.ends();
}

#[test]
fn what_happens_to_one_who_is_away_cancels_out() {
    let mut story = Story::of(&[0]);
    story.goes(0, false);
    story.fires(vec![start(0), event(0), end(0), start(1)]);
    story.comes(0, HELLO);
    assert_eq!(story.hears(0), ["welcome", "1 lost: Away", "caught up", "start 2"]);
    story.ends();
}

#[test]
fn a_retry_is_the_only_thing_of_an_earlier_stream_behind_caught_up() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    assert_eq!(story.hears(0), ["start 1"]);
    story.fires(vec![end(0)]);
    story.comes(0, HELLO);
    assert_eq!(story.hears(0), ["welcome", "Redelivered: start 1"], "not yet: its end is to come");
    story.answers(0, Some(Said::Retry { ms: 700 }));
    assert_eq!(story.hears(0), ["caught up"]);
    story.waits(699);
    assert!(story.hears(0).is_empty());
    story.waits(1);
    assert_eq!(story.hears(0), ["Redelivered: start 1"]);
    story.answers(0, None);
    assert_eq!(story.hears(0), ["Redelivered: end 1: Reset"]);
    story.ends();
}

#[test]
fn stragglers_stay_late_until_the_gateways_own_start() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0), end(0), event(0), end(1), event(1)]);
    assert_eq!(story.hears(0), ["start 1", "late of 1", "late of 0"]);
    story.answers(0, None);
    story.fires(vec![start(0), event(0)]);
    assert_eq!(story.hears(0), ["end 1: Reset", "start 2", "event of 2"]);
    story.ends();
}

#[test]
fn a_boot_that_comes_back_after_it_was_lost_goes_on() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0)]);
    story.answers(0, None);
    story.does(Op::Detach { gateway: 0, emitter: 0 });
    story.waits(1_999);
    assert_eq!(story.hears(0), ["start 1"]);
    story.answers(0, None);
    story.waits(1);
    assert_eq!(story.hears(0), ["end 1: Lost"]);
    story.answers(0, None);
    assert_eq!(story.hears(0), ["gateway_stop"]);
    // Its own end for the old life reaches nobody; what it does afterwards is a straggler's, until it starts anew.
    story.fires(vec![event(0), end(0), end(0), event(0), start(0)]);
    assert_eq!(story.hears(0), ["start 2", "event of 2", "late of 2"]);
    story.answers(0, None);
    assert_eq!(story.hears(0), ["end 2: Reset", "start 3"]);
    story.ends();
}

#[test]
fn a_gateway_that_is_lost_after_its_stop_has_shut_down() {
    let mut story = Story::of(&[0]);
    story.fires(vec![start(0), Fired::GatewayStop { restart: false }]);
    assert_eq!(story.hears(0), ["start 1"], "not yet: its boot has not ended");
    story.answers(0, None);
    story.does(Op::Detach { gateway: 0, emitter: 0 });
    story.waits(2_000);
    assert_eq!(story.hears(0), ["end 1: Shutdown"], "not yet: the end is not settled");
    story.answers(0, None);
    assert_eq!(story.hears(0), ["gateway_stop"]);
    story.ends();
}
