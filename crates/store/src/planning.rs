//! The frozen audience, and its planning: a row per person and campaign, chunk by chunk.

use domain::send::SendState;
use serde::Serialize;
use sqlx::FromRow;

use crate::db::{Priority, Store, on};
use crate::error::{Error, Result};

/// Why a send was skipped at planning: the person is on a list that the campaign excludes.
pub const EXCLUDED_LIST: &str = "excluded-list";
/// Why a send was skipped: the campaign was cancelled before it left.
pub const CANCELLED: &str = "cancelled";

/// A person of an audience, with what it takes to render.
#[derive(Clone, Debug, FromRow)]
pub struct AudienceRow {
    /// The person.
    pub contact_id: i64,
    /// The number, digits without the plus sign.
    pub phone: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The other columns, a JSON object of texts.
    pub attributes: String,
    /// Has opted out.
    pub suppressed: bool,
    /// Is on a list that the campaign excludes.
    pub excluded: bool,
    /// Can be addressed: has a number or a user id.
    pub reachable: bool,
}

/// A person whom planning skips, and why. Opt-outs and excluded lists are found by the statement itself.
#[derive(Clone, Debug, Serialize)]
pub struct Blocked {
    /// The person.
    pub contact_id: i64,
    /// The reason as it is counted, for example `variable-missing:name`.
    pub reason: String,
}

/// One chunk of planning.
#[derive(Clone, Debug)]
pub struct PlanChunk<'a> {
    /// The campaign.
    pub campaign_id: i64,
    /// Where the last chunk ended (`planned_through`).
    pub after: i64,
    /// Where this one ends, included.
    pub through: i64,
    /// The last one.
    pub last: bool,
    /// People of this chunk whose message cannot be rendered.
    pub blocked: &'a [Blocked],
    /// Skip everyone, with this reason.
    pub skip_all: Option<&'a str>,
}

