//! Messages that Meta took and that were not delivered within their template's time to live. Meta need not tell of them:
//! that they were dropped follows from the clock. They keep their state, and are counted beside it; one that is delivered
//! after all leaves the count by itself.

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::tallies::{Deltas, EXPIRED};

/// A campaign that may have such messages by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// Its id.
    pub id: i64,
    /// The template as it was when last checked at launch, JSON.
    pub template: String,
    /// When its first send could go.
    pub started_at: i64,
    /// When it was finished or cancelled.
    pub finished_at: Option<i64>,
}

from_row!(Expiring { id, template, started_at, finished_at });

impl Store {
    /// Campaigns at which it is time to look, those first that have waited longest.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn expiring(&self, now: i64, limit: i64) -> Result<Vec<Expiring>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT id, template, started_at, finished_at FROM campaigns
             WHERE started_at IS NOT NULL AND expiry_due <= $1 ORDER BY expiry_due LIMIT $2")
            .bind(now).bind(limit).fetch_all(c).await)?)
    }

    /// Says when to look at a campaign again; `None`: never.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn expires_next(&self, campaign_id: i64, due: Option<i64>) -> Result<()> {
        let mut tx = self.write(Priority::Bulk).await?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET expiry_due = $2 WHERE id = $1")
            .bind(campaign_id).bind(due.unwrap_or(i64::MAX)).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Marks what was accepted by a time and is neither delivered nor marked: at most so many people from one on. The
    /// last of them, from whom to go on; `None`: that was all.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn expire(&self, campaign_id: i64, after: i64, accepted_by: i64, limit: i64) -> Result<Option<i64>> {
        // Looked up before the writer is taken: between two of them may lie a million that were delivered.
        let mut link = self.read().await?;
        let people: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT contact_id FROM sends
             WHERE campaign_id = $1 AND contact_id > $2 AND state IN (3, 4) AND NOT expired AND accepted_at <= $3
             ORDER BY contact_id LIMIT $4")
            .bind(campaign_id).bind(after).bind(accepted_by).bind(limit).fetch_all(c).await)?;
        drop(link);
        let Some(last) = people.last().copied() else { return Ok(None) };
        let mut tx = self.write(Priority::Bulk).await?.named("expire");
        let numbers: Vec<i64> = match &mut tx {
            Link::Sqlite(held, _) => {
                sqlx::query_scalar(
                    "UPDATE sends SET expired = TRUE
                     WHERE campaign_id = $1 AND contact_id IN (SELECT value FROM json_each($2))
                       AND state IN (3, 4) AND NOT expired AND accepted_at <= $3 RETURNING number_id",
                )
                .bind(campaign_id)
                .bind(serde_json::to_string(&people)?)
                .bind(accepted_by)
                .fetch_all(&mut **held)
                .await?
            }
            // Locked in the table's order, as every other writer does.
            Link::Postgres(held) => {
                sqlx::query_scalar(
                    "WITH locked AS MATERIALIZED (
                         SELECT contact_id, number_id FROM sends
                         WHERE campaign_id = $1 AND contact_id = ANY ($2)
                           AND state IN (3, 4) AND NOT expired AND accepted_at <= $3
                         ORDER BY contact_id FOR UPDATE),
                     marked AS (
                         UPDATE sends s SET expired = TRUE FROM locked l
                         WHERE s.campaign_id = $1 AND s.contact_id = l.contact_id)
                     SELECT number_id FROM locked",
                )
                .bind(campaign_id)
                .bind(&people)
                .bind(accepted_by)
                .fetch_all(&mut **held)
                .await?
            }
        };
        let mut deltas = Deltas::default();
        for number in numbers {
            deltas.add(campaign_id, number, EXPIRED, "", 1);
        }
        deltas.write(&mut tx).await?;
        tx.commit().await?;
        Ok((i64::try_from(people.len()).ok() == Some(limit)).then_some(last))
    }
}

#[cfg(test)]
mod tests;
