//! Answers that are none of the plain ones.

use hookwire_protocol::{
    hook,
    v1::{AckException, AckStatus, Event},
};

use crate::dice::Dice;

/// What a plugin in a mood answers. It never rejects the start of what it holds open: it would see no end of it.
pub(super) fn moody(dice: &mut Dice, seq: u64, event: &Event, known: bool) -> Option<AckException> {
    let lifecycle = matches!(event.hook.as_str(), hook::SESSION_START | hook::SESSION_END);
    let status = match dice.below(10) {
        0..=3 if lifecycle => AckStatus::Retry,
        4..=6 => AckStatus::Accepted,
        7 if event.hook != hook::SESSION_START || !known => AckStatus::Reject,
        _ => return None,
    };
    let retry_after_ms = dice.ms(10, 400).as_millis() as u32;
    let mut exception = AckException { seq, retry_after_ms, ..AckException::default() };
    exception.set_status(status);
    Some(exception)
}