impl Store {
    /// How many people a campaign's lists hold, of those added by `frozen_at`.
    ///
    /// # Errors
    /// As every read.
    pub async fn audience_size(&self, campaign_id: i64, frozen_at: i64) -> Result<i64> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT count(DISTINCT m.contact_id) FROM campaign_lists cl JOIN list_members m ON m.list_id = cl.list_id
             WHERE cl.campaign_id = $1 AND cl.included AND m.added_at <= $2")
            .bind(campaign_id).bind(frozen_at).fetch_one(c).await)?)
    }

    /// The next people of a campaign's audience after a contact id, in the order of their ids.
    ///
    /// # Errors
    /// As every read.
    pub async fn audience_page(
        &self,
        campaign_id: i64,
        frozen_at: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<AudienceRow>> {
        let mut link = self.read().await?;
        // One list is read in the order of its key; several are merged, each read no further than needed.
        let lists: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT list_id FROM campaign_lists WHERE campaign_id = $1 AND included ORDER BY list_id")
            .bind(campaign_id).fetch_all(c).await)?;
        let parts: Vec<String> = lists
            .iter()
            .map(|list| {
                format!(
                    "SELECT contact_id FROM (SELECT contact_id FROM list_members
                     WHERE list_id = {list} AND contact_id > $2 AND added_at <= $3 ORDER BY contact_id LIMIT $4) l{list}"
                )
            })
            .collect();
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        // LIMIT and + 0 keep PostgreSQL from reading every user id there is, for each page or even each person: it
        // would, if there were few when it last counted them.
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT c.id AS contact_id, c.phone, c.name, c.language, c.attributes,
                    EXISTS (SELECT 1 FROM suppressions p WHERE p.contact_id = c.id) AS suppressed,
                    EXISTS (SELECT 1 FROM campaign_lists cl JOIN list_members m
                              ON m.list_id = cl.list_id AND m.contact_id = c.id
                            WHERE cl.campaign_id = $1 AND NOT cl.included) AS excluded,
                    (c.phone IS NOT NULL OR (SELECT i.contact_id FROM identities i
                            WHERE i.contact_id = c.id AND i.kind + 0 = 2 LIMIT 1) IS NOT NULL) AS reachable
             FROM (SELECT contact_id FROM ({}) u ORDER BY contact_id LIMIT $4) page
             JOIN contacts c ON c.id = page.contact_id ORDER BY c.id",
            parts.join(" UNION ")
        ));
        Ok(on!(&mut link, c => sqlx::query_as(sql)
            .bind(campaign_id).bind(after).bind(frozen_at).bind(limit).fetch_all(c).await)?)
    }

    /// Plans one chunk: a row for each person of the audience in its range, with the tallies, all or nothing.
    /// `false`: somebody else planned it meanwhile.
    ///
    /// # Errors
    /// As every write.
    pub async fn plan_chunk(&self, chunk: &PlanChunk<'_>) -> Result<bool> {
        let mut tx = self.write(Priority::Bulk).await?;
        let frozen: Option<(i64, i64)> = on!(&mut tx, c => sqlx::query_as(
            "UPDATE campaigns SET planned_through = $3, planned = $4
             WHERE id = $1 AND planned_through = $2 AND NOT planned AND frozen_at IS NOT NULL
             RETURNING frozen_at, (SELECT count(*) FROM campaign_numbers n WHERE n.campaign_id = campaigns.id)")
            .bind(chunk.campaign_id).bind(chunk.after).bind(chunk.through).bind(chunk.last)
            .fetch_optional(c).await)?;
        let Some((frozen_at, numbers)) = frozen else { return Ok(false) };
        if numbers == 0 {
            return Err(Error::bug("a campaign without a number to send from"));
        }
        let sql = tx.pick(PLAN_SQLITE, PLAN_POSTGRES);
        let blocked = serde_json::to_string(chunk.blocked)?;
        on!(&mut tx, c => sqlx::query(sql)
            .bind(chunk.campaign_id).bind(chunk.after).bind(chunk.through).bind(frozen_at).bind(numbers)
            .bind(blocked).bind(chunk.skip_all).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO tallies (campaign_id, number_id, state, detail, n)
             SELECT campaign_id, number_id, state, coalesce(reason, ''), count(*) FROM sends
             WHERE campaign_id = $1 AND contact_id > $2 AND contact_id <= $3
             GROUP BY campaign_id, number_id, state, coalesce(reason, '')
             ORDER BY campaign_id, number_id, state, coalesce(reason, '')
             ON CONFLICT (campaign_id, number_id, state, detail) DO UPDATE SET n = tallies.n + excluded.n")
            .bind(chunk.campaign_id).bind(chunk.after).bind(chunk.through).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(true)
    }

    /// Skips up to `limit` planned sends of a cancelled campaign, whose planning is complete. How many it skipped.
    ///
    /// # Errors
    /// As every write.
    pub async fn skip_planned(&self, campaign_id: i64, reason: &str, limit: i64) -> Result<u64> {
        // Looked up before the writer is taken: what left before the campaign was cancelled may be millions of rows.
        let (people, through) = self.left_to_skip(campaign_id, limit).await?;
        let mut tx = self.write(Priority::Bulk).await?;
        let sql = tx.pick(
            "UPDATE sends SET state = 8, reason = $2, not_before = NULL
             WHERE campaign_id = $1 AND state = 0 AND contact_id IN (SELECT value FROM json_each($3))
             RETURNING contact_id, number_id",
            // As an array: see `mark_submitting`.
            "UPDATE sends SET state = 8, reason = $2, not_before = NULL
             WHERE campaign_id = $1 AND state = 0
               AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($3::jsonb))::bigint))
             RETURNING contact_id, number_id",
        );
        let json = serde_json::to_string(&people)?;
        let rows: Vec<(i64, i64)> = on!(&mut tx, c => sqlx::query_as(sql)
            .bind(campaign_id).bind(reason).bind(json).fetch_all(c).await)?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET skipped_through = $2 WHERE id = $1 AND skipped_through < $2")
            .bind(campaign_id).bind(through).execute(c).await.map(drop))?;
        let mut deltas = crate::tallies::Deltas::default();
        for (_, number_id) in &rows {
            deltas.add(campaign_id, *number_id, SendState::Planned as i16, "", -1);
            deltas.add(campaign_id, *number_id, SendState::Skipped as i16, reason, 1);
        }
        deltas.write(&mut tx).await?;
        crate::tallies::forget_empty(&mut tx, campaign_id).await?;
        on!(&mut tx, c => sqlx::query("DELETE FROM batches WHERE campaign_id = $1")
            .bind(campaign_id).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// People of a cancelled campaign whose sends are still planned, and up to where no fresh one is left after them.
    async fn left_to_skip(&self, campaign_id: i64, limit: i64) -> Result<(Vec<i64>, i64)> {
        let mut link = self.read().await?;
        // Sends that were planned again may lie anywhere; they have an index. Fresh ones are passed once, in order.
        let mut people: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT contact_id FROM sends WHERE campaign_id = $1 AND state = 0 AND not_before IS NOT NULL LIMIT $2")
            .bind(campaign_id).bind(limit).fetch_all(c).await)?;
        let passed: i64 = on!(&mut link, c => sqlx::query_scalar("SELECT skipped_through FROM campaigns WHERE id = $1")
            .bind(campaign_id).fetch_optional(c).await)?
        .unwrap_or(i64::MAX);
        let room = limit - i64::try_from(people.len()).unwrap_or(limit);
        let fresh: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT contact_id FROM sends
             WHERE campaign_id = $1 AND contact_id > $2 AND state = 0 AND not_before IS NULL
             ORDER BY contact_id LIMIT $3")
            .bind(campaign_id).bind(passed).bind(room).fetch_all(c).await)?;
        let is_end = i64::try_from(fresh.len()).unwrap_or(room) < room;
        let through = if is_end { i64::MAX } else { fresh.last().copied().unwrap_or(passed) };
        people.extend(fresh);
        Ok((people, through))
    }
}

