//! What a refusal means for the message that was refused, and for all others.

use crate::Millis;
use crate::refusal::RefusalClass;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const DAY: Millis = 24 * 60 * MINUTE;
/// The longest pause before a message is tried again, where Meta asks for none.
const LONGEST: Millis = 5 * MINUTE;

/// What is done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// What becomes of the message.
    pub message: Retry,
    /// What follows for others.
    pub beyond: Beyond,
}

/// What becomes of a refused message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Planned again, not before this many milliseconds from now. The lane's pace spreads what comes due at once.
    After(Millis),
    /// Failed for good.
    Never,
}

/// What a refusal means beyond its message. The text that a person reads is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing: it was about this message or person.
    Nothing,
    /// The person is to be suppressed.
    SuppressPerson,
    /// The number went too fast: cut its rate now and let it grow back.
    SlowNumber,
    /// It counts towards the number's [`Breaker`](super::Breaker).
    CountAgainstNumber,
    /// A reason that nobody knows yet: flag it, and pause the campaign after five in a row.
    CountAgainstCampaign,
    /// Pause the campaign until a person looks: all its messages would be refused.
    PauseCampaign,
    /// Pause the business number until a person looks.
    PauseNumber,
    /// Pause every number of the account until a person looks.
    PauseAccount,
}

impl Retry {
    /// True if the message is to be tried again.
    pub const fn is_later(self) -> bool {
        matches!(self, Retry::After(_))
    }
}

/// What to do about a refusal of `class` for a message that was tried `tries` times so far, this time included.
/// `retry_after` is the pause that Meta asked for, if it did.
///
/// The table follows Meta's error reference as of 2026-11. Where the cause is not the message's (an outage, a paused
/// number) it is tried again however often it was refused; otherwise tries are bounded.
pub fn react(class: RefusalClass, tries: u32, retry_after: Option<Millis>) -> Reaction {
    let tries = tries.max(1);
    let (message, beyond) = match class {
        RefusalClass::Throughput => (Retry::After(doubling(SECOND, tries)), Beyond::SlowNumber),
        // Meta prescribes 4^n seconds.
        RefusalClass::Pair => (up_to(5, tries, 4_i64.saturating_pow(tries.min(8)) * SECOND), Beyond::Nothing),
        RefusalClass::PerUser => (up_to(3, tries, DAY), Beyond::Nothing),
        RefusalClass::Recipient | RefusalClass::BadRow => (Retry::Never, Beyond::Nothing),
        // A request that is wrong for all rows goes on once a person has mended it; one that is wrong for this row only
        // would pause the campaign for ever.
        RefusalClass::Template | RefusalClass::CampaignRequest => (up_to(3, tries, 0), Beyond::PauseCampaign),
        RefusalClass::TemplatePaused => (up_to(5, tries, 10 * MINUTE), Beyond::PauseCampaign),
        RefusalClass::Number => (Retry::After(MINUTE), Beyond::PauseNumber),
        RefusalClass::Account | RefusalClass::Credential => (Retry::After(MINUTE), Beyond::PauseAccount),
        RefusalClass::OptedOut => (Retry::Never, Beyond::SuppressPerson),
        RefusalClass::Platform => (Retry::After(doubling(5 * SECOND, tries)), Beyond::CountAgainstNumber),
        RefusalClass::Transient => (up_to(4, tries, doubling(2 * SECOND, tries)), Beyond::CountAgainstNumber),
        RefusalClass::Unknown => (Retry::Never, Beyond::CountAgainstCampaign),
    };
    let message = match message {
        Retry::After(delay) => Retry::After(delay.max(retry_after.unwrap_or(0))),
        Retry::Never => Retry::Never,
    };
    Reaction { message, beyond }
}

/// Again after `delay`, unless that was the `most`-th try.
fn up_to(most: u32, tries: u32, delay: Millis) -> Retry {
    if tries < most { Retry::After(delay) } else { Retry::Never }
}

/// Twice as long after each try, up to [`LONGEST`].
fn doubling(first: Millis, tries: u32) -> Millis {
    first.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opted_out_person_is_suppressed_and_never_tried_again() {
        let reaction = react(RefusalClass::OptedOut, 1, Some(1_000));
        assert_eq!(reaction, Reaction { message: Retry::Never, beyond: Beyond::SuppressPerson });
    }

    #[test]
    fn the_pair_limit_waits_four_to_the_nth_seconds() {
        let delays: Vec<_> = (1..=5).map(|tries| react(RefusalClass::Pair, tries, None).message).collect();
        let after = |seconds| Retry::After(seconds * SECOND);
        assert_eq!(delays, [after(4), after(16), after(64), after(256), Retry::Never]);
    }

    #[test]
    fn a_person_with_enough_marketing_is_left_alone_for_a_day_and_tried_twice_more() {
        for tries in [1, 2] {
            assert_eq!(react(RefusalClass::PerUser, tries, None).message, Retry::After(DAY));
        }
        assert_eq!(react(RefusalClass::PerUser, 3, None).message, Retry::Never);
    }

    #[test]
    fn an_outage_costs_no_message_its_tries() {
        let reaction = react(RefusalClass::Platform, 10_000, None);
        assert_eq!(reaction, Reaction { message: Retry::After(LONGEST), beyond: Beyond::CountAgainstNumber });
    }

    #[test]
    fn one_failure_at_metas_end_is_tried_three_more_times() {
        let tried = (1..10).take_while(|tries| react(RefusalClass::Transient, *tries, None).message.is_later()).count();
        assert_eq!(tried, 3);
    }

    #[test]
    fn the_pause_that_meta_asks_for_is_kept() {
        assert_eq!(react(RefusalClass::Throughput, 1, Some(30_000)).message, Retry::After(30_000));
        assert_eq!(react(RefusalClass::Throughput, 1, Some(10)).message, Retry::After(1_000));
    }

    #[test]
    fn a_number_in_trouble_stops_itself_and_an_account_stops_all_of_its_numbers() {
        assert_eq!(react(RefusalClass::Number, 1, None).beyond, Beyond::PauseNumber);
        assert_eq!(react(RefusalClass::Account, 1, None).beyond, Beyond::PauseAccount);
        assert_eq!(react(RefusalClass::Credential, 1, None).beyond, Beyond::PauseAccount);
    }

    #[test]
    fn no_count_of_tries_overflows() {
        for class in RefusalClass::ALL {
            for tries in [0, 1, 63, 64, u32::MAX] {
                if let Retry::After(delay) = react(class, tries, None).message {
                    assert!((0..=DAY).contains(&delay), "{class}: {delay}");
                }
            }
        }
    }
}
