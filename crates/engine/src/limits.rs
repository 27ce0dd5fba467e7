//! The messaging limit in words and days: how many people a portfolio may write to in a moving 24 hours.

use chrono::{DateTime, Utc};

use crate::App;
use crate::fault::Result;

/// Why a lane waits: the limit is reached. `free_at` is epoch ms.
pub(crate) fn reached(people: i64, free_at: i64) -> String {
    // Rounded up: at the time that is told there is a place.
    let at = DateTime::<Utc>::from_timestamp_millis(free_at.saturating_add(59_999));
    let at = at.map_or_else(|| "an unknown time".to_owned(), |at| at.format("%H:%M UTC").to_string());
    format!("24-hour limit of {} people reached; the next place is free at {at}", grouped(people))
}

/// Why a lane waits: it is not known yet how many places are left.
pub(crate) fn uncounted(people: i64) -> String {
    format!(
        "the 24-hour limit of {} people is new, and those of the last 24 hours are being counted; if this stays, \
         `hudhud account sync` counts them again",
        grouped(people)
    )
}

/// Why the portfolio of one of these numbers cannot write to anybody new now, if so.
///
/// # Errors
/// When the database is away.
pub(crate) async fn why_waiting(app: &App, number_ids: &[i64]) -> Result<Option<String>> {
    let now = app.clock.now_ms();
    for id in number_ids {
        let Some(limit) = app.store.limit_of(*id, now).await? else { continue };
        if !limit.counted {
            return Ok(Some(uncounted(limit.people)));
        }
        if limit.room() == 0 {
            return Ok(Some(reached(limit.people, limit.free_at.unwrap_or(now))));
        }
    }
    Ok(None)
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digit.is_ascii_digit() && (digits.len() - place).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_the_limit_and_the_minute_in_which_there_is_a_place() {
        let at = 1_800_000_000_000; // 2027-01-15T08:00:00Z
        assert_eq!(
            reached(10_000, at + 600_000),
            "24-hour limit of 10,000 people reached; the next place is free at 08:10 UTC"
        );
        assert!(reached(250, at + 1).ends_with("250 people reached; the next place is free at 08:01 UTC"));
        assert!(uncounted(100_000).contains("100,000 people"));
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (250, "250"), (2_000, "2,000"), (100_000, "100,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
