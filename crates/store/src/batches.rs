//! Batches: what is handed to Redis, as ranges of a campaign's sends for one lane. A row here is committed before its
//! task is pushed, and deleted when nothing in it is left to claim; so Redis may lose or double what it likes.

use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};

/// An open batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Names the task in Redis.
    pub id: i64,
    /// The campaign.
    pub campaign_id: i64,
    /// The lane's number (our id).
    pub number_id: i64,
    kind: i16,
    /// First contact id.
    pub lo: i64,
    /// Last contact id, included.
    pub hi: i64,
    /// When it was made.
    pub created_at: i64,
    /// When its task was last pushed.
    pub pushed_at: Option<i64>,
}

from_row!(Batch { id, campaign_id, number_id, kind, lo, hi, created_at, pushed_at });

/// Which sends a batch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// Those of its range that were never claimed.
    Fresh,
    /// Those of its campaign and number that are due again.
    Due,
}

impl Batch {
    /// Which sends it takes.
    ///
    /// # Errors
    /// [`Error::Bug`] for a kind that this version does not know.
    pub fn kind(&self) -> Result<BatchKind> {
        match self.kind {
            0 => Ok(BatchKind::Fresh),
            1 => Ok(BatchKind::Due),
            other => Err(Error::bug(format!("a batch of kind {other}"))),
        }
    }
}

/// One running campaign on one number, as the feeder sees it.
#[derive(Clone, Debug)]
pub struct Feedable {
    /// The campaign.
    pub campaign_id: i64,
    /// The number (our id).
    pub number_id: i64,
    /// Every fresh send up to this contact id has been in a batch.
    pub fed_through: i64,
    /// The campaign's planning is complete.
    pub planned: bool,
    /// Planning got so far.
    pub planned_through: i64,
    /// Open batches of fresh sends.
    pub fresh_open: i64,
    /// Open batches of sends that were due again.
    pub due_open: i64,
    /// When the first re-planned send may go; `None`: there is none.
    pub next_due: Option<i64>,
    /// Planned sends by the tallies.
    pub open: i64,
    /// Everybody but its canary is held back.
    pub held_back: bool,
    /// The campaign's own cap, messages a second over all its numbers.
    pub rate_cap: Option<i64>,
    /// A spread campaign leaves over so long, ms…
    pub spread: Option<i64>,
    /// …to so many people.
    pub spread_people: Option<i64>,
}

from_row!(Feedable {
    campaign_id,
    number_id,
    fed_through,
    planned,
    planned_through,
    fresh_open,
    due_open,
    next_due,
    open,
    held_back,
    rate_cap,
    spread,
    spread_people
});

