//! What one seed stands for: who is there, and what goes wrong when.

mod fault;

use std::time::Duration;

use hookwire_protocol::v1::{Retention, RetentionKind, subscribe_request::Hello};

pub(crate) use self::fault::Fault;
use crate::{daemon::GRACE, dice::Dice, network::DISPATCHER};

/// One world, before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) gateways: Vec<GatewayPlan>,
    pub(crate) plugins: Vec<PluginPlan>,
    /// In order of time.
    pub(crate) faults: Vec<(Duration, Fault)>,
    /// When everything heals.
    pub(crate) heals: Duration,
    /// The longest that a message takes while nothing is wrong.
    pub(crate) latency: Duration,
    /// So long after the last of the gateways were told to end, the dispatcher dies once more.
    pub(crate) last_crash: Option<Duration>,
    /// How long the dispatcher's disk takes for a commit; `None`: its ledger is in memory, and it does not die.
    pub(crate) commit_takes: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(crate) struct GatewayPlan {
    pub(crate) name: String,
    /// The longest pause between two firings.
    pub(crate) pause: u64,
    /// How many events it keeps for sending again.
    pub(crate) buffer: usize,
    /// It does not look at where a Welcome says to resume.
    pub(crate) sends_all_again: bool,
    /// At the end it drains; else it is killed, and lost.
    pub(crate) drains_at_the_end: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct PluginPlan {
    pub(crate) name: String,
    pub(crate) hello: Hello,
    /// How often in a hundred an answer is none of the plain ones.
    pub(crate) moody: usize,
    /// How often in a hundred messages it leaves for good, and comes back as if nothing had been.
    pub(crate) releases: usize,
    /// The longest that it works on one event, in milliseconds.
    pub(crate) work: u64,
}

impl PluginPlan {
    /// Whether what it wants is kept until it has answered.
    pub(crate) fn keeps_all(&self) -> bool {
        self.hello.retention.is_some_and(|it| it.kind() == RetentionKind::All)
    }

    /// Whether it is to get every event of everybody, whatever happens.
    pub(crate) fn gets_all(&self) -> bool {
        self.keeps_all() && self.hello.hooks.is_empty() && self.hello.filter.is_none() && self.releases == 0
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "plan", 0);
        let gateways = (0..1 + dice.below(2)).map(|number| GatewayPlan::roll(&mut dice, number)).collect();
        let plugins = (0..2 + dice.below(2)).map(|number| PluginPlan::roll(&mut dice, number)).collect();
        let heals = dice.ms(4_000, 11_000);
        let latency = dice.ms(1, 40);
        let commit_takes = dice.percent(85).then(|| dice.ms(0, 40));
        let last_crash = dice.ms(0, 600);
        let last_crash = (commit_takes.is_some() && dice.percent(30)).then_some(last_crash);
        let mut plan =
            Self { seed, gateways, plugins, faults: Vec::new(), heals, latency, last_crash, commit_takes };
        plan.roll_faults(&mut dice);
        for plugin in &mut plan.plugins {
            let kind = if dice.percent(35) { RetentionKind::All } else { RetentionKind::Owed };
            plugin.hello.retention = Some(Retention { kind: kind.into(), ..Retention::default() });
        }
        plan
    }

    /// Everybody whom something can happen to.
    fn parties(&self) -> Vec<String> {
        let gateways = self.gateways.iter().map(|it| it.name.clone());
        gateways.chain(self.plugins.iter().map(|it| it.name.clone())).collect()
    }

    fn roll_faults(&mut self, dice: &mut Dice) {
        let parties = self.parties();
        let last = self.heals.as_millis() as u64;
        for _ in 0..2 + dice.below(16) {
            let (at, everybody) = (dice.ms(200, last), dice.percent(10));
            let who = dice.pick(&parties).clone();
            let who = if everybody { parties.clone() } else { vec![who] };
            self.faults.extend(who.into_iter().map(|who| (at, Fault::roll(&mut dice.clone(), who))));
            dice.roll();
        }
        if self.commit_takes.is_some() {
            for _ in 0..dice.below(4) {
                self.faults.push((dice.ms(200, last), Fault::roll_of_dispatcher(dice)));
            }
            self.roll_coincidence(dice, last);
        }
        self.faults.sort_by_key(|(at, _)| *at);
    }

    /// The dispatcher dies when it matters: while it decides that a gateway is lost, or on what it has just restored.
    fn roll_coincidence(&mut self, dice: &mut Dice, last: u64) {
        let at = dice.ms(200, last);
        let dies = |down| Fault::Crash { who: DISPATCHER.to_owned(), down };
        match dice.below(3) {
            0 => {
                let who = dice.pick(&self.gateways).name.clone();
                self.faults.push((at, Fault::Crash { who, down: GRACE + dice.ms(0, 500) }));
                self.faults.push((at + GRACE + dice.ms(0, 120), dies(dice.ms(20, 500))));
            }
            1 => {
                let down = dice.ms(20, 200);
                self.faults.push((at, dies(down)));
                self.faults.push((at + down + dice.ms(5, 300), dies(dice.ms(20, 500))));
            }
            _ => {}
        }
    }
}

impl GatewayPlan {
    fn roll(dice: &mut Dice, number: usize) -> Self {
        let name = format!("gateway-{number}");
        let (pause, buffer) = (20 + dice.below(200) as u64, *dice.pick(&[4, 12, 1000]));
        let (sends_all_again, drains_at_the_end) = (dice.percent(50), dice.percent(70));
        Self { name, pause, buffer, sends_all_again, drains_at_the_end }
    }
}

impl PluginPlan {
    fn roll(dice: &mut Dice, number: usize) -> Self {
        let name = format!("plugin-{number}");
        let mut hello = Hello {
            subscriber_id: name.clone(),
            announce: dice.percent(30),
            max_in_flight: *dice.pick(&[0, 0, 2, 8]),
            ..Hello::default()
        };
        // The first one wants everything: what becomes of each session is seen by somebody.
        match if number == 0 { 0 } else { dice.below(4) } {
            1 => hello.hooks = vec!["session_*".to_owned()],
            2 => hello.filter.get_or_insert_default().agents = vec!["main".to_owned()],
            _ => {}
        }
        let moody = *dice.pick(&[0, 5, 20]);
        let releases = *dice.pick(&[0, 0, 1]);
        Self { name, hello, moody, releases, work: *dice.pick(&[0, 3, 30]) }
    }
}
