//! Imports as they ran: what was read, what came of it, where the rejects are.

use sqlx::FromRow;

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;

/// How many rows of a file became what. `rows = accepted + duplicates + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Rows of the file, without its header.
    pub rows: i64,
    /// Rows that are people.
    pub accepted: i64,
    /// People who were not known before.
    pub created: i64,
    /// People of whom something changed.
    pub updated: i64,
    /// Rows whose person came earlier in the same file.
    pub duplicates: i64,
    /// Rows that are not people.
    pub rejected: i64,
    /// Accepted people who are opted out.
    pub suppressed: i64,
}

impl ImportCounts {
    pub(crate) async fn write(&self, tx: &mut Link, import_id: i64) -> Result<()> {
        on!(tx, c => sqlx::query(
            "UPDATE imports SET line_count = $2, accepted = $3, created = $4, updated = $5, duplicates = $6,
                                rejected = $7, suppressed = $8 WHERE id = $1")
            .bind(import_id).bind(self.rows).bind(self.accepted).bind(self.created).bind(self.updated)
            .bind(self.duplicates).bind(self.rejected).bind(self.suppressed)
            .execute(c).await.map(drop))?;
        Ok(())
    }
}

/// An import that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewImport<'a> {
    /// Where its people go.
    pub list_id: i64,
    /// That list's name, which outlives the list here.
    pub list_name: &'a str,
    /// The file's name as the person knows it.
    pub file_name: &'a str,
    /// Who imports.
    pub actor: &'a str,
    /// Where the consent comes from.
    pub opt_in_source: &'a str,
    /// The country of national numbers, ISO 3166 alpha-2.
    pub region: Option<&'a str>,
    /// Epoch ms.
    pub now: i64,
}

/// How an import ended.
#[derive(Clone, Copy, Debug)]
pub struct ImportEnd<'a> {
    /// All its counts.
    pub counts: ImportCounts,
    /// SHA-256 of the file in hexadecimal; empty when it was not read to its end.
    pub sha256: &'a str,
    /// Where the rejected rows are, if there are any.
    pub rejects_file: Option<&'a str>,
    /// Why it failed, if it did.
    pub error: Option<&'a str>,
    /// Epoch ms.
    pub now: i64,
}

/// An import as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ImportRow {
    /// Ours.
    pub id: i64,
    /// The list it went to, which may be gone.
    pub list_id: i64,
    /// That list's name at the time.
    pub list_name: String,
    /// The file's name as the person knows it.
    pub file_name: String,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// Who imported.
    pub actor: String,
    /// Where the consent comes from.
    pub opt_in_source: String,
    /// The country of national numbers.
    pub region: Option<String>,
    /// See [`ImportCounts::rows`].
    pub line_count: i64,
    /// See [`ImportCounts`], here and below.
    pub accepted: i64,
    /// People who were not known before.
    pub created: i64,
    /// People of whom something changed.
    pub updated: i64,
    /// Repeats within the file.
    pub duplicates: i64,
    /// Rows that are not people.
    pub rejected: i64,
    /// Accepted people who are opted out.
    pub suppressed: i64,
    /// Where the rejected rows are.
    pub rejects_file: Option<String>,
    /// How the file was read, as JSON.
    pub reading: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Epoch ms.
    pub started_at: i64,
    /// Epoch ms.
    pub finished_at: Option<i64>,
}

