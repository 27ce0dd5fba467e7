//! Quiet hours: the part of each day in which nobody wants a message, by the wall clock of the person who gets it.

use std::fmt;
use std::str::FromStr;

use chrono::{LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use thiserror::Error;

use super::local::{end_of_gap, wall_clock};
use crate::Millis;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The quiet part of each day, to the minute: `21:00-09:00` is from nine in the evening until nine the next morning,
/// `13:00-15:00` a siesta.
///
/// Where clocks go back, a night lasts from the first time at which the clock shows its beginning until the *last* time
/// at which it shows its end, so that nobody is woken within a night that the clock tells twice. Where clocks go
/// forward, a beginning or an end that the clock jumps over is the instant of the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuietHours {
    /// Minutes after midnight at which they begin, 0 to 1439.
    from: u16,
    /// Minutes after midnight at which they end, 0 to 1439; up to `from`: on the next day.
    to: u16,
}

/// A text that gives no quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QuietHoursError {
    /// Not two times of day.
    #[error("write quiet hours as two times of day, for example 21:00-09:00")]
    NotUnderstood,
    /// They begin when they end: all day, or never, nobody can tell which.
    #[error("quiet hours that end when they begin could mean the whole day or none of it")]
    Empty,
}

impl QuietHours {
    /// When they begin and end, minutes after midnight.
    #[must_use]
    pub const fn minutes(self) -> (u16, u16) {
        (self.from, self.to)
    }

    /// Quiet hours from what [`Self::minutes`] gave. `None` for anything else.
    #[must_use]
    pub fn from_minutes(from: u16, to: u16) -> Option<Self> {
        (from < DAY && to < DAY && from != to).then_some(Self { from, to })
    }

    /// Whether it is quiet at an instant, for people in a zone, and then until when: the first instant at which they may
    /// be written to. `None`: it is not quiet.
    #[must_use]
    pub fn closed_until(self, at: Millis, zone: Tz) -> Option<Millis> {
        let mut until = self.end_of_the_night_of(at, zone)?;
        // A clock that goes back can make one night end within the next: no end of a night is within another.
        for _ in 0..3 {
            match self.end_of_the_night_of(until, zone) {
                Some(later) => until = later,
                None => break,
            }
        }
        Some(until)
    }

    /// The end of the night that an instant is in.
    fn end_of_the_night_of(self, at: Millis, zone: Tz) -> Option<Millis> {
        let today = wall_clock(at, zone)?.date();
        // The night may have begun yesterday; and a clock that goes back over midnight begins it once more.
        [today.pred_opt(), Some(today), today.succ_opt()].into_iter().flatten().find_map(|day| {
            let (begins, ends) = self.night(day, zone)?;
            (begins..ends).contains(&at).then_some(ends)
        })
    }

    /// The night that begins on a day: its first instant, and the first one after it.
    fn night(self, day: NaiveDate, zone: Tz) -> Option<(Millis, Millis)> {
        let last_day = if self.to > self.from { day } else { day.succ_opt()? };
        let begins = shown(day.and_time(time(self.from)?), zone)?.0;
        let ends = shown(last_day.and_time(time(self.to)?), zone)?.1;
        Some((begins, ends))
    }

    /// The next instant after `at` at which they begin or end in a zone: between two of these nothing changes.
    #[must_use]
    pub fn next_change(self, at: Millis, zone: Tz) -> Option<Millis> {
        if let Some(until) = self.closed_until(at, zone) {
            return Some(until);
        }
        let today = wall_clock(at, zone)?.date();
        // No night lasts so long that none begins within the next days.
        let days = std::iter::successors(Some(today), |day: &NaiveDate| day.succ_opt()).take(4);
        days.filter_map(|day| self.night(day, zone)).map(|(begins, _)| begins).find(|begins| *begins > at)
    }
}

fn time(minutes: u16) -> Option<NaiveTime> {
    NaiveTime::from_hms_opt(u32::from(minutes / 60), u32::from(minutes % 60), 0)
}

