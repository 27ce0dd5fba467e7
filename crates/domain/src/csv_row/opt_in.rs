//! When somebody opted in, as files have it.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use thiserror::Error;

use super::months;
use crate::Millis;
use crate::phone::{ascii_digit, is_invisible};

/// 2000-01-01T00:00:00Z. Earlier times are what spreadsheets make of an empty cell.
const EARLIEST: Millis = 946_684_800_000;
/// The serial days of spreadsheets count from this midnight (their 1900 is a leap year, hence not from New Year).
const SERIAL_ZERO: Option<NaiveDate> = NaiveDate::from_ymd_opt(1899, 12, 30);
/// The longest text that may be a time. Longer ones are not looked at.
const LONGEST: usize = 64;

/// Which of `03/04/2026` is the day. Files do not say; whoever imports one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `25/03/2026`: `dmy`.
    DayFirst,
    /// `03/25/2026`: `mdy`.
    MonthFirst,
}

/// A text that names no order of dates.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not an order of dates; it is dmy (25/03/2026) or mdy (03/25/2026)")]
pub struct UnknownDateOrder(pub String);

impl std::str::FromStr for DateOrder {
    type Err = UnknownDateOrder;

    fn from_str(text: &str) -> Result<Self, UnknownDateOrder> {
        match text.trim().to_ascii_lowercase().as_str() {
            "dmy" => Ok(DateOrder::DayFirst),
            "mdy" => Ok(DateOrder::MonthFirst),
            _ => Err(UnknownDateOrder(text.chars().take(16).collect())),
        }
    }
}

/// How a file writes its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRules {
    /// `None`: a date that could be two is refused.
    pub order: Option<DateOrder>,
    /// Whose wall clock shows the times without an offset; `None`: UTC.
    pub zone: Option<Tz>,
}

/// Why a cell is no time of an opt-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptInError {
    Empty,
    Unreadable,
    Ambiguous,
    Future,
    TooOld,
}

impl OptInError {
    pub(super) const fn code(self) -> &'static str {
        match self {
            OptInError::Empty => "opt-in-empty",
            OptInError::Unreadable => "opt-in-unreadable",
            OptInError::Ambiguous => "opt-in-ambiguous",
            OptInError::Future => "opt-in-future",
            OptInError::TooOld => "opt-in-too-old",
        }
    }
}

/// Reads a date with or without a time: RFC 3339 and its relatives, `25/03/2026`, `25 March 2026` in five languages,
/// serial days of spreadsheets, seconds or milliseconds since 1970. Arabic and Persian digits are digits.
pub(super) fn read(cell: &str, rules: TimeRules, now: Millis) -> Result<Millis, OptInError> {
    let text = plain(cell);
    let text = text.trim();
    if text.is_empty() {
        return Err(OptInError::Empty);
    }
    if text.len() > LONGEST {
        return Err(OptInError::Unreadable);
    }
    let at = match as_number(text) {
        Some(number) => number.and_then(|moment| instant(moment, rules)),
        None => written(text, rules),
    }?;
    match at {
        _ if at > now => Err(OptInError::Future),
        _ if at < EARLIEST => Err(OptInError::TooOld),
        _ => Ok(at),
    }
}

/// The text in ASCII digits and plain blanks, without marks that nobody sees.
fn plain(cell: &str) -> String {
    cell.chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| match ascii_digit(c) {
            Some(digit) => char::from(digit),
            None if c.is_whitespace() => ' ',
            None => c,
        })
        .collect()
}

/// A moment as the file has it: on some wall clock, or as an instant.
enum Moment {
    Local(NaiveDateTime),
    At(Millis),
}

fn instant(moment: Moment, rules: TimeRules) -> Result<Millis, OptInError> {
    match (moment, rules.zone) {
        (Moment::At(at), _) => Ok(at),
        (Moment::Local(local), None) => Ok(local.and_utc().timestamp_millis()),
        (Moment::Local(local), Some(zone)) => crate::schedule::instant(local, zone).ok_or(OptInError::Unreadable),
    }
}

