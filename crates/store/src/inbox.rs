//! Webhook bodies: durable before they are acknowledged, each kept once, applied later.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::chunks::Chunks;
use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::suppressions::{Stop, Stopped, one_at_a_time, stop_within};

/// A body as it came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Whose secret vouched for it.
    pub account_id: i64,
    /// When it came.
    pub received_at: i64,
    /// SHA-256 of the body: how a repetition is known.
    pub body_hash: [u8; 32],
    /// The signature header as it came.
    pub signature: String,
    /// The raw bytes.
    pub body: Vec<u8>,
    /// The opt-outs that were read in it; they take effect in the same transaction.
    pub stops: Vec<Stop>,
}

/// What became of one body.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whether it was new (`false`: the same body was kept before).
    pub is_new: bool,
    /// The opt-outs that took effect, new ones and repeated ones.
    pub stopped: Vec<Stopped>,
}

/// A body that waits to be applied.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its place in the inbox.
    pub id: i64,
    /// Whose secret vouched for it.
    pub account_id: i64,
    /// When it came.
    pub received_at: i64,
    /// The signature header as it came.
    pub signature: String,
    /// The raw bytes.
    pub body: Vec<u8>,
}

from_row!(Waiting { id, account_id, received_at, signature, body });

/// A body as the event log shows it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place in the inbox.
    pub id: i64,
    /// The account whose secret vouched for it.
    pub account: String,
    /// When it came.
    pub received_at: i64,
    /// When it was applied, or given up.
    pub applied_at: Option<i64>,
    /// Why it could not be read.
    pub error: Option<String>,
    /// The raw bytes, as long as they are kept: until it is applied, and for good where it could not be read.
    pub body: Option<Vec<u8>>,
}

from_row!(Logged { id, account, received_at, applied_at, error, body });

impl Store {
    /// Keeps bodies and lets their opt-outs take effect, in one transaction: durable when it returns.
    ///
    /// # Errors
    /// As every write; then nothing was kept and the sender must not be told otherwise.
    #[crate::boxed]
    pub async fn keep_arrivals(&self, arrivals: &[Arrival]) -> Result<Vec<Kept>> {
        let mut tx = self.write(Priority::Urgent).await?;
        let mut kept = Vec::with_capacity(arrivals.len());
        if arrivals.iter().any(|arrival| !arrival.stops.is_empty()) {
            one_at_a_time(&mut tx).await?;
        }
        let mut fresh: HashSet<Vec<u8>> = insert_bodies(&mut tx, arrivals).await?.into_iter().collect();
        for arrival in arrivals {
            // A repeated body's opt-outs ran already with the first one; they are looked at again all the same, so
            // that a repetition is acknowledged no sooner than they hold.
            let mut stopped = Vec::new();
            for stop in &arrival.stops {
                stopped.push(stop_within(self, &mut tx, stop).await?);
            }
            kept.push(Kept { is_new: fresh.remove(arrival.body_hash.as_slice()), stopped });
        }
        tx.commit().await?;
        Ok(kept)
    }

