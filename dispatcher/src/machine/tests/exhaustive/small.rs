//! The contract in small: one gateway, one session id with two lives, two plugins, and what their processes remember.
//!
//! Each step is taken whole, and what it leaves is durable, save settlements: a crash may lose those behind the last
//! record that it may not lose.

mod key;
mod plugin;
mod set;

use self::{plugin::Plugin, set::Set};

/// A life, counted from 0; its incarnation is one more.
pub(super) type Life = u8;

/// How many lives there may be.
const LIVES: u8 = 2;

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) gateway: Gateway,
    pub(super) ledger: Ledger,
    pub(super) plugins: [Plugin; 2],
    trouble: Trouble,
}

/// What may still go wrong; without it there would be no end of states. Each plugin has its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Trouble {
    /// Of all, how much.
    all: u8,
    /// Whether the gateway's stream may break; that its process died, and comes back in a new boot, is no further trouble.
    gateway: bool,
    boot: bool,
    drain: bool,
    dispatcher: bool,
}

/// The gateway's process.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    attached: bool,
    /// All that it has published in this boot: it keeps everything for a resend.
    pub(super) published: Vec<Fired>,
}

/// What the dispatcher knows of the gateway.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    /// The boot has been drained: nothing starts in it any more.
    closed: bool,
    /// How much of what was published was taken in; journaled together with what it did.
    taken: usize,
    /// How each ended; `None`: alive.
    pub(super) lives: Vec<Option<Reason>>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// By an event of the gateway's.
    Said,
    Lost,
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fired {
    Start,
    End,
    /// Any other event of the session.
    Event,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Publish(Fired),
    /// The gateway's stream breaks.
    Break,
    /// The gateway comes back, and publishes once more all that it ever has in this boot.
    Attach,
    /// It has died, and comes back in a new boot.
    Boot,
    /// It has been away for too long.
    Grace,
    Drain,
    /// A plugin connects; where it is connected, another instance of it takes over.
    Subscribe(usize),
    /// All that there is for a plugin is written, and it applies it to its store.
    Pull(usize),
    /// All that there is for a plugin is written, and it dies before it has applied any of it.
    Lose(usize),
    /// A plugin answers the oldest so many of what it has not answered.
    Ack(usize, u8),
    /// A plugin dies, or its stream breaks.
    Leave(usize),
    /// The dispatcher dies; what may be lost at the end of the journal is durable or not.
    Crash {
        kept: bool,
    },
}

/// A start or an end, as it is written to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Written {
    Start(Life),
    End(Life),
}

/// What breaks a rule.
pub(super) type Broken = String;

impl Small {
    /// Everybody is connected, and nothing has happened yet; so much may go wrong.
    pub(super) fn new(trouble: u8) -> Self {
        Self {
            gateway: Gateway { attached: true, published: Vec::new() },
            ledger: Ledger { closed: false, taken: 0, lives: Vec::new() },
            plugins: [Plugin::new(), Plugin::new()],
            trouble: Trouble { all: trouble, gateway: true, boot: true, drain: true, dispatcher: true },
        }
    }

    /// What can happen now.
    pub(super) fn actions(&self, actions: &mut Vec<Action>) {
        self.actions_of_gateway(actions);
        for (ix, plugin) in self.plugins.iter().enumerate() {
            self.actions_of_plugin(ix, plugin, actions);
        }
        if self.trouble.all > 0 && self.trouble.dispatcher {
            actions.push(Action::Crash { kept: true });
            let may_lose = self.plugins.iter().any(Plugin::may_lose);
            actions.extend(may_lose.then_some(Action::Crash { kept: false }));
        }
    }

    fn actions_of_gateway(&self, actions: &mut Vec<Action>) {
        let Self { gateway, ledger, trouble, .. } = self;
        let mut may = |may: bool, action| actions.extend(may.then_some(action));
        let (alive, more) = (ledger.alive().is_some(), ledger.lives.len() < usize::from(LIVES));
        if gateway.attached {
            // As far as it knows.
            let lives = gateway.session_lives();
            may(lives, Action::Publish(Fired::End));
            may(!lives && more, Action::Publish(Fired::Start));
            may(lives && !alive && more, Action::Publish(Fired::Event));
            may(trouble.all > 0 && trouble.gateway, Action::Break);
        } else {
            may(!ledger.closed, Action::Attach);
            may(trouble.boot, Action::Boot);
            may(alive, Action::Grace);
        }
        may(trouble.all > 0 && trouble.drain, Action::Drain);
    }

    fn actions_of_plugin(&self, ix: usize, plugin: &Plugin, actions: &mut Vec<Action>) {
        let mut may = |may: bool, action| actions.extend(may.then_some(action));
        let trouble = self.trouble.all > 0 && plugin.trouble;
        let Some(stream) = &plugin.stream else { return may(true, Action::Subscribe(ix)) };
        let due = !plugin.due(&self.ledger).is_empty();
        may(due, Action::Pull(ix));
        may(due && trouble, Action::Lose(ix));
        may(trouble, Action::Leave(ix));
        may(trouble, Action::Subscribe(ix));
        (1..=stream.unanswered.len() as u8).for_each(|count| may(true, Action::Ack(ix, count)));
    }

