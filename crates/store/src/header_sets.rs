//! What the columns of files were said to be, remembered by their headers: who maps a file once need not map the next
//! one of the same kind.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// How many are remembered. The oldest go first.
const MOST: i64 = 500;

impl Store {
    /// Remembers how the columns of files with this header are mapped. `mapping` is the caller's own text.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn remember_header_set(&self, fingerprint: &str, mapping: &str, now: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO header_sets (fingerprint, mapping, used_at) VALUES ($1, $2, $3)
             ON CONFLICT (fingerprint) DO UPDATE SET mapping = excluded.mapping, used_at = excluded.used_at")
            .bind(fingerprint).bind(mapping).bind(now).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query(
            "DELETE FROM header_sets WHERE fingerprint NOT IN
               (SELECT fingerprint FROM header_sets ORDER BY used_at DESC, fingerprint LIMIT $1)")
            .bind(MOST).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Every remembered header, by its fingerprint, with its mapping: a few hundred at most.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn header_sets(&self) -> Result<Vec<(String, String)>> {
        let mut link = self.read().await?;
        let sets = on!(&mut link, c => sqlx::query_as("SELECT fingerprint, mapping FROM header_sets")
            .fetch_all(c).await)?;
        Ok(sets)
    }

    /// Notes how an import read its file, as a JSON document.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn note_reading(&self, import_id: i64, reading: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE imports SET reading = $2 WHERE id = $1")
            .bind(import_id).bind(reading).execute(c).await.map(drop))?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Database, on_both_databases};

    on_both_databases! {
        async fn the_latest_mapping_of_a_header_is_remembered_and_the_oldest_forgotten(db: Database) {
            for n in 0..505 {
                db.store.remember_header_set(&format!("header {n:03}"), "{}", n).await.unwrap();
            }
            db.store.remember_header_set("header 100", "{\"phone\":\"mob\"}", 1000).await.unwrap();
            let mut sets = db.store.header_sets().await.unwrap();
            sets.sort();
            assert_eq!((sets.len(), sets[0].0.as_str()), (500, "header 005"));
            assert!(sets.contains(&("header 100".to_owned(), "{\"phone\":\"mob\"}".to_owned())));
        }
    }
}
