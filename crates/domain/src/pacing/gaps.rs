//! Gaps between a campaign's turns that are drawn at random, as a person's would be, with the mean and the cap kept.

use super::Micros;

/// Thousandths of the mean: no gap is shorter, or longer, that is drawn by itself.
const SHORTEST: u64 = 300;
const LONGEST: u64 = 2_000 - SHORTEST;
/// From one pattern to the next there are so many steps.
const SEAMS: u64 = 64;
/// A pattern has no more parts; a window of more turns has several.
const MOST_PARTS: u64 = 200;

/// So many turns in any window of so long, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// At most so many.
    pub turns: u32,
    /// In any window of this width.
    pub within: Micros,
}

impl Cap {
    /// How far apart turns are that just keep it.
    fn least(self) -> Micros {
        self.within.div_ceil(u64::from(self.turns.max(1)))
    }

    /// How many patterns a window has, and how many parts each of them: together as many turns as it may have, or a few
    /// less.
    fn patterns(self) -> (u64, u64) {
        let turns = u64::from(self.turns.max(1));
        let patterns = turns.div_ceil(MOST_PARTS);
        (patterns, turns / patterns)
    }
}

/// Gaps around a mean. Each one follows from the seed and its place alone.
///
/// Where the mean is well above what a cap demands, each gap is drawn by itself: evenly between 0.3 and 1.7 times the
/// mean, but never below what keeps the cap. Where a campaign goes as fast as its cap lets it, there is no room for that:
/// whatever is too long can never be caught up. There the gaps of one window are a pattern of uneven parts, which comes
/// again in each window and turns little by little into another one; for each step of that the windows are longer by
/// a 64th, which is all that it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaps {
    mean: Micros,
    cap: Option<Cap>,
    seed: u64,
}

impl Gaps {
    /// Gaps of this mean that keep the cap, if there is one; a mean below what it demands is that.
    #[must_use]
    pub fn new(mean: Micros, cap: Option<Cap>, seed: u64) -> Self {
        let gaps = Self { mean: mean.max(cap.map_or(1, Cap::least)).max(1), cap, seed };
        let Some((cap, parts)) = cap.zip(gaps.pattern()) else { return gaps };
        // Each pattern keeps its own part of the window.
        Self { mean: gaps.mean.max(cap.within.div_ceil(cap.patterns().0 * parts)), ..gaps }
    }

    /// The mean of the gaps as they come.
    #[must_use]
    pub fn mean(&self) -> Micros {
        if self.pattern().is_some() { self.mean.saturating_mul(SEAMS) / (SEAMS - 1) } else { self.mean }
    }

    /// The gap after the turn of this place.
    #[must_use]
    pub fn gap(&self, place: u64) -> Micros {
        match self.pattern() {
            Some(parts) => self.of_a_pattern(parts, place),
            None => {
                let least = self.cap.map_or(0, Cap::least).max(self.mean.saturating_mul(SHORTEST) / 1_000).max(1);
                let most = self.mean.saturating_mul(2).saturating_sub(least).max(least);
                least + self.draw(0, place) % (most - least + 1)
            }
        }
    }

    /// Whether they are as close as the cap lets them, or nearly.
    #[must_use]
    pub fn is_at_the_cap(&self) -> bool {
        self.pattern().is_some()
    }

    /// How many parts a pattern has, where gaps cannot be drawn each by itself.
    fn pattern(&self) -> Option<u64> {
        let cap = self.cap?;
        let is_tight = u128::from(cap.least()) * 1_000 > u128::from(self.mean) * u128::from(2 * SHORTEST);
        is_tight.then(|| cap.patterns().1)
    }

    /// A gap where the parts of each window are the same but for a step towards the next pattern.
    fn of_a_pattern(&self, parts: u64, place: u64) -> Micros {
        let (window, part) = (place / parts, place % parts);
        let (pattern, step) = (window / SEAMS, window % SEAMS);
        // A window that begins among the parts of one step and ends among those of the next is shorter than a whole one
        // by less than a 64th of it.
        let whole = u128::from(self.mean) * u128::from(parts) * u128::from(SEAMS) / u128::from(SEAMS - 1);
        let share = |pattern: u64| {
            let weight = |part: u64| u128::from(SHORTEST + self.draw(pattern + 1, part) % (LONGEST - SHORTEST + 1));
            let all: u128 = (0..parts).map(weight).sum();
            (weight(part), all.max(1))
        };
        let ((here, of_here), (there, of_there)) = (share(pattern), share(pattern + 1));
        let (left, gone) = (u128::from(SEAMS - step), u128::from(step));
        // whole · (left · here / of_here + gone · there / of_there) / SEAMS, rounded up.
        let from_here = (whole * left * here).div_ceil(of_here * u128::from(SEAMS));
        let from_there = (whole * gone * there).div_ceil(of_there * u128::from(SEAMS));
        Micros::try_from(from_here + from_there).unwrap_or(Micros::MAX)
    }

