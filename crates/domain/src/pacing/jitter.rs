//! How unevenly requests travel, and so how much wider than a second a window must be.

use super::Micros;

/// The least margin: 20 ms. A machine that does other things too holds single requests up for longer than 8.
pub const LEAST_MARGIN: Micros = 20_000;
/// The most margin, and the one that holds until enough round trips were seen: 60 ms.
pub const MOST_MARGIN: Micros = 60_000;

/// So many round trips are looked at.
const SAMPLES: usize = 512;
/// After so many new ones the margin is reckoned again.
const EVERY: usize = 32;

/// Watches round-trip times and gives the margin of a lane's window.
///
/// Two requests that left a second and a bit apart arrive within one second if the first took that bit longer. How much
/// longer requests take than the quickest ones do (the 99th percentile less the least) bounds it well enough, and errs
/// on the careful side, since a round trip also holds the time that the other end thinks. The margin rises at once and
/// falls by a tenth at each reckoning.
#[derive(Clone, Debug)]
pub struct Jitter {
    samples: Vec<Micros>,
    /// Where the next sample goes.
    place: usize,
    since_reckoned: usize,
    margin: Micros,
}

impl Default for Jitter {
    fn default() -> Self {
        Jitter::new()
    }
}

impl Jitter {
    /// Nothing seen yet: the margin is the most there is.
    pub fn new() -> Jitter {
        Jitter { samples: Vec::with_capacity(SAMPLES), place: 0, since_reckoned: 0, margin: MOST_MARGIN }
    }

    /// Takes in one round trip, from hand-over to answer.
    pub fn record(&mut self, round_trip: Micros) {
        if self.samples.len() < SAMPLES {
            self.samples.push(round_trip);
        } else {
            self.samples[self.place] = round_trip;
        }
        self.place = (self.place + 1) % SAMPLES;
        self.since_reckoned += 1;
        if self.since_reckoned >= EVERY {
            self.since_reckoned = 0;
            self.reckon();
        }
    }

    /// The margin to add to a window's width, between [`LEAST_MARGIN`] and [`MOST_MARGIN`].
    pub fn margin(&self) -> Micros {
        self.margin
    }

    fn reckon(&mut self) {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let (Some(least), Some(slow)) = (sorted.first(), sorted.get((sorted.len() * 99 / 100).min(sorted.len() - 1)))
        else {
            return;
        };
        let spread = (slow - least).clamp(LEAST_MARGIN, MOST_MARGIN);
        let fallen = (self.margin - self.margin / 10).max(LEAST_MARGIN);
        self.margin = spread.max(fallen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(round_trips: impl IntoIterator<Item = Micros>) -> Jitter {
        let mut jitter = Jitter::new();
        round_trips.into_iter().for_each(|time| jitter.record(time));
        jitter
    }

    #[test]
    fn the_margin_is_wide_until_something_is_known() {
        assert_eq!(Jitter::new().margin(), MOST_MARGIN);
        assert_eq!(after([50_000; 31]).margin(), MOST_MARGIN);
    }

    #[test]
    fn even_round_trips_bring_the_margin_down_to_its_least() {
        assert_eq!(after([120_000; 2_000]).margin(), LEAST_MARGIN);
    }

    #[test]
    fn the_margin_follows_the_spread_and_not_the_latency() {
        let spread = (0..4_000).map(|i| 200_000 + (i * 7_919) % 20_000);
        let margin = after(spread).margin();
        assert!((19_000..=20_000).contains(&margin), "{margin}");
    }

    #[test]
    fn a_burst_of_slow_answers_widens_the_margin_at_once() {
        let mut jitter = after([50_000; 2_000]);
        (0..EVERY).for_each(|_| jitter.record(900_000));
        assert_eq!(jitter.margin(), MOST_MARGIN);
    }

    #[test]
    fn old_round_trips_are_forgotten() {
        let mut jitter = after([900_000; 10].into_iter().chain([50_000; 40]));
        (0..3_000).for_each(|_| jitter.record(50_000));
        assert_eq!(jitter.margin(), LEAST_MARGIN);
    }
}
