//! How much later than a prompt one a message may have arrived, told by its answer.

use std::collections::VecDeque;

use super::{Micros, SECOND};

/// What lateness may cost on average, 100 ms a message: with all of it a lane uses 91 per cent of its rate. It does so
/// only where answers come very unevenly, and there the rate holds all the same.
pub const BUDGET: Micros = 100_000;

/// Until so many round trips over so long are known, all of a round trip may have been the way there: the first ones may
/// share one stall.
const FEWEST: usize = 8;
const SOONEST: Micros = 2 * SECOND;
/// At most so many are looked at…
const MOST: usize = 4_096;
/// …and none older than this, as long as there are newer ones.
const MEMORY: Micros = 30 * SECOND;
/// After so many new ones the usual round trip is reckoned again.
const EVERY: u32 = 32;
/// More than this of one round trip is not looked at: a message that hung says nothing about the others.
const LONGEST: Micros = SECOND;

/// Watches round trips and tells which part of one may have passed before the message arrived.
///
/// A message arrives before its answer leaves. The quickest round trip seen holds the least that the way there and back
/// take; what another one took beyond it may all have passed on the way there. That errs on the careful side, since the
/// other end may just have thought for long; so where answers come very unevenly the usual round trip is set higher,
/// until lateness costs no more than [`BUDGET`] on average. A rare stall costs little on average, and counts in full.
#[derive(Clone, Debug, Default)]
pub struct Jitter {
    /// When round trips ended and how long they took, oldest first.
    samples: VecDeque<(Micros, Micros)>,
    since_reckoned: u32,
    /// Enough was known once; later ones may come faster than they span so long.
    knows: bool,
    usual: Micros,
}

impl Jitter {
    /// Nothing seen yet: every round trip is late by all of it.
    pub fn new() -> Jitter {
        Jitter::default()
    }

    /// Takes in a round trip that ended at `now`, and tells how late its message may have arrived.
    pub fn record(&mut self, now: Micros, round_trip: Micros) -> Micros {
        self.samples.push_back((now, round_trip.min(LONGEST)));
        if self.samples.len() > MOST {
            self.samples.pop_front();
        }
        self.since_reckoned += 1;
        // Often while little is known.
        if self.since_reckoned >= EVERY || self.samples.len() <= EVERY as usize {
            self.since_reckoned = 0;
            while self.samples.len() > FEWEST
                && self.samples.front().is_some_and(|(at, _)| at.saturating_add(MEMORY) <= now)
            {
                self.samples.pop_front();
            }
            self.usual = self.reckon();
            self.knows |= self.usual > 0;
        }
        round_trip.saturating_sub(self.usual)
    }

    /// The round trip beyond which a message counts as late.
    pub fn usual(&self) -> Micros {
        self.usual
    }

    fn reckon(&self) -> Micros {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else { return 0 };
        if !self.knows && (self.samples.len() < FEWEST || last.0.saturating_sub(first.0) < SOONEST) {
            return 0;
        }
        let mut slowest: Vec<Micros> = self.samples.iter().map(|(_, round_trip)| *round_trip).collect();
        slowest.sort_unstable_by(|a, b| b.cmp(a));
        let all = BUDGET * slowest.len() as u64;
        let mut sum = 0;
        for (place, round_trip) in slowest.iter().enumerate() {
            let above = place as u64;
            // The cost if this round trip were the usual one; never negative, since those before it are longer.
            if sum - above * round_trip > all {
                return (sum - all) / above;
            }
            sum += round_trip;
        }
        slowest.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Round trips one every 10 ms; the lateness of each.
    fn lateness(round_trips: impl IntoIterator<Item = Micros>) -> Vec<Micros> {
        let mut jitter = Jitter::new();
        round_trips.into_iter().zip(1u64..).map(|(time, i)| jitter.record(i * 10_000, time)).collect()
    }

    const KNOWN: usize = 201 + EVERY as usize;

    fn mean(times: &[Micros]) -> Micros {
        times.iter().sum::<u64>() / times.len() as u64
    }

    #[test]
    fn until_something_is_known_a_message_may_have_taken_all_of_its_round_trip() {
        assert_eq!(lateness([50_000; 200]), [50_000; 200]);
    }

    #[test]
    fn even_answers_are_never_late_however_long_they_take() {
        assert!(lateness([700_000; 2_000])[KNOWN..].iter().all(|late| *late == 0));
    }

    #[test]
    fn a_spread_within_the_budget_is_counted_in_full() {
        let late = lateness((0..4_000).map(|i| 200_000 + (i * 7_919) % 30_000));
        assert!(mean(&late[1_000..]).abs_diff(15_000) < 200, "{}", mean(&late[1_000..]));
    }

    #[test]
    fn a_rare_stall_is_counted_in_full() {
        let mut round_trips = vec![1_000; 3_000];
        round_trips[2_500..2_600].iter_mut().zip(0u64..).for_each(|(time, i)| *time = 170_000 - i * 1_000);
        assert_eq!(lateness(round_trips)[2_500], 169_000);
    }

    #[test]
    fn answers_that_always_come_unevenly_cost_no_more_than_the_budget() {
        let late = lateness((0..8_000).map(|i| 100_000 + (i * 7_919) % 600_000));
        assert!(mean(&late[5_000..]) <= BUDGET + 500, "{}", mean(&late[5_000..]));
    }

    #[test]
    fn old_round_trips_are_forgotten() {
        let late = lateness([10_000; 300].into_iter().chain([20_000; 4_000]));
        assert_eq!(late[400], 10_000);
        assert_eq!(late[4_250], 0);
    }

    proptest! {
        #[test]
        fn lateness_costs_no_more_than_the_budget_over_what_is_remembered(round_trips in prop::collection::vec(0..2_000_000u64, 8..60)) {
            let mut jitter = Jitter::new();
            round_trips.iter().zip(0..).for_each(|(time, i)| { jitter.record(i * SECOND / 2, *time); });
            let usual = jitter.reckon();
            let cost: u64 = round_trips.iter().map(|time| (*time).min(LONGEST).saturating_sub(usual)).sum();
            prop_assert!(cost <= (BUDGET + 1) * round_trips.len() as u64);
            let least = round_trips.iter().copied().min().unwrap_or(0).min(LONGEST);
            prop_assert!(usual >= least);
            // Not higher than it must be.
            if usual > least {
                prop_assert!(cost + round_trips.len() as u64 >= BUDGET * round_trips.len() as u64);
            }
        }
    }
}
