//! WhatsApp Business Accounts. Their secrets come sealed and stay so: this crate could not open them.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// A WhatsApp Business Account as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Ours.
    pub id: i64,
    /// What people call it here. Unique.
    pub name: String,
    /// Meta's id of the account.
    pub waba_id: String,
    /// The business portfolio, which shares one messaging limit among its accounts; Meta's id where known.
    pub portfolio: Option<String>,
    /// Sealed.
    pub access_token: Vec<u8>,
    /// Sealed. Signs the webhooks.
    pub app_secret: Vec<u8>,
    /// Sealed. The secret before, while it is being rotated: it vouches for webhooks as well.
    pub old_app_secret: Option<Vec<u8>>,
    /// Since when it is being rotated, epoch ms.
    pub secret_rotation_since: Option<i64>,
    /// Sealed. Answers the webhook's handshake.
    pub verify_token: Vec<u8>,
    /// Why nothing of this account is sent, e.g. because Meta refuses its token.
    pub stopped_reason: Option<String>,
    /// Since when, epoch ms.
    pub stopped_at: Option<i64>,
    /// When its numbers and templates were last read from the Graph API, epoch ms.
    pub synced_at: Option<i64>,
    /// Epoch ms.
    pub created_at: i64,
}

from_row!(Account {
    id,
    name,
    waba_id,
    portfolio,
    access_token,
    app_secret,
    old_app_secret,
    secret_rotation_since,
    verify_token,
    stopped_reason,
    stopped_at,
    synced_at,
    created_at
});

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("waba_id", &self.waba_id)
            .field("stopped_reason", &self.stopped_reason)
            .finish_non_exhaustive()
    }
}

/// An account's app secrets from now on.
#[derive(Clone)]
pub struct RotatedSecret {
    /// The account.
    pub account_id: i64,
    /// Sealed.
    pub current: Vec<u8>,
    /// Sealed: the one that vouches beside it, while it is being rotated.
    pub old: Option<Vec<u8>>,
}

impl std::fmt::Debug for RotatedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotatedSecret").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

/// An account to be added.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    /// See [`Account`].
    pub name: &'a str,
    /// See [`Account`].
    pub waba_id: &'a str,
    /// See [`Account`].
    pub portfolio: Option<&'a str>,
    /// Sealed.
    pub access_token: &'a [u8],
    /// Sealed.
    pub app_secret: &'a [u8],
    /// Sealed.
    pub verify_token: &'a [u8],
    /// Epoch ms.
    pub now: i64,
}

impl std::fmt::Debug for NewAccount<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount").field("name", &self.name).field("waba_id", &self.waba_id).finish_non_exhaustive()
    }
}