    /// Bodies that were not applied yet, oldest first: so many of them, and no more once they have so many bytes
    /// together. The first is always among them.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn waiting_bodies(&self, limit: i64, bytes: i64) -> Result<Vec<Waiting>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT i.id, i.account_id, i.received_at, i.signature, i.body
             FROM (SELECT id, size, sum(size) OVER (ORDER BY id) AS through
                   FROM (SELECT id, octet_length(body) AS size FROM inbox
                         WHERE applied_at IS NULL AND body IS NOT NULL ORDER BY id LIMIT $1) sized) w
             CROSS JOIN inbox i WHERE i.id = w.id AND w.through - w.size < $2 ORDER BY w.id")
            .bind(limit).bind(bytes).fetch_all(c).await)?)
    }

    /// Notes that bodies were applied. Those that could not be read (`errors`: id and reason) keep their bytes.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn mark_applied(&self, ids: &[i64], errors: &[(i64, String)], now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Soon).await?;
        let sql = tx.pick(
            "UPDATE inbox SET applied_at = $2, body = NULL WHERE id IN (SELECT value FROM json_each($1))",
            "UPDATE inbox SET applied_at = $2, body = NULL
             WHERE id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))",
        );
        let json = serde_json::to_string(ids)?;
        on!(&mut tx, c => sqlx::query(sql).bind(json).bind(now).execute(c).await.map(drop))?;
        for (id, reason) in errors {
            on!(&mut tx, c => sqlx::query("UPDATE inbox SET applied_at = $2, error = $3 WHERE id = $1")
                .bind(id).bind(now).bind(reason).execute(c).await.map(drop))?;
        }
        tx.commit().await
    }

    /// Forgets applied bodies older than a time; unreadable ones stay for people to look at.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn forget_arrivals(&self, before: i64, limit: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Bulk).await?;
        let gone = on!(&mut tx, c => sqlx::query(
            "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE received_at < $1 AND applied_at IS NOT NULL
                                              AND error IS NULL ORDER BY received_at LIMIT $2)")
            .bind(before).bind(limit).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Bodies before `before`, newest first; those that could not be read alone where `unread` says so.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn inbox_log(&self, before: Option<i64>, unread: bool, limit: i64) -> Result<Vec<Logged>> {
        let before = before.unwrap_or(i64::MAX);
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => if unread {
            sqlx::query_as(
                "SELECT i.id, coalesce(a.name, '') AS account, i.received_at, i.applied_at, i.error, i.body
                 FROM inbox i LEFT JOIN accounts a ON a.id = i.account_id
                 WHERE i.id < $1 AND i.error IS NOT NULL ORDER BY i.id DESC LIMIT $2")
                .bind(before).bind(limit).fetch_all(c).await
        } else {
            sqlx::query_as(
                "SELECT i.id, coalesce(a.name, '') AS account, i.received_at, i.applied_at, i.error,
                        CASE WHEN i.error IS NOT NULL THEN i.body END AS body
                 FROM inbox i LEFT JOIN accounts a ON a.id = i.account_id
                 WHERE i.id < $1 ORDER BY i.id DESC LIMIT $2")
                .bind(before).bind(limit).fetch_all(c).await
        })?)
    }

    /// How many bodies wait, and since when the oldest does.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn inbox_depth(&self) -> Result<(i64, Option<i64>)> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT count(*), min(received_at) FROM inbox WHERE applied_at IS NULL").fetch_one(c).await)?)
    }
}

/// Inserts what is not there yet. The hashes of what was new.
async fn insert_bodies(tx: &mut Link, arrivals: &[Arrival]) -> Result<Vec<Vec<u8>>> {
    match tx {
        Link::Sqlite(held, _) => {
            let mut fresh = Vec::with_capacity(arrivals.len());
            for (statement, arrivals) in INSERT_SQLITE.over(arrivals) {
                let mut query = sqlx::query_scalar(statement);
                for arrival in arrivals {
                    query = query
                        .bind(arrival.account_id)
                        .bind(arrival.received_at)
                        .bind(arrival.body_hash.as_slice())
                        .bind(arrival.signature.as_str())
                        .bind(arrival.body.as_slice());
                }
                fresh.extend(query.fetch_all(&mut **held).await?);
            }
            Ok(fresh)
        }
        Link::Postgres(held) => {
            let number = |value: fn(&Arrival) -> i64| arrivals.iter().map(value).collect::<Vec<_>>();
            let hashes: Vec<&[u8]> = arrivals.iter().map(|arrival| arrival.body_hash.as_slice()).collect();
            let signatures: Vec<&str> = arrivals.iter().map(|arrival| arrival.signature.as_str()).collect();
            let bodies: Vec<&[u8]> = arrivals.iter().map(|arrival| arrival.body.as_slice()).collect();
            Ok(sqlx::query_scalar(INSERT_POSTGRES)
                .bind(number(|arrival| arrival.account_id))
                .bind(number(|arrival| arrival.received_at))
                .bind(hashes)
                .bind(signatures)
                .bind(bodies)
                .fetch_all(&mut **held)
                .await?)
        }
    }
}

static INSERT_SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(5, |values| {
        format!(
            "INSERT INTO inbox (account_id, received_at, body_hash, signature, body) VALUES {values}
             ON CONFLICT (body_hash) DO NOTHING RETURNING body_hash"
        )
    })
});

/// In the order of their hashes: two processes that got the same bodies wait for each other, never in a ring.
const INSERT_POSTGRES: &str = "INSERT INTO inbox (account_id, received_at, body_hash, signature, body)
     SELECT account_id, received_at, hash, signature, body
     FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::text[], $5::bytea[]) AS
         n(account_id, received_at, hash, signature, body)
     ORDER BY hash ON CONFLICT (body_hash) DO NOTHING RETURNING body_hash";

#[cfg(test)]
mod tests;
