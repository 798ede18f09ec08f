//! Which deliveries of one stream are answered, and the next Ack. Pure.
//!
//! ```text
//! seq      1  2  3  4  5  6  7  8
//! answer   ok ok ok    ok    rj        prefix = 3: 4 is still in hand
//! Ack      through_seq 3, exceptions 5 OK, 7 REJECT: nobody waits for 4
//! ```

use std::collections::BTreeMap;

use hookwire_protocol::v1::Ack;

use crate::outcome::Outcome;

/// How many exceptions go into one Ack: with the longest words, half of the 256 KiB that a dispatcher reads.
const EXCEPTIONS: usize = 256;

/// The answers of one stream. A new stream begins with a new one: answers count only where the delivery came.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// Everything up to here is answered.
    prefix: u64,
    /// Answered beyond the prefix: runs, by their first number, with their last. As many as there are gaps between
    /// them, that is no more than what is in hand, however long one that hangs is waited for.
    ahead: BTreeMap<u64, u64>,
    /// To be sent as exceptions: answers that are not OK, and those that are, but stand beyond the prefix.
    unsent: BTreeMap<u64, Outcome>,
    /// What `through_seq` has said so far.
    through: u64,
}

impl Acks {
    /// Takes down the answer to one delivery. The first one counts; 0 is no delivery.
    pub(crate) fn answer(&mut self, seq: u64, outcome: Outcome) {
        let run = self.ahead.range(..=seq).next_back().map(|(first, last)| (*first, *last));
        if seq <= self.prefix || run.is_some_and(|(_, last)| seq <= last) {
            return;
        }
        let next = seq == self.prefix + 1;
        if !next || outcome != Outcome::Ok {
            self.unsent.insert(seq, outcome);
        }
        if next {
            self.prefix = seq;
            self.close_up();
        } else {
            let first = run.filter(|(_, last)| *last == seq - 1).map_or(seq, |(first, _)| first);
            let behind = seq.checked_add(1).and_then(|next| self.ahead.remove(&next));
            self.ahead.insert(first, behind.unwrap_or(seq));
        }
    }

    /// Moves the prefix over what was answered ahead of its turn; `through_seq` then says OK for it.
    fn close_up(&mut self) {
        if let Some(last) = self.ahead.remove(&(self.prefix + 1)) {
            let run = self.prefix + 1..=last;
            self.unsent.extract_if(run, |_, outcome| *outcome == Outcome::Ok).for_each(drop);
            self.prefix = last;
        }
    }

    /// How many answers wait to be sent, a run of OKs counted as it is long.
    pub(crate) fn pending(&self) -> u64 {
        (self.prefix - self.through) + self.unsent.len() as u64
    }

