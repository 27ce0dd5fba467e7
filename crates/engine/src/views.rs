//! How things are shown: the small pieces that views share.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time as RFC 3339 in UTC with milliseconds, for people and programs.
#[must_use]
pub fn iso(at_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at_ms)
        .map_or_else(|| "unknown".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A number with its plus sign.
#[must_use]
pub fn phone(digits: Option<i64>) -> Option<String> {
    digits.map(|digits| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_and_a_broken_one_does_not_panic() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(i64::MAX), "unknown");
    }
}
