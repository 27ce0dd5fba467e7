//! The two limits on sending: per business number, and per pair of business number and person.

use crate::chance::IntMap;
use crate::settings::PairRate;
use std::collections::VecDeque;

/// One second, in the microseconds of the simulator's clock.
const SECOND_US: i64 = 1_000_000;

/// Arrivals at one business number within the last second that were let through.
#[derive(Debug, Default)]
pub(crate) struct Throughput {
    recent: VecDeque<i64>,
}

impl Throughput {
    /// Lets an arrival through unless that would make more than `rate` in some sliding second; `None` is unlimited.
    /// Times in microseconds, never going back.
    pub(crate) fn admit(&mut self, at_us: i64, rate: Option<u32>) -> bool {
        let Some(rate) = rate else {
            self.recent.clear();
            return true;
        };
        while self.recent.front().is_some_and(|first| *first <= at_us - SECOND_US) {
            self.recent.pop_front();
        }
        if self.recent.len() >= rate as usize {
            return false;
        }
        self.recent.push_back(at_us);
        true
    }
}

/// The messages of every pair that still owes waiting time.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    open: IntMap<(u16, u32), Spell>,
    sweep_at: usize,
}

/// A run of messages that began at a time, each of which costs one spacing from then on.
#[derive(Clone, Copy, Debug)]
struct Spell {
    began_us: i64,
    count: u32,
}

impl Pairs {
    /// Lets a message through unless the pair has spent its credit.
    pub(crate) fn admit(&mut self, number: u16, person: u32, at_us: i64, limit: PairRate) -> bool {
        if !limit.enabled {
            return true;
        }
        let spacing_us = i64::try_from(limit.spacing_ms).unwrap_or(i64::MAX / 4096).saturating_mul(1000);
        let ends = |spell: &Spell| spell.began_us.saturating_add(spacing_us.saturating_mul(i64::from(spell.count)));
        // Sweeping at doubled sizes keeps the map as small as the pairs that still wait, at constant cost per message.
        if self.open.len() >= self.sweep_at.max(4096) {
            self.open.retain(|_, spell| ends(spell) > at_us);
            self.sweep_at = self.open.len() * 2;
        }
        let spell = self.open.entry((number, person)).or_insert(Spell { began_us: at_us, count: 0 });
        if at_us >= ends(spell) {
            *spell = Spell { began_us: at_us, count: 1 };
            return true;
        }
        if at_us - spell.began_us < spacing_us && spell.count < limit.burst {
            spell.count += 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_the_rate_and_not_one_more() {
        let mut throughput = Throughput::default();
        for i in 0..80 {
            assert!(throughput.admit(i * 1000, Some(80)));
        }
        assert!(!throughput.admit(999_999, Some(80)));
        assert!(throughput.admit(1_000_000, Some(80)), "exactly one second later the first slot is free");
        assert!(!throughput.admit(1_000_500, Some(80)));
        assert!(throughput.admit(1_000_500, None));
    }

    proptest::proptest! {
        #[test]
        fn no_sliding_second_ever_holds_more_than_the_rate(
            gaps in proptest::collection::vec(0_i64..60_000, 1..400),
            rate in 1_u32..50,
        ) {
            let mut throughput = Throughput::default();
            let mut at = 0;
            let mut let_through = Vec::new();
            for gap in gaps {
                at += gap;
                if throughput.admit(at, Some(rate)) {
                    let_through.push(at);
                }
            }
            for window in let_through.windows(rate as usize + 1) {
                proptest::prop_assert!(window[rate as usize] - window[0] >= SECOND_US);
            }
        }
    }

    #[test]
    fn a_burst_to_one_person_is_paid_back_by_waiting() {
        let mut pairs = Pairs::default();
        let limit = PairRate::default();
        for i in 0..20 {
            assert!(pairs.admit(0, 1, i * 1000, limit));
        }
        assert!(!pairs.admit(0, 1, 7 * SECOND_US, limit), "after the burst comes silence");
        assert!(!pairs.admit(0, 1, 119 * SECOND_US, limit));
        assert!(pairs.admit(0, 1, 120 * SECOND_US, limit), "twenty messages cost two minutes");
        assert!(pairs.admit(0, 2, 7 * SECOND_US, limit), "another person is another pair");
        assert!(pairs.admit(1, 1, 7 * SECOND_US, limit), "another number is another pair");
    }

    #[test]
    fn a_burst_never_exceeds_its_bound() {
        let mut pairs = Pairs::default();
        let let_through = (0..100).filter(|i| pairs.admit(0, 1, *i, PairRate::default())).count();
        assert_eq!(let_through, 45);
    }

    #[test]
    fn paid_up_pairs_are_forgotten() {
        let mut pairs = Pairs::default();
        for person in 0..100_000 {
            pairs.admit(0, person, i64::from(person) * 10_000, PairRate::default());
        }
        assert!(pairs.open.len() < 10_000, "{}", pairs.open.len());
    }
}