/// The first and the last instant at which the wall clock of a zone shows a time, or jumps over it.
pub(super) fn shown(local: NaiveDateTime, zone: Tz) -> Option<(Millis, Millis)> {
    Some(match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => (at.timestamp_millis(), at.timestamp_millis()),
        LocalResult::Ambiguous(first, last) => (first.timestamp_millis(), last.timestamp_millis()),
        LocalResult::None => {
            let jump = end_of_gap(local, zone)?.and_utc().timestamp_millis();
            (jump, jump)
        }
    })
}

/// A time of day as people in a zone read it off the wall: `09:00`, and with its weekday (`Mon 09:00`) where that is
/// not the day of `now`, or with its date (`2026-06-10 09:00`) where it is so far away that a weekday could be another.
#[must_use]
pub fn time_of_day(at: Millis, now: Millis, zone: Tz) -> String {
    match (wall_clock(at.saturating_add(59_999), zone), wall_clock(now, zone)) {
        // Rounded up: at the time that is told it has happened.
        (Some(at), Some(now)) if at.date() == now.date() || at - now < TimeDelta::hours(20) => {
            at.format("%H:%M").to_string()
        }
        (Some(at), Some(now)) if at - now > TimeDelta::days(6) => at.format("%Y-%m-%d %H:%M").to_string(),
        (Some(at), _) => at.format("%a %H:%M").to_string(),
        (None, _) => "an unknown time".to_owned(),
    }
}

/// A time as a calendar of a zone has it: `Monday 2 March 2026, 10:00 in Cairo`.
#[must_use]
pub fn at_in_words(at: Millis, zone: Tz) -> String {
    let shown = wall_clock(at, zone).map(|shown| shown.format("%A %-d %B %Y, %H:%M").to_string());
    format!("{} in {}", shown.unwrap_or_else(|| "an unknown time".to_owned()), town(zone))
}

/// A time as the wall clock of a zone has it, to the minute: `2026-03-02 10:00`.
#[must_use]
pub fn wall_clock_words(at: Millis, zone: Tz) -> String {
    wall_clock(at, zone).map_or_else(|| at.to_string(), |shown| shown.format("%Y-%m-%d %H:%M").to_string())
}

/// A zone as people name it: the town, `Cairo` of `Africa/Cairo`.
#[must_use]
pub fn town(zone: Tz) -> String {
    let name = zone.name();
    name.rsplit('/').next().unwrap_or(name).replace('_', " ")
}

impl FromStr for QuietHours {
    type Err = QuietHoursError;

