//! What can happen, in a universe so small that everything collides.

use hookwire_protocol::v1::{self, SessionEndReason, WhenFull};
use proptest::{collection::vec, prelude::*};

pub(super) const GATEWAYS: [&str; 2] = ["g0", "g1"];
pub(super) const SESSIONS: [&str; 3] = ["s0", "s1", "s2"];
/// The first one is none.
pub(super) const KEYS: [&str; 3] = ["", "k0", "k1"];
pub(super) const AGENTS: [&str; 2] = ["a0", "a1"];
pub(super) const HOOKS: [&str; 2] = ["message_received", "llm_output"];
pub(super) const PLUGINS: [&str; 3] = ["p0", "p1", "p2"];

/// One run of the machine.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// How many steps the journal's commits lag behind.
    pub(super) lag: usize,
    /// The most events in a queue.
    pub(super) queue: usize,
    pub(super) ops: Vec<Op>,
}

/// One thing that happens. Numbers name gateways, plugins, emitters and so on.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A stream of the present boot (the first one, where there is none): anew, or again with the same emitter.
    Attach {
        gateway: usize,
        emitter: usize,
    },
    /// A boot that was not seen before.
    Boot {
        gateway: usize,
        emitter: usize,
    },
    /// Like Attach or Boot, with a list of what is alive.
    Reconcile {
        gateway: usize,
        emitter: usize,
        boot: bool,
        list: List,
    },
    /// A boot that was.
    OldBoot {
        gateway: usize,
    },
    Detach {
        gateway: usize,
        emitter: usize,
    },
    Publish {
        gateway: usize,
        emitter: usize,
        events: Vec<Fired>,
    },
    /// Events that never come, since the gateway had no room for them.
    Lose {
        gateway: usize,
        emitter: usize,
        events: Vec<Fired>,
    },
    /// The last so many once more, as after a lost receipt.
    Resend {
        gateway: usize,
        emitter: usize,
        back: usize,
    },
    Subscribe {
        plugin: usize,
        hello: Hello,
    },
    Leave {
        plugin: usize,
        release: bool,
    },
    /// So many frames, if there are as many.
    Pull {
        plugin: usize,
        frames: usize,
    },
    /// All there is, answered OK.
    Serve {
        plugin: usize,
    },
    Ack {
        plugin: usize,
        ack: Ack,
    },
    /// Everything is answered RETRY without a delay, so many times in a row; then OK.
    Postpone {
        plugin: usize,
        times: usize,
    },
    /// On the stream before the present one.
    AckOld {
        plugin: usize,
    },
    /// By an operator.
    Forget {
        plugin: usize,
    },
    Wait {
        ms: u64,
    },
    Drain {
        gateway: Option<usize>,
        restart: bool,
        budget: u64,
        wrong_boot: bool,
    },
    Stop {
        restart: bool,
        budget: u64,
    },
    Hurry,
    /// The dispatcher dies. Of the calls whose records are pending so many are committed; of the records that may be lost
    /// behind the last one that may not, so many are durable.
    Crash {
        committed: usize,
        kept: usize,
    },
}

/// A session, its key and its agent, as a list names them.
pub(super) type Named = (usize, usize, usize);

/// What a gateway says is alive.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// True or not, and perhaps twice.
    pub(super) sessions: Vec<Named>,
    /// How much more is to be published before it holds.
    pub(super) ahead: u64,
}

/// A gateway's hook.
#[derive(Clone, Debug)]
pub(super) enum Fired {
    Start {
        session: usize,
        key: usize,
        agent: usize,
    },
    End {
        session: usize,
        reason: SessionEndReason,
    },
    EndOfKey {
        key: usize,
    },
    /// Any other hook, of a session that it names.
    Event {
        session: usize,
        key: usize,
        hook: usize,
    },
    OfKey {
        key: usize,
        hook: usize,
    },
    GatewayStart,
    GatewayStop {
        restart: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) instance: usize,
    pub(super) wants: Wants,
    pub(super) announce: bool,
    pub(super) window: u32,
    pub(super) when_full: WhenFull,
    /// What is to be kept of what it is owed; 0 leaves it to the dispatcher.
    pub(super) keep_ms: u64,
    pub(super) keep_bytes: u64,
}

