//! What people wrote to us: each message once, with its person and the campaign that it answers, as far as either is
//! known; and by it, until when somebody may be answered in free text.
//!
//! Who writes and is not known to us becomes no person by that. Their message keeps the names that it came with, until
//! there is somebody who bears one of them.

use serde::Serialize;

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::persons::ReplyRow;

/// A message that a person sent to us.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewInbound {
    /// Meta's id of it.
    pub wamid: String,
    /// Whose webhook it was.
    pub account_id: i64,
    /// The business number it was sent to (our id).
    pub number_id: Option<i64>,
    /// The person, where known.
    pub contact_id: Option<i64>,
    /// The canonical key of the sender's number, and its digits: of somebody who is not known.
    pub phone_key: Option<i64>,
    /// See there.
    pub phone: Option<i64>,
    /// Their business-scoped user id, likewise.
    pub user_id: Option<String>,
    /// The campaign it answers, where known.
    pub campaign_id: Option<i64>,
    /// Nothing in it says so: it came after that campaign's message.
    pub inferred: bool,
    /// `button`, `text`, …
    pub kind: String,
    /// What it says, JSON.
    pub detail: String,
    /// Whether it opens the service window: the person wrote, or tapped.
    pub opens: bool,
    /// When it was sent.
    pub at: i64,
    /// When we got it.
    pub received_at: i64,
}

/// A message that a person sent to us, as it is kept.
#[derive(Clone, Debug)]
pub struct InboundRow {
    /// Ours, in the order in which they came.
    pub id: i64,
    /// Meta's id of it.
    pub wamid: String,
    /// Meta's id of the business number it was sent to.
    pub phone_number_id: Option<String>,
    /// The person, where known.
    pub contact_id: Option<i64>,
    /// Their number, digits.
    pub phone: Option<i64>,
    /// Their business-scoped user id, where they are known by nothing else.
    pub user_id: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// The campaign it answers.
    pub campaign_id: Option<i64>,
    /// Its name; single messages have none.
    pub campaign: Option<String>,
    /// Nothing in it says so.
    pub inferred: bool,
    /// `button`, `text`, …
    pub kind: String,
    /// What it says, JSON.
    pub detail: String,
    /// When it was sent.
    pub at: i64,
    /// When we got it.
    pub received_at: i64,
    /// When the person last wrote to that number.
    pub heard_at: Option<i64>,
}

from_row!(InboundRow {
    id,
    wamid,
    phone_number_id,
    contact_id,
    phone,
    user_id,
    name,
    campaign_id,
    campaign,
    inferred,
    kind,
    detail,
    at,
    received_at,
    heard_at
});

/// Which messages are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboundFilter {
    /// Answers to this campaign.
    pub campaign_id: Option<i64>,
    /// To this business number (our id).
    pub number_id: Option<i64>,
    /// Of this person.
    pub contact_id: Option<i64>,
}

/// When a person last wrote to a business number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardRow {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// When; `None`: never.
    pub heard_at: Option<i64>,
}

from_row!(HeardRow { phone_number_id, heard_at });

/// When the person `$1` last wrote to the number `$2`: one step into an index, however much they wrote.
const HEARD: &str =
    "SELECT at FROM inbound WHERE contact_id = $1 AND number_id = $2 AND opens ORDER BY at DESC LIMIT 1";