    fn from_str(text: &str) -> Result<Self, QuietHoursError> {
        let (from, to) = text.trim().split_once(['-', '–']).ok_or(QuietHoursError::NotUnderstood)?;
        let minutes = |text: &str| {
            let text = text.trim();
            // Midnight at the end of a day is that of the next.
            let time = if text == "24:00" { "00:00" } else { text };
            let time = NaiveTime::parse_from_str(time, "%H:%M").map_err(|_| QuietHoursError::NotUnderstood)?;
            u16::try_from(time.num_seconds_from_midnight() / 60).map_err(|_| QuietHoursError::NotUnderstood)
        };
        Self::from_minutes(minutes(from)?, minutes(to)?).ok_or(QuietHoursError::Empty)
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Africa::Cairo;
    use chrono_tz::America::{Mexico_City, Sao_Paulo};
    use chrono_tz::Europe::Madrid;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::parse_at;

    const MINUTE: Millis = 60_000;
    const ZONES: [Tz; 4] = [Cairo, Mexico_City, Sao_Paulo, Madrid];

    fn quiet(text: &str) -> QuietHours {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn at(text: &str) -> Millis {
        parse_at(text).unwrap()
    }

    fn shown_in(at: Millis, zone: Tz) -> String {
        zone.timestamp_millis_opt(at).unwrap().format("%Y-%m-%d %H:%M %:z").to_string()
    }

    /// Whether the wall clock shows a quiet minute.
    fn clock_says_quiet(hours: QuietHours, at: Millis, zone: Tz) -> bool {
        let shown = wall_clock(at, zone).unwrap();
        let minute = u16::try_from(shown.hour() * 60 + shown.minute()).unwrap();
        let (from, to) = hours.minutes();
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    #[test]
    fn quiet_hours_are_read_as_they_are_written() {
        for text in ["21:00-09:00", "00:00-06:30", "13:00-15:00", "23:59-00:01"] {
            assert_eq!(quiet(text).to_string(), text);
        }
        assert_eq!(quiet(" 9:05 – 24:00 ").to_string(), "09:05-00:00");
        for (text, error) in [
            ("21:00", QuietHoursError::NotUnderstood),
            ("21-9", QuietHoursError::NotUnderstood),
            ("25:00-09:00", QuietHoursError::NotUnderstood),
            ("21:00-09:60", QuietHoursError::NotUnderstood),
            ("", QuietHoursError::NotUnderstood),
            ("09:00-09:00", QuietHoursError::Empty),
            ("00:00-24:00", QuietHoursError::Empty),
        ] {
            assert_eq!(text.parse::<QuietHours>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_evening_and_the_morning_after_it_are_one_night() {
        let hours = quiet("21:00-09:00");
        for (now, until) in [
            ("2026-06-01T20:59:59+03:00", None),
            ("2026-06-01T21:00:00+03:00", Some("2026-06-02 09:00 +03:00")),
            ("2026-06-02T03:00:00+03:00", Some("2026-06-02 09:00 +03:00")),
            ("2026-06-02T08:59:59+03:00", Some("2026-06-02 09:00 +03:00")),
            ("2026-06-02T09:00:00+03:00", None),
        ] {
            let found = hours.closed_until(at(now), Cairo).map(|at| shown_in(at, Cairo));
            assert_eq!(found.as_deref(), until, "{now}");
        }
    }

    #[test]
    fn nights_in_which_clocks_change_end_when_the_clock_says_so_for_the_last_time() {
        // Cairo goes forward at midnight on the last Friday of April and back at midnight after the last Thursday of
        // October; Madrid at two and at three on Sundays; Mexico City did until 2022, São Paulo at midnight until 2019.
        for (zone, hours, now, until) in [
            (Cairo, "21:00-09:00", "2026-04-23T21:00:00+02:00", "2026-04-24 09:00 +03:00"),
            // The end lies in the gap from 00:00 to 01:00.
            (Cairo, "21:00-00:30", "2026-04-23T23:59:00+02:00", "2026-04-24 01:00 +03:00"),
            (Cairo, "21:00-09:00", "2026-10-29T21:00:00+03:00", "2026-10-30 09:00 +02:00"),
            // The clock shows 23:30 twice, and at 24:00 it is 23:00 again.
            (Cairo, "21:00-23:30", "2026-10-29T23:10:00+03:00", "2026-10-29 23:30 +02:00"),
            (Cairo, "21:00-23:30", "2026-10-29T23:45:00+03:00", "2026-10-29 23:30 +02:00"),
            (Cairo, "23:30-06:00", "2026-10-29T23:15:00+02:00", "2026-10-30 06:00 +02:00"),
            (Madrid, "22:00-02:30", "2026-03-29T01:59:00+01:00", "2026-03-29 03:00 +02:00"),
            (Madrid, "22:00-02:30", "2026-10-25T02:29:00+02:00", "2026-10-25 02:30 +01:00"),
            (Madrid, "22:00-08:00", "2026-10-25T02:59:00+02:00", "2026-10-25 08:00 +01:00"),
            (Mexico_City, "21:00-02:30", "2022-04-03T01:30:00-06:00", "2022-04-03 03:00 -05:00"),
            (Mexico_City, "21:00-01:30", "2022-10-30T01:10:00-05:00", "2022-10-30 01:30 -06:00"),
            (Mexico_City, "21:00-09:00", "2026-04-05T01:30:00-06:00", "2026-04-05 09:00 -06:00"),
            (Sao_Paulo, "21:00-00:30", "2018-11-03T23:59:00-03:00", "2018-11-04 01:00 -02:00"),
            (Sao_Paulo, "21:00-23:30", "2019-02-16T23:20:00-02:00", "2019-02-16 23:30 -03:00"),
            (Sao_Paulo, "21:00-09:00", "2026-11-01T00:00:00-03:00", "2026-11-01 09:00 -03:00"),
        ] {
            let found = quiet(hours).closed_until(at(now), zone).map(|at| shown_in(at, zone));
            assert_eq!(found.as_deref(), Some(until), "{zone} {hours} at {now}");
        }
        // A night that would begin and end within the gap does not take place.
        assert_eq!(quiet("02:10-02:50").closed_until(at("2026-03-29T03:00:00+02:00"), Madrid), None);
    }

    #[test]
    fn a_time_is_told_with_its_day_where_that_is_another_one() {
        let now = at("2026-06-01T22:00:00+03:00");
        assert_eq!(time_of_day(at("2026-06-02T09:00:00+03:00"), now, Cairo), "09:00");
        assert_eq!(time_of_day(at("2026-06-03T09:00:00+03:00"), now, Cairo), "Wed 09:00");
        assert_eq!(time_of_day(at("2026-06-10T09:00:00+03:00"), now, Cairo), "2026-06-10 09:00");
        assert_eq!(at_in_words(at("2026-03-02T10:00:00+02:00"), Cairo), "Monday 2 March 2026, 10:00 in Cairo");
        assert_eq!(wall_clock_words(at("2026-03-02T10:00:00+02:00"), Cairo), "2026-03-02 10:00");
        assert_eq!((town(Cairo), town(Sao_Paulo), town(Tz::UTC)), ("Cairo".into(), "Sao Paulo".into(), "UTC".into()));
    }

    prop_compose! {
        /// Quiet hours, a zone and a minute near a change of its clocks, or any minute of some years.
        fn moment()(from in 0..DAY, length in 1..DAY, zone in 0..ZONES.len(), near in any::<bool>(),
                    change in 0..8_usize, by in -2_000..2_000_i64, any_minute in 0..(13 * 525_600_i64))
            -> (QuietHours, Tz, Millis) {
            let changes = [
                "2026-04-24T00:00:00+02:00", "2026-10-30T00:00:00+02:00", "2026-03-29T02:00:00+01:00",
                "2026-10-25T02:00:00+01:00", "2022-04-03T02:00:00-06:00", "2022-10-30T01:00:00-06:00",
                "2018-11-04T00:00:00-03:00", "2019-02-17T00:00:00-03:00",
            ];
            let start = at("2018-01-01T00:00:00Z");
            let at = if near { at(changes[change]) + by * MINUTE } else { start + any_minute * MINUTE };
            let hours = QuietHours::from_minutes(from, (from + length) % DAY).expect("they differ");
            (hours, ZONES[zone], at)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn nobody_is_written_to_while_their_clock_shows_a_quiet_minute((hours, zone, at) in moment()) {
            if clock_says_quiet(hours, at, zone) {
                prop_assert!(hours.closed_until(at, zone).is_some(), "{hours} {zone} {}", shown_in(at, zone));
            }
        }

        #[test]
        fn a_night_ends_within_a_day_or_so_and_then_it_is_over((hours, zone, at) in moment()) {
            if let Some(until) = hours.closed_until(at, zone) {
                prop_assert!(until > at && until - at <= 50 * 60 * MINUTE);
                prop_assert_eq!(hours.closed_until(until, zone), None);
                prop_assert_eq!(hours.closed_until(until - 1, zone), Some(until));
                prop_assert_eq!(hours.next_change(at, zone), Some(until));
            }
        }

        #[test]
        fn between_two_changes_nothing_changes((hours, zone, at) in moment(), part in 0.0..1.0_f64) {
            let change = hours.next_change(at, zone).expect("days go on");
            prop_assert!(change > at);
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a few days in ms")]
            let between = at + ((change - at) as f64 * part) as Millis;
            prop_assert_eq!(hours.closed_until(at, zone).is_some(), hours.closed_until(between, zone).is_some());
            prop_assert_ne!(hours.closed_until(at, zone).is_some(), hours.closed_until(change, zone).is_some());
        }

        #[test]
        fn on_days_like_any_other_the_clock_alone_decides((hours, zone, at) in moment()) {
            let offset = |at| wall_clock(at, zone).unwrap() - wall_clock(at, Tz::UTC).unwrap();
            let usual = (-30..=30).all(|hours| offset(at + hours * 60 * MINUTE) == offset(at));
            if usual {
                prop_assert_eq!(hours.closed_until(at, zone).is_some(), clock_says_quiet(hours, at, zone));
            }
        }
    }
}
