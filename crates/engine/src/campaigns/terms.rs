//! When a campaign's messages may leave, in words: its terms, and why it waits.

use domain::pacing::{self, SECOND};
use domain::schedule::{Blackout, Calendar, Tz, Waiting, length, time_of_day, town};
use serde::{Deserialize, Serialize};
use store::{Asleep, CampaignRow, Tally};
use utoipa::ToSchema;

use crate::campaigns::canary;
use crate::fault::{Fault, Result};
use crate::limits::grouped;
use crate::{App, limits};

/// A campaign's quiet hours, and whose clock counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuietHoursView {
    /// `21:00-09:00`.
    pub hours: String,
    /// The time zone of people whose own is not known.
    pub timezone: String,
    /// How a person's time zone is found, in one sentence.
    pub rule: String,
}

/// Days on which nobody is written to, by each person's own calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlackoutDays {
    /// `2026-12-25`, `2026-05-27..2026-05-29`; without the year they come back every year: `12-25`, `12-31..01-01`.
    pub dates: String,
    /// What people know them by: `Eid al-Adha`.
    #[serde(default)]
    pub name: Option<String>,
    /// For people whose number is of this country only, by its two letters; `null`: for everybody.
    #[serde(default)]
    pub country: Option<String>,
}

/// People whom blackout days hold back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlackoutWait {
    /// Which days.
    pub days: BlackoutDays,
    /// About how many people wait for their end.
    pub people: i64,
    /// When the last of them may be written to, RFC 3339.
    pub until: String,
}

/// More would be a calendar.
const MOST_BLACKOUTS: usize = 200;

/// Reads blackout days that somebody gives.
pub(crate) fn read_blackouts(given: &[BlackoutDays]) -> Result<Vec<Blackout>> {
    if given.len() > MOST_BLACKOUTS {
        return Err(Fault::invalid(format!("At most {MOST_BLACKOUTS} blackout days or ranges of them can be kept.")));
    }
    let mut read: Vec<Blackout> = Vec::new();
    for days in given {
        let name = days.name.as_deref().filter(|name| !name.trim().is_empty());
        let country = days.country.as_deref().filter(|country| !country.trim().is_empty());
        let one = Blackout::new(&days.dates, country, name).map_err(|error| {
            let shown: String = days.dates.chars().take(40).collect();
            Fault::invalid(format!("The blackout days {shown:?} cannot be read: {error}."))
        })?;
        if !read.contains(&one) {
            read.push(one);
        }
    }
    Ok(read)
}

/// Blackout days as they are shown.
pub(crate) fn blackout_days(blackout: &Blackout) -> BlackoutDays {
    BlackoutDays {
        dates: blackout.dates(),
        name: blackout.name().map(str::to_owned),
        country: blackout.country().map(|country| country.to_string()),
    }
}

pub(super) fn blackout_wait(calendar: &Calendar, waiting: &Waiting) -> Option<BlackoutWait> {
    let days = blackout_days(calendar.blackouts.get(waiting.blackout)?);
    Some(BlackoutWait { days, people: waiting.people, until: crate::views::iso(waiting.until) })
}

/// A campaign that is spread over a length of time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SpreadView {
    /// `6h`.
    pub over: String,
    /// Messages a second over all its numbers; `null` until it is launched.
    pub per_second: Option<f64>,
}

/// How far apart a campaign's messages leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gaps {
    /// Evenly.
    #[default]
    Even,
    /// Drawn at random, as a person's would be, with the mean kept, and never above its cap in any second.
    Human,
}

impl Gaps {
    pub(super) fn of(row: &CampaignRow) -> Self {
        if row.terms.human_gaps { Self::Human } else { Self::Even }
    }
}

pub(super) fn quiet_hours(row: &CampaignRow) -> Option<QuietHoursView> {
    let hours = row.terms.quiet_hours.clone()?;
    let timezone = row.terms.timezone.clone().unwrap_or_else(|| Tz::UTC.name().to_owned());
    let rule = format!(
        "A person's column `timezone` or `time_zone`; else the country of their number, where it has one time; else \
         {timezone}."
    );
    Some(QuietHoursView { hours, timezone, rule })
}

pub(super) fn spread(row: &CampaignRow) -> Option<SpreadView> {
    let over = row.terms.spread?;
    Some(SpreadView { over: length(over), per_second: row.spread_people.map(|people| spread_rate(people, over)) })
}

/// Messages a second of a campaign whose cap on a lane is so many.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a second")]
pub(super) fn pace_of_cap(cap: u32, row: &CampaignRow) -> f64 {
    if !row.terms.human_gaps {
        return f64::from(cap);
    }
    // Gaps that are drawn are a little longer where they are as close as the cap lets them.
    let even = SECOND.div_ceil(u64::from(cap.max(1)));
    let gaps = pacing::Gaps::new(even, Some(pacing::Cap { turns: cap, within: SECOND }), 0);
    SECOND as f64 / gaps.mean() as f64
}

