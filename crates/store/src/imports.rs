//! Imports as they ran: what was read, what came of it, where the rejects are.

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::leases::Owner;
use crate::met;

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
    /// Accepted people of whom nothing was written: all of it was there.
    pub unchanged: i64,
}

/// Whether a chunk's counts were noted.
pub(crate) enum Noted {
    /// With this transaction, should it be committed.
    Now,
    /// The chunk was kept before: an earlier commit of it got through although its answer was lost.
    Before(ImportCounts),
    /// The import does not run any more.
    NotRunning,
    /// Chunks that were kept are not there any more: the database was restarted before they were durable.
    Lost,
}

impl ImportCounts {
    /// Notes how far a running import is, with its chunk of that number, once, and after the one that was noted before.
    pub(crate) async fn note(&self, tx: &mut Link, import_id: i64, chunk: i64, after: i64) -> Result<Noted> {
        let noted = on!(tx, c => sqlx::query(
            "UPDATE imports SET line_count = $2, accepted = $3, created = $4, updated = $5, duplicates = $6,
                                rejected = $7, suppressed = $8, unchanged = $9, chunks = $10, beat = beat + 1
             WHERE id = $1 AND state = 'running' AND chunks = $11")
            .bind(import_id).bind(self.rows).bind(self.accepted).bind(self.created).bind(self.updated)
            .bind(self.duplicates).bind(self.rejected).bind(self.suppressed).bind(self.unchanged).bind(chunk).bind(after)
            .execute(c).await.map(|done| done.rows_affected()))?;
        if noted > 0 {
            return Ok(Noted::Now);
        }
        let row: Option<ImportRow> = on!(tx, c => sqlx::query_as("SELECT * FROM imports WHERE id = $1")
            .bind(import_id).fetch_optional(c).await)?;
        Ok(match row {
            Some(row) if row.state == "running" && row.chunks >= chunk => Noted::Before(row.counts()),
            Some(row) if row.state == "running" => Noted::Lost,
            _ => Noted::NotRunning,
        })
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
    /// The words in which it was asked for; empty when they are not told.
    pub opt_in_wording: &'a str,
    /// When they consented, epoch ms; `None`: each row has its own time.
    pub opt_in_at: Option<i64>,
    /// The country of national numbers, ISO 3166 alpha-2.
    pub region: Option<&'a str>,
    /// Who runs it. Its instance is one of this import's own.
    pub owner: &'a Owner,
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
    /// Whom its last chunks met, and what is not kept of that yet.
    pub met: &'a [i64],
    /// The number of the last chunk that was noted; 0: none was.
    pub last: i64,
    /// Epoch ms.
    pub now: i64,
}

/// An import as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// `running`, `done`, `failed`, `interrupted`, `undoing` or `undone`.
    pub state: String,
    /// Who imported.
    pub actor: String,
    /// Where the consent comes from.
    pub opt_in_source: String,
    /// The words in which it was asked for; empty when they were not told.
    pub opt_in_wording: String,
    /// When they consented; `None`: each row has its own time.
    pub opt_in_at: Option<i64>,
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
    /// Accepted people of whom nothing was written.
    pub unchanged: i64,
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
    /// The instance that runs or ran it.
    pub owner: String,
    /// That instance's machine.
    pub host: String,
    /// That machine's start.
    pub boot: String,
    /// Moves while it runs.
    pub beat: i64,
    /// The last chunk that is kept.
    pub chunks: i64,
    /// Whoever it made has a greater id.
    pub contacts_before: i64,
}

from_row!(ImportRow {
    id,
    list_id,
    list_name,
    file_name,
    sha256,
    state,
    actor,
    opt_in_source,
    opt_in_wording,
    opt_in_at,
    region,
    line_count,
    accepted,
    created,
    updated,
    duplicates,
    rejected,
    suppressed,
    unchanged,
    rejects_file,
    reading,
    error,
    started_at,
    finished_at,
    owner,
    host,
    boot,
    beat,
    chunks,
    contacts_before
});

impl ImportRow {
    /// Its counts.
    #[must_use]
    pub fn counts(&self) -> ImportCounts {
        ImportCounts {
            rows: self.line_count,
            accepted: self.accepted,
            created: self.created,
            updated: self.updated,
            duplicates: self.duplicates,
            rejected: self.rejected,
            suppressed: self.suppressed,
            unchanged: self.unchanged,
        }
    }
}

impl Store {
    /// Notes that an import begins, and gives its id. `None` while an import is being undone: what that takes back must
    /// not be met half way.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn begin_import<'a>(&'a self, new: NewImport<'a>) -> Result<Option<i64>> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO imports (list_id, list_name, file_name, state, actor, opt_in_source, opt_in_wording, opt_in_at,
                                  region, started_at, owner, host, boot, contacts_before)
             SELECT $1, $2, $3, 'running', $4, $5, $6, $7, $8, $9, $10, $11, $12,
                    (SELECT coalesce(max(id), 0) FROM contacts)
             WHERE NOT EXISTS (SELECT 1 FROM imports WHERE state = 'undoing') RETURNING id")
            .bind(new.list_id).bind(new.list_name).bind(new.file_name).bind(new.actor).bind(new.opt_in_source)
            .bind(new.opt_in_wording).bind(new.opt_in_at).bind(new.region).bind(new.now).bind(&new.owner.instance)
            .bind(&new.owner.host).bind(&new.owner.boot).fetch_optional(c).await)?;
        tx.commit().await?;
        Ok(id)
    }

    /// Shows that an import still runs, while it waits for its file. `false`: it does not, somebody took its process
    /// for dead.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn beat_import(&self, id: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let beaten = on!(&mut tx, c => sqlx::query("UPDATE imports SET beat = beat + 1 WHERE id = $1 AND state = 'running'")
            .bind(id).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(beaten > 0)
    }

    /// Notes how an import ended: from here on all that it brought is durable. `false`: it was taken for interrupted
    /// before, and stays so; or chunks of it are lost, and it will be.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn end_import(&self, id: i64, end: &ImportEnd<'_>) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let state = if end.error.is_some() { "failed" } else { "done" };
        // One number more than its chunks have, for whom the last of them met.
        let ended: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "UPDATE imports SET state = $2, sha256 = $3, rejects_file = $4, error = $5, finished_at = $6,
                                line_count = $7, accepted = $8, created = $9, updated = $10, duplicates = $11,
                                rejected = $12, suppressed = $13, unchanged = $14, chunks = chunks + 1
             WHERE id = $1 AND state = 'running' AND chunks = $15 RETURNING chunks")
            .bind(id).bind(state).bind(end.sha256).bind(end.rejects_file).bind(end.error).bind(end.now)
            .bind(end.counts.rows).bind(end.counts.accepted).bind(end.counts.created).bind(end.counts.updated)
            .bind(end.counts.duplicates).bind(end.counts.rejected).bind(end.counts.suppressed)
            .bind(end.counts.unchanged).bind(end.last).fetch_optional(c).await)?;
        if let Some(last) = ended {
            met::keep(&mut tx, id, last, end.met).await?;
        }
        tx.commit().await?;
        Ok(ended.is_some())
    }

    /// Marks an import that stands still at a beat as interrupted: whoever ran it is gone. What its chunks brought
    /// stays. `false`: it moved meanwhile, or ended.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn interrupt_import(&self, id: i64, beat: i64, error: &str, now: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let marked = on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = 'interrupted', error = $3, finished_at = $4
             WHERE id = $1 AND beat = $2 AND state = 'running'")
            .bind(id).bind(beat).bind(error).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(marked > 0)
    }

    /// Marks every import that still runs as interrupted. For the start of the one process that holds an embedded
    /// database: whoever ran them is gone. What their chunks brought stays.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn interrupt_imports(&self, error: &str, now: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let marked = on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = 'interrupted', error = $1, finished_at = $2 WHERE state = 'running'")
            .bind(error).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(marked)
    }

    /// The imports that run, or are being undone.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn unfinished_imports(&self) -> Result<Vec<ImportRow>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM imports WHERE state IN ('running', 'undoing') ORDER BY id").fetch_all(c).await)?;
        Ok(rows)
    }

    /// The imports that are undone, or being undone.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn undone_imports(&self) -> Result<Vec<i64>> {
        let mut link = self.read().await?;
        let ids = on!(&mut link, c => sqlx::query_scalar(
            "SELECT id FROM imports WHERE state IN ('undoing', 'undone') ORDER BY id").fetch_all(c).await)?;
        Ok(ids)
    }

    /// The last import of the same file, bytes for bytes, before this one: its id and when it began.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn same_file(&self, sha256: &str, before: i64) -> Result<Option<(i64, i64)>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as(
            "SELECT id, started_at FROM imports WHERE sha256 = $1 AND sha256 <> '' AND id < $2 ORDER BY id DESC LIMIT 1")
            .bind(sha256).bind(before).fetch_optional(c).await)?;
        Ok(row)
    }

    /// Imports older than an id (all: `i64::MAX`), newest first: a page.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
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
    #[crate::boxed]
    pub async fn import(&self, id: i64) -> Result<Option<ImportRow>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM imports WHERE id = $1")
            .bind(id).fetch_optional(c).await)?;
        Ok(row)
    }
}

