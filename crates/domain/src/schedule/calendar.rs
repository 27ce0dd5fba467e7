//! When nobody may be written to: the quiet part of each day and the blackout days, together.

use std::fmt;
use std::str::FromStr;

use chrono::Days;
use chrono_tz::Tz;

use super::blackout::Blackout;
use super::local::wall_clock;
use super::quiet::QuietHours;
use super::zone::{UnknownZone, parse_zone};
use crate::Millis;
use crate::phone::Region;

/// Nights and days that are gone through for the end of one wait: more than two years of them.
const MOST_STEPS: usize = 1_600;

/// Where a person is, as far as their days are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whereabouts {
    /// By whose clock their days are counted.
    pub zone: Tz,
    /// The country of their number, where it matters.
    pub country: Option<Region>,
}

impl From<Tz> for Whereabouts {
    fn from(zone: Tz) -> Self {
        Self { zone, country: None }
    }
}

/// `Africa/Cairo EG`, or without a country `Africa/Cairo`.
impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.zone.name())?;
        self.country.map_or(Ok(()), |country| write!(f, " {country}"))
    }
}

impl FromStr for Whereabouts {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        let (zone, country) = text.split_once(' ').map_or((text, None), |(zone, country)| (zone, Some(country)));
        let country = country.map(Region::from_str).transpose().map_err(|_| UnknownZone(text.to_owned()))?;
        Ok(Self { zone: parse_zone(zone)?, country })
    }
}

/// Quiet hours and blackout days. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The quiet part of each day.
    pub quiet: Option<QuietHours>,
    /// Days on which nobody is written to.
    pub blackouts: Vec<Blackout>,
}

/// A time at which somebody may not be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed<'a> {
    /// The first instant at which they may be.
    pub until: Millis,
    /// The last blackout days that are over by then; `None`: only the night is.
    pub after: Option<&'a Blackout>,
}