    /// A number of its own for each place, as if thrown (splitmix64).
    fn draw(&self, of: u64, place: u64) -> u64 {
        let mixed = |mut n: u64| {
            n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
            n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            n ^ (n >> 31)
        };
        mixed(mixed(mixed(self.seed) ^ of) ^ place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pacing::SECOND;

    /// When the turns of a run of gaps come.
    fn turns(gaps: &Gaps, count: u64) -> Vec<Micros> {
        let mut at = 0;
        (0..count)
            .map(|place| {
                let turn = at;
                at += gaps.gap(place);
                turn
            })
            .collect()
    }

    fn of(mean: Micros, turns: u32, seed: u64) -> Gaps {
        Gaps::new(mean, Some(Cap { turns, within: SECOND }), seed)
    }

    #[test]
    fn gaps_are_uneven_and_the_same_for_the_same_seed() {
        let gaps = Gaps::new(10 * SECOND, None, 7);
        let drawn: Vec<Micros> = (0..1_000).map(|place| gaps.gap(place)).collect();
        assert!(drawn.iter().all(|gap| (3 * SECOND..=17 * SECOND).contains(gap)));
        let (short, long) =
            (drawn.iter().filter(|gap| **gap < 6 * SECOND), drawn.iter().filter(|gap| **gap > 14 * SECOND));
        assert!(short.count() > 150 && long.count() > 150);
        assert_eq!(drawn, (0..1_000).map(|place| Gaps::new(10 * SECOND, None, 7).gap(place)).collect::<Vec<_>>());
        assert_ne!(gaps.gap(0), Gaps::new(10 * SECOND, None, 8).gap(0));
    }

    #[test]
    fn at_the_cap_itself_gaps_are_uneven_too_and_change_with_time() {
        let gaps = of(SECOND / 20, 20, 3);
        let second: Vec<Micros> = (0..20).map(|place| gaps.gap(place)).collect();
        assert!(second.iter().max().unwrap() > &(2 * second.iter().min().unwrap()), "{second:?}");
        let later: Vec<Micros> = (0..20).map(|place| gaps.gap(64 * 20 + place)).collect();
        assert_ne!(second, later);
        // One a second can only be even.
        let even: Vec<Micros> = (0..500).map(|place| of(SECOND, 1, 3).gap(place)).collect();
        assert!(even.iter().max().unwrap() - even.iter().min().unwrap() <= 2, "but for what is rounded");
    }

    #[test]
    fn any_numbers_at_all_are_taken() {
        for gaps in [
            Gaps::new(0, None, 0),
            Gaps::new(Micros::MAX, None, 1),
            Gaps::new(Micros::MAX, Some(Cap { turns: 0, within: 0 }), 2),
            Gaps::new(0, Some(Cap { turns: u32::MAX, within: Micros::MAX }), 3),
        ] {
            assert!(gaps.gap(0) > 0 && gaps.gap(u64::MAX) > 0 && gaps.mean() > 0);
        }
    }

    proptest! {
        // Ten thousand gaps each.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_mean_is_kept_over_ten_thousand_gaps(mean in 1_000..100_000_000_u64, turns in 1..60_u32, seed in any::<u64>()) {
            for gaps in [Gaps::new(mean, None, seed), of(mean, turns, seed)] {
                let wanted = mean.max(SECOND.div_ceil(u64::from(turns)));
                let wanted = if gaps.cap.is_some() { wanted } else { mean };
                let sum: u64 = (0..10_000).map(|place| gaps.gap(place)).sum();
                prop_assert!((sum / 10_000).abs_diff(wanted) * 100 <= wanted * 2, "{} and {wanted}", sum / 10_000);
                prop_assert!((sum / 10_000).abs_diff(gaps.mean()) * 100 <= gaps.mean() * 2);
            }
        }

        #[test]
        fn no_sliding_second_holds_more_turns_than_the_cap(
            cap in prop_oneof![1..80_u32, 200..1_100_u32], slower in 1_000..4_000_u64, seed in any::<u64>(), from in 0..1_000_000_u64) {
            let gaps = of(SECOND.div_ceil(u64::from(cap)) * slower / 1_000, cap, seed);
            let turns = turns(&gaps, 10_000);
            let too_close = turns.windows(cap as usize + 1).find(|some| some[cap as usize] - some[0] < SECOND);
            prop_assert_eq!(too_close, None);
            // From any place on.
            let late: Micros = (from..from + u64::from(cap)).map(|place| gaps.gap(place)).sum();
            prop_assert!(late >= SECOND);
        }
    }
}
