//! Sessions of people who signed in, and how often signing in failed.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// A session, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of its token.
    pub hash: Vec<u8>,
    /// Whose it is.
    pub user_id: i64,
    /// Their address.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// What they may do, as of now.
    pub role: String,
    /// Epoch ms.
    pub created_at: i64,
    /// Its last request: epoch ms, to the minute or so.
    pub seen_at: i64,
    /// Where it was opened from.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

from_row!(Session { hash, user_id, email, name, role, created_at, seen_at, address, agent });

/// How long sessions live: those that were last seen, or made, before these times (epoch ms) are over.
#[derive(Clone, Copy, Debug)]
pub struct Alive {
    /// Seen after this.
    pub seen_after: i64,
    /// Made after this.
    pub made_after: i64,
}

/// Requests within this time (ms) of the one on record are not written down.
const SEEN_GRAIN: i64 = 60_000;
const SELECT: &str = "SELECT s.hash, s.user_id, u.email, u.name, u.role, s.created_at, s.seen_at, s.address, s.agent \
                      FROM sessions s JOIN users u ON u.id = s.user_id";

impl Store {
    /// Keeps a new session, and notes the sign-in. The user's sessions that are over go.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn open_session(&self, hash: &[u8], user: i64, from: (&str, &str), over: Alive, now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND (seen_at <= $2 OR created_at <= $3)")
            .bind(user).bind(over.seen_after).bind(over.made_after).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO sessions (hash, user_id, created_at, seen_at, address, agent) VALUES ($1, $2, $3, $3, $4, $5)")
            .bind(hash).bind(user).bind(now).bind(from.0).bind(from.1).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query("UPDATE users SET signed_in_at = $2 WHERE id = $1").bind(user).bind(now)
            .execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The session of that hash, unless it is over.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn session(&self, hash: &[u8], alive: Alive) -> Result<Option<Session>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE s.hash = $1 AND s.seen_at > $2 AND s.created_at > $3"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(hash).bind(alive.seen_after).bind(alive.made_after)
            .fetch_optional(c).await)?)
    }

    /// A user's sessions that are not over, the newest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn sessions_of(&self, user: i64, alive: Alive) -> Result<Vec<Session>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "{SELECT} WHERE s.user_id = $1 AND s.seen_at > $2 AND s.created_at > $3 ORDER BY s.created_at DESC, s.hash"
        ));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(user).bind(alive.seen_after).bind(alive.made_after)
            .fetch_all(c).await)?)
    }

    /// Notes that a session was used. Takes the writer at most once a minute for each.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn note_session_use(&self, session: &Session, now: i64) -> Result<()> {
        if now - session.seen_at < SEEN_GRAIN {
            return Ok(());
        }
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $2")
            .bind(&session.hash).bind(now).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn end_session(&self, hash: &[u8]) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Ends all of a user's sessions, and says how many there were.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn end_sessions_of(&self, user: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let ended = on!(&mut tx, c => sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(user).execute(c)
            .await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Begins an attempt to sign in: counts it as failed until [`Self::forgive`] says otherwise, so that of many at
    /// once each is counted before its password is looked at. `delay` says for so many failures, the new one among
    /// them, how long (ms) the next attempt must wait. Failures older than `forget_before` (epoch ms) are forgotten.
    /// Gives the time (epoch ms) until which this one should have waited, where it came too early; it is then not
    /// counted.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn begin_sign_in(
        &self,
        who: &[u8],
        address: &str,
        delay: fn(i64) -> i64,
        forget_before: i64,
        now: i64,
    ) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("DELETE FROM failed_sign_ins WHERE last_at < $1").bind(forget_before).execute(c)
            .await.map(drop))?;
        // The row is written before it is read: two at once wait for each other here, on PostgreSQL too.
        let (failures, free_at): (i64, i64) = on!(&mut tx, c => sqlx::query_as(
            "INSERT INTO failed_sign_ins (who, address, failures, last_at, free_at) VALUES ($1, $2, 1, $3, $3)
             ON CONFLICT (who, address) DO UPDATE SET failures = failed_sign_ins.failures + 1
             RETURNING failures, free_at")
            .bind(who).bind(address).bind(now).fetch_one(c).await)?;
        if free_at > now {
            // Dropped, the transaction leaves the count as it was.
            return Ok(Some(free_at));
        }
        on!(&mut tx, c => sqlx::query(
            "UPDATE failed_sign_ins SET last_at = $3, free_at = $4 WHERE who = $1 AND address = $2")
            .bind(who).bind(address).bind(now).bind(now + delay(failures)).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(None)
    }

    /// Forgets the failures of whoever signed in after all.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn forgive(&self, who: &[u8], address: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("DELETE FROM failed_sign_ins WHERE who = $1 AND address = $2")
            .bind(who).bind(address).execute(c).await.map(drop))?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    const ALIVE: Alive = Alive { seen_after: 0, made_after: 0 };

    async fn somebody(db: &Database, email: &str) -> i64 {
        db.store.add_user(email, "viewer", "cli:amr", 1).await.unwrap()
    }

    on_both_databases! {
        async fn a_session_opens_until_it_is_idle_too_long_or_too_old_or_ended(db: Database) {
            let mona = somebody(&db, "mona@example.com").await;
            db.store.open_session(&[1; 32], mona, ("127.0.0.1", "test"), ALIVE, 1_000).await.unwrap();
            let session = db.store.session(&[1; 32], ALIVE).await.unwrap().unwrap();
            assert_eq!((session.email.as_str(), session.role.as_str(), session.seen_at), ("mona@example.com", "viewer", 1_000));
            for (seen_after, made_after) in [(1_000, 0), (0, 1_000)] {
                assert!(db.store.session(&[1; 32], Alive { seen_after, made_after }).await.unwrap().is_none());
            }
            db.store.note_session_use(&session, 1_000 + SEEN_GRAIN - 1).await.unwrap();
            assert_eq!(db.store.session(&[1; 32], ALIVE).await.unwrap().unwrap().seen_at, 1_000);
            db.store.note_session_use(&session, 1_000 + SEEN_GRAIN).await.unwrap();
            assert_eq!(db.store.session(&[1; 32], ALIVE).await.unwrap().unwrap().seen_at, 1_000 + SEEN_GRAIN);
            db.store.end_session(&[1; 32]).await.unwrap();
            assert!(db.store.session(&[1; 32], ALIVE).await.unwrap().is_none());
            assert_eq!(db.store.user(mona).await.unwrap().unwrap().signed_in_at, Some(1_000));
        }

        async fn a_changed_password_ends_every_session_but_the_one_that_changed_it(db: Database) {
            let (mona, omar) = (somebody(&db, "mona@example.com").await, somebody(&db, "omar@example.com").await);
            for (hash, user) in [([1; 32], mona), ([2; 32], mona), ([3; 32], omar)] {
                db.store.open_session(&hash, user, ("::1", ""), ALIVE, 5).await.unwrap();
            }
            db.store.change_password(mona, "$argon2id$", &[2; 32]).await.unwrap();
            let left: Vec<u8> = db.store.sessions_of(mona, ALIVE).await.unwrap().iter().map(|s| s.hash[0]).collect();
            assert_eq!(left, [2]);
            assert_eq!(db.store.end_sessions_of(mona).await.unwrap(), 1);
            assert_eq!(db.store.sessions_of(omar, ALIVE).await.unwrap().len(), 1);
        }

        async fn signing_in_forgets_only_the_sessions_that_are_over(db: Database) {
            let mona = somebody(&db, "mona@example.com").await;
            db.store.open_session(&[1; 32], mona, ("::1", ""), ALIVE, 5).await.unwrap();
            db.store.open_session(&[2; 32], mona, ("::1", ""), ALIVE, 15).await.unwrap();
            let over = Alive { seen_after: 10, made_after: 10 };
            db.store.open_session(&[3; 32], mona, ("::1", ""), over, 20).await.unwrap();
            let left: Vec<u8> = db.store.sessions_of(mona, ALIVE).await.unwrap().iter().map(|s| s.hash[0]).collect();
            assert_eq!(left, [3, 2]);
        }

        async fn every_attempt_waits_longer_and_one_that_comes_too_early_is_not_counted(db: Database) {
            let begin = async |address: &str, now: i64| {
                db.store.begin_sign_in(&[7; 32], address, |failures| failures * 10, now - 1_000, now).await.unwrap()
            };
            assert_eq!(begin("a", 100).await, None);
            assert_eq!(begin("a", 109).await, Some(110));
            assert_eq!(begin("a", 110).await, None);
            assert_eq!(begin("a", 129).await, Some(130), "the second failure waits for twenty");
            assert_eq!(begin("b", 111).await, None, "another address is another count");
            db.store.forgive(&[7; 32], "a").await.unwrap();
            assert_eq!(begin("a", 112).await, None);
            assert_eq!(begin("a", 115).await, Some(122), "it begins with one again");
            assert_eq!(begin("a", 5_000).await, None);
            assert_eq!(begin("a", 5_009).await, Some(5_010), "what is long ago is forgotten");
        }

        async fn of_many_attempts_at_once_one_goes_on(db: Database) {
            let attempt = || db.store.begin_sign_in(&[7; 32], "a", |_| 1_000, 0, 100);
            let all = futures::future::join_all((0..12).map(|_| attempt())).await;
            assert_eq!(all.into_iter().filter(|begun| matches!(begun, Ok(None))).count(), 1);
        }
    }
}
