//! Who owns which lane, and who is the scheduler: a lease with a fencing token for each.
//!
//! Wall clocks of different hosts never meet here. A taker watches the beat on its own monotonic clock and passes
//! what it saw; the take succeeds only if nothing moved since.

use sqlx::Connection;

use crate::db::{Db, PATIENCE, Priority, Store, on};
use crate::error::Result;

/// One process start of a worker or scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Unique for every process start.
    pub instance: String,
    /// The host it runs on.
    pub host: String,
    /// The host's boot, so that a journal from before a reboot is not trusted.
    pub boot: String,
}

/// A lease as it stands in the database.
#[derive(Clone, Debug)]
pub struct Lease {
    /// `lane:<number id>` or `scheduler`.
    pub name: String,
    /// The owner's instance; empty when it was given back.
    pub owner: String,
    /// The fence: grows with each new owner.
    pub token: i64,
    /// Grows with each sign of life.
    pub beat: i64,
    /// The owner's host.
    pub host: String,
    /// The owner's boot id.
    pub boot: String,
    /// What the owner says of itself, JSON.
    pub note: String,
    /// When the owner last beat, by its own wall clock: for people to read, never to decide by.
    pub beat_at: i64,
}

from_row!(Lease { name, owner, token, beat, host, boot, note, beat_at });

/// An earlier owner of a lane.
#[derive(Clone, Debug)]
pub struct LaneTerm {
    /// The token of that time.
    pub term: i64,
    /// Its instance, which names its journal.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// Its boot id.
    pub boot: String,
}

from_row!(LaneTerm { term, owner, host, boot });

/// Holds the sign that this process lives, as a session lock of PostgreSQL. Dropping it, or dying, gives it up.
#[derive(Debug)]
pub struct Alive(Option<sqlx::PgConnection>);

impl Alive {
    /// Whether the connection that carries the sign still stands.
    #[crate::boxed]
    pub async fn check(&mut self) -> bool {
        match &mut self.0 {
            None => true,
            // A connection whose other end vanished without a word would be waited for far longer than the server
            // keeps the lock.
            Some(connection) => tokio::time::timeout(PATIENCE, connection.ping()).await.is_ok_and(|pong| pong.is_ok()),
        }
    }
}

impl Store {
    /// One lease, if anybody ever took it.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn lease(&self, name: &str) -> Result<Option<Lease>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM leases WHERE name = $1")
            .bind(name).fetch_optional(c).await)?)
    }

    /// All leases, by name.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn leases(&self) -> Result<Vec<Lease>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM leases ORDER BY name").fetch_all(c).await)?)
    }

    /// Takes a lease that nobody has, or whose token and beat are still the ones that were `seen`. The new token, or
    /// `None` when somebody was faster. `number_id` is set for a lane and records the term.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn take_lease(
        &self,
        name: &str,
        number_id: Option<i64>,
        owner: &Owner,
        seen: Option<(i64, i64)>,
        now: i64,
    ) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        let token: Option<i64> = match seen {
            None => on!(&mut tx, c => sqlx::query_scalar(
                "INSERT INTO leases (name, owner, token, beat, host, boot, note, beat_at)
                 VALUES ($1, $2, 1, 1, $3, $4, '{}', $5) ON CONFLICT (name) DO NOTHING RETURNING token")
                .bind(name).bind(&owner.instance).bind(&owner.host).bind(&owner.boot).bind(now)
                .fetch_optional(c).await)?,
            Some((token, beat)) => on!(&mut tx, c => sqlx::query_scalar(
                "UPDATE leases SET owner = $2, token = token + 1, beat = beat + 1, host = $3, boot = $4, note = '{}',
                                   beat_at = $5
                 WHERE name = $1 AND token = $6 AND beat = $7 RETURNING token")
                .bind(name).bind(&owner.instance).bind(&owner.host).bind(&owner.boot).bind(now).bind(token).bind(beat)
                .fetch_optional(c).await)?,
        };
        if let (Some(token), Some(number_id)) = (token, number_id) {
            on!(&mut tx, c => sqlx::query(
                "INSERT INTO lane_terms (number_id, term, owner, host, boot, began_at) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (number_id, term) DO NOTHING")
                .bind(number_id).bind(token).bind(&owner.instance).bind(&owner.host).bind(&owner.boot).bind(now)
                .execute(c).await.map(drop))?;
        }
        tx.commit().await?;
        Ok(token)
    }

    /// A sign of life with a note. The lease's beat, which only grows; `None`: the lease belongs to somebody else now.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn beat(&self, name: &str, token: i64, note: &str, now: i64) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        let beat: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "UPDATE leases SET beat = beat + 1, note = $3, beat_at = $4 WHERE name = $1 AND token = $2 AND owner <> ''
             RETURNING beat")
            .bind(name).bind(token).bind(note).bind(now).fetch_optional(c).await)?;
        tx.commit().await?;
        Ok(beat)
    }

    /// Gives a lease back, so that the next owner need not wait for it to run out. Its last beat; `None`: it was
    /// somebody else's already.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn release_lease(&self, name: &str, token: i64) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        let beat: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "UPDATE leases SET owner = '', beat = beat + 1, note = '{}' WHERE name = $1 AND token = $2 RETURNING beat")
            .bind(name).bind(token).fetch_optional(c).await)?;
        tx.commit().await?;
        Ok(beat)
    }

    /// Earlier terms of a lane which still have sends on the wire, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn unsettled_terms(&self, number_id: i64, before: i64) -> Result<Vec<LaneTerm>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT t.term, t.owner, t.host, t.boot FROM lane_terms t
             WHERE t.number_id = $1 AND t.term < $2
               AND t.term IN (SELECT s.term FROM submitting s WHERE s.number_id = $1)
             ORDER BY t.term")
            .bind(number_id).bind(before).fetch_all(c).await)?)
    }

    /// Shows the other processes that this one lives. On SQLite the lock of the data directory says it already.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when PostgreSQL cannot be reached.
    #[crate::boxed]
    pub async fn show_alive(&self, instance: &str) -> Result<Alive> {
        match &self.db {
            Db::Sqlite { .. } => Ok(Alive(None)),
            Db::Postgres(pool) => {
                let mut connection = pool.acquire().await?.detach();
                sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
                    .bind(instance)
                    .execute(&mut connection)
                    .await?;
                Ok(Alive(Some(connection)))
            }
        }
    }

    /// Whether the process of that instance is known to be gone: its session lock is free. On SQLite every other
    /// instance is gone, since the data directory has one holder.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn is_gone(&self, instance: &str) -> Result<bool> {
        match &self.db {
            Db::Sqlite { .. } => Ok(true),
            Db::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))")
                    .bind(instance)
                    .fetch_one(&mut *transaction)
                    .await?;
                transaction.rollback().await?;
                Ok(free)
            }
        }
    }
}

#[cfg(test)]
mod tests;
