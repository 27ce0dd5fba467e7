//! Blackout days: those of the house, which hold for every marketing campaign, and how people who wait for the end of some
//! are looked at again when they are taken away.
//!
//! The claim asks for them, as it does for quiet hours, so that a day that is added holds from the next claim on.

use domain::schedule::Blackout;

use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};
use crate::meta;
use crate::terms::Hours;

/// `meta.key` of the blackout days of the house: a JSON array of texts.
pub(crate) const HOUSE_BLACKOUTS: &str = "blackouts";
/// So many people are looked at again at once.
const WOKEN: i64 = 1_000;

/// Reads blackout days as they are kept.
pub(crate) fn read(kept: &str) -> Result<Vec<Blackout>> {
    let texts: Vec<String> = serde_json::from_str(kept)?;
    let one = |text: &String| text.parse().map_err(|_| Error::bug(format!("blackout days {text:?}")));
    texts.iter().map(one).collect()
}

/// Blackout days as they are kept; `None`: there are none.
///
/// # Errors
/// None that can happen.
pub fn written(blackouts: &[Blackout]) -> Result<Option<String>> {
    let texts: Vec<String> = blackouts.iter().map(ToString::to_string).collect();
    Ok(if texts.is_empty() { None } else { Some(serde_json::to_string(&texts)?) })
}

impl Store {
    /// The blackout days of the house.
    ///
    /// # Errors
    /// As every read; [`Error::Bug`] for a text that we did not write.
    #[crate::boxed]
    pub async fn house_blackouts(&self) -> Result<Vec<Blackout>> {
        self.meta(HOUSE_BLACKOUTS).await?.as_deref().map_or_else(|| Ok(Vec::new()), read)
    }

    /// Sets the blackout days of the house, in the place of those that there were. They hold from the next claim on.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_house_blackouts(&self, blackouts: &[Blackout]) -> Result<()> {
        let kept = written(blackouts)?;
        let mut tx = self.write(Priority::Urgent).await?;
        meta::set(&mut tx, HOUSE_BLACKOUTS, kept.as_deref()).await?;
        tx.commit().await
    }

    /// Lets up to a thousand people of a campaign and a number who wait for the end of blackout days be looked at again:
    /// the next claim asks what holds for them now. How many there were.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn wake_from_blackouts(&self, campaign_id: i64, number_id: i64, now: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Soon).await?.named("blackouts");
        let people: Vec<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "SELECT contact_id FROM sends WHERE campaign_id = $1 AND number_id = $2 AND not_before > $3
             AND state = 0 AND reason LIKE 'blackout:%' LIMIT $4")
            .bind(campaign_id).bind(number_id).bind(now).bind(WOKEN).fetch_all(c).await)?;
        if people.is_empty() {
            return Ok(0);
        }
        let sql = tx.pick(
            "UPDATE sends SET not_before = $3 WHERE campaign_id = $1
             AND contact_id IN (SELECT value FROM json_each($2)) AND state = 0",
            "UPDATE sends SET not_before = $3 WHERE campaign_id = $1
             AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint)) AND state = 0",
        );
        let json = serde_json::to_string(&people)?;
        let woken = on!(&mut tx, c => sqlx::query(sql).bind(campaign_id).bind(json).bind(now).execute(c).await
            .map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(woken)
    }

    /// When people of a campaign may not be written to, as it stands; `None`: never.
    ///
    /// # Errors
    /// As every read; [`Error::Bug`] for texts that we did not write.
    #[crate::boxed]
    pub async fn hours(&self, campaign_id: i64) -> Result<Option<Hours>> {
        hours_of(&mut self.read().await?, campaign_id).await
    }
}

/// The columns that [`Hours::read`] takes, and whether the blackout days of the house hold for a campaign: for what is
/// marketing, and not for a message on trial.
type Kept = (Option<String>, Option<String>, Option<String>, Option<String>);

async fn hours_of(link: &mut Link, campaign_id: i64) -> Result<Option<Hours>> {
    let found: Option<Kept> = on!(link, c => sqlx::query_as(
        "SELECT quiet_hours, timezone, blackouts,
                CASE WHEN marketing AND kind <> 2 THEN (SELECT value FROM meta WHERE key = $2) END
         FROM campaigns WHERE id = $1").bind(campaign_id).bind(HOUSE_BLACKOUTS).fetch_optional(c).await)?;
    let (quiet_hours, timezone, own, house) = found.unwrap_or_default();
    Hours::read(quiet_hours.as_deref(), [own.as_deref(), house.as_deref()], timezone.as_deref())
}

#[cfg(test)]
mod tests;
