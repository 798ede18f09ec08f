//! L0: a model of the contract in small, explored state by state, and the machine held against it step by step.
//!
//! Explored is every order of: a gateway that begins one session id's lives, two at most, by its start or by another event,
//! ends them, loses its stream, comes back and resends all it has, comes back in a new boot, stays away for too long, is
//! drained; two plugins that are written to, answer any part of it, die before or after they have applied it, are taken over,
//! come back; a dispatcher that dies, and keeps or loses the settlements that it may lose. Each party dies once, and one
//! drain is made. [`small`] says what comes of each step, in sets, and has the rules: an entry is durable before its start
//! leaves, an end only leaves behind its settled start, one decision, nothing again behind a durable settlement, no orphan
//! end, and from every state: once all come back and answer, nobody misses an end.
//!
//! The same steps are [replayed] on the real machine, from the beginning for each transition, in the
//! [world](super::world) of the random schedules and with all its checks: what each plugin is written, and what the ledger
//! holds, must be what the model says. There, of the five things that go wrong (the gateway, the dispatcher, either plugin,
//! the drain), any two do in one path; `HOOKWIRE_TROUBLES` sets how many. A path that fails is printed as such a schedule.
//!
//! States that differ only by what makes no difference any more, or by which plugin is which, are one ([`small`]'s key): of
//! the paths to it, the first is played on. Left out, and left to the random schedules: answers other than OK,
//! announcements, filters, plugins that come for the first time, events beside starts and ends on their streams,
//! gateway_stop, what a drain reports, session keys, a second gateway or emitter, a stop of the dispatcher, deadlines,
//! queues, what is published without effect, and commits that lag behind: a call that a crash has lost leaves no more than
//! one that never came, since nothing of it has left.

mod replayed;
mod small;

use std::{
    env,
    hash::{Hash, Hasher},
    io::Write as _,
    thread::available_parallelism,
    time::Instant,
};

use stateright::{Checker as _, Model, Property};

use self::{
    replayed::replay,
    small::{Action, Small},
};
use super::Checked;

/// Everything goes wrong that may.
const ALL_TROUBLES: u8 = 5;

/// How many troubles there are in a path that the machine plays, where nobody says otherwise.
const TROUBLES: u8 = 2;

const HOLDS: &str = "the contract holds";

/// The model, for the checker.
#[derive(Debug)]
struct Contract {
    troubles: u8,
    /// What else must hold where a path has led.
    and: fn(&[Action], &Small) -> Checked,
}

/// A state, and how it was reached first.
#[derive(Clone, Debug)]
struct Reached {
    small: Small,
    path: Vec<Action>,
    /// Which rule the last step has broken.
    broken: Option<String>,
}

impl PartialEq for Reached {
    fn eq(&self, other: &Self) -> bool {
        (self.small.key(), &self.broken) == (other.small.key(), &other.broken)
    }
}

impl Hash for Reached {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.small.key(), &self.broken).hash(state);
    }
}

impl Model for Contract {
    type State = Reached;
    type Action = Action;

    fn init_states(&self) -> Vec<Reached> {
        vec![Reached { small: Small::new(self.troubles), path: Vec::new(), broken: None }]
    }

    fn actions(&self, reached: &Reached, actions: &mut Vec<Action>) {
        if reached.broken.is_none() {
            reached.small.actions(actions);
        }
    }

    fn next_state(&self, last: &Reached, action: Action) -> Option<Reached> {
        let path = [last.path.as_slice(), &[action]].concat();
        Some(match last.small.step(action) {
            Ok(small) => Reached { broken: (self.and)(&path, &small).err(), small, path },
            Err(broken) => Reached { small: last.small.clone(), path, broken: Some(broken) },
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(HOLDS, |_, reached: &Reached| reached.broken.is_none())]
    }
}

fn explore(contract: Contract) {
    let (began, troubles) = (Instant::now(), contract.troubles);
    let threads = available_parallelism().map_or(1, usize::from);
    let checker = contract.checker().threads(threads).spawn_bfs().join();
    let (states, transitions) = (checker.unique_state_count(), checker.state_count() - 1);
    // Not println!: a passing test's output is captured, and this is to be seen.
    let _ = writeln!(
        std::io::stderr(),
        "{states} states, {transitions} transitions, {} steps deep, of {troubles} troubles, in {:?}",
        checker.max_depth() - 1,
        began.elapsed()
    );
    if let Some(path) = checker.discovery(HOLDS) {
        let last = path.last_state();
        let (broken, schedule) = (last.broken.as_deref().unwrap_or_default(), replayed::schedule(&last.path));
        panic!("{:?}\n  {broken}\n{schedule:#?}", last.path);
    }
}

#[test]
fn the_model_keeps_the_contract() {
    explore(Contract { troubles: ALL_TROUBLES, and: |_, _| Ok(()) });
}

#[test]
fn the_machine_does_what_the_model_says() {
    let troubles = env::var("HOOKWIRE_TROUBLES")
        .ok()
        .map_or(TROUBLES, |text| text.parse().expect("HOOKWIRE_TROUBLES is a number"));
    explore(Contract { troubles, and: replay });
}
