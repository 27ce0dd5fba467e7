//! Taking an import back, as long as nothing has been built on it: in chunks, each a short transaction, and each of
//! which may be tried again.

use sqlx::FromRow;

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::imports::{ImportRow, one_at_a_time};
use crate::ledger::{self, NewEntry};

/// Rows of one transaction.
const CHUNK: i64 = 500;
/// So many uses are named; more of them would not help anybody.
const NAMED: i64 = 20;

/// What has used an import since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportUses {
    /// Campaigns whose audience holds people whom it brought or changed, by name.
    pub campaigns: Vec<String>,
    /// Later imports that met its people.
    pub imports: Vec<i64>,
}

impl ImportUses {
    /// Whether nothing has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.campaigns.is_empty() && self.imports.is_empty()
    }
}

/// Whether an import may be taken back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoBegun {
    /// It is in the state `undoing` from here on, and no import begins until it is undone.
    Yes,
    /// Another import runs; it may meet the same people.
    AnotherRuns(i64),
    /// It runs itself, or is undone already, or there is no such import.
    WrongState,
}

/// What was taken back so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// People who are what they were before.
    pub restored: u64,
    /// Memberships of its list.
    pub left_list: u64,
    /// Pieces of evidence of consent.
    pub evidence: u64,
    /// People whom it alone had brought, and who are gone.
    pub removed: u64,
    /// People whom it alone had brought, and who stay: they have opted out, or wrote to us.
    pub stayed: u64,
}

/// A piece of evidence, with what its leaf is made of.
#[derive(Clone, Debug, FromRow)]
pub struct EvidenceRow {
    /// The person.
    pub contact_id: i64,
    /// When they consented, epoch ms.
    pub at: i64,
    /// Its text, with which the three make its key.
    pub text_id: i64,
    /// The import that brought it.
    pub import_id: Option<i64>,
    /// Its chunk.
    pub chunk: Option<i64>,
    /// The source.
    pub source: String,
    /// The words.
    pub wording: String,
    /// The leaf's salt; `None` when it was erased.
    pub salt: Option<Vec<u8>>,
    /// The leaf itself, where what it is made of was erased.
    pub leaf: Option<Vec<u8>>,
    /// The person's key.
    pub phone_key: Option<i64>,
    /// The person's business-scoped user id, one of them.
    pub user_id: Option<String>,
}

