//! Facts about this installation that are not about any campaign: its id, and the switch that stops everything.

use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};

/// `meta.key` of the eight characters that tell our callback data from another installation's.
const INSTALL: &str = "install";
/// `meta.key` of the reason why every lane is paused.
const PAUSED_ALL: &str = "paused_all";
/// `meta.key` of the reason why this database is held: it is older than what was sent.
const HELD: &str = "held";

impl Store {
    /// Gives a new database its id. The first process to come sets it.
    pub(crate) async fn settle_identity(&self) -> Result<()> {
        if self.meta(INSTALL).await?.is_some() {
            return Ok(());
        }
        let fresh = fresh_install_id();
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .bind(INSTALL).bind(&fresh).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The eight characters in the callback data of every send of this database.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn install_id(&self) -> Result<String> {
        self.meta(INSTALL).await?.ok_or_else(|| Error::bug("meta.install is missing"))
    }

    /// Why every lane is paused, if it is.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn paused_all(&self) -> Result<Option<String>> {
        self.meta(PAUSED_ALL).await
    }

    /// Pauses every lane (with the reason) or lifts that pause (`None`), and with it a hold. Takes effect with the next
    /// claim.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_paused_all(&self, reason: Option<&str>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        set(&mut tx, PAUSED_ALL, reason).await?;
        if reason.is_none() {
            set(&mut tx, HELD, None).await?;
        }
        tx.commit().await
    }

    /// Why this database is held, if it is: then every lane is paused too, whatever else the pause's reason may say.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn held(&self) -> Result<Option<String>> {
        self.meta(HELD).await
    }

    /// Holds a database of this id that turned out to be an older copy: pauses every lane, and gives it a fresh id,
    /// since attempts that it does not know of have used the old one. `false`: somebody else has done so already.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn hold(&self, install: &str, reason: &str) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let fresh = fresh_install_id();
        let renamed = on!(&mut tx, c => sqlx::query("UPDATE meta SET value = $3 WHERE key = $1 AND value = $2")
            .bind(INSTALL).bind(install).bind(&fresh).execute(c).await.map(|done| done.rows_affected()))?;
        if renamed == 0 {
            return Ok(false);
        }
        set(&mut tx, PAUSED_ALL, Some(reason)).await?;
        set(&mut tx, HELD, Some(reason)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A value of this installation by its key.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut link = self.read().await?;
        let value = on!(&mut link, c => sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(key).fetch_optional(c).await)?;
        Ok(value)
    }

    /// Sets or removes a value of this installation.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_meta(&self, key: &str, value: Option<&str>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        set(&mut tx, key, value).await?;
        tx.commit().await
    }
}

fn fresh_install_id() -> String {
    hex::encode(rand::random::<[u8; 4]>())
}

pub(crate) async fn set(tx: &mut Link, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => on!(tx, c => sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(key).bind(value).execute(c).await.map(drop))?,
        None => on!(tx, c => sqlx::query("DELETE FROM meta WHERE key = $1")
            .bind(key).execute(c).await.map(drop))?,
    }
    Ok(())
}
