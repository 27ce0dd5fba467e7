//! A crontab line, evaluated by the `cron` crate on a wall clock without time zone.
//!
//! The crate is kept from three things that it does in its own way: it counts weekdays as Quartz does (1 is Sunday), it
//! reads two restricted days as *both*, and with a zone it skips what falls into the gap when clocks go forward and
//! repeats what falls into the overlap when they go back.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveDateTime, Timelike};
use chrono_tz::Tz;
use cron::Schedule;

use super::field::{CronError, CronField, Values, WEEKDAYS};
use super::local::{instant, wall_clock};
use crate::Millis;

/// A crontab line: five fields (minute, hour, day of the month, month, day of the week), to the minute.
///
/// The wall clock of a zone decides. Each wall clock minute that the line names runs once, at the first instant at which
/// the clock shows it: in an overlap, when clocks go back, that is the earlier of the two. What falls into a gap, when
/// clocks go forward, runs at the gap's end, and once even if several minutes of the gap are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronLine {
    /// As it was typed, with single blanks.
    text: String,
    schedule: Schedule,
}

impl CronLine {
    /// Reads a line of exactly five fields. Weekdays are 0 to 7, 0 and 7 being Sunday; months and weekdays may be names
    /// of three letters. At most one of day of the month and day of the week may be restricted.
    ///
    /// # Errors
    /// [`CronError`], which names the field.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::Fields { found: fields.len() });
        };
        let minutes = CronField::Minute.read(minute)?;
        let hours = CronField::Hour.read(hour)?;
        let days = CronField::DayOfMonth.read(day)?;
        let months = CronField::Month.read(month)?;
        let weekdays = CronField::DayOfWeek.read(weekday)?;
        if !days.any && !weekdays.any {
            return Err(CronError::BothDays);
        }
        if !days.iter().any(|day| months.iter().any(|month| day <= longest(month))) {
            return Err(CronError::Never);
        }
        let number = |value: u8| value.to_string();
        let spelled = format!(
            "0 {} {} {} {} {}",
            list(minutes, number),
            list(hours, number),
            list(days, number),
            list(months, number),
            list(weekdays, |day| WEEKDAYS[usize::from(day)].to_owned()),
        );
        let schedule = Schedule::from_str(&spelled).expect("the cron crate reads lists of values that were checked");
        Ok(Self { text: fields.join(" "), schedule })
    }

    /// The first run later than `after` by the wall clock of a zone. `None` when there is none before the year 2100,
    /// where the cron crate's calendar ends.
    #[must_use]
    pub fn next_after(&self, after: Millis, zone: Tz) -> Option<Millis> {
        let shown = wall_clock(after, zone)?;
        // Instants grow with the wall clock times that they belong to, so everything up to `shown` has run: also what
        // an overlap shows for the second time, of which the loop steps over the rest.
        self.wall_clock_times(shown).filter_map(|local| instant(local, zone)).find(|at| *at > after)
    }

    /// The wall clock times of the line, later than one.
    fn wall_clock_times(&self, after: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let minute = after.with_second(0).and_then(|after| after.with_nanosecond(0)).unwrap_or(after);
        // The crate wants a zone; UTC is the one in which every wall clock time exists once.
        self.schedule.after_owned(minute.and_utc()).map(|at| at.naive_utc())
    }
}

impl fmt::Display for CronLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for CronLine {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        Self::parse(text)
    }
}

/// A field as the cron crate reads it. `*` stays `*`: it is quicker for the crate than a list of everything.
fn list(values: Values, name: impl Fn(u8) -> String) -> String {
    if values.any {
        return "*".to_owned();
    }
    values.iter().map(name).collect::<Vec<_>>().join(",")
}

/// How many days a month can have.
fn longest(month: u8) -> u8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
