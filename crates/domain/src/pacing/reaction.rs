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
    /// Pause the campaign until its template may be sent again.
    PauseForTemplate,
    /// Pause the business number until a person looks.
    PauseNumber,
    /// Pause every number of the account until a person looks.
    PauseAccount,
    /// Pause every number of every account of the business portfolio until a person looks.
    PausePortfolio,
}

/// What else is known about a message that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// How often it was refused for this reason so far, this time included.
    pub tries: u32,
    /// The pause that Meta asked for, if it did: milliseconds.
    pub asked: Option<Millis>,
    /// The platform fails for everybody just now, so what looks like this message's own failure is not.
    pub in_outage: bool,
}

impl Circumstances {
    /// Refused so often, and nothing else known.
    pub const fn tried(tries: u32) -> Circumstances {
        Circumstances { tries, asked: None, in_outage: false }
    }
}

impl Retry {
    /// True if the message is to be tried again.
    pub const fn is_later(self) -> bool {
        matches!(self, Retry::After(_))
    }
}

/// What to do about a refusal of `class`.
///
/// The table follows Meta's error reference as of 2026-11. Where the cause is not the message's (an outage, a paused
/// number) it is tried again however often it was refused; otherwise tries are bounded, each reason for itself.
pub fn react(class: RefusalClass, circumstances: &Circumstances) -> Reaction {
    let tries = circumstances.tries.max(1);
    let (message, beyond) = match class {
        RefusalClass::Throughput => (Retry::After(doubling(SECOND, tries)), Beyond::SlowNumber),
        // Meta prescribes 4^n seconds.
        RefusalClass::Pair => (up_to(5, tries, 4_i64.saturating_pow(tries.min(8)) * SECOND), Beyond::Nothing),
        // A try within 24 hours prolongs the block: a day, then two.
        RefusalClass::PerUser => (up_to(3, tries, DAY * i64::from(tries.min(2))), Beyond::Nothing),
        RefusalClass::Recipient | RefusalClass::BadRow => (Retry::Never, Beyond::Nothing),
        RefusalClass::Parameter | RefusalClass::Unknown => (Retry::Never, Beyond::CountAgainstCampaign),
        // A request that is wrong for all rows goes on once a person has mended it; one that is wrong for this row only
        // would pause the campaign for ever.
        RefusalClass::Template | RefusalClass::CampaignRequest => (up_to(3, tries, 0), Beyond::PauseCampaign),
        RefusalClass::TemplatePaused => (up_to(5, tries, 10 * MINUTE), Beyond::PauseForTemplate),
        // The pause keeps it back, not its time: it is due as soon as the pause is lifted.
        RefusalClass::Number => (Retry::After(SECOND), Beyond::PauseNumber),
        RefusalClass::Account | RefusalClass::Credential => (Retry::After(SECOND), Beyond::PauseAccount),
        RefusalClass::Portfolio => (Retry::After(SECOND), Beyond::PausePortfolio),
        RefusalClass::OptedOut => (Retry::Never, Beyond::SuppressPerson),
        RefusalClass::Platform => (Retry::After(doubling(5 * SECOND, tries)), Beyond::CountAgainstNumber),
        // Not without end: the last message of a campaign may be an outage all by itself.
        RefusalClass::Transient | RefusalClass::Ambiguous if circumstances.in_outage => {
            (up_to(20, tries, doubling(5 * SECOND, tries)), Beyond::CountAgainstNumber)
        }
        RefusalClass::Transient => (up_to(4, tries, doubling(2 * SECOND, tries)), Beyond::CountAgainstNumber),
        RefusalClass::Ambiguous => {
            let beyond = if tries < 3 { Beyond::CountAgainstNumber } else { Beyond::PauseCampaign };
            (up_to(5, tries, doubling(2 * SECOND, tries)), beyond)
        }
    };
    let message = match message {
        Retry::After(delay) => Retry::After(delay.max(circumstances.asked.unwrap_or(0))),
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

    /// What becomes of a message at its first refusal, its second and so on, until it fails: its delays.
    fn delays(class: RefusalClass, in_outage: bool) -> Vec<Millis> {
        let react = |tries| react(class, &Circumstances { in_outage, ..Circumstances::tried(tries) }).message;
        (1..50)
            .map_while(|tries| match react(tries) {
                Retry::After(delay) => Some(delay),
                Retry::Never => None,
            })
            .collect()
    }

    fn beyond(class: RefusalClass) -> Beyond {
        react(class, &Circumstances::tried(1)).beyond
    }

    #[test]
    fn an_opted_out_person_is_suppressed_and_never_tried_again() {
        let circumstances = Circumstances { asked: Some(1_000), ..Circumstances::tried(1) };
        let reaction = react(RefusalClass::OptedOut, &circumstances);
        assert_eq!(reaction, Reaction { message: Retry::Never, beyond: Beyond::SuppressPerson });
    }

    #[test]
    fn the_pair_limit_waits_four_to_the_nth_seconds() {
        assert_eq!(delays(RefusalClass::Pair, false), [4_000, 16_000, 64_000, 256_000]);
        assert_eq!(beyond(RefusalClass::Pair), Beyond::Nothing, "the pair waits and nobody else");
    }

    #[test]
    fn a_person_with_enough_marketing_is_left_alone_for_a_day_then_for_two_and_then_for_good() {
        assert_eq!(delays(RefusalClass::PerUser, false), [DAY, 2 * DAY]);
    }

    #[test]
    fn an_outage_costs_no_message_its_tries() {
        let reaction = react(RefusalClass::Platform, &Circumstances::tried(10_000));
        assert_eq!(reaction, Reaction { message: Retry::After(LONGEST), beyond: Beyond::CountAgainstNumber });
    }

    #[test]
    fn one_failure_at_metas_end_is_tried_three_more_times_and_in_an_outage_for_more_than_an_hour() {
        assert_eq!(delays(RefusalClass::Transient, false), [2_000, 4_000, 8_000]);
        for class in [RefusalClass::Transient, RefusalClass::Ambiguous] {
            let delays = delays(class, true);
            assert!(delays.len() < 20 && delays.iter().sum::<Millis>() > 60 * MINUTE, "{class}: {delays:?}");
        }
    }

    #[test]
    fn what_may_be_our_own_fault_pauses_the_campaign_at_the_third_try_unless_the_platform_is_down() {
        let beyond = |tries, in_outage| {
            react(RefusalClass::Ambiguous, &Circumstances { in_outage, ..Circumstances::tried(tries) }).beyond
        };
        assert_eq!([1, 2].map(|tries| beyond(tries, false)), [Beyond::CountAgainstNumber; 2]);
        assert_eq!([3, 4, 5].map(|tries| beyond(tries, false)), [Beyond::PauseCampaign; 3]);
        assert_eq!(beyond(3, true), Beyond::CountAgainstNumber);
        assert_eq!(delays(RefusalClass::Ambiguous, false).len(), 4, "the campaign is paused before anybody fails");
    }

    #[test]
    fn the_pause_that_meta_asks_for_is_kept() {
        let after = |asked| {
            react(RefusalClass::Throughput, &Circumstances { asked: Some(asked), ..Circumstances::tried(1) }).message
        };
        assert_eq!(after(30_000), Retry::After(30_000));
        assert_eq!(after(10), Retry::After(1_000));
    }

    #[test]
    fn what_stops_more_than_a_message_leaves_the_message_due_when_it_is_lifted() {
        for (class, stops) in [
            (RefusalClass::Number, Beyond::PauseNumber),
            (RefusalClass::Account, Beyond::PauseAccount),
            (RefusalClass::Credential, Beyond::PauseAccount),
            (RefusalClass::Portfolio, Beyond::PausePortfolio),
        ] {
            for tries in [1, 1_000] {
                let reaction = react(class, &Circumstances::tried(tries));
                assert_eq!(reaction, Reaction { message: Retry::After(SECOND), beyond: stops }, "{class}");
            }
        }
    }

    #[test]
    fn no_count_of_tries_overflows() {
        for class in RefusalClass::ALL {
            for in_outage in [false, true] {
                for tries in [0, 1, 2, 63, 64, u32::MAX] {
                    let circumstances = Circumstances { in_outage, ..Circumstances::tried(tries) };
                    if let Retry::After(delay) = react(class, &circumstances).message {
                        assert!((0..=2 * DAY).contains(&delay), "{class}: {delay}");
                    }
                }
            }
        }
    }
}
