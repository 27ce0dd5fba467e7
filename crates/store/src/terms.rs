//! When a campaign's messages may leave: spread over a length of time, not while people sleep or on blackout days, not
//! after the offer's end. The claim asks, each time: whatever stood still meanwhile, an outage or a pause, nothing leaves at a wrong hour.

use std::collections::{BTreeMap, HashMap};

use domain::optout::scope::Forbidding;
use domain::phone::{PhoneNumber, Region};
use domain::schedule::{Blackout, Calendar, Closed, CronLine, Tz, Whereabouts, own_zone, parse_zone, zone_of_region};

use crate::blackouts;
use crate::claims::{ClaimOrder, ClaimedSend, candidates};
use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};

/// How long a claim may be used, ms: it looks so far ahead for an end or a night that would begin before its message
/// leaves.
pub const CLAIM_LASTS: i64 = 250;
/// Why a send was skipped: the offer ended before its message could leave.
pub const OFFER_ENDED: &str = "offer-ended";
/// How the reason of a planned send begins whose person sleeps; the name of their zone follows.
const QUIET: &str = "quiet-hours:";
/// How the reason of a planned send begins for whose person it is a blackout day; their zone follows, and after another
/// colon what those days are called.
const BLACKOUT: &str = "blackout:";
/// Where one person sleeps there are more: so many are looked at, and put off, at once.
const PUT_OFF: usize = 1_000;
/// Waiting people are counted up to here.
const COUNTED: i64 = 100_000;

/// When a campaign's messages may leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Evenly over so long, ms.
    pub spread: Option<i64>,
    /// Not while it is quiet for the person, `21:00-09:00`.
    pub quiet_hours: Option<String>,
    /// The zone of people whose own is not known.
    pub timezone: Option<String>,
    /// Not from then on, epoch ms.
    pub stop_at: Option<i64>,
    /// Started by itself no later than so long after its time, ms.
    pub latest_start: Option<i64>,
    /// A crontab line, by the clock of `timezone`: the campaign recurs, each time as a child of its own.
    pub cron: Option<String>,
    /// A child whose audience differs from the last one's by more than so many per cent waits for a person.
    pub size_guard: Option<i64>,
    /// At most so many marketing messages to one person in so many days, `2/7d`; beside the cap of the house.
    pub frequency_cap: Option<String>,
    /// Who goes first, and what that must not come to: [`domain::canary::Canary`] as JSON.
    pub canary: Option<String>,
    /// Its own blackout days, as [`crate::blackouts_written`] writes them.
    pub blackouts: Option<String>,
    /// The gaps between its turns are drawn at random.
    pub human_gaps: bool,
}

from_row!(Terms {
    spread,
    quiet_hours,
    timezone,
    stop_at,
    latest_start,
    cron,
    size_guard,
    frequency_cap,
    canary,
    blackouts,
    human_gaps
});

impl Terms {
    /// Its own blackout days.
    ///
    /// # Errors
    /// [`Error::Bug`] for a text that we did not write.
    pub fn blackouts(&self) -> Result<Vec<Blackout>> {
        self.blackouts.as_deref().map_or_else(|| Ok(Vec::new()), blackouts::read)
    }

    /// When it recurs, and by whose clock.
    ///
    /// # Errors
    /// [`Error::Bug`] for texts that we did not write.
    pub fn recurrence(&self) -> Result<Option<(CronLine, Tz)>> {
        let Some(cron) = &self.cron else { return Ok(None) };
        let broken = || Error::bug(format!("a crontab line {cron:?} in {:?}", self.timezone));
        let line = CronLine::parse(cron).map_err(|_| broken())?;
        let zone = parse_zone(self.timezone.as_deref().ok_or_else(broken)?).map_err(|_| broken())?;
        Ok(Some((line, zone)))
    }

    /// Whether the offer is over for a claim that is made now.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        ended(self.stop_at, now)
    }
}

pub(crate) fn ended(stop_at: Option<i64>, now: i64) -> bool {
    stop_at.is_some_and(|stop_at| now.saturating_add(CLAIM_LASTS) >= stop_at)
}

/// When people of a campaign may not be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Its quiet hours and blackout days.
    pub calendar: Calendar,
    /// For people whose own zone is not known.
    pub otherwise: Tz,
}