/// Seqs by their place among those that were given out: 0 is none, 100 the last; more was never given out.
#[derive(Clone, Debug)]
pub(super) struct Ack {
    pub(super) through: u8,
    pub(super) exceptions: Vec<(u8, Said)>,
}

/// A plugin's answer to one delivery.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    Nothing,
    Ok,
    Accepted,
    Retry { ms: u32 },
    Reject,
}

/// What a plugin subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Everything,
    Lifecycle,
    Messages,
    Key,
    Agent,
}

impl Wants {
    pub(super) fn hooks(self) -> Vec<String> {
        let hooks: &[&str] = match self {
            Self::Everything | Self::Key => &[],
            Self::Lifecycle => &["session_start"],
            Self::Messages => &["message_*"],
            Self::Agent => &["session_*", "gateway_stop", "llm_*"],
        };
        hooks.iter().map(|hook| (*hook).to_owned()).collect()
    }

    pub(super) fn filter(self) -> v1::Filter {
        match self {
            Self::Key => v1::Filter { keys: vec!["k0".to_owned()], agents: vec![] },
            Self::Agent => v1::Filter { keys: vec![], agents: vec!["a1".to_owned()] },
            _ => v1::Filter::default(),
        }
    }

    pub(super) fn lifecycle(self) -> bool {
        self != Self::Messages
    }

    pub(super) fn hook(self, hook: &str) -> bool {
        match self {
            Self::Everything | Self::Key => true,
            Self::Lifecycle => hook.starts_with("session_"),
            Self::Messages => hook.starts_with("message_"),
            Self::Agent => hook.starts_with("session_") || hook == "gateway_stop" || hook.starts_with("llm_"),
        }
    }

    pub(super) fn session(self, key: &str, agent: &str) -> bool {
        match self {
            Self::Key => key == "k0",
            Self::Agent => agent == "a1",
            _ => true,
        }
    }
}

