//! A steady rate, after an absolute schedule: who is late once is not late for ever.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Begins now, on a thread of its own: the runtime's timer goes by milliseconds. What is seen is how many events are
/// due so far; in the end, all of them.
pub(super) fn begin(rate: u32, events: u64) -> watch::Receiver<u64> {
    let (due, receiver) = watch::channel(0);
    thread::spawn(move || {
        let began = Instant::now();
        let mut so_far = 0;
        while so_far < events {
            thread::sleep(due_at(so_far, rate).saturating_sub(began.elapsed()));
            so_far = due_by(began.elapsed(), rate).min(events);
            if due.send(so_far).is_err() {
                return; // nobody fires any more
            }
        }
    });
    receiver
}

/// When an event is due, since the beginning.
fn due_at(event: u64, rate: u32) -> Duration {
    let rate = u64::from(rate);
    // Rounded up: at that time it is due.
    let rest = (event % rate * 1_000_000_000).div_ceil(rate);
    Duration::from_secs(event / rate) + Duration::from_nanos(rest)
}

/// How many events are due then.
fn due_by(elapsed: Duration, rate: u32) -> u64 {
    let rate = u64::from(rate);
    elapsed.as_secs() * rate + u64::from(elapsed.subsec_nanos()) * rate / 1_000_000_000 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_due_when_it_is() {
        for rate in [1, 3, 7, 1_000, 999_999, 10_000_000] {
            for event in [0, 1, 2, 3, 999, 1_000, 1_001, 123_456_789] {
                let at = due_at(event, rate);
                assert_eq!(due_by(at, rate), event + 1, "{event} at {rate}/s");
                let before = at.checked_sub(Duration::from_nanos(1));
                assert!(before.is_none_or(|before| due_by(before, rate) == event), "{event} at {rate}/s");
            }
        }
    }

    #[tokio::test]
    async fn all_are_due_in_the_end() {
        let mut due = begin(10_000_000, 1_000);
        assert!(due.wait_for(|due| *due == 1_000).await.is_ok());
    }
}
