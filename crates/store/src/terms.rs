//! When a campaign's messages may leave: spread over a length of time, not while people sleep, not after the offer's
//! end. The claim asks, each time: whatever stood still meanwhile, an outage or a pause, nothing leaves at a wrong hour.

use std::collections::{BTreeMap, HashMap};

use domain::optout::scope::Forbidding;
use domain::phone::{PhoneNumber, Region};
use domain::schedule::{CronLine, QuietHours, Tz, parse_zone, zone_of_person};

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
    /// The zone of people whose own is not known; always there beside quiet hours.
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
}

from_row!(Terms { spread, quiet_hours, timezone, stop_at, latest_start, cron, size_guard, frequency_cap, canary });

impl Terms {
    /// The quiet hours, and the zone of people whose own is not known.
    ///
    /// # Errors
    /// [`Error::Bug`] for texts that we did not write.
    pub fn hours(&self) -> Result<Option<Hours>> {
        Hours::read(self.quiet_hours.as_deref(), self.timezone.as_deref())
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

/// The quiet hours of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// When.
    pub quiet: QuietHours,
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
}

impl Hours {
    pub(crate) fn read(quiet_hours: Option<&str>, timezone: Option<&str>) -> Result<Option<Self>> {
        let Some(quiet) = quiet_hours else { return Ok(None) };
        let broken = || Error::bug(format!("quiet hours {quiet:?} in {timezone:?}"));
        let quiet = quiet.parse().map_err(|_| broken())?;
        let otherwise = parse_zone(timezone.ok_or_else(broken)?).map_err(|_| broken())?;
        Ok(Some(Self { quiet, otherwise }))
    }

    /// Reads the numbering plans, which takes a moment at their first use: too long within a claim's transaction.
    pub fn warm_up(&self) {
        let _ = self.zone_of(Some(201_000_000_000), "{}");
    }

    /// The zone in which a person's day is counted. `attributes` is the JSON object of their columns.
    #[must_use]
    pub fn zone_of(&self, phone: Option<i64>, attributes: &str) -> Tz {
        let number = || phone.and_then(|digits| u64::try_from(digits).ok()).and_then(PhoneNumber::from_e164);
        self.zone_in(|| number().and_then(PhoneNumber::region), attributes)
    }

    /// As [`Self::zone_of`], for whoever knows the country of the person's number already.
    #[must_use]
    pub fn zone_in(&self, country: impl FnOnce() -> Option<Region>, attributes: &str) -> Tz {
        // Few have such a column, and nearly everybody's text shows that without being read.
        let columns: BTreeMap<String, String> = if attributes.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'z')) {
            serde_json::from_str(attributes).unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        zone_of_person(columns.iter().map(|(column, text)| (column.as_str(), text.as_str())), country, self.otherwise)
    }

    /// Until when people of a zone are not written to by a claim that is made now; `None`: they may be.
    #[must_use]
    pub fn closed_until(&self, zone: Tz, now: i64) -> Option<i64> {
        let leaves = now.saturating_add(CLAIM_LASTS);
        self.quiet.closed_until(now, zone).or_else(|| self.quiet.closed_until(leaves, zone))
    }

    /// The next sends of a batch whose people are awake, and whether there are no more; whoever sleeps is put off to
    /// their morning. No more are looked at than the claim is for, or than [`PUT_OFF`] where one of those sleeps.
    pub(crate) async fn awake(
        &self,
        tx: &mut Link,
        order: &ClaimOrder<'_>,
        forbidding: &Forbidding,
    ) -> Result<(Vec<ClaimedSend>, bool)> {
        let mut mornings: HashMap<Tz, Option<i64>> = HashMap::new();
        let mut morning_of = |send: &ClaimedSend| {
            let zone = self.zone_of(send.phone, &send.attributes);
            let until = *mornings.entry(zone).or_insert_with(|| self.closed_until(zone, order.now));
            until.map(|until| (zone, until))
        };
        let found = candidates(tx, order, forbidding).await?;
        if found.iter().all(|send| morning_of(send).is_none()) {
            let exhausted = found.len() < order.limit;
            return Ok((found, exhausted));
        }
        let wider = ClaimOrder { limit: order.limit.max(PUT_OFF), ..order.clone() };
        let found = candidates(tx, &wider, forbidding).await?;
        let mut exhausted = found.len() < wider.limit;
        let mut asleep: BTreeMap<(i64, &'static str), Vec<i64>> = BTreeMap::new();
        let mut awake = Vec::new();
        for send in found {
            match morning_of(&send) {
                Some((zone, until)) => asleep.entry((until, zone.name())).or_default().push(send.contact_id),
                None => awake.push(send),
            }
        }
        if awake.len() > order.limit {
            awake.truncate(order.limit);
            exhausted = false;
        }
        for ((until, zone), people) in asleep {
            put_off(tx, order.batch.campaign_id, &people, until, zone).await?;
        }
        Ok((awake, exhausted))
    }
}

/// Lets sends wait for a time, with where it is quiet. They stay planned.
async fn put_off(tx: &mut Link, campaign_id: i64, people: &[i64], until: i64, zone: &str) -> Result<()> {
    let sql = tx.pick(
        "UPDATE sends SET not_before = $3, reason = $4
         WHERE campaign_id = $1 AND contact_id IN (SELECT value FROM json_each($2)) AND state = 0",
        // As an array: see `mark_submitting`.
        "UPDATE sends SET not_before = $3, reason = $4
         WHERE campaign_id = $1 AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))
           AND state = 0",
    );
    let json = serde_json::to_string(people)?;
    on!(tx, c => sqlx::query(sql).bind(campaign_id).bind(json).bind(until).bind(format!("{QUIET}{zone}"))
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
        let zone = |reason: Option<String>| reason?.strip_prefix(QUIET).and_then(|name| parse_zone(name).ok());
        Ok(rows.into_iter().map(|(reason, until, people)| Asleep { zone: zone(reason), until, people }).collect())
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
