//! Blackout days: dates on which nobody is written to, by the calendar of the person who would get the message.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use thiserror::Error;

use super::local::wall_clock;
use super::quiet::shown;
use crate::Millis;
use crate::phone::{Region, UnknownRegion};

/// A range of dates is no longer than this, days.
const LONGEST: i64 = 366;
/// One that comes back every year leaves half of it.
const LONGEST_YEARLY: i64 = 183;
/// The longest name, characters.
const LONGEST_NAME: usize = 60;
/// A year that has every day.
const LEAP_YEAR: i32 = 2_000;

/// A day or several on which nobody is written to: in one year (`2026-12-25`, `2026-05-27..2026-05-29`) or in each
/// (`12-25`, `12-31..01-01`), everywhere or for people of one country, under a name that people know it by.
///
/// A day lasts from the first time at which the clock shows its midnight until the *last* time at which it shows the
/// next one, as nights do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blackout {
    days: Days,
    country: Option<Region>,
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Days {
    Once {
        from: NaiveDate,
        through: NaiveDate,
    },
    /// Month and day.
    Yearly {
        from: (u32, u32),
        through: (u32, u32),
    },
}

/// A text that gives no blackout days.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlackoutError {
    /// No date or range of dates.
    #[error(
        "write blackout days as dates: 2026-12-25, 2026-05-27..2026-05-29, or without the year for every year: 12-25"
    )]
    NotUnderstood,
    /// The last day is before the first.
    #[error("the last blackout day is before the first")]
    Backwards,
    /// So many days that a campaign could hardly ever be sent.
    #[error("blackout days last at most {LONGEST} days, and every year at most {LONGEST_YEARLY}")]
    TooLong,
    /// No name.
    #[error("the name of blackout days has 1 to {LONGEST_NAME} characters and no control characters")]
    Name,
    /// No country.
    #[error(transparent)]
    Country(#[from] UnknownRegion),
}

impl Blackout {
    /// Blackout days from their parts: dates as they are written, a country, a name.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub fn new(dates: &str, country: Option<&str>, name: Option<&str>) -> Result<Self, BlackoutError> {
        let name = name.map(str::trim).map(str::to_owned);
        if name.as_ref().is_some_and(|name| {
            name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control)
        }) {
            return Err(BlackoutError::Name);
        }
        let days = Days::read(dates)?;
        Ok(Self { days, country: country.map(Region::from_str).transpose()?, name })
    }

    /// The dates as they are written: `2026-05-27..2026-05-29`, `12-25`.
    #[must_use]
    pub fn dates(&self) -> String {
        match self.days {
            Days::Once { from, through } if from == through => from.to_string(),
            Days::Once { from, through } => format!("{from}..{through}"),
            Days::Yearly { from, through } if from == through => format!("{:02}-{:02}", from.0, from.1),
            Days::Yearly { from, through } => {
                format!("{:02}-{:02}..{:02}-{:02}", from.0, from.1, through.0, through.1)
            }
        }
    }

    /// For people of this country only; `None`: for everybody.
    #[must_use]
    pub const fn country(&self) -> Option<Region> {
        self.country
    }

    /// The name that people know these days by.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What to call them: by their name, else by their dates.
    #[must_use]
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.dates())
    }

    /// Whether they hold for people of a country.
    #[must_use]
    pub fn is_for(&self, country: Option<Region>) -> bool {
        self.country.is_none() || self.country == country
    }

    /// Whether a day is one of them.
    #[must_use]
    pub fn covers(&self, day: NaiveDate) -> bool {
        match self.days {
            Days::Once { from, through } => from <= day && day <= through,
            Days::Yearly { from, through } => {
                let day = (day.month(), day.day());
                if from <= through { from <= day && day <= through } else { day >= from || day <= through }
            }
        }
    }

    /// The first of them that is not before a day.
    fn next_day(&self, day: NaiveDate) -> Option<NaiveDate> {
        if self.covers(day) {
            return Some(day);
        }
        match self.days {
            Days::Once { from, .. } => (from > day).then_some(from),
            // The 29th of February may be eight years away.
            Days::Yearly { from: (month, first), .. } => (day.year()..=day.year().saturating_add(8)).find_map(|year| {
                let begins =
                    NaiveDate::from_ymd_opt(year, month, first).or_else(|| NaiveDate::from_ymd_opt(year, 3, 1));
                begins.filter(|begins| *begins > day && self.covers(*begins))
            }),
        }
    }

    /// The end of the blackout day that an instant is in, for people in a zone.
    pub(super) fn end_of_the_day_of(&self, at: Millis, zone: Tz) -> Option<Millis> {
        let today = wall_clock(at, zone)?.date();
        // A clock that goes back over midnight shows a day twice.
        [today.pred_opt(), Some(today), today.succ_opt()].into_iter().flatten().find_map(|day| {
            let (begins, ends) = self.covers(day).then(|| whole_day(day, zone)).flatten()?;
            (begins..ends).contains(&at).then_some(ends)
        })
    }

    /// When the next blackout day begins after an instant, in a zone.
    pub(super) fn next_beginning(&self, at: Millis, zone: Tz) -> Option<Millis> {
        let mut day = wall_clock(at, zone)?.date();
        for _ in 0..3 {
            let next = self.next_day(day)?;
            let begins = whole_day(next, zone)?.0;
            if begins > at {
                return Some(begins);
            }
            day = next.succ_opt()?;
        }
        None
    }
}