/// Messages a second of so many people over so long.
#[expect(clippy::cast_precision_loss, reason = "people and milliseconds, far below 2^53")]
pub(super) fn spread_rate(people: i64, over: i64) -> f64 {
    people as f64 * 1_000.0 / (over.max(1) as f64)
}

/// Why a running campaign that has something to send sends nothing just now, if that is so: one sentence.
///
/// # Errors
/// When the database is away.
pub(super) async fn why_waiting(
    app: &App,
    row: &CampaignRow,
    tally: &Tally,
    number_ids: &[i64],
) -> Result<Option<String>> {
    if let Some(limit) = limits::why_waiting(app, number_ids).await? {
        return Ok(Some(limit));
    }
    if let Some(canary) = canary::why_waiting(app, row).await? {
        return Ok(Some(canary));
    }
    let now = app.clock.now_ms();
    let asleep = app.store.asleep(row.id, now).await?;
    let waiting: i64 = asleep.iter().map(|group| group.people).sum();
    // While others are on their way nobody asks why.
    if waiting == 0 || waiting < tally.planned || tally.submitting > 0 {
        return Ok(None);
    }
    Ok(Some(waits_for(&asleep, now)))
}

/// For whose morning a campaign waits: the first, and how many others come after it.
fn waits_for(asleep: &[Asleep], now: i64) -> String {
    let people = |n: i64| if n == 1 { "1 person".to_owned() } else { format!("{} people", grouped(n)) };
    let words = |group: &Asleep| match group.zone {
        Some(zone) => {
            let at = time_of_day(group.until, now, zone);
            match &group.after {
                Some(days) => format!("waiting for {} in {} after {}: {}", at, town(zone), days, people(group.people)),
                None => format!("waiting for {} in {}: {}", at, town(zone), people(group.people)),
            }
        }
        None => {
            format!("waiting for {} UTC to try {} again", time_of_day(group.until, now, Tz::UTC), people(group.people))
        }
    };
    let Some((first, others)) = asleep.split_first() else { return String::new() };
    match others {
        [] => words(first),
        [other] => format!("{}, then {}", words(first), words(other)),
        _ => {
            let rest: i64 = others.iter().map(|group| group.people).sum();
            format!("{}, and {} elsewhere later", words(first), people(rest))
        }
    }
}

/// Why a campaign that ended early did.
pub(crate) fn offer_ended(stop_at: i64, left_over: i64) -> String {
    let at = crate::views::iso(stop_at);
    format!("the offer ended at {at}: {} people were not written to", grouped(left_over))
}

/// Why a campaign that was missed does not start.
pub(crate) fn missed(start_at: i64, latest: i64) -> String {
    format!(
        "it did not start: its time was {}, nothing ran then, and it was to start within {} or not at all",
        crate::views::iso(start_at),
        length(latest)
    )
}

#[cfg(test)]
mod tests {
    use domain::schedule::parse_at;

    use super::*;

    #[test]
    fn one_sentence_says_for_which_morning_a_campaign_waits() {
        let now = parse_at("2026-06-01T23:00:00+03:00").unwrap();
        let group = |zone, until: &str, people| Asleep { zone, until: parse_at(until).unwrap(), people, after: None };
        let cairo = group(Some(Tz::Africa__Cairo), "2026-06-02T09:00:00+03:00", 4_210);
        let madrid = group(Some(Tz::Europe__Madrid), "2026-06-02T09:00:00+02:00", 1);
        let again = group(None, "2026-06-03T10:30:00Z", 12);
        assert_eq!(waits_for(std::slice::from_ref(&cairo), now), "waiting for 09:00 in Cairo: 4,210 people");
        assert_eq!(
            waits_for(&[cairo.clone(), madrid.clone()], now),
            "waiting for 09:00 in Cairo: 4,210 people, then waiting for 09:00 in Madrid: 1 person"
        );
        assert_eq!(
            waits_for(&[cairo.clone(), madrid, again.clone()], now),
            "waiting for 09:00 in Cairo: 4,210 people, and 13 people elsewhere later"
        );
        let feast = Asleep { after: Some("Eid".to_owned()), ..cairo.clone() };
        assert_eq!(waits_for(&[feast], now), "waiting for 09:00 in Cairo after Eid: 4,210 people");
        assert_eq!(waits_for(&[again], now), "waiting for Wed 10:30 UTC to try 12 people again");
    }

    #[test]
    fn what_was_missed_or_has_ended_says_so_with_its_time() {
        assert!(
            missed(0, 7_200_000).contains("its time was 1970-01-01T00:00:00.000Z")
                && missed(0, 7_200_000).contains("within 2h")
        );
        assert_eq!(
            offer_ended(0, 1_200),
            "the offer ended at 1970-01-01T00:00:00.000Z: 1,200 people were not written to"
        );
    }
}