impl Store {
    /// Adds an account and gives its id.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) when the name or the WABA id is taken; else as every write.
    #[crate::boxed]
    pub async fn add_account<'a>(&'a self, new: NewAccount<'a>) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO accounts (name, waba_id, portfolio, access_token, app_secret, verify_token, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id")
            .bind(new.name).bind(new.waba_id).bind(new.portfolio)
            .bind(new.access_token).bind(new.app_secret).bind(new.verify_token).bind(new.now)
            .fetch_one(c).await)?;
        tx.commit().await?;
        Ok(id)
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as("SELECT * FROM accounts ORDER BY name").fetch_all(c).await)?;
        Ok(rows)
    }

    /// The account of that id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn account(&self, id: i64) -> Result<Option<Account>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM accounts WHERE id = $1")
            .bind(id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The account of that name.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn account_named(&self, name: &str) -> Result<Option<Account>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM accounts WHERE name = $1")
            .bind(name).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The account of that WABA id, which is what a webhook names.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn account_of_waba(&self, waba_id: &str) -> Result<Option<Account>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM accounts WHERE waba_id = $1")
            .bind(waba_id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// Puts a new sealed token in the old one's place and lifts a stop, whose usual cause was the old one. `false`
    /// when there is no such account.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn rotate_token(&self, name: &str, access_token: &[u8]) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query(
            "UPDATE accounts SET access_token = $2, stopped_reason = NULL, stopped_at = NULL WHERE name = $1")
            .bind(name).bind(access_token).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Puts app secrets in the place of those that accounts have: all of them, or none.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn rotate_secrets(&self, rotated: &[RotatedSecret], now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        for one in rotated {
            on!(&mut tx, c => sqlx::query(
                "UPDATE accounts SET app_secret = $2, old_app_secret = $3, secret_rotation_since = $4 WHERE id = $1")
                .bind(one.account_id).bind(&one.current).bind(&one.old).bind(one.old.as_ref().map(|_| now))
                .execute(c).await.map(drop))?;
        }
        tx.commit().await
    }

    /// Stops everything of an account, or lifts that stop (`None`). The first reason stays until it is lifted.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_account_stopped(&self, id: i64, reason: Option<&str>, now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        match reason {
            Some(reason) => on!(&mut tx, c => sqlx::query(
                "UPDATE accounts SET stopped_reason = $2, stopped_at = $3 WHERE id = $1 AND stopped_reason IS NULL")
                .bind(id).bind(reason).bind(now).execute(c).await.map(drop))?,
            None => on!(&mut tx, c => sqlx::query(
                "UPDATE accounts SET stopped_reason = NULL, stopped_at = NULL WHERE id = $1")
                .bind(id).execute(c).await.map(drop))?,
        }
        tx.commit().await
    }

    /// Notes that numbers and templates of an account have just been read.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn mark_synced(&self, id: i64, now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE accounts SET synced_at = $2 WHERE id = $1")
            .bind(id).bind(now).execute(c).await.map(drop))?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::testing::{Database, on_both_databases};

    const NEW: NewAccount<'static> = NewAccount {
        name: "shop",
        waba_id: "100",
        portfolio: None,
        access_token: b"sealed token",
        app_secret: b"sealed secret",
        verify_token: b"sealed word",
        now: 1_700_000_000_000,
    };

    on_both_databases! {
        async fn an_account_is_found_by_id_name_and_waba_id(db: Database) {
            let id = db.store.add_account(NEW).await.unwrap();
            let account = db.store.account(id).await.unwrap().unwrap();
            assert_eq!(account.access_token, b"sealed token");
            assert_eq!(db.store.account_named("shop").await.unwrap().as_ref(), Some(&account));
            assert_eq!(db.store.account_of_waba("100").await.unwrap().as_ref(), Some(&account));
            assert_eq!(db.store.accounts().await.unwrap(), std::slice::from_ref(&account));
            assert!(!format!("{account:?}").contains("sealed"));
        }

        async fn a_second_account_of_the_same_name_or_waba_id_is_a_conflict(db: Database) {
            db.store.add_account(NEW).await.unwrap();
            let same_name = db.store.add_account(NewAccount { waba_id: "200", ..NEW }).await;
            assert!(matches!(same_name, Err(Error::Conflict(_))));
            let same_waba = db.store.add_account(NewAccount { name: "other", ..NEW }).await;
            assert!(matches!(same_waba, Err(Error::Conflict(_))));
        }

        async fn a_fresh_token_lifts_the_stop_that_the_old_one_caused(db: Database) {
            let id = db.store.add_account(NEW).await.unwrap();
            db.store.set_account_stopped(id, Some("Meta refuses the token"), 5).await.unwrap();
            db.store.set_account_stopped(id, Some("something later"), 6).await.unwrap();
            let stopped = db.store.account(id).await.unwrap().unwrap();
            assert_eq!((stopped.stopped_reason.as_deref(), stopped.stopped_at), (Some("Meta refuses the token"), Some(5)));
            assert!(db.store.rotate_token("shop", b"new").await.unwrap());
            let fresh = db.store.account(id).await.unwrap().unwrap();
            assert_eq!((fresh.access_token.as_slice(), fresh.stopped_reason), (b"new".as_slice(), None));
            assert!(!db.store.rotate_token("nobody", b"new").await.unwrap());
        }
    }
}
