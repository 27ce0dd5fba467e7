//! At most so many marketing messages to one person in so many days: a cap of the house, and a campaign's own.
//!
//! What counts is read off the sends themselves, by their keys: of the campaigns that send or sent within those days, and
//! of the people of one claim or one page. So a cap holds for what was sent before it was set, nothing is written for
//! it, and old campaigns cost nothing.

use std::collections::BTreeSet;

use domain::frequency::FrequencyCap;

use crate::claims::{ClaimOrder, ClaimedSend};
use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};
use crate::meta;

/// Why a send was skipped: its person has had as many marketing messages as a cap allows.
pub const FREQUENCY_CAP: &str = "frequency-cap";
/// `meta.key` of the cap of the house.
pub(crate) const HOUSE_CAP: &str = "frequency_cap";

/// Whether a template, as campaigns keep it, is marketing: whatever is not said to be anything else.
pub(crate) fn is_marketing(template: &str) -> bool {
    let kept: Option<serde_json::Value> = serde_json::from_str(template).ok();
    let category = kept.as_ref().and_then(|kept| kept["category"].as_str()).unwrap_or_default();
    domain::optout::scope::is_marketing(category)
}

/// The caps that hold for a campaign: each one by itself, so that its own can only be stricter.
pub(crate) fn caps(house: Option<&str>, own: Option<&str>) -> Result<Vec<FrequencyCap>> {
    let read = |text: &str| text.parse().map_err(|_| Error::bug(format!("a frequency cap {text:?}")));
    [house, own].into_iter().flatten().map(read).collect()
}

/// The other marketing campaigns that may have sent something since a time.
async fn others_since(link: &mut Link, campaign_id: i64, since: i64) -> Result<Vec<i64>> {
    Ok(on!(link, c => sqlx::query_scalar(
        "SELECT id FROM campaigns WHERE state IN (1, 2, 3) AND state <> 1 AND marketing AND id <> $1
         UNION ALL SELECT id FROM campaigns WHERE finished_at > $2 AND marketing AND id <> $1")
        .bind(campaign_id).bind(since).fetch_all(c).await)?)
}

/// Takes those out of a claim who have had as many messages as a cap allows, and gives them back. What is on its way or in
/// doubt counts as had. On PostgreSQL the people are held until the claim's end, so that two lanes that claim for
/// the same person see each other; on SQLite there is one writer.
pub(crate) async fn take_out(
    tx: &mut Link,
    order: &ClaimOrder<'_>,
    caps: &[FrequencyCap],
    sends: &mut Vec<ClaimedSend>,
) -> Result<Vec<i64>> {
    let people: Vec<i64> = sends.iter().map(|send| send.contact_id).collect();
    if let Link::Postgres(held) = tx {
        sqlx::query("SELECT id FROM contacts WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE")
            .bind(&people)
            .execute(&mut **held)
            .await?;
    }
    let mut full = BTreeSet::new();
    for cap in caps {
        let since = cap.since(order.now);
        let others = others_since(tx, order.batch.campaign_id, since).await?;
        let most = i64::from(cap.messages());
        if others.is_empty() {
            continue;
        }
        let found: Vec<i64> = match tx {
            Link::Sqlite(held, _) => {
                sqlx::query_scalar(
                    "SELECT p.value FROM json_each($1) p WHERE (
                         SELECT count(*) FROM json_each($2) k CROSS JOIN sends s
                         ON s.campaign_id = k.value AND s.contact_id = p.value
                         WHERE s.state BETWEEN 1 AND 6 AND s.claimed_at > $3) >= $4",
                )
                .bind(serde_json::to_string(&people)?)
                .bind(serde_json::to_string(&others)?)
                .bind(since)
                .bind(most)
                .fetch_all(&mut **held)
                .await?
            }
            Link::Postgres(held) => {
                sqlx::query_scalar(
                    "SELECT p.id FROM unnest($1::bigint[]) AS p(id) WHERE (
                         SELECT count(*) FROM sends s WHERE s.campaign_id = ANY ($2) AND s.contact_id = p.id
                           AND s.state BETWEEN 1 AND 6 AND s.claimed_at > $3) >= $4",
                )
                .bind(&people)
                .bind(&others)
                .bind(since)
                .bind(most)
                .fetch_all(&mut **held)
                .await?
            }
        };
        full.extend(found);
    }
    sends.retain(|send| !full.contains(&send.contact_id));
    Ok(full.into_iter().collect())
}

/// As a part of an audience's page: whether a person `c` has had as many as a cap allows. `None`: nobody can have.
pub(crate) async fn condition(
    link: &mut Link,
    campaign_id: i64,
    caps: &[FrequencyCap],
    at: i64,
) -> Result<Option<String>> {
    let mut conditions = Vec::new();
    for cap in caps {
        let since = cap.since(at);
        let others = others_since(link, campaign_id, since).await?;
        if others.is_empty() {
            continue;
        }
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        conditions.push(format!(
            "(SELECT count(*) FROM sends s WHERE s.campaign_id IN ({}) AND s.contact_id = c.id
                AND s.state BETWEEN 1 AND 6 AND s.claimed_at > {since}) >= {}",
            others.join(", "),
            cap.messages()
        ));
    }
    Ok((!conditions.is_empty()).then(|| conditions.join(" OR ")))
}

impl Store {
    /// The cap of the house; `None`: there is none.
    ///
    /// # Errors
    /// As every read; [`Error::Bug`] for a text that we did not write.
    #[crate::boxed]
    pub async fn house_frequency_cap(&self) -> Result<Option<FrequencyCap>> {
        let text = self.meta(HOUSE_CAP).await?;
        Ok(caps(text.as_deref(), None)?.first().copied())
    }

    /// Sets or removes the cap of the house. It holds from the next claim on, for whatever was sent before, too.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_house_frequency_cap(&self, cap: Option<FrequencyCap>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        meta::set(&mut tx, HOUSE_CAP, cap.map(|cap| cap.to_string()).as_deref()).await?;
        tx.commit().await
    }

    /// The caps that hold for a campaign as it stands.
    ///
    /// # Errors
    /// As every read; [`Error::Bug`] for a text that we did not write.
    #[crate::boxed]
    pub async fn frequency_caps(&self, campaign_id: i64) -> Result<Vec<FrequencyCap>> {
        frequency_caps(&mut self.read().await?, campaign_id).await
    }
}

pub(crate) async fn frequency_caps(link: &mut Link, campaign_id: i64) -> Result<Vec<FrequencyCap>> {
    let found: Option<(Option<String>, Option<String>)> = on!(link, c => sqlx::query_as(
        "SELECT (SELECT value FROM meta WHERE key = $2), frequency_cap FROM campaigns WHERE id = $1 AND marketing")
        .bind(campaign_id).bind(HOUSE_CAP).fetch_optional(c).await)?;
    let (house, own) = found.unwrap_or_default();
    caps(house.as_deref(), own.as_deref())
}

#[cfg(test)]
mod tests;
