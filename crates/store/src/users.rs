//! People who sign in, and the links that open once.

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;

/// A user, without what they prove themself by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Ours; never given again.
    pub id: i64,
    /// Unique, in lower case; stands in the ledger as `user:EMAIL`.
    pub email: String,
    /// What they want to be called. Empty until they followed their link.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// Whether they chose a password: until then they cannot sign in.
    pub has_password: bool,
    /// Who added them.
    pub created_by: String,
    /// Epoch ms.
    pub created_at: i64,
    /// When they last signed in: epoch ms.
    pub signed_in_at: Option<i64>,
}

from_row!(User { id, email, name, role, has_password, created_by, created_at, signed_in_at });

/// What a user proves themself by.
#[derive(Clone, Debug)]
pub struct Proofs {
    /// The user.
    pub id: i64,
    /// argon2id in the PHC form; `None` until they chose one.
    pub password: Option<String>,
    /// The second factor's secret, sealed.
    pub totp: Option<Vec<u8>>,
}

from_row!(Proofs { id, password, totp });

/// A link that opens once, by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeLink {
    /// SHA-256 of its token.
    pub hash: Vec<u8>,
    /// What it opens.
    pub purpose: String,
    /// Whose it is; `None` where it makes the first user.
    pub user_id: Option<i64>,
    /// The second factor that goes with it, sealed.
    pub totp: Vec<u8>,
    /// Who made it.
    pub created_by: String,
    /// Epoch ms.
    pub created_at: i64,
    /// Epoch ms; it opens nothing from then on.
    pub expires_at: i64,
}

from_row!(OneTimeLink { hash, purpose, user_id, totp, created_by, created_at, expires_at });

/// What somebody sets as they follow their link.
#[derive(Clone, Debug)]
pub struct Enrolment<'a> {
    /// What they want to be called.
    pub name: &'a str,
    /// argon2id in the PHC form.
    pub password: &'a str,
    /// The time step of the code by which they proved that their authenticator works.
    pub totp_step: i64,
    /// SHA-256 of each recovery code.
    pub recovery: &'a [[u8; 32]],
    /// Epoch ms.
    pub now: i64,
}

/// Why a change of a user was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// It was made.
    Made,
    /// There is no such user.
    Unknown,
    /// Nobody would be left who administers.
    LastAdmin,
}

const SELECT: &str = "SELECT id, email, name, role, password IS NOT NULL AS has_password, created_by, created_at, \
                      signed_in_at FROM users";

/// Users are changed one change at a time, so that of two admins who remove each other one stays.
async fn one_change_at_a_time(tx: &mut Link) -> Result<()> {
    if let Link::Postgres(held) = tx {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('hudhud: users', 0))").execute(&mut **held).await?;
    }
    Ok(())
}

/// Whether somebody else who can sign in administers.
async fn has_other_admin(tx: &mut Link, id: i64) -> Result<bool> {
    let others: i64 = on!(tx, c => sqlx::query_scalar(
        "SELECT count(*) FROM users WHERE role = 'admin' AND password IS NOT NULL AND id <> $1")
        .bind(id).fetch_one(c).await)?;
    Ok(others > 0)
}

/// The user's role, and whether they could sign in.
async fn standing(tx: &mut Link, id: i64) -> Result<Option<(String, bool)>> {
    Ok(on!(tx, c => sqlx::query_as("SELECT role, password IS NOT NULL FROM users WHERE id = $1")
        .bind(id).fetch_optional(c).await)?)
}

async fn enrol_within(tx: &mut Link, id: i64, link: &OneTimeLink, enrolment: &Enrolment<'_>) -> Result<()> {
    on!(tx, c => sqlx::query(
        "UPDATE users SET name = $2, password = $3, totp = $4, totp_step = $5, signed_in_at = $6 WHERE id = $1")
        .bind(id).bind(enrolment.name).bind(enrolment.password).bind(&link.totp).bind(enrolment.totp_step)
        .bind(enrolment.now).execute(c).await.map(drop))?;
    for statement in ["DELETE FROM sessions WHERE user_id = $1", "DELETE FROM links WHERE user_id = $1"] {
        on!(tx, c => sqlx::query(statement).bind(id).execute(c).await.map(drop))?;
    }
    renew_codes(tx, id, enrolment.recovery).await
}

