//! The canary: the first people of a campaign get it alone, and the others only if it did them no harm.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Millis;

/// People of a canary at the most: they are looked through while it is on.
pub const MOST_PEOPLE: i64 = 10_000;

/// How many people go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum CanarySize {
    /// So many.
    People(i64),
    /// So many of each hundred, rounded up.
    Percent(i64),
}

/// A text that is no size of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write a canary as a number of people up to 10000, or as 1% to 50%")]
pub struct NotASize;

impl CanarySize {
    /// How many of an audience that is: at least one, and [`MOST_PEOPLE`] at the most.
    #[must_use]
    pub fn of(self, audience: i64) -> i64 {
        let people = match self {
            Self::People(people) => people,
            Self::Percent(percent) => audience.saturating_mul(percent).saturating_add(99) / 100,
        };
        people.clamp(1, MOST_PEOPLE)
    }
}

impl FromStr for CanarySize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let text = text.trim();
        let number = |digits: &str| digits.trim().parse::<i64>().map_err(|_| NotASize);
        match text.strip_suffix('%') {
            Some(percent) => number(percent).ok().filter(|n| (1..=50).contains(n)).map(Self::Percent),
            None => number(text).ok().filter(|n| (1..=MOST_PEOPLE).contains(n)).map(Self::People),
        }
        .ok_or(NotASize)
    }
}

impl fmt::Display for CanarySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::People(people) => write!(f, "{people}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl From<CanarySize> for String {
    fn from(size: CanarySize) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for CanarySize {
    type Error = NotASize;

    fn try_from(text: String) -> Result<Self, NotASize> {
        text.parse()
    }
}

/// A canary, and what it must not come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// Who goes first.
    pub size: CanarySize,
    /// How long after its last message the others wait, ms: statuses and stops take their time.
    pub wait: Millis,
    /// It fails when more than so many per cent of its messages fail.
    pub most_failed: f64,
    /// It fails when more than so many per cent of its people opt out.
    pub most_opted_out: f64,
}

/// How a canary stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Its people.
    pub people: i64,
    /// Those whose message has not gone, or nobody knows whether it has.
    pub open: i64,
    /// Those whose message failed for good.
    pub failed: i64,
    /// Those who opted out or blocked marketing since it began.
    pub opted_out: i64,
    /// When its last message was accepted, epoch ms.
    pub last_at: Option<Millis>,
}

/// What follows from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet; at this time at the soonest, epoch ms, or not before its messages have gone.
    Waits(Option<Millis>),
    /// The others may go.
    Passed,
    /// They may not, and why.
    Failed(String),
}

impl Canary {
    /// Judges how it stands. It fails as soon as it cannot pass any more, and passes only when all is known.
    #[must_use]
    pub fn judge(&self, tally: &Tally, now: Millis) -> Verdict {
        for (what, count, most) in
            [("failed", tally.failed, self.most_failed), ("opted out", tally.opted_out, self.most_opted_out)]
        {
            if exceeds(count, tally.people, most) {
                return Verdict::Failed(format!("{count} of its {} {what}, more than {most} %", tally.people));
            }
        }
        if tally.open > 0 {
            return Verdict::Waits(None);
        }
        // Whoever was left out altogether leaves nothing to wait for.
        let until = tally.last_at.map(|at| at.saturating_add(self.wait));
        match until {
            Some(until) if now < until => Verdict::Waits(Some(until)),
            _ => Verdict::Passed,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no more than ten thousand people")]
fn exceeds(count: i64, people: i64, most: f64) -> bool {
    count as f64 * 100.0 > people as f64 * most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CANARY: Canary =
        Canary { size: CanarySize::People(100), wait: 60_000, most_failed: 5.0, most_opted_out: 0.5 };

    #[test]
    fn a_size_is_people_or_a_share_rounded_up() {
        assert_eq!(("100".parse(), "1%".parse()), (Ok(CanarySize::People(100)), Ok(CanarySize::Percent(1))));
        for (size, audience, people) in [("100", 20, 100), ("1%", 20, 1), ("1%", 101, 2), ("50%", 1_000_000, 10_000)] {
            assert_eq!(size.parse::<CanarySize>().unwrap().of(audience), people, "{size} of {audience}");
        }
        for text in ["", "0", "-1", "10001", "0%", "51%", "1.5%", "all"] {
            assert_eq!(text.parse::<CanarySize>(), Err(NotASize), "{text}");
        }
        let json = serde_json::to_string(&CANARY).unwrap();
        assert_eq!(serde_json::from_str::<Canary>(&json).unwrap(), CANARY);
    }

    #[test]
    fn it_passes_when_all_is_known_and_the_wait_is_over_and_not_before() {
        let tally = Tally { people: 100, open: 3, failed: 5, opted_out: 0, last_at: Some(1_000) };
        assert_eq!(CANARY.judge(&tally, i64::MAX), Verdict::Waits(None));
        let gone = Tally { open: 0, ..tally };
        assert_eq!(CANARY.judge(&gone, 60_999), Verdict::Waits(Some(61_000)));
        assert_eq!(CANARY.judge(&gone, 61_000), Verdict::Passed);
        assert_eq!(CANARY.judge(&Tally { people: 10, ..Tally::default() }, 0), Verdict::Passed);
    }

    #[test]
    fn it_fails_at_the_first_one_too_many_whatever_is_still_open() {
        let tally = Tally { people: 100, open: 90, failed: 6, ..Tally::default() };
        assert_eq!(CANARY.judge(&tally, 0), Verdict::Failed("6 of its 100 failed, more than 5 %".into()));
        let stopped = Tally { people: 100, opted_out: 1, ..Tally::default() };
        assert_eq!(CANARY.judge(&stopped, 0), Verdict::Failed("1 of its 100 opted out, more than 0.5 %".into()));
    }

    proptest! {
        #[test]
        fn more_harm_never_makes_it_pass(people in 1..1_000_i64, failed in 0..1_000_i64, more in 0..100_i64) {
            let tally = |failed| Tally { people, failed, ..Tally::default() };
            if let Verdict::Failed(_) = CANARY.judge(&tally(failed), 0) {
                prop_assert!(matches!(CANARY.judge(&tally(failed + more), 0), Verdict::Failed(_)));
            }
        }
    }
}
