//! Points in time and lengths of it as people type them, crontab lines, quiet hours, blackout days and the zones in which
//! they are counted, and when a campaign ends that heeds them.

mod blackout;
mod calendar;
mod crontab;
mod field;
mod forecast;
mod length;
mod local;
mod quiet;
mod zone;

use chrono::DateTime;
use thiserror::Error;

use crate::Millis;

pub use blackout::{Blackout, BlackoutError};
pub use calendar::{Calendar, Closed, Whereabouts};
pub use chrono_tz::Tz;
pub use crontab::CronLine;
pub use field::{CronError, CronField};
pub use forecast::{Forecast, Outlook, Places, Waiting, forecast, forecast_with_waits};
pub use length::{NotALength, length, parse_length};
pub(crate) use local::instant;
pub use quiet::{QuietHours, QuietHoursError, at_in_words, time_of_day, town, wall_clock_words};
pub use zone::{UnknownZone, ZONE_COLUMNS, own_zone, parse_zone, zone_of_person, zone_of_region};

/// A text that is no point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write the time as RFC 3339 with its offset, for example 2026-03-01T10:00:00+02:00")]
pub struct NotATime;

/// Reads an RFC 3339 time (`2026-03-01T10:00:00+02:00`, `2026-03-01T08:00:00Z`). A time without an offset is refused:
/// nobody can tell whose ten o'clock it is.
///
/// # Errors
/// [`NotATime`] for anything else.
pub fn parse_at(text: &str) -> Result<Millis, NotATime> {
    DateTime::parse_from_rfc3339(text.trim()).map(|at| at.timestamp_millis()).map_err(|_| NotATime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset() {
        assert_eq!(parse_at("1970-01-01T02:00:01+02:00"), Ok(1_000));
        assert_eq!(parse_at(" 1970-01-01T00:00:01.250Z "), Ok(1_250));
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        for text in ["2026-03-01T10:00:00", "2026-03-01 10:00", "2026-03-01", "tomorrow", "", "2026-02-30T10:00:00Z"] {
            assert_eq!(parse_at(text), Err(NotATime), "{text}");
        }
    }
}