/// A day in a zone: its first instant, and the first one after it.
fn whole_day(day: NaiveDate, zone: Tz) -> Option<(Millis, Millis)> {
    let begins = shown(day.and_time(NaiveTime::MIN), zone)?.0;
    let ends = shown(day.succ_opt()?.and_time(NaiveTime::MIN), zone)?.1;
    Some((begins, ends))
}

impl Days {
    fn read(text: &str) -> Result<Self, BlackoutError> {
        let text = text.trim();
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        if let (Some(from), Some(through)) = (date(first), date(last)) {
            return match (through - from).num_days() {
                ..0 => Err(BlackoutError::Backwards),
                LONGEST.. => Err(BlackoutError::TooLong),
                _ => Ok(Self::Once { from, through }),
            };
        }
        match (month_and_day(first), month_and_day(last)) {
            (Some(from), Some(through)) => {
                let of_leap_year = |(month, day)| NaiveDate::from_ymd_opt(LEAP_YEAR, month, day);
                let length =
                    of_leap_year(through).zip(of_leap_year(from)).map(|(last, first)| (last - first).num_days());
                let length = length.ok_or(BlackoutError::NotUnderstood)?;
                if length.rem_euclid(LONGEST) >= LONGEST_YEARLY {
                    return Err(BlackoutError::TooLong);
                }
                Ok(Self::Yearly { from, through })
            }
            _ => Err(BlackoutError::NotUnderstood),
        }
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    (text.len() == 10).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

fn month_and_day(text: &str) -> Option<(u32, u32)> {
    let is_two_digits = |text: &str| text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
    let (month, day) = text.split_once('-').filter(|(month, day)| is_two_digits(month) && is_two_digits(day))?;
    let day = NaiveDate::from_ymd_opt(LEAP_YEAR, month.parse().ok()?, day.parse().ok()?)?;
    Some((day.month(), day.day()))
}

/// Reads `[COUNTRY:]DATES[=NAME]`: `2026-12-25`, `EG:2026-05-27..2026-05-29=Eid al-Adha`.
impl FromStr for Blackout {
    type Err = BlackoutError;

    fn from_str(text: &str) -> Result<Self, BlackoutError> {
        let (days, name) = text.split_once('=').map_or((text, None), |(days, name)| (days, Some(name)));
        let (country, dates) = days.split_once(':').map_or((None, days), |(country, dates)| (Some(country), dates));
        Self::new(dates, country, name)
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(country) = self.country {
            write!(f, "{country}:")?;
        }
        f.write_str(&self.dates())?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "={name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Blackout {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn blackout_days_are_read_as_they_are_written() {
        for text in [
            "2026-12-25",
            "2026-05-27..2026-05-29",
            "12-25",
            "12-31..01-01",
            "02-29",
            "EG:2026-05-27..2026-05-29=Eid al-Adha",
            "MX:12-12=Día de la Virgen",
            "2026-03-20=عيد الفطر",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
        assert_eq!(read("2026-12-25..2026-12-25").to_string(), "2026-12-25");
        assert_eq!(read(" eg: 12-25 = a=b ").to_string(), "EG:12-25=a=b");
        assert_eq!((read("12-25").title(), read("12-25=Christmas").title()), ("12-25".into(), "Christmas".into()));
    }

    #[test]
    fn what_is_no_date_or_would_never_end_is_refused() {
        for (text, error) in [
            ("", BlackoutError::NotUnderstood),
            ("tomorrow", BlackoutError::NotUnderstood),
            ("2026-02-30", BlackoutError::NotUnderstood),
            ("02-30", BlackoutError::NotUnderstood),
            ("2-3", BlackoutError::NotUnderstood),
            ("2026-12-25..12-26", BlackoutError::NotUnderstood),
            ("2026-12-25..", BlackoutError::NotUnderstood),
            ("2026-12-26..2026-12-25", BlackoutError::Backwards),
            ("2026-01-01..2027-12-31", BlackoutError::TooLong),
            ("01-01..12-31", BlackoutError::TooLong),
            ("03-01..02-27", BlackoutError::TooLong),
            ("12-25=", BlackoutError::Name),
            ("12-25=a\nb", BlackoutError::Name),
            ("XX:12-25", BlackoutError::Country(UnknownRegion("XX".to_owned()))),
        ] {
            assert_eq!(text.parse::<Blackout>(), Err(error), "{text}");
        }
    }

    #[test]
    fn days_without_a_year_come_back_and_may_go_over_its_end() {
        let turn = read("12-31..01-01");
        for (text, is_one) in [("2026-12-30", false), ("2026-12-31", true), ("2027-01-01", true), ("2027-01-02", false)]
        {
            assert_eq!(turn.covers(day(text)), is_one, "{text}");
        }
        assert_eq!(turn.next_day(day("2027-01-02")), Some(day("2027-12-31")));
        assert_eq!(read("02-29").next_day(day("2096-03-01")), Some(day("2104-02-29")));
        assert_eq!(read("02-29..03-02").next_day(day("2026-01-01")), Some(day("2026-03-01")));
        assert_eq!(read("2026-12-25").next_day(day("2026-12-26")), None);
    }
}