/// Whoever else begins or undoes an import waits until the transaction ends.
pub(crate) async fn one_at_a_time(tx: &mut Link) -> Result<()> {
    if let Link::Postgres(held) = tx {
        // SQLite has one writer; here two could each look before the other writes. The number is our own.
        sqlx::query("SELECT pg_advisory_xact_lock(7317432)").execute(&mut **held).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    fn owner() -> &'static Owner {
        static OWNER: std::sync::LazyLock<Owner> =
            std::sync::LazyLock::new(|| Owner { instance: "i".into(), host: "h".into(), boot: "b".into() });
        &OWNER
    }

    fn new(list_id: i64, now: i64) -> NewImport<'static> {
        NewImport {
            list_id,
            list_name: "people",
            file_name: "people.csv",
            actor: "cli:amr",
            opt_in_source: "shop",
            opt_in_wording: "",
            opt_in_at: None,
            region: Some("EG"),
            owner: owner(),
            now,
        }
    }

    on_both_databases! {
        async fn an_import_ends_with_its_counts(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let id = db.store.begin_import(new(list, 2)).await.unwrap().unwrap();
            assert_eq!(db.store.import(id).await.unwrap().unwrap().state, "running");
            let counts = ImportCounts { rows: 10, accepted: 6, created: 5, updated: 1, duplicates: 1, rejected: 3, suppressed: 2, unchanged: 0 };
            let end = ImportEnd { counts, sha256: "ab", rejects_file: Some("r.csv"), error: None, met: &[], last: 0, now: 9 };
            db.store.end_import(id, &end).await.unwrap();
            let import = db.store.import(id).await.unwrap().unwrap();
            assert_eq!((import.state.as_str(), import.finished_at), ("done", Some(9)));
            assert_eq!((import.line_count, import.accepted, import.rejected, import.suppressed), (10, 6, 3, 2));
        }

        async fn the_newest_import_comes_first_page_by_page(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let mut ids = Vec::new();
            for n in 0..5 {
                ids.push(db.store.begin_import(new(list, n)).await.unwrap().unwrap());
            }
            ids.reverse();
            let page = |rows: Vec<ImportRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
            let first = page(db.store.imports(i64::MAX, 3).await.unwrap());
            assert_eq!(first, ids[..3]);
            assert_eq!(page(db.store.imports(first[2], 3).await.unwrap()), ids[3..]);
        }

        async fn an_import_whose_process_is_gone_is_interrupted_and_the_ended_ones_are_left_alone(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let ended = db.store.begin_import(new(list, 2)).await.unwrap().unwrap();
            let end = ImportEnd { counts: ImportCounts::default(), sha256: "", rejects_file: None, error: None, met: &[], last: 0, now: 3 };
            assert!(db.store.end_import(ended, &end).await.unwrap());
            let running = db.store.begin_import(new(list, 4)).await.unwrap().unwrap();
            let seen = db.store.unfinished_imports().await.unwrap();
            assert_eq!(seen.iter().map(|row| row.id).collect::<Vec<_>>(), [running]);
            assert!(db.store.beat_import(running).await.unwrap());
            assert!(!db.store.interrupt_import(running, seen[0].beat, "gone", 5).await.unwrap(), "it moved");
            let beat = db.store.import(running).await.unwrap().unwrap().beat;
            assert!(db.store.interrupt_import(running, beat, "gone", 5).await.unwrap());
            assert_eq!(db.store.import(running).await.unwrap().unwrap().state, "interrupted");
            // It wakes after all, and finds that it was given up.
            assert!(!db.store.beat_import(running).await.unwrap());
            assert!(!db.store.end_import(running, &end).await.unwrap());
            assert_eq!(db.store.import(running).await.unwrap().unwrap().error.as_deref(), Some("gone"));
            assert_eq!(db.store.import(ended).await.unwrap().unwrap().state, "done");
            let third = db.store.begin_import(new(list, 6)).await.unwrap().unwrap();
            assert_eq!(db.store.interrupt_imports("the process ended", 7).await.unwrap(), 1);
            assert_eq!(db.store.import(third).await.unwrap().unwrap().finished_at, Some(7));
        }

        async fn a_file_is_known_again_by_its_bytes(db: Database) {
            let list = db.store.ensure_list("people", 1).await.unwrap();
            let end = |sha256| ImportEnd { counts: ImportCounts::default(), sha256, rejects_file: None, error: None, met: &[], last: 0, now: 3 };
            let mut ids = Vec::new();
            for (n, sha256) in ["aa", "bb", "aa", ""].into_iter().enumerate() {
                let id = db.store.begin_import(new(list, i64::try_from(n).unwrap())).await.unwrap().unwrap();
                db.store.end_import(id, &end(sha256)).await.unwrap();
                ids.push(id);
            }
            assert_eq!(db.store.same_file("aa", ids[2]).await.unwrap(), Some((ids[0], 0)));
            assert_eq!(db.store.same_file("aa", ids[0]).await.unwrap(), None);
            assert_eq!(db.store.same_file("", i64::MAX).await.unwrap(), None, "files that broke off have no hash");
        }
    }
}
