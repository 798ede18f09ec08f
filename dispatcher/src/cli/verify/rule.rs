//! The rules of the contract that the scenarios judge: those of `docs/wire.md`, by number where they have one.

/// What a plugin has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Hello,
    Once,
    Acknowledge,
    Persist,
    Order,
    Sweep,
    ComeBack,
    Displaced,
    Goodbye,
    Keepalive,
    Drain,
    Unknown,
    Size,
    /// None of the contract's.
    Played,
}

impl Rule {
    /// Its name, for machines and people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "1 Hello first",
            Self::Once => "3, 4 a start and an end are applied once",
            Self::Acknowledge => "5 everything is acknowledged",
            Self::Persist => "5 acknowledge after you have persisted",
            Self::Order => "in order within a session",
            Self::Sweep => "6 at CaughtUp, sweep",
            Self::ComeBack => "8 come back, with jitter",
            Self::Displaced => "8 displaced: stay away",
            Self::Goodbye => "9 leave with Goodbye(keep)",
            Self::Keepalive => "10 keepalive, also when idle",
            Self::Drain => "a drain has a notice and a budget",
            Self::Unknown => "what is unknown ends nothing",
            Self::Size => "messages as large as Welcome says",
            Self::Played => "none: the scenario broke off",
        }
    }
}