/// What a cell of digits alone is; `None` if it is not that. How many digits there are tells the forms apart.
fn as_number(text: &str) -> Option<Result<Moment, OptInError>> {
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let number = |text: &str| text.parse::<i64>().unwrap_or(i64::MAX);
    let moment = match (whole.len(), part.is_empty()) {
        (5, _) => serial(number(whole), part).map(Moment::Local),
        (8, true) => compact(whole).map(|date| Moment::Local(date.and_time(NaiveTime::MIN))),
        (10, _) => Some(Moment::At(number(whole).saturating_mul(1000))),
        (13, true) => Some(Moment::At(number(whole))),
        _ => None,
    };
    Some(moment.ok_or(OptInError::Unreadable))
}

/// Days since [`SERIAL_ZERO`], and the digits of a part of a day.
fn serial(days: i64, part: &str) -> Option<NaiveDateTime> {
    let kept = part.get(..part.len().min(9))?;
    let fraction = if kept.is_empty() { 0 } else { kept.parse::<i64>().ok()? };
    let tens = 10_i64.pow(u32::try_from(kept.len()).ok()?);
    // To the nearest second: the part of a day is a binary fraction that spreadsheets round in writing.
    let seconds = (fraction * 86_400 + tens / 2) / tens;
    let midnight = SERIAL_ZERO?.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::try_days(days)?)?;
    midnight.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}

/// `20260325`, year first.
fn compact(digits: &str) -> Option<NaiveDate> {
    let year = digits.get(..4)?.parse().ok().filter(|year| (2000..2100).contains(year))?;
    NaiveDate::from_ymd_opt(year, digits.get(4..6)?.parse().ok()?, digits.get(6..)?.parse().ok()?)
}

fn written(text: &str, rules: TimeRules) -> Result<Millis, OptInError> {
    let (date, rest) = split_time(text);
    let date = calendar(date.trim().trim_end_matches([',', '،']).trim_end(), rules.order)?;
    let Some(rest) = rest else {
        return instant(Moment::Local(date.and_time(NaiveTime::MIN)), rules);
    };
    let (time, offset) = time_and_offset(rest).ok_or(OptInError::Unreadable)?;
    let local = date.and_time(time);
    let moment = match offset {
        None => Moment::Local(local),
        Some(seconds) => {
            let utc = local.checked_sub_signed(TimeDelta::seconds(seconds)).ok_or(OptInError::Unreadable)?;
            Moment::At(utc.and_utc().timestamp_millis())
        }
    };
    instant(moment, rules)
}

/// The date, and what begins with the hour: the digits before the first colon.
fn split_time(text: &str) -> (&str, Option<&str>) {
    let Some(colon) = text.find(':') else { return (text, None) };
    let before = &text[..colon];
    let hour = before.trim_end_matches(|c: char| c.is_ascii_digit());
    let date = hour.trim_end_matches(['T', 't', ' ']);
    (date, text.get(hour.len()..))
}

/// `10:00`, `10:00:00.5`, `9:05 PM`, `٩:٠٥ م`, each with or without an offset: `Z`, `UTC`, `+02:00`, `+0200`, `GMT+2`.
fn time_and_offset(text: &str) -> Option<(NaiveTime, Option<i64>)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let mut rest = rest.trim();
    let mut half = None;
    for (word, after_noon) in [("a.m.", false), ("p.m.", true), ("am", false), ("pm", true), ("ص", false), ("م", true)]
    {
        let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word));
        if head.is_some() {
            half = Some(after_noon);
            rest = rest[word.len()..].trim_start();
            break;
        }
    }
    Some((wall_clock(clock, half)?, offset(rest)?))
}

fn wall_clock(text: &str, after_noon: Option<bool>) -> Option<NaiveTime> {
    let (text, _part) = match text.split_once('.') {
        // Fractions of a second prove nothing.
        Some((text, part)) if !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()) => {
            (text, part)
        }
        Some(_) => return None,
        None => (text, ""),
    };
    let mut parts = text.split(':');
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok()).flatten();
    let hour = parts.next().filter(|hour| (1..=2).contains(&hour.len()))?.parse::<u32>().ok()?;
    let minute = two(parts.next()?)?;
    let second = match parts.next() {
        Some(second) => two(second)?,
        None => 0,
    };
    let hour = match after_noon {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(after) => hour % 12 + if after { 12 } else { 0 },
    };
    if parts.next().is_some() { None } else { NaiveTime::from_hms_opt(hour, minute, second) }
}