/// People of a campaign who are not written to for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asleep {
    /// Where it is quiet; `None`: they wait for another try.
    pub zone: Option<Tz>,
    /// When the first of them may be written to, epoch ms.
    pub until: i64,
    /// How many, counted up to a hundred thousand over all zones.
    pub people: i64,
    /// What the blackout days are called that they wait for the end of.
    pub after: Option<String>,
}

impl Hours {
    /// Quiet hours, blackout days from wherever they come, and a zone, as they are kept. `None`: nothing is ever forbidden.
    pub(crate) fn read(
        quiet_hours: Option<&str>,
        blackouts: [Option<&str>; 2],
        timezone: Option<&str>,
    ) -> Result<Option<Self>> {
        let broken = || Error::bug(format!("quiet hours {quiet_hours:?} in {timezone:?}"));
        let quiet = quiet_hours.map(str::parse).transpose().map_err(|_| broken())?;
        let mut calendar = Calendar { quiet, blackouts: Vec::new() };
        for kept in blackouts.into_iter().flatten() {
            calendar.blackouts.extend(blackouts::read(kept)?);
        }
        if calendar.is_empty() {
            return Ok(None);
        }
        let otherwise = timezone.map_or(Ok(Tz::UTC), parse_zone).map_err(|_| broken())?;
        Ok(Some(Self { calendar, otherwise }))
    }

    /// Where a person is, as far as their days are concerned. `attributes` is the JSON object of their columns.
    #[must_use]
    pub fn whereabouts(&self, phone: Option<i64>, attributes: &str) -> Whereabouts {
        let number = || phone.and_then(|digits| u64::try_from(digits).ok()).and_then(PhoneNumber::from_e164);
        self.whereabouts_in(|| number().and_then(PhoneNumber::region), attributes)
    }

    /// As [`Self::whereabouts`], for whoever knows the country of the person's number already.
    #[must_use]
    pub fn whereabouts_in(&self, country: impl FnOnce() -> Option<Region>, attributes: &str) -> Whereabouts {
        // Few have such a column, and nearly everybody's text shows that without being read.
        let columns: BTreeMap<String, String> = if attributes.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'z')) {
            serde_json::from_str(attributes).unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        let own = own_zone(columns.iter().map(|(column, text)| (column.as_str(), text.as_str())));
        let matters = self.calendar.asks_for_countries();
        // Looking it up takes some microseconds.
        let country = if matters || own.is_none() { country() } else { None };
        let zone = own.or_else(|| country.and_then(zone_of_region)).unwrap_or(self.otherwise);
        Whereabouts { zone, country: country.filter(|_| matters) }
    }

    /// Until when people of a place are not written to by a claim that is made now; `None`: they may be.
    #[must_use]
    pub fn closed(&self, place: Whereabouts, now: i64) -> Option<Closed<'_>> {
        let leaves = now.saturating_add(CLAIM_LASTS);
        self.calendar.closed(now, place).or_else(|| self.calendar.closed(leaves, place))
    }

    /// The next sends of a batch whose people are awake, and whether there are no more; whoever sleeps is put off to
    /// their morning. No more are looked at than the claim is for, or than [`PUT_OFF`] where one of those sleeps.
    pub(crate) async fn awake(
        &self,
        tx: &mut Link,
        order: &ClaimOrder<'_>,
        forbidding: &Forbidding,
    ) -> Result<(Vec<ClaimedSend>, bool)> {
        let mut mornings: HashMap<Whereabouts, Option<(i64, String)>> = HashMap::new();
        let mut morning_of = |send: &ClaimedSend| {
            let place = self.whereabouts(send.phone, &send.attributes);
            let morning = mornings.entry(place).or_insert_with(|| {
                let closed = self.closed(place, order.now)?;
                let reason = match closed.after {
                    Some(after) => format!("{BLACKOUT}{}:{}", place.zone.name(), after.title()),
                    None => format!("{QUIET}{}", place.zone.name()),
                };
                Some((closed.until, reason))
            });
            morning.clone()
        };
        let found = candidates(tx, order, forbidding).await?;
        if found.iter().all(|send| morning_of(send).is_none()) {
            let exhausted = found.len() < order.limit;
            return Ok((found, exhausted));
        }
        let wider = ClaimOrder { limit: order.limit.max(PUT_OFF), ..order.clone() };
        let found = candidates(tx, &wider, forbidding).await?;
        let mut exhausted = found.len() < wider.limit;
        let mut asleep: BTreeMap<(i64, String), Vec<i64>> = BTreeMap::new();
        let mut awake = Vec::new();
        for send in found {
            match morning_of(&send) {
                Some(morning) => asleep.entry(morning).or_default().push(send.contact_id),
                None => awake.push(send),
            }
        }
        if awake.len() > order.limit {
            awake.truncate(order.limit);
            exhausted = false;
        }
        for ((until, reason), people) in asleep {
            put_off(tx, order.batch.campaign_id, &people, until, &reason).await?;
        }
        Ok((awake, exhausted))
    }
}

