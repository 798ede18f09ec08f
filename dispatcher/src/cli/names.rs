//! The wire's enum values as the CLI writes them: lower case, without the enum's prefix.

use hookwire_protocol::v1::{
    BatchKind, BootState, Disposition, GapCause, GoodbyeReason, RetentionKind, SessionEndReason, StopReason,
    WhenFull,
};

use crate::report;

/// Why a session ended.
pub(super) fn end_reason(value: i32) -> String {
    name(value, SessionEndReason::as_str_name, "SESSION_END_REASON_")
}

/// What an end means for the conversation.
pub(super) fn disposition(value: i32) -> String {
    name(value, Disposition::as_str_name, "DISPOSITION_")
}

/// Why a gateway stops: one that did not say goes away.
pub(super) fn stop_reason(value: i32) -> String {
    StopReason::try_from(value).map_or_else(|_| value.to_string(), |known| report::reason(known).to_owned())
}

/// Where a batch comes from.
pub(super) fn batch_kind(value: i32) -> String {
    name(value, BatchKind::as_str_name, "BATCH_KIND_")
}

/// Why events were lost.
pub(super) fn gap_cause(value: i32) -> String {
    name(value, GapCause::as_str_name, "GAP_CAUSE_")
}

/// Why a stream ends.
pub(super) fn goodbye_reason(value: i32) -> String {
    name(value, GoodbyeReason::as_str_name, "GOODBYE_REASON_")
}

/// What is kept for a plugin that is away.
pub(super) fn retention_kind(value: i32) -> String {
    name(value, RetentionKind::as_str_name, "RETENTION_KIND_")
}

/// What is lost when a queue is full.
pub(super) fn when_full(value: i32) -> String {
    name(value, WhenFull::as_str_name, "WHEN_FULL_")
}

/// Where a boot stands.
pub(super) fn boot_state(value: i32) -> String {
    name(value, BootState::as_str_name, "BOOT_STATE_")
}

/// A value that a newer dispatcher knows and this version does not stays a number.
fn name<E: TryFrom<i32>>(value: i32, as_str_name: fn(&E) -> &'static str, prefix: &str) -> String {
    let Ok(known) = E::try_from(value) else { return value.to_string() };
    let full = as_str_name(&known);
    full.strip_prefix(prefix).unwrap_or(full).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_prefix() {
        assert_eq!(end_reason(SessionEndReason::Reset.into()), "reset");
        assert_eq!(disposition(Disposition::Suspended.into()), "suspended");
        assert_eq!(stop_reason(StopReason::Restart.into()), "restart");
        assert_eq!(batch_kind(BatchKind::Redelivered.into()), "redelivered");
        assert_eq!(gap_cause(GapCause::QueueFull.into()), "queue_full");
        assert_eq!(goodbye_reason(GoodbyeReason::Displaced.into()), "displaced");
        assert_eq!(retention_kind(RetentionKind::Owed.into()), "owed");
        assert_eq!(when_full(WhenFull::DropOldest.into()), "drop_oldest");
        assert_eq!(boot_state(BootState::Draining.into()), "draining");
    }

    #[test]
    fn an_unknown_value_stays_a_number() {
        assert_eq!(end_reason(99), "99");
        assert_eq!(stop_reason(99), "99");
    }

    #[test]
    fn a_stop_without_a_reason_is_a_shutdown() {
        assert_eq!(stop_reason(0), "shutdown");
    }
}