async fn renew_codes(tx: &mut Link, id: i64, hashes: &[[u8; 32]]) -> Result<()> {
    on!(tx, c => sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(id).execute(c).await.map(drop))?;
    // Ten rows or so: one statement, its places numbered for both dialects.
    let places: Vec<String> = (0..hashes.len()).map(|n| format!("($1, ${})", n + 2)).collect();
    if places.is_empty() {
        return Ok(());
    }
    let sql = format!("INSERT INTO recovery_codes (user_id, hash) VALUES {}", places.join(", "));
    on!(tx, c => {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id);
        for hash in hashes {
            query = query.bind(hash.as_slice());
        }
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

impl Store {
    /// Adds a user who has yet to choose a password, and gives their id.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) when the address is taken; else as every write.
    #[crate::boxed]
    pub async fn add_user(&self, email: &str, role: &str, created_by: &str, now: i64) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO users (email, name, role, created_by, created_at) VALUES ($1, '', $2, $3, $4) RETURNING id")
            .bind(email).bind(role).bind(created_by).bind(now).fetch_one(c).await)?;
        tx.commit().await?;
        Ok(id)
    }

    /// Users after an id, by id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn users(&self, after: i64, limit: i64) -> Result<Vec<User>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id > $1 ORDER BY id LIMIT $2"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(after).bind(limit).fetch_all(c).await)?)
    }

    /// The user of that id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn user(&self, id: i64) -> Result<Option<User>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id = $1"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?)
    }

    /// The user of that address, in lower case.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn user_of_email(&self, email: &str) -> Result<Option<User>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE email = $1"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(email).fetch_optional(c).await)?)
    }

    /// Whether anybody can sign in.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn has_users(&self) -> Result<bool> {
        let mut link = self.read().await?;
        let found: Option<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT id FROM users WHERE password IS NOT NULL LIMIT 1").fetch_optional(c).await)?;
        Ok(found.is_some())
    }

    /// What the user of that address proves themself by.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn proofs(&self, email: &str) -> Result<Option<Proofs>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT id, password, totp FROM users WHERE email = $1")
            .bind(email).fetch_optional(c).await)?)
    }

    /// Takes a code's time step, if no code of that step or a later one was taken before.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn take_totp_step(&self, id: i64, step: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let taken = on!(&mut tx, c => sqlx::query("UPDATE users SET totp_step = $2 WHERE id = $1 AND totp_step < $2")
            .bind(id).bind(step).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    /// Uses a recovery code up, by its hash. `false` where the user has none such.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn use_recovery_code(&self, id: i64, hash: &[u8; 32]) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let used = on!(&mut tx, c => sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2")
            .bind(id).bind(hash.as_slice()).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(used == 1)
    }

    /// How many recovery codes the user has left.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn recovery_codes_left(&self, id: i64) -> Result<i64> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar("SELECT count(*) FROM recovery_codes WHERE user_id = $1")
            .bind(id).fetch_one(c).await)?)
    }

    /// Puts new recovery codes, by their hashes, in place of the old ones.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn renew_recovery_codes(&self, id: i64, hashes: &[[u8; 32]]) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        renew_codes(&mut tx, id, hashes).await?;
        tx.commit().await
    }

    /// Changes a user's password and ends their sessions but the one of hash `but`.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn change_password(&self, id: i64, password: &str, but: &[u8]) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE users SET password = $2 WHERE id = $1").bind(id).bind(password)
            .execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND hash <> $2").bind(id).bind(but)
            .execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query("DELETE FROM links WHERE user_id = $1").bind(id).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Gives a user another role, unless nobody would be left who administers.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_user_role(&self, id: i64, role: &str) -> Result<UserChange> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_change_at_a_time(&mut tx).await?;
        let Some((was, opens)) = standing(&mut tx, id).await? else { return Ok(UserChange::Unknown) };
        if was == "admin" && role != "admin" && opens && !has_other_admin(&mut tx, id).await? {
            return Ok(UserChange::LastAdmin);
        }
        on!(&mut tx, c => sqlx::query("UPDATE users SET role = $2 WHERE id = $1").bind(id).bind(role)
            .execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(UserChange::Made)
    }

    /// Removes a user with their sessions, links and codes, unless nobody would be left who administers.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn remove_user(&self, id: i64) -> Result<UserChange> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_change_at_a_time(&mut tx).await?;
        let Some((role, opens)) = standing(&mut tx, id).await? else { return Ok(UserChange::Unknown) };
        if role == "admin" && opens && !has_other_admin(&mut tx, id).await? {
            return Ok(UserChange::LastAdmin);
        }
        on!(&mut tx, c => sqlx::query("DELETE FROM users WHERE id = $1").bind(id).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(UserChange::Made)
    }

    /// Keeps a link. Others for the same purpose and user open nothing any more, nor do those that expired.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn put_link(&self, link: &OneTimeLink) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "DELETE FROM links WHERE expires_at <= $1 OR (purpose = $2 AND (user_id = $3 OR (user_id IS NULL AND $3 IS NULL)))")
            .bind(link.created_at).bind(&link.purpose).bind(link.user_id).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO links (hash, purpose, user_id, totp, created_by, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(&link.hash).bind(&link.purpose).bind(link.user_id).bind(&link.totp).bind(&link.created_by)
            .bind(link.created_at).bind(link.expires_at).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The link of that hash, unless it expired.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn link(&self, hash: &[u8], now: i64) -> Result<Option<OneTimeLink>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT hash, purpose, user_id, totp, created_by, created_at, expires_at FROM links
             WHERE hash = $1 AND expires_at > $2").bind(hash).bind(now).fetch_optional(c).await)?)
    }

    /// Uses a link up. `false` where somebody else was faster, or it expired.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn use_link(&self, hash: &[u8], now: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let used = take_link(&mut tx, hash, now).await?;
        tx.commit().await?;
        Ok(used)
    }

    /// Uses a user's link up and sets what they chose; their other links, sessions and codes are gone. `false`, and
    /// nothing done, where the link opens nothing any more.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn enrol(&self, link: &OneTimeLink, user: i64, enrolment: &Enrolment<'_>) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        if !take_link(&mut tx, &link.hash, enrolment.now).await? {
            return Ok(false);
        }
        enrol_within(&mut tx, user, link, enrolment).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Uses the first link up and makes the first user, an admin; gives their id. `None`, and nothing done, where the
    /// link opens nothing any more or somebody can sign in already.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn enrol_first(&self, link: &OneTimeLink, email: &str, enrolment: &Enrolment<'_>) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_change_at_a_time(&mut tx).await?;
        let known: i64 = on!(&mut tx, c => sqlx::query_scalar("SELECT count(*) FROM users WHERE password IS NOT NULL")
            .fetch_one(c).await)?;
        if known > 0 || !take_link(&mut tx, &link.hash, enrolment.now).await? {
            return Ok(None);
        }
        // Somebody may have been invited before anybody came.
        let id: i64 = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO users (email, name, role, created_by, created_at) VALUES ($1, '', 'admin', $2, $3)
             ON CONFLICT (email) DO UPDATE SET role = excluded.role RETURNING id")
            .bind(email).bind(&link.created_by).bind(enrolment.now).fetch_one(c).await)?;
        enrol_within(&mut tx, id, link, enrolment).await?;
        tx.commit().await?;
        Ok(Some(id))
    }
}

async fn take_link(tx: &mut Link, hash: &[u8], now: i64) -> Result<bool> {
    let taken = on!(tx, c => sqlx::query("DELETE FROM links WHERE hash = $1 AND expires_at > $2")
        .bind(hash).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(taken == 1)
}

#[cfg(test)]
mod tests;
