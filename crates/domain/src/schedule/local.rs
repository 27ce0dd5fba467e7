//! Wall clock times as instants, where a wall clock may jump over an hour or show it twice.

use chrono::{LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::Millis;

/// Zones lie between UTC-12 and UTC+14, historical ones within a day.
const FURTHEST: TimeDelta = TimeDelta::hours(25);

/// What the wall clock of a zone shows, if the calendar reaches that far.
pub(super) fn wall_clock(at: Millis, zone: Tz) -> Option<NaiveDateTime> {
    let utc = chrono::DateTime::from_timestamp_millis(at)?.naive_utc();
    utc.checked_add_signed(FURTHEST)?;
    utc.checked_sub_signed(FURTHEST)?;
    Some(zone.from_utc_datetime(&utc).naive_local())
}

/// The first instant at which the wall clock of a zone shows this time or has jumped over it: the earlier of the two in
/// an overlap, the end of the gap in a gap.
pub(crate) fn instant(local: NaiveDateTime, zone: Tz) -> Option<Millis> {
    let found = match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.naive_utc(),
        LocalResult::None => end_of_gap(local, zone)?,
    };
    Some(found.and_utc().timestamp_millis())
}

/// The instant (UTC) at which the wall clock jumps over `local`. There is one between a day before and a day after,
/// because the clock is behind `local` at first and ahead of it in the end, and never shows it.
pub(super) fn end_of_gap(local: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    let mut behind = local.checked_sub_signed(FURTHEST)?;
    let mut ahead = local.checked_add_signed(FURTHEST)?;
    // Time zones change on whole seconds.
    while ahead - behind > TimeDelta::seconds(1) {
        let middle = behind + TimeDelta::seconds((ahead - behind).num_seconds() / 2);
        if Utc.from_utc_datetime(&middle).with_timezone(&zone).naive_local() > local {
            ahead = middle;
        } else {
            behind = middle;
        }
    }
    Some(ahead)
}