/// How far a campaign's number was fed, and its campaign planned. `None`: the campaign does not use the number.
///
/// A campaign whose canary is on counts as planned no further than that.
async fn feed_of(link: &mut Link, campaign_id: i64, number_id: i64) -> Result<Option<(i64, i64, i64)>> {
    Ok(on!(link, c => sqlx::query_as(
        "SELECT n.fed_through,
                CASE WHEN c.canary_state = 0 AND coalesce(c.canary_through, 0) < c.planned_through
                     THEN coalesce(c.canary_through, 0) ELSE c.planned_through END,
                CASE WHEN c.canary_state = 0 THEN coalesce(c.canary_through, 0) ELSE $3 END
         FROM campaign_numbers n JOIN campaigns c ON c.id = n.campaign_id
         WHERE n.campaign_id = $1 AND n.number_id = $2")
        .bind(campaign_id).bind(number_id).bind(i64::MAX).fetch_optional(c).await)?)
}

/// How far a campaign's number was fed; held on PostgreSQL, so that of two feeders one waits.
async fn hold_feed(tx: &mut Link, campaign_id: i64, number_id: i64) -> Result<Option<i64>> {
    let sql = tx.pick(
        "SELECT fed_through FROM campaign_numbers WHERE campaign_id = $1 AND number_id = $2",
        "SELECT fed_through FROM campaign_numbers WHERE campaign_id = $1 AND number_id = $2 FOR UPDATE",
    );
    Ok(on!(tx, c => sqlx::query_scalar(sql).bind(campaign_id).bind(number_id).fetch_optional(c).await)?)
}

async fn set_fed(tx: &mut Link, campaign_id: i64, number_id: i64, through: i64) -> Result<()> {
    on!(tx, c => sqlx::query(
        "UPDATE campaign_numbers SET fed_through = $3 WHERE campaign_id = $1 AND number_id = $2")
        .bind(campaign_id).bind(number_id).bind(through).execute(c).await.map(drop))?;
    Ok(())
}

impl Store {
    /// Every running campaign on every number of it that has something planned.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn feedable(&self) -> Result<Vec<Feedable>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT f.* FROM (
                 SELECT cn.campaign_id, cn.number_id, cn.fed_through, c.planned, c.planned_through, c.rate_cap,
                    c.spread, c.spread_people, coalesce(c.canary_state, 1) = 0 AS held_back,
                    (SELECT count(*) FROM batches b WHERE b.campaign_id = c.id AND b.number_id = cn.number_id
                                                      AND b.kind = 0) AS fresh_open,
                    (SELECT count(*) FROM batches b WHERE b.campaign_id = c.id AND b.number_id = cn.number_id
                                                      AND b.kind = 1) AS due_open,
                    (SELECT min(s.not_before) FROM sends s WHERE s.campaign_id = c.id AND s.number_id = cn.number_id
                                                      AND s.state = 0 AND s.not_before IS NOT NULL) AS next_due,
                    coalesce((SELECT t.n FROM tallies t WHERE t.campaign_id = c.id AND t.number_id = cn.number_id
                                                      AND t.state = 0 AND t.detail = ''), 0) AS open
                 FROM campaigns c JOIN campaign_numbers cn ON cn.campaign_id = c.id
                 WHERE c.state = 2) f
             WHERE f.open > 0 ORDER BY f.number_id, f.campaign_id")
            .fetch_all(c).await)?)
    }

    /// Makes the next batch of fresh sends after what was fed already. `None`: there are none (yet).
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn next_batch(&self, campaign_id: i64, number_id: i64, size: i64, now: i64) -> Result<Option<Batch>> {
        loop {
            // Looked up before the writer is taken: between two fresh sends may lie a million that are skipped.
            let mut link = self.read().await?;
            let Some((fed, planned, bound)) = feed_of(&mut link, campaign_id, number_id).await? else {
                return Ok(None);
            };
            let range: (Option<i64>, Option<i64>) = on!(&mut link, c => sqlx::query_as(
                "SELECT min(contact_id), max(contact_id) FROM (
                     SELECT contact_id FROM sends
                     WHERE campaign_id = $1 AND contact_id > $2 AND contact_id <= $5 AND number_id = $3 AND state = 0
                       AND not_before IS NULL
                     ORDER BY contact_id LIMIT $4) r")
                .bind(campaign_id).bind(fed).bind(number_id).bind(size).bind(bound).fetch_one(c).await)?;
            drop(link);
            let range = match range {
                (Some(lo), Some(hi)) => Some((lo, hi)),
                // Nothing fresh up to where planning had got: the next look need not go through it again.
                _ if fed < planned => None,
                _ => return Ok(None),
            };
            let mut tx = self.write(Priority::Urgent).await?.named("feed");
            if hold_feed(&mut tx, campaign_id, number_id).await? != Some(fed) {
                // Another feeder was faster.
                continue;
            }
            let batch = match range {
                Some((lo, hi)) => Some(on!(&mut tx, c => sqlx::query_as(
                    "INSERT INTO batches (campaign_id, number_id, kind, lo, hi, created_at)
                     VALUES ($1, $2, 0, $3, $4, $5) RETURNING *")
                    .bind(campaign_id).bind(number_id).bind(lo).bind(hi).bind(now).fetch_one(c).await)?),
                None => None,
            };
            set_fed(&mut tx, campaign_id, number_id, range.map_or(planned, |(_, hi)| hi)).await?;
            tx.commit().await?;
            return Ok(batch);
        }
    }

    /// Makes the batch of what is due again, unless one is open.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn due_batch(&self, campaign_id: i64, number_id: i64, now: i64) -> Result<Option<Batch>> {
        let mut tx = self.write(Priority::Urgent).await?;
        if hold_feed(&mut tx, campaign_id, number_id).await?.is_none() {
            return Ok(None);
        }
        let batch = on!(&mut tx, c => sqlx::query_as(
            "INSERT INTO batches (campaign_id, number_id, kind, lo, hi, created_at)
             SELECT $1, $2, 1, 0, 0, $3
             WHERE NOT EXISTS (SELECT 1 FROM batches WHERE campaign_id = $1 AND number_id = $2 AND kind = 1)
             RETURNING *")
            .bind(campaign_id).bind(number_id).bind(now).fetch_optional(c).await)?;
        tx.commit().await?;
        Ok(batch)
    }

    /// Lets the feeder go through a campaign's number from the start again: for fresh sends that no batch holds.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn refeed(&self, campaign_id: i64, number_id: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        set_fed(&mut tx, campaign_id, number_id, 0).await?;
        tx.commit().await
    }

    /// Notes that the tasks of these batches were pushed.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn mark_pushed(&self, batch_ids: &[i64], now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        let sql = tx.pick(
            "UPDATE batches SET pushed_at = $2 WHERE id IN (SELECT value FROM json_each($1))",
            "UPDATE batches SET pushed_at = $2
             WHERE id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))",
        );
        let json = serde_json::to_string(batch_ids)?;
        on!(&mut tx, c => sqlx::query(sql).bind(json).bind(now).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// One open batch.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn batch(&self, id: i64) -> Result<Option<Batch>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM batches WHERE id = $1")
            .bind(id).fetch_optional(c).await)?)
    }

    /// The open batches of a lane whose campaigns are running, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn lane_batches(&self, number_id: i64) -> Result<Vec<Batch>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT b.* FROM batches b JOIN campaigns c ON c.id = b.campaign_id
             WHERE b.number_id = $1 AND c.state = 2 ORDER BY b.id")
            .bind(number_id).fetch_all(c).await)?)
    }

    /// How many planned sends of a campaign lie in its open batches: what a person calls queued.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn queued(&self, campaign_id: i64) -> Result<i64> {
        let mut link = self.read().await?;
        // CROSS: SQLite takes the batches first, and of the campaign only what lies in them.
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT count(*) FROM batches b CROSS JOIN sends s
             WHERE b.campaign_id = $1 AND b.kind = 0 AND s.campaign_id = b.campaign_id
               AND s.contact_id BETWEEN b.lo AND b.hi AND s.number_id = b.number_id
               AND s.state = 0 AND s.not_before IS NULL")
            .bind(campaign_id).fetch_one(c).await)?)
    }
}

