//! What each side wrote down of its own: the checker holds them against each other.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use hookwire_protocol::v1::{
    Ack, BatchKind, DrainNotice, DrainReport, DrainSummary, Event, Gap, GoodbyeReason, SessionEndReason,
    subscribe_response::Welcome,
};

/// What a gateway fired. Its number, from 1 on, is the time that it says it fired at.
#[derive(Clone, Debug)]
pub(crate) struct Fired {
    pub(crate) at: Duration,
    pub(crate) boot: String,
    pub(crate) session: String,
    pub(crate) hook: Hook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Start,
    End(SessionEndReason),
    Message,
    Stop,
}

/// One thing that a plugin heard or said.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    /// Its streams, numbered in the order in which they were opened.
    pub(crate) stream: u32,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Welcome(Box<Welcome>),
    Delivered {
        seq: u64,
        kind: BatchKind,
        event: Box<Event>,
    },
    CaughtUp,
    Gap(Gap),
    Notice(DrainNotice),
    Summary(DrainSummary),
    Acked(Ack),
    /// It goes, and lets go of all that it is owed.
    Released,
    Goodbye(GoodbyeReason),
}

/// A drain as its gateway saw it.
#[derive(Clone, Debug)]
pub(crate) struct Drained {
    pub(crate) gateway: usize,
    pub(crate) asked: Duration,
    pub(crate) budget: Duration,
    pub(crate) answered: Duration,
    /// The driver ordered it, when nothing else happened.
    pub(crate) ordered: bool,
    /// Sessions that its gateway held alive when it asked.
    pub(crate) alive: usize,
    pub(crate) report: DrainReport,
}

/// Everything that was written down in one world.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) fired: RefCell<Vec<Fired>>,
    pub(crate) plugins: RefCell<BTreeMap<String, Vec<Entry>>>,
    pub(crate) drains: RefCell<Vec<Drained>>,
    /// Sessions that a boot's gateway listed as alive: they may have begun with that.
    listed: RefCell<BTreeSet<(String, String)>>,
    /// When who was in trouble: nothing that was said then is sure to have arrived.
    troubles: RefCell<Vec<(String, Duration, Duration)>>,
    /// What somebody saw at once that should not be.
    complaints: RefCell<Vec<String>>,
    trace: RefCell<Vec<String>>,
    /// The driver's clock, for those who stand outside of all hosts.
    pub(crate) now: Cell<Duration>,
}

impl Records {
    pub(crate) fn now(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or(self.now.get())
    }

    /// One line of the story. Names that are random by themselves must not stand in it.
    pub(crate) fn tell(&self, who: &str, what: impl fmt::Display) {
        let line = format!("{:>9.3} {who:<11} {what}", self.now().as_secs_f64());
        self.trace.borrow_mut().push(line);
    }

    /// Numbers a firing.
    pub(crate) fn fire(&self, fired: Fired) -> u64 {
        let mut all = self.fired.borrow_mut();
        all.push(fired);
        all.len() as u64
    }

    pub(crate) fn list(&self, boot: &str, sessions: Vec<String>) {
        self.listed.borrow_mut().extend(sessions.into_iter().map(|session| (boot.to_owned(), session)));
    }

    /// Whether this session was listed in this boot.
    pub(crate) fn was_listed(&self, boot: &str, session: &str) -> bool {
        self.listed.borrow().contains(&(boot.to_owned(), session.to_owned()))
    }

    pub(crate) fn enter(&self, plugin: &str, stream: u32, what: What) {
        let entry = Entry { at: self.now(), stream, what };
        self.tell(plugin, format_args!("{stream}: {}", entry.what));
        self.plugins.borrow_mut().entry(plugin.to_owned()).or_default().push(entry);
    }

    pub(crate) fn complain(&self, what: String) {
        self.complaints.borrow_mut().push(what);
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.borrow().clone()
    }

    pub(crate) fn trouble(&self, who: &str, from: Duration, to: Duration) {
        self.troubles.borrow_mut().push((who.to_owned(), from, to));
    }

    /// Whether nothing stood between this party and the dispatcher, and both were up, all that time.
    pub(crate) fn undisturbed(&self, who: &str, from: Duration, to: Duration) -> bool {
        let concerns = |name: &str| name == who || name == crate::network::DISPATCHER;
        !self.troubles.borrow().iter().any(|(name, begin, end)| concerns(name) && *begin < to && from < *end)
    }

    pub(crate) fn story(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Welcome(welcome) => write!(
                f,
                "welcome, epoch {:x}, known {}, {} ends and {} starts to come",
                welcome.stream_epoch, welcome.known, welcome.ends_owed, welcome.starts_to_replay
            ),
            Self::Delivered { seq, kind, event } => {
                let (session, kind) = (event.session.clone().unwrap_or_default(), kind.as_str_name());
                let kind = kind.trim_start_matches("BATCH_KIND_");
                write!(
                    f,
                    "#{seq} {kind} {} of {} {}/{}",
                    event.hook, event.gateway_id, session.id, session.incarnation
                )?;
                if event.late { f.write_str(", late") } else { Ok(()) }
            }
            Self::CaughtUp => f.write_str("caught up"),
            Self::Gap(gap) => write!(f, "gap of {}: {}", gap.count, gap.cause().as_str_name()),
            Self::Notice(notice) => write!(f, "{} drains, {} owed", notice.gateway_id, notice.ends_owed),
            Self::Summary(summary) => {
                let DrainSummary { gateway_id, owed, carried_over, .. } = summary;
                write!(f, "{gateway_id} is drained, {owed} owed, {carried_over} carried over")
            }
            Self::Acked(ack) => {
                write!(f, "acks to #{}", ack.through_seq)?;
                let say = |it: &hookwire_protocol::v1::AckException| {
                    format!(", #{} {}", it.seq, it.status().as_str_name())
                };
                ack.exceptions.iter().try_for_each(|it| f.write_str(&say(it)))
            }
            Self::Released => f.write_str("lets go of everything"),
            Self::Goodbye(reason) => f.write_str(reason.as_str_name()),
        }
    }
}
