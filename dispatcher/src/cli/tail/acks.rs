//! When and how a tail answers what it has printed. Pure: deliveries and time in, [`Ack`]s out.

use std::{
    collections::VecDeque,
    str::FromStr,
    time::{Duration, Instant},
};

use hookwire_protocol::{
    hook,
    v1::{Ack, AckException, AckStatus},
};

/// How many deliveries may wait for the next Ack before nothing more is read.
const MAX_UNSENT: usize = 1_024;

/// How many deliveries may wait for their delay before nothing more is read.
const MAX_DELAYED: usize = 100_000;

/// How deliveries are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckMode {
    /// OK, cumulatively, when the input runs dry.
    Ok,
    /// Not at all.
    Never,
    /// ACCEPTED, each.
    Accept,
    /// RETRY for starts and ends, OK for all others: the contract has no RETRY for them.
    Retry,
    /// REJECT, each.
    Reject,
    /// OK this long after it came, each, without holding the next.
    Delay(Duration),
}

impl FromStr for AckMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ok" => Ok(Self::Ok),
            "never" => Ok(Self::Never),
            "accept" => Ok(Self::Accept),
            "retry" => Ok(Self::Retry),
            "reject" => Ok(Self::Reject),
            _ => match text.strip_prefix("delay:").map(humantime::parse_duration) {
                Some(delay) => delay.map(Self::Delay).map_err(|error| error.to_string()),
                None => Err("write ok, never, accept, retry, reject or delay:DUR".to_owned()),
            },
        }
    }
}

/// What is printed and not answered yet, on one stream.
#[derive(Debug)]
pub(super) struct Acks {
    mode: AckMode,
    /// Everything up to here is answered by the next Ack, save the exceptions.
    through: u64,
    /// What was sent as `through_seq` last.
    sent: u64,
    exceptions: Vec<AckException>,
    /// With a delay: what is not due yet, in order of both due time and seq.
    delayed: VecDeque<(Instant, u64)>,
}

impl Acks {
    /// Nothing was delivered yet.
    pub(super) fn new(mode: AckMode) -> Self {
        Self { mode, through: 0, sent: 0, exceptions: Vec::new(), delayed: VecDeque::new() }
    }

    /// A delivery was printed.
    pub(super) fn printed(&mut self, seq: u64, hook_name: &str, now: Instant) {
        match self.mode {
            AckMode::Never => return,
            AckMode::Delay(delay) => {
                // A delay beyond the clock's end never comes due.
                if let Some(due) = now.checked_add(delay) {
                    self.delayed.push_back((due, seq));
                }
                return;
            }
            AckMode::Ok => {}
            AckMode::Accept => self.except(seq, AckStatus::Accepted),
            AckMode::Reject => self.except(seq, AckStatus::Reject),
            AckMode::Retry if matches!(hook_name, hook::SESSION_START | hook::SESSION_END) => {
                self.except(seq, AckStatus::Retry);
            }
            AckMode::Retry => {}
        }
        self.through = seq;
    }

    fn except(&mut self, seq: u64, status: AckStatus) {
        let code = if status == AckStatus::Reject { "tail".to_owned() } else { String::new() };
        let status = status.into();
        self.exceptions.push(AckException { seq, status, code, ..Default::default() });
    }

    /// Whether an Ack is due now.
    pub(super) fn is_due(&self) -> bool {
        self.through > self.sent || !self.exceptions.is_empty()
    }

    /// Whether reading more has to wait for an Ack.
    pub(super) fn is_full(&self) -> bool {
        self.through.saturating_sub(self.sent) >= MAX_UNSENT as u64
            || self.exceptions.len() >= MAX_UNSENT
            || self.delayed.len() >= MAX_DELAYED
    }

