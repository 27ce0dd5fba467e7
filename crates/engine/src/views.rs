//! How things are shown: the small pieces that views share.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time as RFC 3339 in UTC with milliseconds, for people and programs.
#[must_use]
pub fn iso(at_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at_ms)
        .map_or_else(|| "unknown".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// For serde: a time as RFC 3339.
///
/// # Errors
/// The serializer's own.
pub fn as_iso<S: serde::Serializer>(at_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*at_ms))
}

/// For serde: a time as RFC 3339, or null.
///
/// # Errors
/// The serializer's own.
pub fn iso_or_null<S: serde::Serializer>(at_ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match at_ms {
        Some(at_ms) => serializer.serialize_some(&iso(*at_ms)),
        None => serializer.serialize_none(),
    }
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
