//! Spreading a campaign evenly over a length of time: how far apart its messages leave.

use super::{Gaps, Micros};
use crate::Millis;

/// A stall of so long is made up for, and not a moment more: late timers must not add up, and an outage must not end in
/// a burst.
const MADE_UP: Micros = 50_000;
/// Where gaps are drawn as close as a cap lets them, whoever is late cannot wait for a longer gap: so much is made up for,
/// and the cap alone says how fast.
const MADE_UP_AT_THE_CAP: Micros = 500_000;

/// When the next message of an even pace may leave.
///
/// Slower than any rate per second: the gap may be hours. Nothing is saved up: after a pause, an outage or a restart the
/// messages follow each other at the same distance as before, and the whole takes so much longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    gap: Micros,
    next: Micros,
    /// Gaps that are drawn at random, of this mean, and how many were.
    drawn: Option<(Gaps, u64)>,
    /// The gap after the last turn.
    last: Micros,
}

/// How far apart the messages of one lane leave, if so many `people` are spread over `length`, on so many `lanes` that
/// share them. At least a microsecond.
#[must_use]
pub fn gap(people: i64, length: Millis, lanes: i64) -> Micros {
    let whole = (i128::from(length.max(0)) * 1_000).saturating_mul(i128::from(lanes.max(1)));
    Micros::try_from(whole / i128::from(people.max(1))).unwrap_or(Micros::MAX).max(1)
}

impl Spread {
    /// A pace with this gap, whose first message may leave at `first`.
    #[must_use]
    pub fn new(gap: Micros, first: Micros) -> Self {
        Self { gap: gap.max(1), next: first, drawn: None, last: gap.max(1) }
    }

    /// As [`Self::new`], with gaps that are drawn at random.
    #[must_use]
    pub fn drawn(gaps: Gaps, first: Micros) -> Self {
        Self { drawn: Some((gaps, 0)), ..Self::new(gaps.mean(), first) }
    }

    /// How far apart messages leave, on average.
    #[must_use]
    pub fn gap(&self) -> Micros {
        self.gap
    }

    /// When the next one may leave.
    #[must_use]
    pub fn next(&self) -> Micros {
        self.next
    }

    /// Takes a turn, if one may leave now. `false`: not before [`Self::next`].
    pub fn take(&mut self, now: Micros) -> bool {
        if now < self.next {
            return false;
        }
        let late = (now - self.next).min(self.made_up());
        self.last = match &mut self.drawn {
            Some((gaps, place)) => {
                *place += 1;
                gaps.gap(*place)
            }
            None => self.gap,
        };
        self.next = now.saturating_sub(late).saturating_add(self.last);
        true
    }

    /// How late a turn may be for the next ones to come no later for it.
    fn made_up(&self) -> Micros {
        match &self.drawn {
            Some((gaps, _)) if gaps.is_at_the_cap() => MADE_UP_AT_THE_CAP,
            // Of two short gaps in a row the second is soon missed, and the long one after them is there for that.
            Some((gaps, _)) => MADE_UP.max(gaps.mean().saturating_mul(2)).min(MADE_UP_AT_THE_CAP),
            None => MADE_UP,
        }
    }

    /// A turn was not used: the next one may leave in its place.
    pub fn give_back(&mut self) {
        self.next = self.next.saturating_sub(self.last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pacing::SECOND;

    /// Takes turns as they come, looking late by up to `late`, until `end`. When they were taken.
    fn run(spread: &mut Spread, from: Micros, end: Micros, late: impl Fn(usize) -> Micros) -> Vec<Micros> {
        let mut now = from;
        let mut taken = Vec::new();
        while now < end {
            if spread.take(now) {
                taken.push(now);
            } else {
                now = spread.next() + late(taken.len());
            }
        }
        taken
    }

    #[test]
    fn six_hours_for_so_many_people_is_a_fraction_of_a_message_a_second() {
        assert_eq!(gap(6_480, 6 * 3_600_000, 1), 3_333_333);
        assert_eq!(gap(6_480, 6 * 3_600_000, 2), 6_666_666);
        assert_eq!(gap(0, 6 * 3_600_000, 1), 6 * 3_600 * SECOND);
        assert_eq!(gap(i64::MAX, 1, 1), 1);
        assert_eq!(gap(1, i64::MAX, i64::MAX), Micros::MAX);
    }

    #[test]
    fn after_a_stall_nothing_is_caught_up() {
        let mut spread = Spread::new(SECOND, 0);
        assert_eq!(run(&mut spread, 0, 10 * SECOND, |_| 0).len(), 10);
        // An hour in which nothing could leave.
        let after = run(&mut spread, 3_600 * SECOND, 3_610 * SECOND, |_| 0);
        assert_eq!(after.len(), 11, "ten seconds and the made-up moment: {after:?}");
        assert!(after.windows(2).all(|pair| pair[1] - pair[0] >= SECOND - MADE_UP));
    }

    #[test]
    fn a_turn_that_was_not_used_is_there_again_at_once() {
        let mut spread = Spread::new(SECOND, 0);
        assert!(spread.take(0) && !spread.take(1));
        spread.give_back();
        assert!(spread.take(1));
    }

    proptest! {
        #[test]
        fn the_whole_takes_its_length_and_no_stretch_of_it_is_crowded(
            people in 1..2_000_i64, length in 1_000..100_000_000_i64, jitter in 0..30_000_u64) {
            let gap = gap(people, length, 1);
            let late = |n: usize| if jitter == 0 { 0 } else { (n as u64).wrapping_mul(7_919) % jitter };
            let mut spread = Spread::new(gap, 0);
            let end = length.unsigned_abs() * 1_000;
            let taken = run(&mut spread, 0, end, late);
            let wanted = usize::try_from(people).unwrap();
            // The late timers of a crowded spread are made up for; a gap more or less at the ends.
            prop_assert!(taken.len() <= wanted + 1, "{} of {wanted}", taken.len());
            prop_assert!(taken.len() * 100 + 200 >= wanted * 97, "{} of {wanted}", taken.len());
            for (first, pair) in taken.iter().enumerate() {
                // From any message on, the n-th after it is no sooner than n gaps, but for the moment that is made up.
                for n in [1, 5, 50] {
                    if let Some(later) = taken.get(first + n) {
                        prop_assert!(later - pair + MADE_UP >= gap * n as u64);
                    }
                }
            }
        }
    }
}