/// Seconds east of UTC; `Some(None)` where nothing is said, `None` where it cannot be read.
fn offset(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    if ["z", "utc", "gmt"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(Some(0));
    }
    let named = text.get(..3).filter(|name| ["utc", "gmt"].contains(&name.to_ascii_lowercase().as_str()));
    let text = if named.is_some() { &text[3..] } else { text };
    let (sign, text) = match text.split_at_checked(1)? {
        ("+", text) => (1, text),
        ("-", text) => (-1, text),
        _ => return None,
    };
    let digits = text.replacen(':', "", 1);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    // Zones lie between UTC-12 and UTC+14.
    (hours <= 14 && minutes < 60).then_some(Some(sign * (hours * 3600 + minutes * 60)))
}

fn calendar(text: &str, order: Option<DateOrder>) -> Result<NaiveDate, OptInError> {
    let date = if text.contains(char::is_alphabetic) { months::read(text) } else { numeric(text, order)? };
    let (year, month, day) = date.ok_or(OptInError::Unreadable)?;
    let year = i32::try_from(year).map_err(|_| OptInError::Unreadable)?;
    NaiveDate::from_ymd_opt(year, month, day).ok_or(OptInError::Unreadable)
}

/// Year, month and day of `2026-03-25`, `2026/3/25`, `25/03/2026` or, where it can be nothing else, `03/25/2026`.
fn numeric(text: &str, order: Option<DateOrder>) -> Result<Option<(u32, u32, u32)>, OptInError> {
    let mut parts = text.split(['-', '/', '.']).map(str::trim);
    let (Some(first), Some(second), Some(third), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let good = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        good.then(|| text.parse::<u32>().ok()).flatten()
    };
    if let Some(year) = number(first, 4..=4) {
        return Ok(number(second, 1..=2).zip(number(third, 1..=2)).map(|(month, day)| (year, month, day)));
    }
    let (Some(first), Some(second), Some(year)) = (number(first, 1..=2), number(second, 1..=2), number(third, 4..=4))
    else {
        return Ok(None);
    };
    Ok(Some(match order {
        Some(DateOrder::DayFirst) => (year, second, first),
        Some(DateOrder::MonthFirst) => (year, first, second),
        None if first > 12 || first == second => (year, second, first),
        None if second > 12 => (year, first, second),
        None => return Err(OptInError::Ambiguous),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-22T01:00:00Z
    const NOW: Millis = 1_795_309_200_000;
    /// 2026-03-25T00:00:00Z
    const MIDNIGHT: Millis = 1_774_396_800_000;
    const HOUR: Millis = 3_600_000;

    fn at(text: &str) -> Result<Millis, OptInError> {
        read(text, TimeRules::default(), NOW)
    }

    #[test]
    fn the_same_moment_is_read_in_every_form() {
        for text in [
            "2026-03-25",
            "2026-3-25",
            "2026/03/25",
            "2026.03.25",
            "20260325",
            "2026-03-25 00:00",
            "2026-03-25 00:00:00",
            "2026-03-25T00:00:00",
            "2026-03-25T00:00:00Z",
            "2026-03-25T00:00:00.000Z",
            "2026-03-25 00:00:00 UTC",
            "2026-03-25T02:00:00+02:00",
            "2026-03-25 02:00:00 +0200",
            "2026-03-25 03:00 GMT+3",
            "2026-03-24 21:00 -03:00",
            " 25/03/2026 ",
            "25.03.2026",
            "25-03-2026",
            "25/3/2026 00:00",
            "03/25/2026",
            "03/25/2026, 12:00 AM",
            "25/03/2026 12:00:00 a.m.",
            "25 March 2026",
            "25 de marzo de 2026",
            "March 25, 2026",
            "Mar 25 2026 12:00 AM",
            "25-Mar-2026",
            "25 mars 2026",
            "25 de março de 2026 00:00",
            "٢٥ مارس ٢٠٢٦",
            "٢٥/٠٣/٢٠٢٦",
            "۲۰۲۶-۰۳-۲۵",
            "\u{200f}25/03/2026\u{200e} 12:00 ص",
            "46106",
            "46106.0",
            "1774396800",
            "1774396800000",
        ] {
            assert_eq!(at(text), Ok(MIDNIGHT), "{text}");
        }
        assert_eq!(at("2026-03-25 10:30:15"), Ok(MIDNIGHT + 37_815_000));
        assert_eq!(at("46106.4375"), Ok(MIDNIGHT + 37_800_000));
        assert_eq!(at("46106,4375"), Ok(MIDNIGHT + 37_800_000));
        assert_eq!(at("25/03/2026 9:05 PM"), Ok(MIDNIGHT + 21 * HOUR + 300_000));
        assert_eq!(at("25/03/2026 ٩:٠٥ م"), Ok(MIDNIGHT + 21 * HOUR + 300_000));
    }

    #[test]
    fn a_date_that_could_be_two_is_refused_unless_the_order_is_told() {
        for text in ["03/04/2026", "12/11/2025", "5.6.2025", "03-04-2026 10:00"] {
            assert_eq!(at(text), Err(OptInError::Ambiguous), "{text}");
        }
        let with = |order| read("03/04/2026", TimeRules { order: Some(order), zone: None }, NOW);
        assert_eq!(with(DateOrder::DayFirst), at("2026-04-03"));
        assert_eq!(with(DateOrder::MonthFirst), at("2026-03-04"));
        assert_eq!(at("04/04/2026"), at("2026-04-04"), "both readings are one");
        // A date that breaks the order is a mistake, of the cell or of the order.
        let broken = read("25/03/2026", TimeRules { order: Some(DateOrder::MonthFirst), zone: None }, NOW);
        assert_eq!(broken, Err(OptInError::Unreadable));
        assert_eq!("DMY".parse(), Ok(DateOrder::DayFirst));
        assert!("ymd".parse::<DateOrder>().is_err());
    }

    #[test]
    fn times_without_an_offset_are_of_the_files_zone() {
        let rules = TimeRules { order: None, zone: Some(chrono_tz::Africa::Cairo) };
        let at = |text| read(text, rules, NOW);
        assert_eq!(at("2026-03-25"), Ok(MIDNIGHT - 2 * HOUR));
        assert_eq!(at("2026-07-25 10:00"), read("2026-07-25T10:00:00+03:00", rules, NOW));
        assert_eq!(at("2026-03-25T00:00:00Z"), Ok(MIDNIGHT), "its own offset wins");
        // Egypt's clocks jumped from midnight to one o'clock that day.
        assert_eq!(at("2026-04-24"), read("2026-04-24T01:00:00+03:00", rules, NOW));
    }

    #[test]
    fn the_future_and_the_last_century_are_refused() {
        assert_eq!(at("2026-11-22 01:00:00"), Ok(NOW));
        assert_eq!(at("2026-11-22 01:00:01"), Err(OptInError::Future));
        assert_eq!(at("2027-01-01"), Err(OptInError::Future));
        assert_eq!(at("9999999999999"), Err(OptInError::Future));
        assert_eq!(at("99999"), Err(OptInError::Future));
        assert_eq!(at("1899-12-30"), Err(OptInError::TooOld));
        assert_eq!(at("10000"), Err(OptInError::TooOld));
        assert_eq!(at("1970-01-01T00:00:00Z"), Err(OptInError::TooOld));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert_eq!(at("  "), Err(OptInError::Empty));
        assert_eq!(at("\u{200f}"), Err(OptInError::Empty));
        for text in [
            "yesterday",
            "4523",
            "45231.x",
            "20261325",
            "2026-02-30",
            "25/03/26",
            "2026-03-25 25:00",
            "31/02/2026",
            "2026-03-25 1:5",
            "2026-03-25 13:00 PM",
            "2026-03-25T10:00:00+99:00",
            "2026-03-25 10:00 Cairo",
            "2026/03/25/1",
            "25 Brumaire 2026",
            "March 2026",
            "25-03",
            "--",
            ":",
            "10:00",
            "yes",
        ] {
            assert_eq!(at(text), Err(OptInError::Unreadable), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[0-9٠-٩T:/+. ,-]{0,24}|\\PC{0,24}") {
            if let Ok(at) = at(&text) {
                prop_assert!((EARLIEST..=NOW).contains(&at));
            }
        }
    }
}
