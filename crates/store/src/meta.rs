//! Facts about this installation that are not about any campaign: its id, and the switch that stops everything.

use crate::db::{Priority, Store, on};
use crate::error::{Error, Result};

/// `meta.key` of the eight characters that tell our callback data from another installation's.
const INSTALL: &str = "install";
/// `meta.key` of the reason why every lane is paused.
const PAUSED_ALL: &str = "paused_all";

impl Store {
    /// Gives a new database its id. The first process to come sets it.
    pub(crate) async fn settle_identity(&self) -> Result<()> {
        if self.meta(INSTALL).await?.is_some() {
            return Ok(());
        }
        let fresh: String = hex::encode(rand::random::<[u8; 4]>());
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .bind(INSTALL).bind(&fresh).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The eight characters in the callback data of every send of this database.
    ///
    /// # Errors
    /// As every read.
    pub async fn install_id(&self) -> Result<String> {
        self.meta(INSTALL).await?.ok_or_else(|| Error::bug("meta.install is missing"))
    }

    /// Why every lane is paused, if it is.
    ///
    /// # Errors
    /// As every read.
    pub async fn paused_all(&self) -> Result<Option<String>> {
        self.meta(PAUSED_ALL).await
    }

    /// Pauses every lane (with the reason) or lifts that pause (`None`). Takes effect with the next claim.
    ///
    /// # Errors
    /// As every write.
    pub async fn set_paused_all(&self, reason: Option<&str>) -> Result<()> {
        self.set_meta(PAUSED_ALL, reason).await
    }

    /// A value of this installation by its key.
    ///
    /// # Errors
    /// As every read.
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
    pub async fn set_meta(&self, key: &str, value: Option<&str>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        match value {
            Some(value) => on!(&mut tx, c => sqlx::query(
                "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
                .bind(key).bind(value).execute(c).await.map(drop))?,
            None => on!(&mut tx, c => sqlx::query("DELETE FROM meta WHERE key = $1")
                .bind(key).execute(c).await.map(drop))?,
        }
        tx.commit().await
    }
}