/// Reads the numbering plans, which takes a moment at their first use: too long within a claim's transaction.
pub fn warm_up_zones() {
    let _ = PhoneNumber::from_e164(201_000_000_000).and_then(PhoneNumber::region);
}

/// Lets sends wait for a time, with why. They stay planned.
async fn put_off(tx: &mut Link, campaign_id: i64, people: &[i64], until: i64, reason: &str) -> Result<()> {
    let sql = tx.pick(
        "UPDATE sends SET not_before = $3, reason = $4
         WHERE campaign_id = $1 AND contact_id IN (SELECT value FROM json_each($2)) AND state = 0",
        // As an array: see `mark_submitting`.
        "UPDATE sends SET not_before = $3, reason = $4
         WHERE campaign_id = $1 AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))
           AND state = 0",
    );
    let json = serde_json::to_string(people)?;
    on!(tx, c => sqlx::query(sql).bind(campaign_id).bind(json).bind(until).bind(reason)
        .execute(c).await.map(drop))?;
    Ok(())
}

impl Store {
    /// Who of a campaign waits for a time, by where it is quiet for them: the soonest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn asleep(&self, campaign_id: i64, now: i64) -> Result<Vec<Asleep>> {
        let mut link = self.read().await?;
        // CROSS: SQLite takes the numbers first, and of the campaign only what waits on them.
        let rows: Vec<(Option<String>, i64, i64)> = on!(&mut link, c => sqlx::query_as(
            "SELECT w.reason, min(w.not_before), count(*) FROM (
                 SELECT s.reason, s.not_before FROM campaign_numbers n CROSS JOIN sends s
                 WHERE n.campaign_id = $1 AND s.campaign_id = n.campaign_id AND s.number_id = n.number_id
                   AND s.not_before > $2 AND s.state = 0 AND s.not_before IS NOT NULL LIMIT $3) w
             GROUP BY w.reason ORDER BY 2, 1")
            .bind(campaign_id).bind(now).bind(COUNTED).fetch_all(c).await)?;
        let read = |(reason, until, people): (Option<String>, i64, i64)| {
            let reason = reason.unwrap_or_default();
            let (zone, after) = match reason.strip_prefix(BLACKOUT).and_then(|rest| rest.split_once(':')) {
                Some((zone, after)) => (Some(zone), Some(after.to_owned())),
                None => (reason.strip_prefix(QUIET), None),
            };
            Asleep { zone: zone.and_then(|name| parse_zone(name).ok()), until, people, after }
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// From when the next message of a spread campaign may leave from a number, epoch ms; `None`: none left yet.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn next_of_spread(&self, campaign_id: i64, number_id: i64) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        let found: Option<Option<i64>> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT next_at FROM campaign_numbers WHERE campaign_id = $1 AND number_id = $2")
            .bind(campaign_id).bind(number_id).fetch_optional(c).await)?;
        Ok(found.flatten())
    }

    /// Keeps from when the next message of a spread campaign may leave from a number, so that a restart goes on at the
    /// same pace.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_next_of_spread(&self, campaign_id: i64, number_id: i64, at: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE campaign_numbers SET next_at = $3 WHERE campaign_id = $1 AND number_id = $2")
            .bind(campaign_id).bind(number_id).bind(at).execute(c).await.map(drop))?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests;