/// How much waits on one number.
#[derive(Clone, Debug)]
pub struct Depth {
    /// The number (our id).
    pub number_id: i64,
    /// Planned sends of running campaigns.
    pub planned: i64,
    /// Those of them that wait for a time.
    pub delayed: i64,
    /// When the oldest open batch was made.
    pub oldest: Option<i64>,
}

from_row!(Depth { number_id, planned, delayed, oldest });

impl Store {
    /// How much waits on each number, for running campaigns.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn depths(&self, now: i64) -> Result<Vec<Depth>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT cn.number_id,
                    CAST(coalesce(sum((SELECT t.n FROM tallies t WHERE t.campaign_id = c.id
                        AND t.number_id = cn.number_id AND t.state = 0 AND t.detail = '')), 0) AS BIGINT) AS planned,
                    CAST(coalesce(sum((SELECT count(*) FROM sends s WHERE s.campaign_id = c.id
                        AND s.number_id = cn.number_id AND s.state = 0 AND s.not_before > $1)), 0) AS BIGINT)
                        AS delayed,
                    min((SELECT min(b.created_at) FROM batches b WHERE b.campaign_id = c.id
                        AND b.number_id = cn.number_id)) AS oldest
             FROM campaigns c JOIN campaign_numbers cn ON cn.campaign_id = c.id
             WHERE c.state = 2 GROUP BY cn.number_id")
            .bind(now).fetch_all(c).await)?)
    }
}

#[cfg(test)]
mod tests;
