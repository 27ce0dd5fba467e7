//! The five fields of a crontab line, read as crontab(5) reads them.

use std::fmt;

use thiserror::Error;

/// A field of a crontab line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CronField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or JAN to DEC.
    Month,
    /// 0 to 7, or SUN to SAT. Both 0 and 7 are Sunday.
    DayOfWeek,
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of the month",
            Self::Month => "month",
            Self::DayOfWeek => "day of the week",
        })
    }
}

/// Why a text is no crontab line of ours. Texts are quoted up to 20 characters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CronError {
    /// There are not five fields.
    #[error(
        "a crontab line has 5 fields (minute, hour, day of the month, month, day of the week), for example \
         \"0 10 * * 1\"; this one has {found}"
    )]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// Something in a field is neither number, name, range nor `*`.
    #[error("{field}: \"{item}\" is not understood; write a number{}, a range (1-5), a list (1,3), * or */2", name_hint(*.field))]
    NotUnderstood {
        /// In which field.
        field: CronField,
        /// What was typed.
        item: String,
    },
    /// A number is too small or too large.
    #[error("{field}: {value} is outside {min} to {max}")]
    Outside {
        /// In which field.
        field: CronField,
        /// What was typed.
        value: String,
        /// The smallest that the field takes.
        min: u8,
        /// The largest that the field takes.
        max: u8,
    },
    /// A range ends before it begins.
    #[error("{field}: the range {item} runs backwards; write it as two, separated by a comma")]
    Backwards {
        /// In which field.
        field: CronField,
        /// What was typed.
        item: String,
    },
    /// The number after the slash is 0, or steps over the whole field.
    #[error("{field}: the step in {item} must be between 1 and {max}")]
    Step {
        /// In which field.
        field: CronField,
        /// What was typed.
        item: String,
        /// The largest step that can be taken within the field.
        max: u8,
    },
    /// A step starts at a single value: implementations differ on what that means.
    #[error("{field}: the step in {item} needs a range before the slash, for example {example}")]
    StepOfOne {
        /// In which field.
        field: CronField,
        /// What was typed.
        item: String,
        /// What was probably meant.
        example: String,
    },
    /// Both kinds of day are restricted: some read that as *or*, some as *and*.
    #[error(
        "day of the month and day of the week are both restricted, which some read as either and some as both; \
         leave one of them *"
    )]
    BothDays,
    /// No month has such a day.
    #[error("day of the month: none of these days exists in these months, so the line would never run")]
    Never,
}

fn name_hint(field: CronField) -> &'static str {
    match field {
        CronField::Month => " or a name (JAN)",
        CronField::DayOfWeek => " or a name (MON)",
        CronField::Minute | CronField::Hour | CronField::DayOfMonth => "",
    }
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// As crontab counts them. The cron crate counts Sunday as 1, which is why lines reach it with names.
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The values that a field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    /// Bit n: the value n. Sunday is bit 0.
    bits: u64,
    /// Whether the field was a bare `*`.
    pub(super) any: bool,
}

impl Values {
    /// In ascending order.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..60).filter(move |n| self.bits & (1 << n) != 0)
    }
}

impl CronField {
    /// The smallest and largest number that may be typed.
    fn bounds(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The largest value that `*` stands for: the second Sunday is none of its own.
    fn last(self) -> u8 {
        if self == Self::DayOfWeek { 6 } else { self.bounds().1 }
    }

    /// Reads the field's text: a list of `*`, values and ranges, the last two with steps.
    pub(super) fn read(self, text: &str) -> Result<Values, CronError> {
        let mut bits = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (item, None),
            };
            let (first, last) = self.range(range, item)?;
            let step = match step {
                None => 1,
                Some(step) => self.step(step, range, item)?,
            };
            for value in (first..=last).step_by(usize::from(step)) {
                bits |= 1 << if self == Self::DayOfWeek { value % 7 } else { value };
            }
        }
        Ok(Values { bits, any: text == "*" })
    }

    fn range(self, range: &str, item: &str) -> Result<(u8, u8), CronError> {
        if range == "*" {
            return Ok((self.bounds().0, self.last()));
        }
        let Some((first, last)) = range.split_once('-') else {
            let value = self.value(range, item)?;
            return Ok((value, value));
        };
        let (first, mut last) = (self.value(first, item)?, self.value(last, item)?);
        if self == Self::DayOfWeek && last == 0 && range.to_ascii_uppercase().ends_with("-SUN") {
            // FRI-SUN: the Sunday at the end of the week.
            last = 7;
        }
        if first > last {
            return Err(CronError::Backwards { field: self, item: shortened(item) });
        }
        Ok((first, last))
    }

    fn value(self, text: &str, item: &str) -> Result<u8, CronError> {
        let (min, max) = self.bounds();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(value) if (min..=max).contains(&value) => Ok(value),
                _ => Err(CronError::Outside { field: self, value: shortened(text), min, max }),
            };
        }
        let (names, first): (&[&str], u8) = match self {
            Self::Month => (&MONTHS, 1),
            Self::DayOfWeek => (&WEEKDAYS, 0),
            Self::Minute | Self::Hour | Self::DayOfMonth => (&[], 0),
        };
        (first..)
            .zip(names)
            .find_map(|(value, name)| name.eq_ignore_ascii_case(text).then_some(value))
            .ok_or_else(|| CronError::NotUnderstood { field: self, item: shortened(item) })
    }

    fn step(self, step: &str, range: &str, item: &str) -> Result<u8, CronError> {
        if step.is_empty() || !step.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CronError::NotUnderstood { field: self, item: shortened(item) });
        }
        let max = self.last() - self.bounds().0;
        let step = match step.parse() {
            Ok(step) if (1..=max).contains(&step) => step,
            _ => return Err(CronError::Step { field: self, item: shortened(item), max }),
        };
        if range != "*" && !range.contains('-') {
            let example = format!("{range}-{}/{step}", self.last());
            return Err(CronError::StepOfOne { field: self, item: shortened(item), example });
        }
        Ok(step)
    }
}

/// What somebody typed, at a length that an error can show.
fn shortened(text: &str) -> String {
    const MOST: usize = 20;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MOST - 1).collect();
    short.push('…');
    short
}