impl Store {
    /// Who has used an import since: the campaigns and the imports for which it cannot be taken back.
    ///
    /// # Errors
    /// As every read.
    pub async fn uses_of_import(&self, import: &ImportRow) -> Result<ImportUses> {
        let mut link = self.read().await?;
        // A campaign that is not planned to its end may still plan them.
        let campaigns = on!(&mut link, c => sqlx::query_scalar(
            "SELECT c.name FROM campaigns c
             WHERE c.frozen_at IS NOT NULL AND c.frozen_at >= $3 AND (
                (NOT c.planned AND EXISTS (SELECT 1 FROM campaign_lists l
                                           WHERE l.campaign_id = c.id AND l.list_id = $2 AND l.included))
                OR EXISTS (SELECT 1 FROM sends s JOIN list_members m ON m.list_id = $2 AND m.contact_id = s.contact_id
                           WHERE s.campaign_id = c.id AND m.import_id = $1)
                OR EXISTS (SELECT 1 FROM import_changes i
                           JOIN sends s ON s.campaign_id = c.id AND s.contact_id = i.contact_id
                           WHERE i.import_id = $1))
             ORDER BY c.name LIMIT $4")
            .bind(import.id).bind(import.list_id).bind(import.started_at).bind(NAMED).fetch_all(c).await)?;
        let mut imports: Vec<i64> = Vec::new();
        for sql in [
            // Who changed what it had written.
            "SELECT DISTINCT import_id FROM import_changes WHERE before_import = $1 ORDER BY import_id LIMIT $3",
            // Who consented once more, of the people whom it made.
            "SELECT DISTINCT o.import_id FROM contacts p JOIN opt_ins o ON o.contact_id = p.id
             WHERE p.id > $2 AND p.import_id = $1 AND o.import_id <> $1 ORDER BY o.import_id LIMIT $3",
            // Which of them are on another list.
            "SELECT DISTINCT m.import_id FROM lists l CROSS JOIN contacts p
             JOIN list_members m ON m.list_id = l.id AND m.contact_id = p.id
             WHERE p.id > $2 AND p.import_id = $1 AND m.import_id <> $1 ORDER BY m.import_id LIMIT $3",
        ] {
            let found: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(sql)
                .bind(import.id).bind(import.contacts_before).bind(NAMED).fetch_all(c).await)?;
            imports.extend(found);
        }
        // Who met people and found everything there left no trace of it but their number.
        let met: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT id FROM imports WHERE id > $1 AND state <> 'undone' AND unchanged > 0
               AND (list_id = $2 OR opt_in_source = $3) ORDER BY id LIMIT $4")
            .bind(import.id).bind(import.list_id).bind(&import.opt_in_source).bind(NAMED).fetch_all(c).await)?;
        imports.extend(met);
        imports.sort_unstable();
        imports.dedup();
        Ok(ImportUses { campaigns, imports })
    }

    /// Begins to take an import back, or goes on where that broke off.
    ///
    /// # Errors
    /// As every write.
    pub async fn begin_undo(&self, id: i64) -> Result<UndoBegun> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let running: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "SELECT id FROM imports WHERE state = 'running' AND id <> $1 ORDER BY id LIMIT 1")
            .bind(id).fetch_optional(c).await)?;
        if let Some(running) = running {
            return Ok(UndoBegun::AnotherRuns(running));
        }
        let begun = on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = 'undoing' WHERE id = $1 AND state IN ('done', 'failed', 'interrupted', 'undoing')")
            .bind(id).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(if begun > 0 { UndoBegun::Yes } else { UndoBegun::WrongState })
    }

    /// Takes back what an import did, after [`Self::begin_undo`]. Tried again, it goes on.
    ///
    /// # Errors
    /// As every write; what is taken back by then stays so.
    pub async fn undo_import(&self, import: &ImportRow) -> Result<Undone> {
        let restored = self.restore_people(import.id).await?;
        let left_list = self.leave_list(import).await?;
        let evidence = self.drop_evidence(import.id).await?;
        let (removed, stayed) = self.remove_people(import).await?;
        Ok(Undone { restored, left_list, evidence, removed, stayed })
    }

    /// Notes that an import is undone, with the ledger entry that says so.
    ///
    /// # Errors
    /// As every write.
    pub async fn end_undo(&self, id: i64, entry: &NewEntry) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        let ended = on!(&mut tx, c => sqlx::query("UPDATE imports SET state = 'undone' WHERE id = $1 AND state = 'undoing'")
            .bind(id).execute(c).await.map(|done| done.rows_affected()))?;
        if ended > 0 {
            ledger::append(&mut tx, entry).await?;
        }
        tx.commit().await
    }

    /// The people whom it changed are what they were.
    async fn restore_people(&self, import_id: i64) -> Result<u64> {
        let mut restored = 0;
        loop {
            let people: Vec<i64> = self
                .ids(
                    "SELECT contact_id FROM import_changes WHERE import_id = $1 AND contact_id > $2
                     ORDER BY contact_id LIMIT $3",
                    (import_id, 0),
                )
                .await?;
            if people.is_empty() {
                return Ok(restored);
            }
            let json = serde_json::to_string(&people)?;
            let mut tx = self.write(Priority::Bulk).await?;
            // SQLite: the upsert looks each row up by its key, where UPDATE … FROM would read the whole table.
            let restore = tx.pick(
                "INSERT INTO contacts (id, phone_key, phone, name, language, attributes, import_id, created_at, updated_at)
                 SELECT c.id, c.phone_key, i.phone, i.name, i.language, i.attributes, i.before_import, c.created_at,
                        i.updated_at
                 FROM json_each($2) AS j CROSS JOIN import_changes AS i ON i.import_id = $1 AND i.contact_id = j.value
                 CROSS JOIN contacts AS c ON c.id = i.contact_id WHERE c.import_id = $1
                 ON CONFLICT (id) DO UPDATE SET phone = excluded.phone, name = excluded.name,
                    language = excluded.language, attributes = excluded.attributes, import_id = excluded.import_id,
                    updated_at = excluded.updated_at",
                "UPDATE contacts c SET phone = i.phone, name = i.name, language = i.language, attributes = i.attributes,
                        import_id = i.before_import, updated_at = i.updated_at
                 FROM import_changes i WHERE i.import_id = $1 AND i.contact_id = c.id AND c.import_id = $1
                   AND c.id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))",
            );
            restored += on!(&mut tx, c => sqlx::query(restore).bind(import_id).bind(&json)
                .execute(c).await.map(|done| done.rows_affected()))?;
            let forget = of_people(&tx, "DELETE FROM import_changes WHERE import_id = $1 AND contact_id");
            on!(&mut tx, c => sqlx::query(forget).bind(import_id).bind(&json).execute(c).await.map(drop))?;
            tx.commit().await?;
        }
    }

    async fn leave_list(&self, import: &ImportRow) -> Result<u64> {
        let (mut left, mut after) = (0, 0);
        loop {
            let mut link = self.read().await?;
            let people: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
                "SELECT contact_id FROM list_members WHERE list_id = $1 AND contact_id > $2 AND import_id = $3
                 ORDER BY contact_id LIMIT $4")
                .bind(import.list_id).bind(after).bind(import.id).bind(CHUNK).fetch_all(c).await)?;
            drop(link);
            let Some(last) = people.last() else { return Ok(left) };
            after = *last;
            let json = serde_json::to_string(&people)?;
            let mut tx = self.write(Priority::Bulk).await?;
            let leave = of_people(&tx, "DELETE FROM list_members WHERE import_id = $1 AND list_id = $3 AND contact_id");
            left += on!(&mut tx, c => sqlx::query(leave).bind(import.id).bind(&json).bind(import.list_id)
                .execute(c).await.map(|done| done.rows_affected()))?;
            tx.commit().await?;
        }
    }

    async fn drop_evidence(&self, import_id: i64) -> Result<u64> {
        let (mut dropped, mut after) = (0, 0);
        loop {
            let people = self
                .ids(
                    "SELECT contact_id FROM opt_ins WHERE import_id = $1 AND contact_id > $2
                     ORDER BY contact_id LIMIT $3",
                    (import_id, after),
                )
                .await?;
            let Some(last) = people.last() else { return Ok(dropped) };
            after = *last;
            let json = serde_json::to_string(&people)?;
            let mut tx = self.write(Priority::Bulk).await?;
            let drop_them = of_people(&tx, "DELETE FROM opt_ins WHERE import_id = $1 AND contact_id");
            dropped += on!(&mut tx, c => sqlx::query(drop_them).bind(import_id).bind(&json)
                .execute(c).await.map(|done| done.rows_affected()))?;
            tx.commit().await?;
        }
    }

    /// The people whom it alone brought leave, but those who opted out, wrote to us, or are to be written to after all.
    async fn remove_people(&self, import: &ImportRow) -> Result<(u64, u64)> {
        let mut link = self.read().await?;
        let wrote: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT DISTINCT contact_id FROM inbound WHERE contact_id > $1 ORDER BY contact_id")
            .bind(import.contacts_before).fetch_all(c).await)?;
        drop(link);
        let (mut removed, mut stayed, mut after) = (0, 0, import.contacts_before);
        loop {
            let people = self
                .ids(
                    "SELECT id FROM contacts WHERE import_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                    (import.id, after),
                )
                .await?;
            let Some(last) = people.last() else { return Ok((removed, stayed)) };
            after = *last;
            let all = people.len() as u64;
            let silent: Vec<i64> = people.into_iter().filter(|id| wrote.binary_search(id).is_err()).collect();
            let json = serde_json::to_string(&silent)?;
            let mut tx = self.write(Priority::Bulk).await?;
            let free = of_people(
                &tx,
                "SELECT c.id FROM contacts c WHERE NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.contact_id = c.id)
                   AND NOT EXISTS (SELECT 1 FROM campaigns g JOIN sends s ON s.campaign_id = g.id AND s.contact_id = c.id
                                   WHERE g.frozen_at >= $3)
                   AND c.import_id = $1 AND c.id",
            );
            let free: Vec<i64> = on!(&mut tx, c => sqlx::query_scalar(free)
                .bind(import.id).bind(&json).bind(import.started_at).fetch_all(c).await)?;
            let json = serde_json::to_string(&free)?;
            let names = of_people(&tx, "DELETE FROM identities WHERE $1 = $1 AND contact_id");
            on!(&mut tx, c => sqlx::query(names).bind(import.id).bind(&json).execute(c).await.map(drop))?;
            let people = of_people(&tx, "DELETE FROM contacts WHERE import_id = $1 AND id");
            let gone = on!(&mut tx, c => sqlx::query(people).bind(import.id).bind(&json)
                .execute(c).await.map(|done| done.rows_affected()))?;
            tx.commit().await?;
            removed += gone;
            stayed += all - gone;
        }
    }

    async fn ids(&self, sql: &'static str, (of, after): (i64, i64)) -> Result<Vec<i64>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(sql).bind(of).bind(after).bind(CHUNK).fetch_all(c).await)?)
    }

    /// Evidence of consent that imports brought, in the order of its keys: a page after a key.
    ///
    /// # Errors
    /// As every read.
    pub async fn evidence_after(&self, after: (i64, i64, i64), limit: i64) -> Result<Vec<EvidenceRow>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT o.contact_id, o.at, o.text_id, o.import_id, o.chunk, t.source, t.wording, o.salt, o.leaf, p.phone_key,
                    (SELECT max(value) FROM identities i WHERE i.contact_id = o.contact_id AND i.kind = 2) AS user_id
             FROM (SELECT * FROM opt_ins WHERE (contact_id, at, text_id) > ($1, $2, $3)
                   ORDER BY contact_id, at, text_id LIMIT $4) o
             LEFT JOIN consent_texts t ON t.id = o.text_id LEFT JOIN contacts p ON p.id = o.contact_id
             ORDER BY o.contact_id, o.at, o.text_id")
            .bind(after.0).bind(after.1).bind(after.2).bind(limit).fetch_all(c).await)?;
        Ok(rows)
    }
}

/// A statement that ends in the column of a person, for the people of the JSON array `$2`.
fn of_people(tx: &Link, statement: &str) -> sqlx::AssertSqlSafe<String> {
    // As an array on PostgreSQL, so that it looks each one up, whatever it estimates.
    let people = tx.pick(
        "IN (SELECT value FROM json_each($2))",
        "= ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))",
    );
    sqlx::AssertSqlSafe(format!("{statement} {people}"))
}

#[cfg(test)]
mod tests;