pub(super) fn schedules() -> impl Strategy<Value = Schedule> {
    let ops = vec(op(), 1..70);
    (0_usize..5, prop_oneof![1_usize..4, Just(50)], ops).prop_map(|(lag, queue, ops)| Schedule {
        lag,
        queue,
        ops,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let plugin = || 0..PLUGINS.len();
    let gateway = || prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let emitter = || prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    prop_oneof![
        3 => (gateway(), emitter()).prop_map(|(gateway, emitter)| Op::Attach { gateway, emitter }),
        1 => (gateway(), emitter()).prop_map(|(gateway, emitter)| Op::Boot { gateway, emitter }),
        3 => (gateway(), emitter(), prop::bool::weighted(0.2), list())
            .prop_map(|(gateway, emitter, boot, list)| Op::Reconcile { gateway, emitter, boot, list }),
        1 => gateway().prop_map(|gateway| Op::OldBoot { gateway }),
        2 => (gateway(), emitter()).prop_map(|(gateway, emitter)| Op::Detach { gateway, emitter }),
        24 => (gateway(), emitter(), vec(fired(), 1..5))
            .prop_map(|(gateway, emitter, events)| Op::Publish { gateway, emitter, events }),
        1 => (gateway(), emitter(), vec(fired(), 1..3))
            .prop_map(|(gateway, emitter, events)| Op::Lose { gateway, emitter, events }),
        1 => (gateway(), emitter(), 1_usize..4)
            .prop_map(|(gateway, emitter, back)| Op::Resend { gateway, emitter, back }),
        9 => (plugin(), hello()).prop_map(|(plugin, hello)| Op::Subscribe { plugin, hello }),
        3 => (plugin(), prop::bool::weighted(0.2))
            .prop_map(|(plugin, release)| Op::Leave { plugin, release }),
        8 => (plugin(), 1_usize..5).prop_map(|(plugin, frames)| Op::Pull { plugin, frames }),
        10 => plugin().prop_map(|plugin| Op::Serve { plugin }),
        14 => (plugin(), ack()).prop_map(|(plugin, ack)| Op::Ack { plugin, ack }),
        2 => (plugin(), 1_usize..4).prop_map(|(plugin, times)| Op::Postpone { plugin, times }),
        1 => plugin().prop_map(|plugin| Op::AckOld { plugin }),
        1 => plugin().prop_map(|plugin| Op::Forget { plugin }),
        6 => prop::sample::select(&[1_u64, 150, 600, 1_000, 2_500][..]).prop_map(|ms| Op::Wait { ms }),
        1 => prop::sample::select(&[4_300_u64, 9_000, 21_000][..]).prop_map(|ms| Op::Wait { ms }),
        2 => (prop::option::weighted(0.7, gateway()), any::<bool>(), budget(), prop::bool::weighted(0.1))
            .prop_map(|(gateway, restart, budget, wrong_boot)| Op::Drain {
                gateway, restart, budget, wrong_boot
            }),
        1 => (any::<bool>(), budget()).prop_map(|(restart, budget)| Op::Stop { restart, budget }),
        1 => Just(Op::Hurry),
        2 => (0_usize..5, 0_usize..4).prop_map(|(committed, kept)| Op::Crash { committed, kept }),
    ]
}

fn budget() -> impl Strategy<Value = u64> {
    prop::sample::select(&[0_u64, 500, 2_000][..])
}

fn list() -> impl Strategy<Value = List> {
    let session = (0..SESSIONS.len(), 0..KEYS.len(), 0..AGENTS.len());
    let ahead = prop_oneof![Just(0_u64), 1_u64..5];
    (vec(session, 0..4), ahead).prop_map(|(sessions, ahead)| List { sessions, ahead })
}

fn fired() -> impl Strategy<Value = Fired> {
    let session = || 0..SESSIONS.len();
    let reason = prop::sample::select(
        &[SessionEndReason::Reset, SessionEndReason::Compaction, SessionEndReason::Unspecified][..],
    );
    prop_oneof![
        6 => (session(), 0..KEYS.len(), 0..AGENTS.len())
            .prop_map(|(session, key, agent)| Fired::Start { session, key, agent }),
        6 => (session(), reason).prop_map(|(session, reason)| Fired::End { session, reason }),
        1 => (0..KEYS.len()).prop_map(|key| Fired::EndOfKey { key }),
        10 => (session(), 0..KEYS.len(), 0..HOOKS.len())
            .prop_map(|(session, key, hook)| Fired::Event { session, key, hook }),
        2 => (0..KEYS.len(), 0..HOOKS.len()).prop_map(|(key, hook)| Fired::OfKey { key, hook }),
        1 => Just(Fired::GatewayStart),
        1 => any::<bool>().prop_map(|restart| Fired::GatewayStop { restart }),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let wants = prop_oneof![
        6 => Just(Wants::Everything),
        2 => Just(Wants::Lifecycle),
        1 => Just(Wants::Messages),
        1 => Just(Wants::Key),
        1 => Just(Wants::Agent),
    ];
    let window = prop_oneof![Just(1_u32), Just(2), Just(0)];
    let when_full = prop_oneof![
        3 => Just(WhenFull::DropOldest),
        2 => Just(WhenFull::DropNewest),
        1 => Just(WhenFull::Disconnect),
    ];
    let keep_ms = prop_oneof![6 => Just(0_u64), 1 => Just(900), 1 => Just(3_000), 1 => Just(1 << 40)];
    let keep_bytes = prop_oneof![6 => Just(0_u64), 1 => Just(1), 1 => Just(500), 1 => Just(u64::MAX)];
    (0_usize..3, wants, any::<bool>(), window, when_full, keep_ms, keep_bytes).prop_map(
        |(instance, wants, announce, window, when_full, keep_ms, keep_bytes)| Hello {
            instance,
            wants,
            announce,
            window,
            when_full,
            keep_ms,
            keep_bytes,
        },
    )
}

fn ack() -> impl Strategy<Value = Ack> {
    let through = prop_oneof![4 => Just(0_u8), 4 => Just(100), 4 => 0_u8..=100, 1 => Just(110)];
    let said = prop_oneof![
        2 => Just(Said::Ok),
        2 => Just(Said::Accepted),
        4 => prop::sample::select(&[0_u32, 0, 100, 700, 5_000][..]).prop_map(|ms| Said::Retry { ms }),
        2 => Just(Said::Reject),
        1 => Just(Said::Nothing),
    ];
    let exceptions = vec((prop_oneof![9 => 1_u8..=100, 1 => Just(120)], said), 0..4);
    (through, exceptions).prop_map(|(through, exceptions)| Ack { through, exceptions })
}