impl Store {
    /// How many messages people have sent to a number since a time: they count against what it may do in a second.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn inbound_since(&self, number_id: i64, since: i64) -> Result<i64> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT count(*) FROM inbound WHERE number_id = $1 AND received_at > $2")
            .bind(number_id).bind(since).fetch_one(c).await)?)
    }

    /// Keeps messages that people sent to us, each once. How many were new.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_inbound(&self, messages: &[NewInbound]) -> Result<u64> {
        if messages.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write(Priority::Urgent).await?;
        let sql = tx.pick(
            "INSERT INTO inbound (wamid, account_id, number_id, contact_id, phone_key, phone, user_id, campaign_id,
                                  inferred, kind, detail, opens, at, received_at)
             SELECT value ->> 'wamid', value ->> 'account_id', value ->> 'number_id', value ->> 'contact_id',
                    value ->> 'phone_key', value ->> 'phone', value ->> 'user_id', value ->> 'campaign_id',
                    value ->> 'inferred', value ->> 'kind', value ->> 'detail', value ->> 'opens', value ->> 'at',
                    value ->> 'received_at'
             FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
            "INSERT INTO inbound (wamid, account_id, number_id, contact_id, phone_key, phone, user_id, campaign_id,
                                  inferred, kind, detail, opens, at, received_at)
             SELECT wamid, account_id, number_id, contact_id, phone_key, phone, user_id, campaign_id, inferred, kind,
                    detail, opens, at, received_at
             FROM jsonb_to_recordset($1::jsonb) AS j(wamid text, account_id bigint, number_id bigint,
                 contact_id bigint, phone_key bigint, phone bigint, user_id text, campaign_id bigint, inferred boolean,
                 kind text, detail text, opens boolean, at bigint, received_at bigint)
             ON CONFLICT DO NOTHING",
        );
        let json = serde_json::to_string(messages)?;
        let kept = on!(&mut tx, c => sqlx::query(sql).bind(json).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(kept)
    }

    /// The campaign whose message a person got last from a number, among those that Meta took between two times.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn last_campaign_to(
        &self,
        contact_id: i64,
        number_id: i64,
        (since, until): (i64, i64),
    ) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        // Only campaigns that may have sent something since are looked at, each at one person.
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT s.campaign_id FROM (
                 SELECT id FROM campaigns WHERE state IN (1, 2, 3) AND state <> 1 AND kind = 0
                 UNION ALL SELECT id FROM campaigns WHERE finished_at > $3 AND kind = 0) k
             CROSS JOIN sends s
             WHERE s.campaign_id = k.id AND s.contact_id = $1 AND s.number_id = $2
               AND s.accepted_at > $3 AND s.accepted_at <= $4
             ORDER BY s.accepted_at DESC LIMIT 1")
            .bind(contact_id).bind(number_id).bind(since).bind(until).fetch_optional(c).await)?)
    }

    /// Gives a person the messages that came under one of their names before they were known. How many.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn adopt_inbound(&self, contact_id: i64) -> Result<u64> {
        let mut link = self.read().await?;
        let phone_key: Option<Option<i64>> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT phone_key FROM contacts WHERE id = $1").bind(contact_id).fetch_optional(c).await)?;
        let names: Vec<String> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT value FROM identities WHERE contact_id = $1 AND kind + 0 = 2").bind(contact_id).fetch_all(c).await)?;
        // A person has one name of each kind, seldom two. Joined with them, PostgreSQL would read all strangers there are.
        let mut theirs: Vec<i64> = Vec::new();
        for name in names.into_iter().map(Some).chain([None]) {
            let phone_key = phone_key.flatten().filter(|_| name.is_none());
            theirs.extend(on!(&mut link, c => sqlx::query_scalar::<_, i64>(
                "SELECT id FROM inbound WHERE contact_id IS NULL AND phone_key IS NOT NULL AND phone_key = $1
                 UNION ALL SELECT id FROM inbound WHERE contact_id IS NULL AND user_id IS NOT NULL AND user_id = $2")
                .bind(phone_key).bind(name).fetch_all(c).await)?);
        }
        drop(link);
        if theirs.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write(Priority::Urgent).await?;
        let sql = tx.pick(
            "UPDATE inbound SET contact_id = $1, phone_key = NULL, phone = NULL, user_id = NULL
             WHERE id IN (SELECT value FROM json_each($2)) AND contact_id IS NULL",
            "UPDATE inbound SET contact_id = $1, phone_key = NULL, phone = NULL, user_id = NULL
             WHERE id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint)) AND contact_id IS NULL",
        );
        let json = serde_json::to_string(&theirs)?;
        let adopted = on!(&mut tx, c => sqlx::query(sql).bind(contact_id).bind(json).execute(c).await
            .map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(adopted)
    }

    /// When a person last wrote to a number (our id).
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn heard_at(&self, contact_id: i64, number_id: i64) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(HEARD).bind(contact_id).bind(number_id).fetch_optional(c).await)?)
    }

    /// When a person last wrote to each of our numbers.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn heard_of(&self, contact_id: i64) -> Result<Vec<HeardRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT n.phone_number_id,
                    (SELECT i.at FROM inbound i WHERE i.contact_id = $1 AND i.number_id = n.id AND i.opens
                     ORDER BY i.at DESC LIMIT 1) AS heard_at
             FROM numbers n ORDER BY n.id").bind(contact_id).fetch_all(c).await)?)
    }

    /// The same for somebody who is no person of ours, by the number (its canonical key) or user id that they wrote under.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn heard_of_stranger(&self, phone_key: Option<i64>, user_id: Option<&str>) -> Result<Vec<HeardRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT n.phone_number_id, max(w.at) AS heard_at FROM numbers n LEFT JOIN (
                 SELECT number_id, at FROM inbound
                 WHERE contact_id IS NULL AND phone_key IS NOT NULL AND phone_key = $1 AND opens
                 UNION ALL SELECT number_id, at FROM inbound
                 WHERE contact_id IS NULL AND user_id IS NOT NULL AND user_id = $2 AND opens) w ON w.number_id = n.id
             GROUP BY n.id, n.phone_number_id ORDER BY n.id")
            .bind(phone_key).bind(user_id).fetch_all(c).await)?)
    }

    /// What somebody sent to us who is no person of ours, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn replies_of_stranger(&self, phone_key: Option<i64>, user_id: Option<&str>) -> Result<Vec<ReplyRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT wamid, campaign_id, inferred, kind, detail, at, received_at FROM inbound
             WHERE contact_id IS NULL AND phone_key IS NOT NULL AND phone_key = $1
             UNION SELECT wamid, campaign_id, inferred, kind, detail, at, received_at FROM inbound
             WHERE contact_id IS NULL AND user_id IS NOT NULL AND user_id = $2 ORDER BY received_at, wamid")
            .bind(phone_key).bind(user_id).fetch_all(c).await)?)
    }

    /// Our answers to a person: each message's campaign and what it was asked for with (JSON), oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn answers_to(&self, contact_id: i64) -> Result<Vec<(i64, String)>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT k.id, k.params FROM campaigns k CROSS JOIN sends s
             WHERE k.kind = 3 AND s.campaign_id = k.id AND s.contact_id = $1 ORDER BY k.id")
            .bind(contact_id).fetch_all(c).await)?)
    }

    /// Whether a message is one that this person sent to this number.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn is_of(&self, wamid: &str, contact_id: i64, number_id: i64) -> Result<bool> {
        let mut link = self.read().await?;
        let found: Option<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT id FROM inbound WHERE wamid = $1 AND contact_id = $2 AND number_id = $3")
            .bind(wamid).bind(contact_id).bind(number_id).fetch_optional(c).await)?;
        Ok(found.is_some())
    }

    /// What people sent to us before a message of ours (its id), newest first: a page. People whose data was erased are
    /// not among them.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn inbound_page(&self, filter: InboundFilter, before: i64, limit: i64) -> Result<Vec<InboundRow>> {
        let mut sql = String::from(
            "SELECT i.id, i.wamid, n.phone_number_id, i.contact_id, coalesce(c.phone, i.phone) AS phone,
                    CASE WHEN i.contact_id IS NULL THEN i.user_id
                         WHEN c.phone IS NULL THEN (SELECT d.value FROM identities d
                                                    WHERE d.contact_id = c.id AND d.kind + 0 = 2 LIMIT 1) END AS user_id,
                    c.name, i.campaign_id, k.name AS campaign, i.inferred, i.kind, i.detail, i.at, i.received_at,
                    coalesce((SELECT w.at FROM inbound w WHERE w.contact_id = i.contact_id
                              AND w.number_id = i.number_id AND w.opens ORDER BY w.at DESC LIMIT 1),
                             CASE WHEN i.opens THEN i.at END) AS heard_at
             FROM inbound i LEFT JOIN numbers n ON n.id = i.number_id LEFT JOIN contacts c ON c.id = i.contact_id
             LEFT JOIN campaigns k ON k.id = i.campaign_id AND k.kind = 0
             WHERE i.id < $1 AND (c.phone_key IS NULL OR c.phone_key > 0)",
        );
        let mut values = Vec::new();
        for (column, value) in
            [("campaign_id", filter.campaign_id), ("number_id", filter.number_id), ("contact_id", filter.contact_id)]
        {
            if let Some(value) = value {
                values.push(value);
                sql.push_str(&format!(" AND i.{column} = ${}", values.len() + 2));
            }
        }
        sql.push_str(" ORDER BY i.id DESC LIMIT $2");
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(before).bind(limit);
            for value in values {
                query = query.bind(value);
            }
            query.fetch_all(c).await
        })?)
    }
}

/// Moves the messages of people who turn out to be somebody else: from whom, to whom.
pub(crate) async fn hand_over(tx: &mut Link, pairs: &[(i64, i64)]) -> Result<()> {
    for (from, to) in pairs {
        on!(tx, c => sqlx::query("UPDATE inbound SET contact_id = $2 WHERE contact_id = $1")
            .bind(from).bind(to).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// Forgets what somebody wrote under a name before they were known.
pub(crate) async fn forget_stranger(tx: &mut Link, name: &str) -> Result<u64> {
    let by_name = on!(tx, c => sqlx::query("DELETE FROM inbound WHERE contact_id IS NULL AND user_id IS NOT NULL AND user_id = $1")
        .bind(name).execute(c).await.map(|done| done.rows_affected()))?;
    let Ok(key) = name.parse::<i64>() else { return Ok(by_name) };
    let by_number = on!(tx, c => sqlx::query("DELETE FROM inbound WHERE contact_id IS NULL AND phone_key IS NOT NULL AND phone_key = $1")
        .bind(key).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(by_name + by_number)
}

#[cfg(test)]
mod tests;
