//! API keys: only their hashes are kept.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// An API key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Ours.
    pub id: i64,
    /// Unique; stands in the ledger as `key:NAME`.
    pub name: String,
    /// What its holder may do.
    pub role: String,
    /// Who made it.
    pub created_by: String,
    /// Epoch ms.
    pub created_at: i64,
    /// Epoch ms, to the minute or so.
    pub last_used_at: Option<i64>,
    /// Epoch ms. A revoked key opens nothing any more.
    pub revoked_at: Option<i64>,
}

from_row!(ApiKey { id, name, role, created_by, created_at, last_used_at, revoked_at });

const SELECT: &str = "SELECT id, name, role, created_by, created_at, last_used_at, revoked_at FROM api_keys";
/// Uses within this time (ms) of the one on record are not written down.
const USE_GRAIN: i64 = 60_000;

impl Store {
    /// Keeps a new key by its hash (SHA-256 of the key), and gives its id.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) when the name is taken, also by a revoked key; else as every write.
    #[crate::boxed]
    pub async fn add_api_key(&self, name: &str, role: &str, hash: &[u8], created_by: &str, now: i64) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO api_keys (name, role, hash, created_by, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id")
            .bind(name).bind(role).bind(hash).bind(created_by).bind(now).fetch_one(c).await)?;
        tx.commit().await?;
        Ok(id)
    }

    /// The key of that hash, unless it is revoked.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn api_key_of_hash(&self, hash: &[u8]) -> Result<Option<ApiKey>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE hash = $1 AND revoked_at IS NULL"));
        let row = on!(&mut link, c => sqlx::query_as(sql).bind(hash).fetch_optional(c).await)?;
        Ok(row)
    }

    /// Every key, by name, revoked ones too.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} ORDER BY name"));
        let rows = on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await)?;
        Ok(rows)
    }

    /// Revokes a key. `false` when there is none of that name that still opens anything.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn revoke_api_key(&self, name: &str, now: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let revoked = on!(&mut tx, c => sqlx::query(
            "UPDATE api_keys SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL")
            .bind(name).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(revoked > 0)
    }

    /// Notes that a key was used. Takes the writer at most once a minute for each key.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn note_api_key_use(&self, key: &ApiKey, now: i64) -> Result<()> {
        if key.last_used_at.is_some_and(|last| now - last < USE_GRAIN) {
            return Ok(());
        }
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
            .bind(key.id).bind(now).execute(c).await.map(drop))?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::testing::{Database, on_both_databases};

    on_both_databases! {
        async fn a_key_opens_until_it_is_revoked(db: Database) {
            let id = db.store.add_api_key("crm", "launcher", &[1; 32], "cli:amr", 5).await.unwrap();
            let key = db.store.api_key_of_hash(&[1; 32]).await.unwrap().unwrap();
            assert_eq!((key.id, key.name.as_str(), key.role.as_str()), (id, "crm", "launcher"));
            assert!(db.store.api_key_of_hash(&[2; 32]).await.unwrap().is_none());
            assert!(db.store.revoke_api_key("crm", 6).await.unwrap());
            assert!(db.store.api_key_of_hash(&[1; 32]).await.unwrap().is_none());
            assert!(!db.store.revoke_api_key("crm", 7).await.unwrap());
            assert_eq!(db.store.api_keys().await.unwrap()[0].revoked_at, Some(6));
        }

        async fn a_name_is_given_once(db: Database) {
            db.store.add_api_key("crm", "viewer", &[1; 32], "cli:amr", 5).await.unwrap();
            let again = db.store.add_api_key("crm", "viewer", &[2; 32], "cli:amr", 5).await;
            assert!(matches!(again, Err(Error::Conflict(_))));
        }

        async fn uses_are_noted_to_the_minute(db: Database) {
            db.store.add_api_key("crm", "viewer", &[1; 32], "cli:amr", 0).await.unwrap();
            for (at, noted) in [(100, 100), (100 + USE_GRAIN - 1, 100), (100 + USE_GRAIN, 100 + USE_GRAIN)] {
                let key = db.store.api_key_of_hash(&[1; 32]).await.unwrap().unwrap();
                db.store.note_api_key_use(&key, at).await.unwrap();
                assert_eq!(db.store.api_keys().await.unwrap()[0].last_used_at, Some(noted));
            }
        }
    }
}