// $1 campaign, $2 after, $3 through, $4 frozen at, $5 how many numbers, $6 blocked people, $7 skip all with this reason
const PLAN_SQLITE: &str = "
    WITH blocked AS MATERIALIZED (
             SELECT value ->> 'contact_id' AS contact_id, value ->> 'reason' AS reason FROM json_each($6)),
         audience AS (
             SELECT DISTINCT m.contact_id FROM campaign_lists cl
             JOIN list_members m ON m.list_id = cl.list_id
             WHERE cl.campaign_id = $1 AND cl.included AND m.contact_id > $2 AND m.contact_id <= $3
               AND m.added_at <= $4),
         verdict AS (
             SELECT a.contact_id, CASE
                 WHEN $7 IS NOT NULL THEN $7
                 WHEN EXISTS (SELECT 1 FROM campaign_lists cl JOIN list_members m
                                ON m.list_id = cl.list_id AND m.contact_id = a.contact_id
                              WHERE cl.campaign_id = $1 AND NOT cl.included) THEN 'excluded-list'
                 WHEN EXISTS (SELECT 1 FROM suppressions p WHERE p.contact_id = a.contact_id) THEN 'opted-out'
                 ELSE b.reason END AS reason
             FROM audience a LEFT JOIN blocked b ON b.contact_id = a.contact_id)
    INSERT INTO sends (campaign_id, contact_id, number_id, state, reason)
    SELECT $1, v.contact_id, n.number_id, CASE WHEN v.reason IS NULL THEN 0 ELSE 8 END, v.reason
    FROM verdict v CROSS JOIN campaign_numbers n ON n.campaign_id = $1 AND n.position = v.contact_id % $5
    ORDER BY v.contact_id";

const PLAN_POSTGRES: &str = "
    WITH blocked AS MATERIALIZED (
             SELECT contact_id, reason FROM jsonb_to_recordset($6::jsonb) AS j(contact_id bigint, reason text)),
         audience AS (
             SELECT DISTINCT m.contact_id FROM campaign_lists cl
             JOIN list_members m ON m.list_id = cl.list_id
             WHERE cl.campaign_id = $1 AND cl.included AND m.contact_id > $2 AND m.contact_id <= $3
               AND m.added_at <= $4),
         verdict AS (
             SELECT a.contact_id, CASE
                 WHEN $7::text IS NOT NULL THEN $7::text
                 WHEN EXISTS (SELECT 1 FROM campaign_lists cl JOIN list_members m
                                ON m.list_id = cl.list_id AND m.contact_id = a.contact_id
                              WHERE cl.campaign_id = $1 AND NOT cl.included) THEN 'excluded-list'
                 WHEN EXISTS (SELECT 1 FROM suppressions p WHERE p.contact_id = a.contact_id) THEN 'opted-out'
                 ELSE b.reason END AS reason
             FROM audience a LEFT JOIN blocked b ON b.contact_id = a.contact_id)
    INSERT INTO sends (campaign_id, contact_id, number_id, state, reason)
    SELECT $1, v.contact_id, n.number_id, CASE WHEN v.reason IS NULL THEN 0 ELSE 8 END, v.reason
    FROM verdict v JOIN campaign_numbers n ON n.campaign_id = $1 AND n.position = v.contact_id % $5
    ORDER BY v.contact_id";

#[cfg(test)]
mod tests;