    /// What comes of it.
    pub(super) fn step(&self, action: Action) -> Result<Self, Broken> {
        let mut next = self.clone();
        match action {
            Action::Publish(fired) => {
                next.gateway.published.push(fired);
                next.take_in();
            }
            Action::Break => {
                next.goes_wrong(|trouble| &mut trouble.gateway);
                next.gateway.attached = false;
            }
            Action::Attach => {
                next.gateway.attached = true;
                next.take_in();
            }
            Action::Boot => next.boot(),
            Action::Grace => next.decide_all(Reason::Lost),
            Action::Drain => next.drain(),
            Action::Subscribe(ix) => next.subscribe(ix),
            Action::Pull(ix) => {
                for written in next.write(ix)? {
                    next.plugins[ix].apply(written)?;
                }
            }
            Action::Lose(ix) => {
                next.write(ix)?;
                next.leave(ix);
            }
            Action::Ack(ix, count) => next.plugins[ix].answer(count),
            Action::Leave(ix) => next.leave(ix),
            Action::Crash { kept } => next.crash(kept),
        }
        next.check(self)?;
        Ok(next)
    }

    fn goes_wrong(&mut self, what: impl Fn(&mut Trouble) -> &mut bool) {
        self.trouble.all -= 1;
        *what(&mut self.trouble) = false;
    }

    /// Takes in what was not taken in before.
    fn take_in(&mut self) {
        for at in self.ledger.taken..self.gateway.published.len() {
            match self.gateway.published[at] {
                Fired::End => self.decide_all(Reason::Said),
                Fired::Start | Fired::Event => self.start(),
            }
        }
        self.ledger.taken = self.gateway.published.len();
    }

    /// A life begins, unless the boot is over.
    fn start(&mut self) {
        if !self.ledger.closed {
            let life = self.ledger.lives.len() as Life;
            self.ledger.lives.push(None);
            self.plugins.iter_mut().for_each(|plugin| plugin.wanted.insert(life));
            self.commit();
        }
    }

    /// Decides how what is alive has ended.
    fn decide_all(&mut self, reason: Reason) {
        if let Some(life) = self.ledger.alive() {
            self.ledger.lives[usize::from(life)] = Some(reason);
        }
        let decided = self.ledger.decided();
        for plugin in self.plugins.iter_mut().filter(|plugin| plugin.stream.is_none()) {
            plugin.cancel(decided);
        }
        self.commit();
    }

    /// The first Attach of a new boot ends the older one.
    fn boot(&mut self) {
        self.trouble.boot = false;
        if !self.ledger.closed {
            self.decide_all(Reason::Lost);
        }
        self.gateway = Gateway { attached: true, published: Vec::new() };
        (self.ledger.closed, self.ledger.taken) = (false, 0);
        self.commit();
    }

    /// No start is written after it, save the redelivery that an owed end waits for.
    fn drain(&mut self) {
        self.goes_wrong(|trouble| &mut trouble.drain);
        self.ledger.closed = true;
        self.plugins.iter_mut().for_each(|plugin| plugin.wanted = Set::default());
        self.decide_all(Reason::Shutdown);
        let decided = self.ledger.decided();
        for stream in self.plugins.iter_mut().filter_map(|plugin| plugin.stream.as_mut()) {
            stream.drained = decided;
        }
    }

    fn subscribe(&mut self, ix: usize) {
        if self.plugins[ix].stream.is_some() {
            self.leave(ix);
        }
        let decided = self.ledger.decided();
        self.plugins[ix].subscribe(decided);
        self.commit();
    }

    fn leave(&mut self, ix: usize) {
        self.trouble.all -= 1;
        let decided = self.ledger.decided();
        self.plugins[ix].trouble = false;
        self.plugins[ix].end_stream(decided);
    }

    /// Writes all that is due to a plugin; an entry is durable before its start leaves.
    fn write(&mut self, ix: usize) -> Result<Vec<Written>, Broken> {
        let due = self.plugins[ix].due(&self.ledger);
        let fresh = self.plugins[ix].write(&due);
        if fresh {
            self.commit();
        }
        due.iter().try_for_each(|written| self.plugins[ix].may_leave(*written))?;
        Ok(due)
    }

    /// A record that may not be lost: all that was settled up to now is durable with it.
    fn commit(&mut self) {
        self.plugins.iter_mut().for_each(Plugin::commit);
    }

    fn crash(&mut self, kept: bool) {
        self.goes_wrong(|trouble| &mut trouble.dispatcher);
        self.gateway.attached = false;
        let decided = self.ledger.decided();
        for plugin in &mut self.plugins {
            plugin.end_stream(decided);
            plugin.recover(kept);
        }
    }

    /// The rules that hold at all times.
    fn check(&self, before: &Self) -> Result<(), Broken> {
        for (was, is) in before.ledger.lives.iter().zip(&self.ledger.lives) {
            if was.is_some() && was != is {
                return Err(format!("decided twice: {was:?}, then {is:?}"));
            }
        }
        self.plugins.iter().try_for_each(|plugin| {
            plugin.remembers_what_it_saw()?;
            plugin.misses_nothing(&self.ledger)
        })
    }
}

impl Gateway {
    fn session_lives(&self) -> bool {
        self.published.last().is_some_and(|fired| *fired != Fired::End)
    }
}

impl Ledger {
    pub(super) fn alive(&self) -> Option<Life> {
        self.lives.iter().position(Option::is_none).map(|life| life as Life)
    }

    fn decided(&self) -> Set {
        self.lives().filter(|life| self.lives[usize::from(*life)].is_some()).collect()
    }

    fn lives(&self) -> impl Iterator<Item = Life> + use<> {
        0..self.lives.len() as Life
    }
}
