//! A path through the model, played on the machine.

use hookwire_protocol::v1::{SessionEndReason, WhenFull, event::Payload, subscribe_response::Message};

use super::{
    ALL_TROUBLES,
    small::{Action, Fired, Small, Written},
};
use crate::machine::tests::{
    Checked,
    model::GRACE,
    rule,
    schedule::{self, Ack, Hello, Op, PLUGINS, Schedule, Wants},
    world::World,
};

/// The most frames that are pulled at once: more than there ever are.
const ALL: usize = 100;

/// Longer than any path lasts.
const DRAIN_BUDGET_MS: u64 = 3_600_000;

/// Plays it, and compares what comes of it with the state that it leads to.
pub(super) fn replay(path: &[Action], reached: &Small) -> Checked {
    let Schedule { lag, queue, ops } = schedule(path);
    let mut world = World::new(lag, queue);
    world.heard = Some(Vec::new());
    for op in ops {
        world.step(&op).map_err(|error| format!("{op:?}: {error}"))?;
    }
    compare(&world, reached)?;
    for (ix, plugin) in reached.plugins.iter().enumerate() {
        world.heard = Some(Vec::new());
        world.step(&Op::Pull { plugin: ix, frames: ALL })?;
        let (written, due) = (written(&world), plugin.due(&reached.ledger));
        rule!(written == due, "{} is written {written:?}, due is {due:?}", PLUGINS[ix]);
    }
    Ok(())
}

/// The path as one of the random schedules.
pub(super) fn schedule(path: &[Action]) -> Schedule {
    let mut player = Player { ops: Vec::new(), written: [0; 2], instances: [0; 2] };
    let mut now = Small::new(ALL_TROUBLES);
    player.ops.push(Op::Attach { gateway: 0, emitter: 0 });
    (0..2).for_each(|plugin| player.subscribe(plugin));
    for action in path {
        player.play(&now, *action);
        // The last step may be one that breaks a rule.
        now = now.step(*action).unwrap_or(now);
    }
    Schedule { lag: 0, queue: 50, ops: player.ops }
}

/// Says the model's actions in the world's words.
struct Player {
    ops: Vec<Op>,
    /// Of each plugin's stream: how much was written.
    written: [usize; 2],
    /// Of each plugin: which instance is connected.
    instances: [usize; 2],
}

impl Player {
    fn play(&mut self, now: &Small, action: Action) {
        let (gateway, emitter) = (0, 0);
        let op = match action {
            Action::Publish(fired) => Op::Publish { gateway, emitter, events: vec![event(fired)] },
            Action::Break => Op::Detach { gateway, emitter },
            Action::Attach => {
                self.ops.push(Op::Attach { gateway, emitter });
                Op::Resend { gateway, emitter, back: now.gateway.published.len() }
            }
            Action::Boot => Op::Boot { gateway, emitter },
            Action::Grace => Op::Wait { ms: GRACE.as_millis() as u64 },
            Action::Drain => {
                let (gateway, restart, wrong_boot) = (Some(gateway), false, false);
                Op::Drain { gateway, restart, budget: DRAIN_BUDGET_MS, wrong_boot }
            }
            Action::Subscribe(plugin) => return self.subscribe(plugin),
            Action::Pull(plugin) => {
                self.written[plugin] += now.plugins[plugin].due(&now.ledger).len();
                self.ops.push(Op::Pull { plugin, frames: ALL });
                Op::AckOld { plugin } // what an older stream carried is answered in vain
            }
            Action::Lose(plugin) => {
                self.ops.push(Op::Pull { plugin, frames: ALL });
                Op::Leave { plugin, release: false }
            }
            Action::Ack(plugin, count) => self.ack(now, plugin, count),
            Action::Leave(plugin) => Op::Leave { plugin, release: false },
            Action::Crash { kept } => Op::Crash { committed: 0, kept: if kept { usize::MAX } else { 0 } },
        };
        self.ops.push(op);
    }

    fn subscribe(&mut self, plugin: usize) {
        self.written[plugin] = 0;
        self.instances[plugin] += 1;
        let hello = Hello {
            instance: self.instances[plugin],
            wants: Wants::Lifecycle,
            announce: false,
            window: 0,
            when_full: WhenFull::DropOldest,
            keep_ms: 0,
            keep_bytes: 0,
        };
        self.ops.push(Op::Subscribe { plugin, hello });
    }

    fn ack(&self, now: &Small, plugin: usize, count: u8) -> Op {
        let stream = now.plugins[plugin].stream.as_ref();
        let (written, unanswered) = (self.written[plugin], stream.map_or(0, |it| it.unanswered.len()));
        let answered = written - unanswered + usize::from(count);
        let through = (answered * 100 / written) as u8; // in percent, rounded up again there
        Op::Ack { plugin, ack: Ack { through, exceptions: vec![] } }
    }
}

fn event(fired: Fired) -> schedule::Fired {
    let (session, key) = (0, 0);
    match fired {
        Fired::Start => schedule::Fired::Start { session, key, agent: 0 },
        Fired::End => schedule::Fired::End { session, reason: SessionEndReason::Reset },
        Fired::Event => schedule::Fired::Event { session, key, hook: 0 },
    }
}

/// What the ledger holds.
fn compare(world: &World, reached: &Small) -> Checked {
    let (alive, live) = (usize::from(reached.ledger.alive().is_some()), world.machine.lives.live());
    rule!(live == alive, "{live} live, the model has {alive}");
    let (began, lives) = (world.model.lives.len(), reached.ledger.lives.len());
    rule!(began == lives, "{began} lives began, the model has {lives}");
    for (plugin, name) in reached.plugins.iter().zip(PLUGINS) {
        let there = world.machine.registry.find(name).and_then(|ix| world.machine.registry.get(ix));
        let there = there.ok_or_else(|| format!("{name} is forgotten"))?;
        rule!(there.stream.is_some() == plugin.stream.is_some(), "whether {name} is connected");
        let there = (there.marks.open_len(), there.marks.unsettled_len(), there.marks.wanted().count());
        let (open, settled) = (plugin.entries.open.len(), plugin.entries.settled.len());
        let here = (open, open - settled, plugin.wanted.len());
        rule!(there == here, "{name} has {there:?} open, unsettled and wanted; not {here:?}");
    }
    Ok(())
}

/// The starts and ends that were heard.
fn written(world: &World) -> Vec<Written> {
    let batches = world.heard.iter().flatten().filter_map(|(_, message)| match message {
        Message::Events(batch) => Some(&batch.events),
        _ => None,
    });
    let written = batches.flatten().filter_map(|event| {
        let life = event.session.as_ref()?.incarnation as u8 - 1;
        match event.payload.as_ref()? {
            Payload::SessionStart(_) => Some(Written::Start(life)),
            Payload::SessionEnd(_) => Some(Written::End(life)),
            _ => None,
        }
    });
    written.collect()
}
