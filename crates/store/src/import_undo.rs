//! Taking an import back, as long as nothing has been built on it: in chunks, each a short transaction, and each of
//! which may be tried again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sqlx::FromRow;

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::imports::{ImportRow, one_at_a_time};
use crate::ledger::{self, NewEntry};

/// Rows of one transaction.
const CHUNK: i64 = 500;
/// So many uses are named; more of them would not help anybody.
const NAMED: usize = 20;

/// A campaign whose audience holds people of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignUse {
    /// Its name.
    pub name: String,
    /// How many people whom the import brought or changed it has written to, or is to write to. Those whom it skipped
    /// are not among them.
    pub people: i64,
    /// Its audience is still being planned, and may come to hold more of them.
    pub is_being_planned: bool,
}

/// What has used an import since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportUses {
    /// Campaigns, in the order in which they were launched.
    pub campaigns: Vec<CampaignUse>,
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
    /// It is in the state `undoing` from here on: until it is undone no import begins, and no campaign that names its
    /// list is launched.
    Yes {
        /// It was so before, and some of it may be taken back already.
        resumed: bool,
    },
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
    /// People whom it alone had brought, and who stay: they have opted out, wrote to us, or stand in a campaign's record
    /// as skipped.
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
    /// Who has used an import since: the campaigns and the imports for which it cannot be taken back. Of one that is
    /// `half_undone` only what could have been found before the first change is looked for.
    ///
    /// A campaign has used it that names its list and has people of it who are not skipped, or that has written to
    /// somebody whom it changed. One that excludes its list has used it until its audience is planned: whoever leaves
    /// the list would be sent to.
    ///
    /// # Errors
    /// As every read.
    pub async fn uses_of_import(&self, import: &ImportRow, half_undone: bool) -> Result<ImportUses> {
        let mut link = self.read().await?;
        // An audience is frozen as of its start or of a moment before.
        let since: Vec<(i64, String, bool, bool, bool)> = on!(&mut link, c => sqlx::query_as(
            "SELECT c.id, c.name, c.planned,
                    EXISTS (SELECT 1 FROM campaign_lists l WHERE l.campaign_id = c.id AND l.list_id = $1) AS names_it,
                    EXISTS (SELECT 1 FROM campaign_lists l
                            WHERE l.campaign_id = c.id AND l.list_id = $1 AND l.included) AS is_for_it
             FROM campaigns c WHERE c.started_at >= $2 AND c.frozen_at >= $2
             ORDER BY c.started_at, c.id")
            .bind(import.list_id).bind(import.started_at).fetch_all(c).await)?;
        let mut campaigns = Vec::new();
        for (id, name, planned, names_it, is_for_it) in since {
            let mut people = 0;
            if is_for_it {
                people = on!(&mut link, c => sqlx::query_scalar::<_, i64>(
                    "SELECT count(*) FROM list_members m JOIN sends s ON s.campaign_id = $1 AND s.contact_id = m.contact_id
                     WHERE m.list_id = $2 AND m.import_id = $3 AND s.state <> 8")
                    .bind(id).bind(import.list_id).bind(import.id).fetch_one(c).await)?;
            }
            if !half_undone {
                people = people.max(on!(&mut link, c => sqlx::query_scalar::<_, i64>(
                    "SELECT count(*) FROM import_changes i
                     JOIN sends s ON s.campaign_id = $1 AND s.contact_id = i.contact_id
                     WHERE i.import_id = $2 AND s.state <> 8")
                    .bind(id).bind(import.id).fetch_one(c).await)?);
            }
            let is_being_planned = names_it && !planned;
            if people > 0 || is_being_planned {
                campaigns.push(CampaignUse { name, people, is_being_planned });
            }
            if campaigns.len() >= NAMED {
                break;
            }
        }
        // Who changed what it had written.
        let mut imports: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT DISTINCT import_id FROM import_changes WHERE before_import = $1 ORDER BY import_id LIMIT $2")
            .bind(import.id).bind(NAMED as i64).fetch_all(c).await)?;
        // SQLite keeps to the order of a CROSS JOIN: the people whom it made, and then what there is of each.
        for sql in [
            // Who consented once more.
            "SELECT DISTINCT o.import_id FROM contacts p CROSS JOIN opt_ins o
             WHERE p.id > $2 AND p.import_id = $1 AND o.contact_id = p.id AND o.import_id <> $1
             ORDER BY o.import_id LIMIT $3",
            // Which of them are on another list.
            "SELECT DISTINCT m.import_id FROM contacts p CROSS JOIN lists l CROSS JOIN list_members m
             WHERE p.id > $2 AND p.import_id = $1 AND m.list_id = l.id AND m.contact_id = p.id AND m.import_id <> $1
             ORDER BY m.import_id LIMIT $3",
        ] {
            let found: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(sql)
                .bind(import.id).bind(import.contacts_before).bind(NAMED as i64).fetch_all(c).await)?;
            imports.extend(found);
        }
        // Who met people and found everything there left no trace of it but their number. It may have been people of
        // this import where it went to the same list; or where its source is the same and its list holds some of them.
        let met: Vec<(i64, i64)> = on!(&mut link, c => sqlx::query_as(
            "SELECT id, list_id FROM imports WHERE id > $1 AND state <> 'undone' AND unchanged > 0
               AND (list_id = $2 OR opt_in_source = $3) ORDER BY id LIMIT $4")
            .bind(import.id).bind(import.list_id).bind(&import.opt_in_source).bind(NAMED as i64).fetch_all(c).await)?;
        let mut shares: BTreeMap<i64, bool> = BTreeMap::from([(import.list_id, true)]);
        for (id, list_id) in met {
            let shares = match shares.entry(list_id) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(on!(&mut link, c => sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM opt_ins o
                                    JOIN list_members m ON m.list_id = $2 AND m.contact_id = o.contact_id
                                    WHERE o.import_id = $1)")
                    .bind(import.id).bind(list_id).fetch_one(c).await)?),
            };
            imports.extend(shares.then_some(id));
        }
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
        let state: Option<String> = on!(&mut tx, c => sqlx::query_scalar("SELECT state FROM imports WHERE id = $1")
            .bind(id).fetch_optional(c).await)?;
        let resumed = match state.as_deref() {
            Some("undoing") => true,
            Some("done" | "failed" | "interrupted") => false,
            _ => return Ok(UndoBegun::WrongState),
        };
        on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET undone_from = state, state = 'undoing' WHERE id = $1 AND state <> 'undoing'")
            .bind(id).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(UndoBegun::Yes { resumed })
    }

    /// Leaves an import as it was, after [`Self::begin_undo`] and before anything was taken back.
    ///
    /// # Errors
    /// As every write.
    pub async fn give_up_undo(&self, id: i64) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = coalesce(undone_from, 'done'), undone_from = NULL
             WHERE id = $1 AND state = 'undoing'").bind(id).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The import into one of a campaign's lists that is being taken back at the moment: until it is undone, the
    /// campaign is not launched.
    ///
    /// # Errors
    /// As every read.
    pub async fn undo_under_way(&self, campaign_id: i64) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        undoing(&mut link, campaign_id).await
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
        let ended = on!(&mut tx, c => sqlx::query(
            "UPDATE imports SET state = 'undone', undone_from = NULL WHERE id = $1 AND state = 'undoing'")
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
        let campaigns: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT id FROM campaigns WHERE started_at >= $1 AND frozen_at >= $1")
            .bind(import.started_at).fetch_all(c).await)?;
        let campaigns = serde_json::to_string(&campaigns)?;
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
            // Each person is looked up in each campaign, by the key: see `filters`.
            let since = tx.pick(
                "IN (SELECT value FROM json_each($3))",
                "= ANY (ARRAY(SELECT (jsonb_array_elements_text($3::jsonb))::bigint))",
            );
            let free = of_people(
                &tx,
                &format!(
                    "SELECT c.id FROM contacts c
                     WHERE (SELECT p.contact_id FROM suppressions p WHERE p.contact_id = c.id LIMIT 1) IS NULL
                       AND (SELECT s.contact_id FROM sends s
                            WHERE s.campaign_id {since} AND s.contact_id = c.id LIMIT 1) IS NULL
                       AND c.import_id = $1 AND c.id"
                ),
            );
            let free: Vec<i64> = on!(&mut tx, c => sqlx::query_scalar(free)
                .bind(import.id).bind(&json).bind(&campaigns).fetch_all(c).await)?;
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

/// As [`Store::undo_under_way`], in the transaction of a launch: whichever of launch and undo comes second sees the
/// other.
pub(crate) async fn under_way(tx: &mut Link, campaign_id: i64) -> Result<Option<i64>> {
    one_at_a_time(tx).await?;
    undoing(tx, campaign_id).await
}

async fn undoing(link: &mut Link, campaign_id: i64) -> Result<Option<i64>> {
    // The first condition is that of the index.
    Ok(on!(link, c => sqlx::query_scalar(
        "SELECT i.id FROM imports i JOIN campaign_lists l ON l.campaign_id = $1 AND l.list_id = i.list_id
         WHERE i.state IN ('running', 'undoing') AND i.state = 'undoing' ORDER BY i.id LIMIT 1")
        .bind(campaign_id).fetch_optional(c).await)?)
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
