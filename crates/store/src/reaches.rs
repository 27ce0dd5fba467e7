//! How far stops reach: what an operator set for each way they come, and which business number is of which brand.

use domain::optout::scope::{Reach, Way};
use sqlx::FromRow;

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};

/// How far stops of one way reach, as somebody set it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ReachRow {
    /// The way's name.
    pub way: String,
    /// The reach's name.
    pub reach: String,
    /// Who set it.
    pub actor: String,
    /// When, epoch ms.
    pub at: i64,
}

impl Store {
    /// What was set, by way.
    ///
    /// # Errors
    /// As every read.
    pub async fn reaches(&self) -> Result<Vec<ReachRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT way, reach, actor, at FROM stop_reaches ORDER BY way")
            .fetch_all(c).await)?)
    }

    /// Sets how far stops of a way reach from now on, with the ledger's entry of it.
    ///
    /// # Errors
    /// As every write.
    pub async fn set_reach(&self, way: Way, reach: Reach, actor: &str, at: i64, evidence: &NewEntry) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO stop_reaches (way, reach, actor, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (way) DO UPDATE SET reach = excluded.reach, actor = excluded.actor, at = excluded.at")
            .bind(way.as_str()).bind(reach.as_str()).bind(actor).bind(at).execute(c).await.map(drop))?;
        ledger::append(&mut tx, evidence).await?;
        tx.commit().await
    }

    /// Says of which brand a business number is (`None`: of none), with the ledger's entry of it. In force from the next
    /// claim on. `false`, and nothing done, when there is no such number.
    ///
    /// # Errors
    /// As every write.
    pub async fn set_number_brand(
        &self,
        phone_number_id: &str,
        brand: Option<&str>,
        evidence: &NewEntry,
    ) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query("UPDATE numbers SET brand = $2 WHERE phone_number_id = $1")
            .bind(phone_number_id).bind(brand).execute(c).await.map(|done| done.rows_affected()))?;
        if changed == 0 {
            return Ok(false);
        }
        ledger::append(&mut tx, evidence).await?;
        tx.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, Shop, number_of};
    use crate::testing::{Database, entry, on_both_databases};

    on_both_databases! {
        async fn what_is_set_is_kept_once_for_each_way_and_is_in_the_ledger(db: Database) {
            Shop::open(&db.store, 1).await;
            for reach in [Reach::Brand, Reach::All] {
                db.store.set_reach(Way::Text, reach, "cli:mona", NOW, &entry("scope", NOW)).await.unwrap();
            }
            let rows = db.store.reaches().await.unwrap();
            assert_eq!((rows.len(), rows[0].way.as_str(), rows[0].reach.as_str()), (1, "text", "all"));
            assert!(db.store.set_number_brand("pnid-0", Some("Nile"), &entry("scope", NOW)).await.unwrap());
            assert!(!db.store.set_number_brand("nobody's", Some("Nile"), &entry("scope", NOW)).await.unwrap());
            assert_eq!(db.store.numbers().await.unwrap()[0].brand.as_deref(), Some("Nile"));
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM ledger WHERE kind = 'scope'").await, 3);
        }
    }
}
