//! What an operator says that phrases mean.

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};

/// A phrase and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordRow {
    /// How it is compared.
    pub key: String,
    /// As it was written.
    pub phrase: String,
    /// What it means: a verdict's name.
    pub verdict: String,
    /// Who said so.
    pub actor: String,
    /// When, epoch ms.
    pub at: i64,
}

from_row!(WordRow { key, phrase, verdict, actor, at });

impl Store {
    /// Every phrase, by its key.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn words(&self) -> Result<Vec<WordRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT key, phrase, verdict, actor, at FROM words ORDER BY key")
            .fetch_all(c).await)?)
    }

    /// Keeps a phrase, in place of one with the same key, with the ledger's entry of it.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn put_word(&self, word: &WordRow, evidence: &NewEntry) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO words (key, phrase, verdict, actor, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (key) DO UPDATE SET phrase = excluded.phrase, verdict = excluded.verdict,
                 actor = excluded.actor, at = excluded.at")
            .bind(&word.key).bind(&word.phrase).bind(&word.verdict).bind(&word.actor).bind(word.at)
            .execute(c).await.map(drop))?;
        ledger::append(&mut tx, evidence).await?;
        tx.commit().await
    }

    /// Forgets a phrase, with the ledger's entry of it. `false`, and nothing done, where there is none of that key.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn remove_word(&self, key: &str, evidence: &NewEntry) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let gone = on!(&mut tx, c => sqlx::query("DELETE FROM words WHERE key = $1").bind(key).execute(c).await
            .map(|done| done.rows_affected()))?;
        if gone == 0 {
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
    use crate::fixture::number_of;
    use crate::testing::{Database, entry, on_both_databases};

    on_both_databases! {
        async fn a_phrase_has_one_meaning_the_last_and_each_change_is_in_the_ledger(db: Database) {
            let word = |verdict: &str| WordRow {
                key: "basta".into(), phrase: "¡Basta!".into(), verdict: verdict.into(), actor: "cli:mona".into(), at: 5,
            };
            db.store.put_word(&word("stop"), &entry("word", 1)).await.unwrap();
            db.store.put_word(&word("nothing"), &entry("word", 2)).await.unwrap();
            assert_eq!(db.store.words().await.unwrap(), [word("nothing")]);
            assert!(db.store.remove_word("basta", &entry("word", 3)).await.unwrap());
            assert!(!db.store.remove_word("basta", &entry("word", 4)).await.unwrap());
            assert!(db.store.words().await.unwrap().is_empty());
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM ledger WHERE kind = 'word'").await, 3);
        }
    }
}
