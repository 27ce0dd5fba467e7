//! Finding the send that a webhook speaks of, and keeping those that cannot be matched yet.

use serde::Serialize;

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::sends::SendKey;
use crate::wamids;

/// A message id's send and attempt.
#[derive(Clone, Debug)]
pub struct WamidMatch {
    /// The message's id.
    pub wamid: String,
    /// The campaign.
    pub campaign_id: i64,
    /// The person.
    pub contact_id: i64,
    /// The attempt that got this id.
    pub attempt: i64,
}

from_row!(WamidMatch { wamid, campaign_id, contact_id, attempt });

/// A status that nothing matches yet.
#[derive(Clone, Debug, Serialize)]
pub struct Parked {
    /// The message's id.
    pub wamid: String,
    /// Their word.
    pub status: String,
    /// Whose webhook it was.
    pub account_id: i64,
    /// The business number it names.
    pub phone_number_id: Option<String>,
    /// The recipient's digits as they name them.
    pub recipient: Option<String>,
    /// The event, JSON, as the engine wrote it.
    pub event: String,
    /// When it happened.
    pub at: i64,
    /// When it was parked.
    pub parked_at: i64,
}

from_row!(Parked { wamid, status, account_id, phone_number_id, recipient, event, at, parked_at });

impl Store {
    /// The sends of message ids, current and past attempts. Ids that are not ours are left out.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn sends_of_wamids(&self, wamids: &[&str]) -> Result<Vec<WamidMatch>> {
        if wamids.is_empty() {
            return Ok(Vec::new());
        }
        wamids::find(&mut self.read().await?, wamids).await
    }

    /// Keeps statuses that nothing matches, each once.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn park(&self, parked: &[Parked]) -> Result<()> {
        if parked.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(Priority::Urgent).await?;
        let sql = tx.pick(
            "INSERT INTO parked_statuses (wamid, status, account_id, phone_number_id, recipient, event, at, parked_at)
             SELECT value ->> 'wamid', value ->> 'status', value ->> 'account_id', value ->> 'phone_number_id',
                    value ->> 'recipient', value ->> 'event', value ->> 'at', value ->> 'parked_at'
             FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
            "INSERT INTO parked_statuses (wamid, status, account_id, phone_number_id, recipient, event, at, parked_at)
             SELECT wamid, status, account_id, phone_number_id, recipient, event, at, parked_at
             FROM jsonb_to_recordset($1::jsonb) AS j(wamid text, status text, account_id bigint, phone_number_id text,
                 recipient text, event text, at bigint, parked_at bigint) ON CONFLICT DO NOTHING",
        );
        let json = serde_json::to_string(parked)?;
        on!(&mut tx, c => sqlx::query(sql).bind(json).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Parked statuses since a time, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn parked(&self, since: i64, limit: i64) -> Result<Vec<Parked>> {
        self.parked_after((since, "", ""), limit).await
    }

    /// A page of parked statuses after one of them (when it was parked, its message id, its status), oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn parked_after(&self, (at, wamid, status): (i64, &str, &str), limit: i64) -> Result<Vec<Parked>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM parked_statuses WHERE parked_at >= $1 AND (parked_at, wamid, status) > ($1, $2, $3)
             ORDER BY parked_at, wamid, status LIMIT $4")
            .bind(at).bind(wamid).bind(status).bind(limit).fetch_all(c).await)?)
    }

    /// Gives up on statuses that were parked before a time, some at a time: their message is not ours. How many.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn forget_parked(&self, before: i64, limit: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Bulk).await?;
        let gone = on!(&mut tx, c => sqlx::query(
            "DELETE FROM parked_statuses WHERE (wamid, status) IN (
                 SELECT wamid, status FROM parked_statuses WHERE parked_at < $1 ORDER BY parked_at LIMIT $2)")
            .bind(before).bind(limit).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Removes parked statuses that found their send, by message id and status.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn unpark(&self, keys: &[(String, String)]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(Priority::Urgent).await?;
        let sql = tx.pick(
            "DELETE FROM parked_statuses
             WHERE (wamid, status) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))",
            // From an array, of which PostgreSQL expects ten elements and not a hundred: it looks them up.
            "DELETE FROM parked_statuses WHERE (wamid, status) IN (
                 SELECT v ->> 0, v ->> 1 FROM unnest(ARRAY(SELECT jsonb_array_elements($1::jsonb))) AS e(v))",
        );
        let json = serde_json::to_string(keys)?;
        on!(&mut tx, c => sqlx::query(sql).bind(json).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The sends in doubt to one recipient from one business number that were claimed before a time: the evidence of
    /// an unknown message id settles them only if there is exactly one.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn doubts_to(&self, phone_number_id: &str, phone_key: i64, before: i64) -> Result<Vec<(SendKey, i64)>> {
        let mut link = self.read().await?;
        let rows: Vec<(i64, i64, i64)> = on!(&mut link, c => sqlx::query_as(
            "SELECT s.campaign_id, s.contact_id, s.attempt
             FROM numbers n JOIN sends s ON s.number_id = n.id JOIN contacts c ON c.id = s.contact_id
             WHERE n.phone_number_id = $1 AND s.doubt_since <= $3
               AND c.phone_key = $2")
            .bind(phone_number_id).bind(phone_key).bind(before).fetch_all(c).await)?;
        Ok(rows.into_iter().map(|(campaign, contact, attempt)| ((campaign, contact), attempt)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, account, on_both_databases};

    on_both_databases! {
        async fn old_parked_statuses_are_given_up_oldest_first_and_some_at_a_time(db: Database) {
            let account_id = account(&db.store, "shop").await;
            let parked = |wamid: &str, status: &str, parked_at| Parked {
                wamid: wamid.to_owned(),
                status: status.to_owned(),
                account_id,
                phone_number_id: None,
                recipient: None,
                event: "{}".to_owned(),
                at: 1,
                parked_at,
            };
            let all = [
                parked("a", "sent", 10), parked("a", "delivered", 30), parked("b", "sent", 20), parked("c", "sent", 40),
            ];
            db.store.park(&all).await.unwrap();
            let left = async || {
                let left = db.store.parked(0, 10).await.unwrap();
                left.into_iter().map(|parked| (parked.wamid, parked.status)).collect::<Vec<_>>()
            };
            assert_eq!(db.store.forget_parked(40, 2).await.unwrap(), 2);
            assert_eq!(left().await, [("a".into(), "delivered".into()), ("c".into(), "sent".into())]);
            assert_eq!(db.store.forget_parked(40, 2).await.unwrap(), 1);
            assert_eq!(db.store.forget_parked(40, 2).await.unwrap(), 0);
            assert_eq!(left().await, [("c".to_owned(), "sent".to_owned())]);
        }
    }
}