impl Store {
    /// Notes that an import begins, and gives its id.
    ///
    /// # Errors
    /// As every write.
    pub async fn begin_import(&self, new: NewImport<'_>) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO imports (list_id, list_name, file_name, state, actor, opt_in_source, region, started_at)
             VALUES ($1, $2, $3, 'running', $4, $5, $6, $7) RETURNING id")
            .bind(new.list_id).bind(new.list_name).bind(new.file_name).bind(new.actor).bind(new.opt_in_source)
            .bind(new.region).bind(new.now).fetch_one(c).await)?;
        tx.commit().await?;
        Ok(id)
    }

    /// Notes how an import ended.
    ///
    /// # Errors
    /// As every write.
    pub async fn end_import(&self, id: i64, end: &ImportEnd<'_>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        end.counts.write(&mut tx, id).await?;
        let state = if end.error.is_some() { "failed" } else { "done" };
        on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = $2, sha256 = $3, rejects_file = $4, error = $5, finished_at = $6 WHERE id = $1")
            .bind(id).bind(state).bind(end.sha256).bind(end.rejects_file).bind(end.error).bind(end.now)
            .execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Marks the imports that still run as failed. For the start of the one process that holds an embedded database:
    /// whoever ran them is gone. What their chunks brought stays.
    ///
    /// # Errors
    /// As every write.
    pub async fn fail_abandoned_imports(&self, error: &str, now: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let failed = on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = 'failed', error = $1, finished_at = $2 WHERE state = 'running'")
            .bind(error).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(failed)
    }

    /// Imports older than an id (all: `i64::MAX`), newest first: a page.
    ///
    /// # Errors
    /// As every read.
    pub async fn imports(&self, before: i64, limit: i64) -> Result<Vec<ImportRow>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM imports WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(before).bind(limit).fetch_all(c).await)?;
        Ok(rows)
    }

    /// The import of that id.
    ///
    /// # Errors
    /// As every read.
    pub async fn import(&self, id: i64) -> Result<Option<ImportRow>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM imports WHERE id = $1")
            .bind(id).fetch_optional(c).await)?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    fn new(list_id: i64, now: i64) -> NewImport<'static> {
        NewImport {
            list_id,
            list_name: "people",
            file_name: "people.csv",
            actor: "cli:amr",
            opt_in_source: "shop",
            region: Some("EG"),
            now,
        }
    }

    on_both_databases! {
        async fn an_import_ends_with_its_counts(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let id = db.store.begin_import(new(list, 2)).await.unwrap();
            assert_eq!(db.store.import(id).await.unwrap().unwrap().state, "running");
            let counts = ImportCounts { rows: 10, accepted: 6, created: 5, updated: 1, duplicates: 1, rejected: 3, suppressed: 2 };
            let end = ImportEnd { counts, sha256: "ab", rejects_file: Some("r.csv"), error: None, now: 9 };
            db.store.end_import(id, &end).await.unwrap();
            let import = db.store.import(id).await.unwrap().unwrap();
            assert_eq!((import.state.as_str(), import.finished_at), ("done", Some(9)));
            assert_eq!((import.line_count, import.accepted, import.rejected, import.suppressed), (10, 6, 3, 2));
        }

        async fn the_newest_import_comes_first_page_by_page(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let mut ids = Vec::new();
            for n in 0..5 {
                ids.push(db.store.begin_import(new(list, n)).await.unwrap());
            }
            ids.reverse();
            let page = |rows: Vec<ImportRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
            let first = page(db.store.imports(i64::MAX, 3).await.unwrap());
            assert_eq!(first, ids[..3]);
            assert_eq!(page(db.store.imports(first[2], 3).await.unwrap()), ids[3..]);
        }

        async fn abandoned_imports_are_failed_and_the_ended_ones_left_alone(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let ended = db.store.begin_import(new(list, 2)).await.unwrap();
            let end = ImportEnd { counts: ImportCounts::default(), sha256: "", rejects_file: None, error: None, now: 3 };
            db.store.end_import(ended, &end).await.unwrap();
            let running = db.store.begin_import(new(list, 4)).await.unwrap();
            assert_eq!(db.store.fail_abandoned_imports("the process ended", 5).await.unwrap(), 1);
            assert_eq!(db.store.import(running).await.unwrap().unwrap().error.as_deref(), Some("the process ended"));
            assert_eq!(db.store.import(ended).await.unwrap().unwrap().state, "done");
        }
    }
}
