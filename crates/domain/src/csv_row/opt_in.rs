//! When somebody opted in, as files have it.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use thiserror::Error;

use crate::Millis;

/// 2000-01-01T00:00:00Z. Earlier times are what spreadsheets make of an empty cell.
const EARLIEST: Millis = 946_684_800_000;

/// Why a cell is no time of an opt-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum OptInError {
    #[error("the time of the opt-in is empty; without it there is no proof of consent")]
    Empty,
    #[error(
        "the time of the opt-in cannot be read; write it as 2026-03-25, 2026-03-25 10:00 (UTC) or \
         2026-03-25T10:00:00+02:00"
    )]
    Unreadable,
    #[error("day and month of the opt-in cannot be told apart; write the date as 2026-03-25, year first")]
    Ambiguous,
    #[error("the opt-in is in the future; check the date")]
    Future,
    #[error("the opt-in is before the year 2000; check the date")]
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

/// Reads RFC 3339, `2026-03-25`, `2026-03-25 10:00[:00]`, and `25/03/2026` where the day is past 12. A time without an
/// offset is UTC.
pub(super) fn read(cell: &str, now: Millis) -> Result<Millis, OptInError> {
    let text = cell.trim();
    if text.is_empty() {
        return Err(OptInError::Empty);
    }
    let at = match without_offset(text)? {
        Some(at) => at.and_utc().timestamp_millis(),
        None => DateTime::parse_from_rfc3339(text).map_err(|_| OptInError::Unreadable)?.timestamp_millis(),
    };
    match at {
        _ if at > now => Err(OptInError::Future),
        _ if at < EARLIEST => Err(OptInError::TooOld),
        _ => Ok(at),
    }
}

/// A date with or without a time, if that is all there is.
fn without_offset(text: &str) -> Result<Option<NaiveDateTime>, OptInError> {
    let (date, time) = match text.split_once([' ', 'T', 't']) {
        Some((date, time)) => (date, Some(time.trim_start())),
        None => (text, None),
    };
    let time = match time {
        Some(time) => match clock(time) {
            Some(time) => time,
            None => return Ok(None),
        },
        None => NaiveTime::MIN,
    };
    Ok(Some(calendar(date)?.and_time(time)))
}

fn calendar(text: &str) -> Result<NaiveDate, OptInError> {
    let mut parts = text.split(['-', '/', '.']);
    let (Some(first), Some(second), Some(third), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(OptInError::Unreadable);
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        if digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse::<u32>().ok()
        } else {
            None
        }
    };
    let year_first = number(first, 4..=4).filter(|_| text.contains('-'));
    let (year, month, day) = match year_first {
        Some(year) => (Some(year), number(second, 2..=2), number(third, 2..=2)),
        None => (number(third, 4..=4), number(second, 1..=2), number(first, 1..=2)),
    };
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return Err(OptInError::Unreadable) };
    if year_first.is_none() && day <= 12 {
        return Err(OptInError::Ambiguous);
    }
    let year = i32::try_from(year).map_err(|_| OptInError::Unreadable)?;
    NaiveDate::from_ymd_opt(year, month, day).ok_or(OptInError::Unreadable)
}

/// `10:00` or `10:00:00`, and nothing after it.
fn clock(text: &str) -> Option<NaiveTime> {
    let mut parts = text.split(':').map(|part| {
        if part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) { part.parse::<u32>().ok() } else { None }
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    if parts.next().is_some() { None } else { NaiveTime::from_hms_opt(hour, minute, second) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T01:00:00Z
    const NOW: Millis = 1_795_309_200_000;

    fn at(text: &str) -> Result<Millis, OptInError> {
        read(text, NOW)
    }

    #[test]
    fn the_same_moment_is_read_in_every_form() {
        let midnight = 1_774_396_800_000;
        for text in [
            "2026-03-25",
            "2026-03-25 00:00",
            "2026-03-25 00:00:00",
            "2026-03-25T00:00:00",
            "2026-03-25T00:00:00Z",
            "2026-03-25T02:00:00+02:00",
            " 25/03/2026 ",
            "25.03.2026",
            "25-03-2026",
            "25/3/2026 00:00",
        ] {
            assert_eq!(at(text), Ok(midnight), "{text}");
        }
        assert_eq!(at("2026-03-25 10:30:15"), Ok(midnight + 37_815_000));
    }

    #[test]
    fn a_date_that_could_be_two_is_refused() {
        for text in ["03/04/2026", "12/11/2025", "05/13/2025", "5.6.2025"] {
            assert_eq!(at(text), Err(OptInError::Ambiguous), "{text}");
        }
    }

    #[test]
    fn the_future_and_the_last_century_are_refused() {
        assert_eq!(at("2026-11-22 01:00:00"), Ok(NOW));
        assert_eq!(at("2026-11-22 01:00:01"), Err(OptInError::Future));
        assert_eq!(at("2027-01-01"), Err(OptInError::Future));
        assert_eq!(at("1899-12-30"), Err(OptInError::TooOld));
        assert_eq!(at("1970-01-01T00:00:00Z"), Err(OptInError::TooOld));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert_eq!(at("  "), Err(OptInError::Empty));
        for text in [
            "yesterday",
            "45231",
            "2026-02-30",
            "2026-3-5",
            "25/03/26",
            "2026-03-25 25:00",
            "31/02/2026",
            "2026-03-25 1:5",
            "2026-03-25T10:00:00+99:00",
            "2026/03/25/1",
            "25-03",
            "--",
        ] {
            assert_eq!(at(text), Err(OptInError::Unreadable), "{text}");
        }
    }
}
