//! What is counted since the start.

/// Counters of the machine. Each is documented in `docs/metrics.md` under its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) events_taken_in: u64,
    pub(crate) events_refused: u64,
    pub(crate) events_resent: u64,
    pub(crate) events_late: u64,
    pub(crate) deliveries: u64,
    pub(crate) deliveries_lost: u64,
    pub(crate) sessions_started: u64,
    pub(crate) sessions_started_synthetic: u64,
    pub(crate) sessions_ended: u64,
    pub(crate) starts_while_alive: u64,
    pub(crate) ends_without_life: u64,
    pub(crate) starts_cancelled: u64,
    pub(crate) entries_rejected: u64,
    pub(crate) entries_released: u64,
    pub(crate) entries_expired: u64,
    pub(crate) events_expired: u64,
    pub(crate) redeliveries: u64,
    pub(crate) acks_ok: u64,
    pub(crate) acks_accepted: u64,
    pub(crate) acks_retry: u64,
    pub(crate) acks_reject: u64,
    pub(crate) acks_unknown: u64,
    pub(crate) acks_stale: u64,
    pub(crate) ack_timeouts: u64,
    pub(crate) takeovers: u64,
    pub(crate) subscribers_forgotten: u64,
    pub(crate) gateways_lost: u64,
    pub(crate) sessions_ended_by_reconciling: u64,
    pub(crate) sessions_started_by_reconciling: u64,
    pub(crate) reconciliations_dropped: u64,
}

impl Counters {
    /// All, by name.
    pub(crate) fn named(&self) -> [(&'static str, u64); 30] {
        [
            ("events_taken_in", self.events_taken_in),
            ("events_refused", self.events_refused),
            ("events_resent", self.events_resent),
            ("events_late", self.events_late),
            ("deliveries", self.deliveries),
            ("deliveries_lost", self.deliveries_lost),
            ("sessions_started", self.sessions_started),
            ("sessions_started_synthetic", self.sessions_started_synthetic),
            ("sessions_ended", self.sessions_ended),
            ("starts_while_alive", self.starts_while_alive),
            ("ends_without_life", self.ends_without_life),
            ("starts_cancelled", self.starts_cancelled),
            ("entries_rejected", self.entries_rejected),
            ("entries_released", self.entries_released),
            ("entries_expired", self.entries_expired),
            ("events_expired", self.events_expired),
            ("redeliveries", self.redeliveries),
            ("acks_ok", self.acks_ok),
            ("acks_accepted", self.acks_accepted),
            ("acks_retry", self.acks_retry),
            ("acks_reject", self.acks_reject),
            ("acks_unknown", self.acks_unknown),
            ("acks_stale", self.acks_stale),
            ("ack_timeouts", self.ack_timeouts),
            ("takeovers", self.takeovers),
            ("subscribers_forgotten", self.subscribers_forgotten),
            ("gateways_lost", self.gateways_lost),
            ("sessions_ended_by_reconciling", self.sessions_ended_by_reconciling),
            ("sessions_started_by_reconciling", self.sessions_started_by_reconciling),
            ("reconciliations_dropped", self.reconciliations_dropped),
        ]
    }
}
