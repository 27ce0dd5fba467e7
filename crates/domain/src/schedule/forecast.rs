//! When a campaign ends that keeps a pace, waits for the mornings of its people and may have an end of its own.

use chrono_tz::Tz;

use super::quiet::QuietHours;
use crate::Millis;

/// Changes of the clock that are gone through before a forecast gives up: years of nights.
const MOST_STEPS: usize = 20_000;

/// What is known of a campaign before it runs.
#[derive(Clone, Debug)]
pub struct Forecast<'a> {
    /// When its first message may leave.
    pub from: Millis,
    /// How many people it has in each zone.
    pub people: &'a [(Tz, i64)],
    /// Its pace: messages a second. Not above zero: as fast as may be.
    pub per_second: f64,
    /// When nobody may be written to.
    pub quiet: Option<QuietHours>,
    /// From when nothing more is sent.
    pub stop_at: Option<Millis>,
}

/// What will become of a campaign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// When its last message leaves.
    pub finish: Millis,
    /// How many people the message does not reach before its end.
    pub left_over: i64,
    /// How long it waits because it is quiet for everybody who is left, ms.
    pub waits: Millis,
}

/// Reckons a campaign through, from one beginning or end of quiet hours to the next. While several zones are awake the
/// pace is shared among their people by how many are left, as the order of sending does on average.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "people and milliseconds far below 2^53")]
pub fn forecast(campaign: &Forecast<'_>) -> Outlook {
    let mut left: Vec<(Tz, f64)> =
        campaign.people.iter().map(|(zone, people)| (*zone, (*people).max(0) as f64)).collect();
    let per_ms = if campaign.per_second > 0.0 { campaign.per_second / 1_000.0 } else { f64::INFINITY };
    let (mut now, mut waits) = (campaign.from, 0);
    for _ in 0..MOST_STEPS {
        left.retain(|(_, people)| *people > 0.0);
        let all: f64 = left.iter().map(|(_, people)| people).sum();
        if all <= 0.0 || campaign.stop_at.is_some_and(|stop| now >= stop) {
            break;
        }
        let is_open = |zone: Tz| campaign.quiet.is_none_or(|quiet| quiet.closed_until(now, zone).is_none());
        let next_change = campaign
            .quiet
            .and_then(|quiet| left.iter().filter_map(|(zone, _)| quiet.next_change(now, *zone)).min())
            .unwrap_or(Millis::MAX);
        let until = next_change.min(campaign.stop_at.unwrap_or(Millis::MAX));
        let awake: f64 = left.iter().filter(|(zone, _)| is_open(*zone)).map(|(_, people)| people).sum();
        if awake <= 0.0 {
            if until == Millis::MAX {
                break;
            }
            waits += until - now;
            now = until;
            continue;
        }
        let needed = awake / per_ms;
        let room = (until - now) as f64;
        if needed <= room {
            left.iter_mut().filter(|(zone, _)| is_open(*zone)).for_each(|(_, people)| *people = 0.0);
            #[expect(clippy::cast_possible_truncation, reason = "no more than the room, which is of this type")]
            let took = needed.ceil() as Millis;
            now = now.saturating_add(took);
        } else {
            let share = room / needed;
            left.iter_mut().filter(|(zone, _)| is_open(*zone)).for_each(|(_, people)| *people *= 1.0 - share);
            now = until;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "no more than the people there were")]
    let left_over = left.iter().map(|(_, people)| people).sum::<f64>().round() as i64;
    Outlook { finish: now, left_over, waits }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Africa::Cairo;
    use chrono_tz::America::Mexico_City;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::parse_at;

    const HOUR: Millis = 3_600_000;

    fn at(text: &str) -> Millis {
        parse_at(text).unwrap()
    }

    fn campaign(people: &[(Tz, i64)]) -> Forecast<'_> {
        Forecast { from: at("2026-06-01T20:00:00+03:00"), people, per_second: 1.0, quiet: None, stop_at: None }
    }

    #[test]
    fn without_quiet_hours_the_pace_alone_decides() {
        let outlook = forecast(&campaign(&[(Cairo, 3_600), (Mexico_City, 3_600)]));
        assert_eq!(outlook, Outlook { finish: at("2026-06-01T22:00:00+03:00"), left_over: 0, waits: 0 });
        let fast = forecast(&Forecast { per_second: 0.0, ..campaign(&[(Cairo, 1_000_000)]) });
        assert_eq!(fast.finish, at("2026-06-01T20:00:00+03:00"));
    }

    #[test]
    fn a_night_is_waited_through() {
        let quiet = "21:00-09:00".parse().ok();
        // An hour in the evening, another in the morning.
        let outlook = forecast(&Forecast { quiet, ..campaign(&[(Cairo, 7_200)]) });
        assert_eq!(outlook, Outlook { finish: at("2026-06-02T10:00:00+03:00"), left_over: 0, waits: 12 * HOUR });
        // While Cairo sleeps it is afternoon in Mexico, and nobody waits.
        let outlook = forecast(&Forecast { quiet, ..campaign(&[(Mexico_City, 7_200)]) });
        assert_eq!(outlook, Outlook { finish: at("2026-06-01T22:00:00+03:00"), left_over: 0, waits: 0 });
    }

    #[test]
    fn whoever_is_not_reached_before_the_end_is_counted() {
        let ends = at("2026-06-01T20:30:00+03:00");
        let stop_at = Some(ends);
        let outlook = forecast(&Forecast { stop_at, ..campaign(&[(Cairo, 3_600)]) });
        assert_eq!((outlook.finish, outlook.left_over), (ends, 1_800));
        let quiet = "19:00-09:00".parse().ok();
        let asleep = forecast(&Forecast { stop_at, quiet, ..campaign(&[(Cairo, 3_600)]) });
        assert_eq!((asleep.left_over, asleep.waits), (3_600, HOUR / 2));
    }

    proptest! {
        #[test]
        fn everybody_is_reached_or_left_over_and_no_sooner_than_the_pace_allows(
            cairo in 0..100_000_i64, mexico in 0..100_000_i64, rate in 1..200_u32, from in 0..1_440_u16,
            length in 1..1_440_u16, stop in prop::option::of(0..200_i64)) {
            let people = [(Cairo, cairo), (Mexico_City, mexico)];
            let quiet = QuietHours::from_minutes(from, (from + length) % 1_440);
            let base = campaign(&people);
            let stop_at = stop.map(|hours| base.from + hours * HOUR);
            let all = Forecast { per_second: f64::from(rate), quiet, stop_at, ..base };
            let outlook = forecast(&all);
            let took = outlook.finish - all.from;
            let sent = cairo + mexico - outlook.left_over;
            prop_assert!((0..=cairo + mexico).contains(&sent));
            prop_assert!(sent * 1_000 <= (took - outlook.waits + 2) * i64::from(rate) + 2_000);
            prop_assert!(stop_at.is_none_or(|stop| outlook.finish <= stop));
            prop_assert!(stop_at.is_some() || outlook.left_over == 0);
        }
    }
}