impl Calendar {
    /// Whether it never forbids anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quiet.is_none() && self.blackouts.is_empty()
    }

    /// Whether the country of a person's number matters.
    #[must_use]
    pub fn asks_for_countries(&self) -> bool {
        self.blackouts.iter().any(|blackout| blackout.country().is_some())
    }

    /// Whether it can forbid anything at an instant or within the hour after it, to anybody anywhere. A quick look: where
    /// it says no, nobody's zone need be found.
    #[must_use]
    pub fn may_forbid(&self, at: Millis) -> bool {
        let Some(today) = wall_clock(at, Tz::UTC).map(|shown| shown.date()) else { return true };
        let around = [today.checked_sub_days(Days::new(1)), Some(today), today.checked_add_days(Days::new(1))];
        self.quiet.is_some()
            || around.iter().flatten().any(|day| self.blackouts.iter().any(|blackout| blackout.covers(*day)))
    }

    /// Until when somebody may not be written to, at an instant; `None`: they may be.
    #[must_use]
    pub fn closed(&self, at: Millis, place: Whereabouts) -> Option<Closed<'_>> {
        let mut found = Closed { until: at, after: None };
        // A night may end on a blackout day, and that one in the next night.
        for _ in 0..MOST_STEPS {
            if let Some((until, blackout)) = self.blackout_day(found.until, place) {
                found = Closed { until, after: Some(blackout) };
            } else if let Some(until) = self.quiet.and_then(|quiet| quiet.closed_until(found.until, place.zone)) {
                found.until = until;
            } else {
                break;
            }
        }
        (found.until > at).then_some(found)
    }

    /// The blackout day that an instant is in: its end.
    fn blackout_day(&self, at: Millis, place: Whereabouts) -> Option<(Millis, &Blackout)> {
        let own = self.blackouts.iter().filter(|blackout| blackout.is_for(place.country));
        own.filter_map(|blackout| Some((blackout.end_of_the_day_of(at, place.zone)?, blackout))).next()
    }

    /// The next instant after `at` at which somebody's messages are held back or let go: between two of these nothing
    /// changes.
    #[must_use]
    pub fn next_change(&self, at: Millis, place: Whereabouts) -> Option<Millis> {
        if let Some(closed) = self.closed(at, place) {
            return Some(closed.until);
        }
        let nights = self.quiet.and_then(|quiet| quiet.next_change(at, place.zone));
        let own = self.blackouts.iter().filter(|blackout| blackout.is_for(place.country));
        own.filter_map(|blackout| blackout.next_beginning(at, place.zone)).chain(nights).min()
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Africa::Cairo;
    use chrono_tz::America::{Mexico_City, Sao_Paulo};
    use chrono_tz::Europe::Madrid;
    use chrono_tz::Pacific::{Kiritimati, Pago_Pago};
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::parse_at;

    const MINUTE: Millis = 60_000;
    const ZONES: [Tz; 6] = [Cairo, Mexico_City, Sao_Paulo, Madrid, Kiritimati, Pago_Pago];

    fn at(text: &str) -> Millis {
        parse_at(text).unwrap()
    }

    fn calendar(quiet: &str, blackouts: &[&str]) -> Calendar {
        Calendar { quiet: quiet.parse().ok(), blackouts: blackouts.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn in_egypt() -> Whereabouts {
        "Africa/Cairo EG".parse().unwrap()
    }

    #[test]
    fn a_feast_is_waited_through_until_the_morning_after_it() {
        let eid = calendar("21:00-09:00", &["EG:2026-05-27..2026-05-29=Eid al-Adha"]);
        // In the night before it, and on its second day.
        for now in ["2026-05-26T22:00:00+03:00", "2026-05-28T15:00:00+03:00", "2026-05-29T23:59:59+03:00"] {
            let closed = eid.closed(at(now), in_egypt()).unwrap();
            assert_eq!(closed.until, at("2026-05-30T09:00:00+03:00"), "{now}");
            assert_eq!(closed.after.map(Blackout::title).as_deref(), Some("Eid al-Adha"));
        }
        assert_eq!(eid.closed(at("2026-05-26T15:00:00+03:00"), in_egypt()), None);
        let night = eid.closed(at("2026-05-30T22:00:00+03:00"), in_egypt()).unwrap();
        assert_eq!((night.until, night.after), (at("2026-05-31T09:00:00+03:00"), None));
        // Whoever has no number of Egypt is not meant, wherever they live.
        assert_eq!(eid.closed(at("2026-05-28T15:00:00+03:00"), Cairo.into()), None);
    }

    #[test]
    fn days_follow_each_persons_own_calendar() {
        let christmas = calendar("", &["12-25"]);
        let now = at("2026-12-25T03:00:00+02:00");
        assert_eq!(christmas.closed(now, Cairo.into()).map(|day| day.until), Some(at("2026-12-26T00:00:00+02:00")));
        assert_eq!(christmas.closed(now, Mexico_City.into()), None, "it is the evening before");
        let begins = at("2026-12-25T00:00:00-06:00");
        assert_eq!(christmas.next_change(now, Mexico_City.into()), Some(begins));
        assert_eq!(christmas.next_change(begins, Mexico_City.into()), Some(at("2026-12-26T00:00:00-06:00")));
        assert_eq!(christmas.next_change(at("2026-12-27T00:00:00Z"), Tz::UTC.into()), Some(at("2027-12-25T00:00:00Z")));
    }

    #[test]
    fn days_that_begin_or_end_while_clocks_change_do_so_when_the_clock_says_so() {
        // Cairo jumps over midnight on 2026-04-24, and shows 23:00 to 24:00 of 2026-10-29 twice.
        let spring = calendar("", &["2026-04-23", "2026-10-30"]);
        let until = |now: &str| spring.closed(at(now), Cairo.into()).map(|day| day.until);
        assert_eq!(until("2026-04-23T23:30:00+02:00"), Some(at("2026-04-24T01:00:00+03:00")));
        assert_eq!(until("2026-10-29T23:30:00+02:00"), None);
        assert_eq!(until("2026-10-30T00:00:00+02:00"), Some(at("2026-10-31T00:00:00+02:00")));
    }

    #[test]
    fn whereabouts_are_read_as_they_are_written() {
        for text in ["Africa/Cairo", "Africa/Cairo EG", "America/Argentina/Buenos_Aires AR"] {
            assert_eq!(text.parse::<Whereabouts>().unwrap().to_string(), text);
        }
        assert!("Cairo EG".parse::<Whereabouts>().is_err() && "Africa/Cairo XX".parse::<Whereabouts>().is_err());
    }

    prop_compose! {
        /// Some blackouts and quiet hours, a place and a minute near one of them.
        fn moment()(days in prop::collection::vec((0..800_i64, 0..4_i64, any::<bool>(), any::<bool>()), 1..5),
                    quiet in prop::option::of((0..1_440_u16, 1..1_440_u16)), zone in 0..ZONES.len(),
                    egypt in any::<bool>(), minute in 0..(900 * 1_440_i64))
            -> (Calendar, Whereabouts, Millis) {
            let first = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
            let texts = days.into_iter().map(|(day, length, yearly, country)| {
                let format = if yearly { "%m-%d" } else { "%Y-%m-%d" };
                let shown = |day: i64| (first + chrono::TimeDelta::days(day)).format(format).to_string();
                format!("{}{}..{}", if country { "EG:" } else { "" }, shown(day), shown(day + length))
            });
            let blackouts = texts.map(|text| text.parse().unwrap()).collect();
            let quiet = quiet.and_then(|(from, length)| QuietHours::from_minutes(from, (from + length) % 1_440));
            let country = egypt.then(|| "EG".parse().unwrap());
            (Calendar { quiet, blackouts }, Whereabouts { zone: ZONES[zone], country }, at("2025-12-20T00:00:00Z") + minute * MINUTE)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn nobody_is_written_to_while_their_calendar_shows_a_blackout_day((calendar, place, at) in moment()) {
            let today = wall_clock(at, place.zone).unwrap().date();
            let is_one = calendar.blackouts.iter().any(|day| day.is_for(place.country) && day.covers(today));
            let is_quiet = calendar.quiet.is_some_and(|quiet| quiet.closed_until(at, place.zone).is_some());
            prop_assert_eq!(calendar.closed(at, place).is_some(), is_one || is_quiet);
            if is_one {
                prop_assert!(calendar.may_forbid(at));
            }
        }

        #[test]
        fn a_wait_is_over_when_it_says_so((calendar, place, at) in moment()) {
            if let Some(closed) = calendar.closed(at, place) {
                prop_assert!(closed.until > at);
                prop_assert_eq!(calendar.closed(closed.until, place), None);
                prop_assert_eq!(calendar.closed(closed.until - 1, place).map(|last| last.until), Some(closed.until));
                prop_assert_eq!(calendar.next_change(at, place), Some(closed.until));
            }
        }

        #[test]
        fn between_two_changes_nothing_changes((calendar, place, at) in moment(), part in 0.0..1.0_f64) {
            if let Some(change) = calendar.next_change(at, place) {
                prop_assert!(change > at);
                #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "some days in ms")]
                let between = at + ((change - at) as f64 * part) as Millis;
                prop_assert_eq!(calendar.closed(at, place).is_some(), calendar.closed(between, place).is_some());
                prop_assert_ne!(calendar.closed(at, place).is_some(), calendar.closed(change, place).is_some());
            }
        }
    }
}
