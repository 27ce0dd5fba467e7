//! Answers kept by `Idempotency-Key`, so that a request that is made again gets the first one's answer.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// What a request with a key finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody came with this key before: do it, then [`Store::keep_answer`] or [`Store::forget_key`].
    Fresh,
    /// The same request is being done right now.
    Underway,
    /// The same request was done: this was the answer.
    Answered {
        /// HTTP status.
        status: u16,
        /// The whole body.
        answer: Vec<u8>,
    },
    /// The key came before with another request.
    Other,
}

/// A request with its key.
#[derive(Clone, Copy, Debug)]
pub struct KeyedRequest<'a> {
    /// Whose key it is.
    pub principal: &'a str,
    /// The key.
    pub key: &'a str,
    /// Method and path.
    pub route: &'a str,
    /// Hash of the body.
    pub request_hash: &'a [u8],
}

impl Store {
    /// Begins a request with a key. One that began before `stale_before` (epoch ms) and has no answer is taken to be
    /// lost with its process, and may be done again.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn begin_keyed(&self, request: &KeyedRequest<'_>, stale_before: i64, now: i64) -> Result<Begun> {
        let mut tx = self.write(Priority::Urgent).await?;
        // One statement decides who does it, also between two processes on PostgreSQL.
        let mine = on!(&mut tx, c => sqlx::query(
            "INSERT INTO idempotency (principal, key, route, request_hash, created_at) VALUES ($1, $2, $3, $4, $6)
             ON CONFLICT (principal, key) DO UPDATE SET created_at = excluded.created_at
             WHERE idempotency.status IS NULL AND idempotency.created_at < $5
               AND idempotency.route = excluded.route AND idempotency.request_hash = excluded.request_hash")
            .bind(request.principal).bind(request.key).bind(request.route).bind(request.request_hash)
            .bind(stale_before).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
        if mine > 0 {
            tx.commit().await?;
            return Ok(Begun::Fresh);
        }
        let (route, hash, status, answer): (String, Vec<u8>, Option<i64>, Option<Vec<u8>>) = on!(&mut tx, c => sqlx::query_as(
                "SELECT route, request_hash, status, answer FROM idempotency WHERE principal = $1 AND key = $2")
                .bind(request.principal).bind(request.key).fetch_one(c).await)?;
        if route != request.route || hash != request.request_hash {
            return Ok(Begun::Other);
        }
        Ok(match status.and_then(|status| u16::try_from(status).ok()) {
            Some(status) => Begun::Answered { status, answer: answer.unwrap_or_default() },
            None => Begun::Underway,
        })
    }

    /// Keeps the answer to a request that was done.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_answer(&self, principal: &str, key: &str, status: u16, answer: &[u8]) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE idempotency SET status = $3, answer = $4 WHERE principal = $1 AND key = $2")
            .bind(principal).bind(key).bind(i64::from(status)).bind(answer).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Forgets a request that changed nothing, so that it may be made again with its key.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn forget_key(&self, principal: &str, key: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("DELETE FROM idempotency WHERE principal = $1 AND key = $2")
            .bind(principal).bind(key).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Removes up to `limit` answers that began before a time, and says how many.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn drop_old_answers(&self, before: i64, limit: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Bulk).await?;
        let removed = on!(&mut tx, c => sqlx::query(
            "DELETE FROM idempotency WHERE (principal, key) IN (
                 SELECT principal, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)")
            .bind(before).bind(limit).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    const REQUEST: KeyedRequest<'static> =
        KeyedRequest { principal: "key:crm", key: "k1", route: "POST /api/v1/campaigns", request_hash: b"hash" };

    on_both_databases! {
        async fn the_second_request_waits_and_then_gets_the_first_ones_answer(db: Database) {
            assert_eq!(db.store.begin_keyed(&REQUEST, 0, 100).await.unwrap(), Begun::Fresh);
            assert_eq!(db.store.begin_keyed(&REQUEST, 100, 110).await.unwrap(), Begun::Underway);
            db.store.keep_answer("key:crm", "k1", 201, b"{\"id\":1}").await.unwrap();
            let answered = Begun::Answered { status: 201, answer: b"{\"id\":1}".to_vec() };
            assert_eq!(db.store.begin_keyed(&REQUEST, 500, 600).await.unwrap(), answered);
        }

        async fn a_key_with_another_request_is_told_apart_and_other_peoples_keys_do_not_matter(db: Database) {
            db.store.begin_keyed(&REQUEST, 0, 100).await.unwrap();
            let other = KeyedRequest { request_hash: b"other", ..REQUEST };
            assert_eq!(db.store.begin_keyed(&other, 500, 600).await.unwrap(), Begun::Other);
            let theirs = KeyedRequest { principal: "key:shop", ..REQUEST };
            assert_eq!(db.store.begin_keyed(&theirs, 0, 100).await.unwrap(), Begun::Fresh);
        }

        async fn a_request_lost_with_its_process_may_be_made_again_once_it_is_stale(db: Database) {
            db.store.begin_keyed(&REQUEST, 0, 100).await.unwrap();
            assert_eq!(db.store.begin_keyed(&REQUEST, 101, 200).await.unwrap(), Begun::Fresh);
            assert_eq!(db.store.begin_keyed(&REQUEST, 101, 201).await.unwrap(), Begun::Underway);
            db.store.forget_key("key:crm", "k1").await.unwrap();
            assert_eq!(db.store.begin_keyed(&REQUEST, 0, 300).await.unwrap(), Begun::Fresh);
        }

        async fn of_many_at_once_exactly_one_is_fresh(db: Database) {
            let all = futures::future::join_all((0..16).map(|_| db.store.begin_keyed(&REQUEST, 0, 100))).await;
            let fresh = all.into_iter().filter(|begun| matches!(begun, Ok(Begun::Fresh))).count();
            assert_eq!(fresh, 1);
        }

        async fn old_answers_go_a_few_at_a_time(db: Database) {
            for n in 0..5 {
                let key = format!("k{n}");
                db.store.begin_keyed(&KeyedRequest { key: &key, ..REQUEST }, 0, n).await.unwrap();
            }
            assert_eq!(db.store.drop_old_answers(4, 3).await.unwrap(), 3);
            assert_eq!(db.store.drop_old_answers(4, 3).await.unwrap(), 1);
            assert_eq!(db.store.drop_old_answers(4, 3).await.unwrap(), 0);
        }
    }
}