    /// When the next delayed answer comes due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.front().map(|&(due, _)| due)
    }

    /// Time has passed: what was delayed until now is due.
    pub(super) fn ripen(&mut self, now: Instant) {
        while let Some(&(due, seq)) = self.delayed.front()
            && due <= now
        {
            self.through = seq;
            self.delayed.pop_front();
        }
    }

    /// The stream is about to be half-closed: everything printed is due, however long its delay.
    pub(super) fn ripen_all(&mut self) {
        if let Some((_, seq)) = self.delayed.drain(..).next_back() {
            self.through = seq;
        }
    }

    /// The Ack that is due, if one is.
    pub(super) fn take(&mut self) -> Option<Ack> {
        if !self.is_due() {
            return None;
        }
        self.sent = self.through;
        Some(Ack { through_seq: self.through, exceptions: std::mem::take(&mut self.exceptions) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints a start, a message and an end, and takes what is due at once.
    fn answers(mode: AckMode) -> (Acks, Option<Ack>) {
        let mut acks = Acks::new(mode);
        let now = Instant::now();
        for (seq, hook) in [(1, "session_start"), (2, "message_received"), (3, "session_end")] {
            acks.printed(seq, hook, now);
        }
        let ack = acks.take();
        (acks, ack)
    }

    fn statuses(ack: &Ack) -> Vec<(u64, AckStatus)> {
        ack.exceptions.iter().map(|exception| (exception.seq, exception.status())).collect()
    }

    #[test]
    fn ok_is_cumulative_and_said_once() {
        let (mut acks, ack) = answers(AckMode::Ok);
        assert_eq!(ack, Some(Ack { through_seq: 3, exceptions: vec![] }));
        assert_eq!(acks.take(), None);
    }

    #[test]
    fn never_says_nothing_even_at_the_end() {
        let (mut acks, ack) = answers(AckMode::Never);
        acks.ripen_all();
        assert_eq!((ack, acks.take(), acks.is_full()), (None, None, false));
    }

    #[test]
    fn accept_and_reject_are_said_for_each() {
        for (mode, status) in [(AckMode::Accept, AckStatus::Accepted), (AckMode::Reject, AckStatus::Reject)] {
            let ack = answers(mode).1.expect("an ack is due");
            assert_eq!(ack.through_seq, 3);
            assert_eq!(statuses(&ack), [(1, status), (2, status), (3, status)]);
        }
    }

    #[test]
    fn retry_is_for_starts_and_ends_only() {
        let ack = answers(AckMode::Retry).1.expect("an ack is due");
        assert_eq!(ack.through_seq, 3);
        assert_eq!(statuses(&ack), [(1, AckStatus::Retry), (3, AckStatus::Retry)]);
        assert!(ack.exceptions.iter().all(|exception| exception.retry_after_ms == 0));
    }

    #[test]
    fn a_delay_holds_its_own_delivery_only() {
        let delay = Duration::from_millis(300);
        let mut acks = Acks::new(AckMode::Delay(delay));
        let start = Instant::now();
        acks.printed(1, "session_start", start);
        acks.printed(2, "session_start", start + Duration::from_millis(100));
        assert_eq!(acks.next_due(), Some(start + delay));
        acks.ripen(start + Duration::from_millis(299));
        assert_eq!(acks.take(), None);
        acks.ripen(start + delay);
        assert_eq!(acks.take().map(|ack| ack.through_seq), Some(1));
        assert_eq!(acks.next_due(), Some(start + Duration::from_millis(400)));
        acks.ripen_all();
        assert_eq!(acks.take().map(|ack| ack.through_seq), Some(2));
    }

    #[test]
    fn reading_waits_when_too_much_is_unanswered() {
        let mut acks = Acks::new(AckMode::Reject);
        for seq in 1..MAX_UNSENT as u64 {
            acks.printed(seq, "x", Instant::now());
        }
        assert!(!acks.is_full());
        acks.printed(MAX_UNSENT as u64, "x", Instant::now());
        assert!(acks.is_full());
        assert!(acks.take().is_some() && !acks.is_full());
    }

    #[test]
    fn modes_are_read() {
        assert_eq!("ok".parse(), Ok(AckMode::Ok));
        assert_eq!("retry".parse(), Ok(AckMode::Retry));
        assert_eq!("delay:300ms".parse(), Ok(AckMode::Delay(Duration::from_millis(300))));
        for bad in ["", "OK", "delay", "delay:", "delay:soon"] {
            assert!(bad.parse::<AckMode>().is_err(), "{bad}");
        }
    }
}