    /// The next Ack, `None` where there is nothing to say. What does not fit is left for another.
    pub(crate) fn take(&mut self) -> Option<Ack> {
        if self.pending() == 0 {
            return None;
        }
        let rest = match self.unsent.keys().nth(EXCEPTIONS) {
            Some(&first_left) => self.unsent.split_off(&first_left),
            None => BTreeMap::new(),
        };
        let exceptions = std::mem::replace(&mut self.unsent, rest);
        // An exception left for later must not be called OK by the prefix.
        let through = self.unsent.keys().next().map_or(self.prefix, |left| self.prefix.min(left - 1));
        let moved = through > self.through;
        self.through = through;
        Some(Ack {
            through_seq: if moved { through } else { 0 },
            exceptions: exceptions.into_iter().map(|(seq, outcome)| outcome.into_exception(seq)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use hookwire_protocol::v1::{AckException, AckStatus};
    use proptest::prelude::*;

    use super::*;

    fn ack(acks: &mut Acks) -> (u64, Vec<(u64, AckStatus)>) {
        let ack = acks.take().expect("something to say");
        (ack.through_seq, ack.exceptions.iter().map(|e| (e.seq, e.status())).collect())
    }

    #[test]
    fn a_run_of_oks_is_one_number() {
        let mut acks = Acks::default();
        assert_eq!(acks.take(), None);
        (1..=5).for_each(|seq| acks.answer(seq, Outcome::Ok));
        assert_eq!(acks.pending(), 5);
        assert_eq!(ack(&mut acks), (5, vec![]));
        assert_eq!(acks.take(), None);
    }

    #[test]
    fn nobody_waits_for_a_slow_one() {
        let mut acks = Acks::default();
        acks.answer(2, Outcome::Ok);
        acks.answer(3, Outcome::Ok);
        assert_eq!(ack(&mut acks), (0, vec![(2, AckStatus::Ok), (3, AckStatus::Ok)]));
        acks.answer(1, Outcome::Ok);
        assert_eq!(ack(&mut acks), (3, vec![]));
    }

    #[test]
    fn an_ok_that_the_prefix_reaches_in_time_is_no_exception() {
        let mut acks = Acks::default();
        acks.answer(2, Outcome::Ok);
        acks.answer(3, Outcome::Accepted);
        acks.answer(1, Outcome::Ok);
        assert_eq!(ack(&mut acks), (3, vec![(3, AckStatus::Accepted)]));
    }

    #[test]
    fn only_the_first_answer_counts() {
        let mut acks = Acks::default();
        acks.answer(0, Outcome::Ok);
        acks.answer(2, Outcome::retry(""));
        acks.answer(2, Outcome::Ok);
        acks.answer(1, Outcome::Ok);
        acks.answer(1, Outcome::retry(""));
        assert_eq!(ack(&mut acks), (2, vec![(2, AckStatus::Retry)]));
        assert_eq!(acks.take(), None);
    }

    #[test]
    fn behind_one_that_hangs_nothing_piles_up() {
        let mut acks = Acks::default();
        for seq in 2..=100_000 {
            acks.answer(seq, Outcome::Ok);
            if acks.pending() == 100 {
                assert_eq!(ack(&mut acks).1.len(), 100);
            }
        }
        assert_eq!((acks.ahead.len(), acks.unsent.len()), (1, 99));
        acks.answer(1, Outcome::Ok);
        assert_eq!(ack(&mut acks), (100_000, vec![]));
        assert!(acks.ahead.is_empty());
    }

    #[test]
    fn runs_meet_from_either_side() {
        let mut acks = Acks::default();
        for seq in [5, 3, 9, 4, 8, 10, 2] {
            acks.answer(seq, Outcome::Ok);
            acks.answer(seq, Outcome::Accepted);
        }
        assert_eq!(acks.ahead, [(2, 5), (8, 10)].into());
        acks.answer(1, Outcome::Ok);
        assert_eq!((acks.prefix, acks.ahead), (5, [(8, 10)].into()));
    }

    #[test]
    fn what_does_not_fit_is_not_called_ok() {
        let mut acks = Acks::default();
        let last = EXCEPTIONS as u64 + 2;
        (1..=last).for_each(|seq| acks.answer(seq, Outcome::Accepted));
        let (through, exceptions) = ack(&mut acks);
        assert_eq!((through, exceptions.len()), (EXCEPTIONS as u64, EXCEPTIONS));
        let (through, exceptions) = ack(&mut acks);
        assert_eq!((through, exceptions.len()), (last, 2));
        assert_eq!(acks.take(), None);
    }

    #[test]
    fn an_ack_full_of_words_is_one_that_a_dispatcher_reads() {
        let mut acks = Acks::default();
        let wordy = Outcome::reject("c".repeat(1 << 10), "t".repeat(1 << 10));
        (0..2 * EXCEPTIONS as u64).for_each(|seq| acks.answer(u64::MAX - seq, wordy.clone()));
        let ack = acks.take().expect("something to say");
        let size = |it: &AckException| it.code.len() + it.text.len() + 32; // numbers, and what frames it all
        assert!(ack.exceptions.iter().map(size).sum::<usize>() < 256 << 10);
    }

    #[test]
    fn the_last_number_of_all_is_no_panic() {
        let mut acks = Acks::default();
        acks.answer(u64::MAX, Outcome::Ok);
        assert_eq!(ack(&mut acks), (0, vec![(u64::MAX, AckStatus::Ok)]));
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            4 => Just(Outcome::Ok),
            1 => Just(Outcome::Accepted),
            1 => Just(Outcome::retry("")),
            1 => Just(Outcome::reject("", "")),
        ]
    }

    proptest! {
        /// Read by the contract's rules, the Acks say of each delivery what was answered, whatever the order
        /// and wherever an Ack is taken.
        #[test]
        fn every_delivery_gets_its_answer(
            answers in proptest::collection::vec((outcome(), any::<bool>()), 1..60).prop_flat_map(|answers| {
                let numbered: Vec<_> = (1u64..).zip(answers).collect();
                Just(numbered).prop_shuffle()
            })
        ) {
            let mut acks = Acks::default();
            let mut read = BTreeMap::new();
            let mut seen = 0;
            for (seq, (outcome, take)) in &answers {
                acks.answer(*seq, outcome.clone());
                if let Some(ack) = take.then(|| acks.take()).flatten() {
                    read_by_the_contract(&ack, &mut read, &mut seen)?;
                }
            }
            while let Some(ack) = acks.take() {
                read_by_the_contract(&ack, &mut read, &mut seen)?;
            }
            let expected: BTreeMap<u64, i32> =
                answers.iter().map(|(seq, (o, _))| (*seq, o.clone().into_exception(*seq).status)).collect();
            prop_assert_eq!(read, expected);
        }
    }

    fn read_by_the_contract(
        ack: &Ack,
        read: &mut BTreeMap<u64, i32>,
        seen: &mut u64,
    ) -> Result<(), TestCaseError> {
        for exception in &ack.exceptions {
            prop_assert_eq!(read.insert(exception.seq, exception.status), None, "answered twice");
        }
        if ack.through_seq > 0 {
            prop_assert!(ack.through_seq > *seen, "through_seq says nothing new");
            *seen = ack.through_seq;
        }
        (1..=ack.through_seq).for_each(|seq| {
            read.entry(seq).or_insert(AckStatus::Ok.into());
        });
        Ok(())
    }
}
