//! One refused message is not a broken number; many are.

use std::collections::VecDeque;

use super::{Micros, SECOND};

/// Over so long the share of failures is taken.
const SPAN: Micros = 5 * SECOND;
/// So many per cent of failures trip it…
const SHARE: usize = 5;
/// …if they are at least so many: a few early ones are no storm.
const FEWEST: usize = 10;
/// So many failures in a row trip it whatever the share.
const IN_A_ROW: u32 = 10;

/// Watches a business number's answers. It trips when 5% of the last five seconds failed, or ten in a row.
///
/// Counts only failures of the platform's; a wrong row or an unreachable person says nothing about the number.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    answers: VecDeque<(Micros, bool)>,
    failures: usize,
    in_a_row: u32,
}

impl Breaker {
    /// Nothing seen yet.
    pub fn new() -> Breaker {
        Breaker::default()
    }

    /// Takes in one answer and tells whether the number should back off now. Having tripped, it starts over, so that
    /// the first answers after the pause are judged on their own.
    pub fn record(&mut self, now: Micros, failed: bool) -> bool {
        while self.answers.front().is_some_and(|(at, _)| at.saturating_add(SPAN) <= now) {
            if let Some((_, true)) = self.answers.pop_front() {
                self.failures -= 1;
            }
        }
        self.answers.push_back((now, failed));
        if !failed {
            self.in_a_row = 0;
            return false;
        }
        self.failures += 1;
        self.in_a_row += 1;
        let storm = self.failures >= FEWEST && self.failures * 100 >= self.answers.len() * SHARE;
        let tripped = storm || self.in_a_row >= IN_A_ROW;
        if tripped {
            *self = Breaker::new();
        }
        tripped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_few_answers_does_not_trip() {
        let mut breaker = Breaker::new();
        assert!(!(0..10u64).any(|i| breaker.record(i * 100_000, i == 5)));
    }

    #[test]
    fn five_per_cent_of_five_seconds_trip() {
        let mut breaker = Breaker::new();
        // Every twentieth of 80 a second fails: at the two hundredth answer ten have.
        let tripped = (1..=400u64).find(|i| breaker.record(i * 12_500, i % 20 == 0));
        assert_eq!(tripped, Some(200));
    }

    #[test]
    fn four_per_cent_never_trip() {
        let mut breaker = Breaker::new();
        assert!(!(1..=10_000u64).any(|i| breaker.record(i * 12_500, i % 25 == 0)));
    }

    #[test]
    fn failures_in_a_row_trip_however_slowly_they_come() {
        let mut breaker = Breaker::new();
        let tripped = (1..=20u64).find(|i| breaker.record(i * 60 * SECOND, true));
        assert_eq!(tripped, Some(10));
    }

    #[test]
    fn what_is_older_than_five_seconds_no_longer_counts() {
        let mut breaker = Breaker::new();
        assert!(!(0..9u64).any(|i| breaker.record(i, true)));
        assert!(!breaker.record(1, false));
        assert!(!breaker.record(10 * SECOND, true));
    }

    #[test]
    fn it_starts_over_after_it_has_tripped() {
        let mut breaker = Breaker::new();
        let trips = (1..=20u64).filter(|i| breaker.record(*i, true)).count();
        assert_eq!(trips, 2, "at the tenth and at the twentieth failure");
    }
}
