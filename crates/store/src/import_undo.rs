//! Taking an import back, as long as no campaign has been built on it: in chunks, each a short transaction, and each of
//! which may be tried again. What it alone brought goes; what a later import brought, too, stays and is that one's.

mod heirs;
mod taking;

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::imports::{ImportRow, one_at_a_time};
use crate::ledger::{self, NewEntry};
use crate::met;
use heirs::Heirs;
use taking::Taking;

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

/// What was taken back, and what was not since a later import brought it, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// People who are what they were before.
    pub restored: u64,
    /// Memberships of its list.
    pub left_list: u64,
    /// Pieces of evidence of consent.
    pub evidence: u64,
    /// People whom it alone had brought, and who are gone.
    pub removed: u64,
    /// People whom it alone had brought, and who stay: they have opted out, wrote to us, stand in a campaign's record as
    /// skipped, or are on a list that they were put on by hand.
    pub stayed: u64,
    /// People whom it made or changed and who stay as they are, since later imports brought them, too.
    pub kept_people: u64,
    /// People who stay on its list, since later imports brought them there, too.
    pub kept_on_list: u64,
    /// People the evidence of whose consent stays, since later imports brought the same.
    pub kept_evidence: u64,
    /// Those later imports, ascending.
    pub kept_for: Vec<i64>,
}

/// Evidence that was an import's and is a later one's, which brought the same: a chunk of its own there.
#[derive(Clone, Debug)]
pub struct HandedOver<'a> {
    /// The later import.
    pub to: &'a ImportRow,
    /// The chunk's number.
    pub chunk: i64,
    /// All of the chunk.
    pub evidence: Vec<EvidenceRow>,
}

/// A piece of evidence, with what its leaf is made of.
#[derive(Clone, Debug)]
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

from_row!(EvidenceRow { contact_id, at, text_id, import_id, chunk, source, wording, salt, leaf, phone_key, user_id });

impl Store {
    /// The campaigns that have used an import since, for which it cannot be taken back, in the order in which they were
    /// launched. Of one that is `half_undone` only what could have been found before the first change is looked for.
    ///
    /// A campaign has used it that names its list and has people of it who are not skipped, or that has written to
    /// somebody whom it changed. One that excludes its list has used it until its audience is planned: whoever leaves
    /// the list would be sent to.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn uses_of_import(&self, import: &ImportRow, half_undone: bool) -> Result<Vec<CampaignUse>> {
        let mut link = self.read().await?;
        // An audience is frozen as of its start or of a moment before.
        let since: Vec<(i64, String, bool, bool, bool)> = on!(&mut link, c => sqlx::query_as(
            "SELECT c.id, c.name, c.planned,
                    EXISTS (SELECT 1 FROM campaign_lists l WHERE l.campaign_id = c.id AND l.list_id = $1) AS names_it,
                    EXISTS (SELECT 1 FROM campaign_lists l
                            WHERE l.campaign_id = c.id AND l.list_id = $1 AND l.included) AS is_for_it
             FROM campaigns c WHERE c.started_at >= $2 AND c.frozen_at >= $2 AND c.kind = 0
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
        Ok(campaigns)
    }

    /// Begins to take an import back, or goes on where that broke off.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
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
    #[crate::boxed]
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
    #[crate::boxed]
    pub async fn undo_under_way(&self, campaign_id: i64) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        undoing(&mut link, campaign_id).await
    }

    /// Takes back what an import did, after [`Self::begin_undo`]. Tried again, it goes on. `entry` makes the ledger entry of
    /// evidence that goes over to a later import, within the same transaction.
    ///
    /// # Errors
    /// As every write; what is taken back by then stays so.
    pub async fn undo_import(&self, import: &ImportRow, entry: impl Fn(&HandedOver<'_>) -> NewEntry) -> Result<Undone> {
        let heirs = Heirs::of(self, import).await?;
        let mut taking = Taking { store: self, import, heirs, undone: Undone::default() };
        taking.restore_people().await?;
        taking.pass_on_people().await?;
        taking.leave_list().await?;
        taking.drop_evidence(&entry).await?;
        taking.remove_people().await?;
        let mut tx = self.write(Priority::Bulk).await?;
        met::forget(&mut tx, import.id).await?;
        tx.commit().await?;
        Ok(taking.undone)
    }

    /// Notes that an import is undone, with the ledger entry that says so.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
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

    /// Evidence of consent that imports brought, in the order of its keys: a page after a key.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
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

/// Pieces of evidence, with what their leaves are made of.
const EVIDENCE: &str = "
    SELECT o.contact_id, o.at, o.text_id, o.import_id, o.chunk, t.source, t.wording, o.salt, o.leaf, p.phone_key,
           (SELECT max(value) FROM identities i WHERE i.contact_id = o.contact_id AND i.kind = 2) AS user_id
    FROM opt_ins o LEFT JOIN consent_texts t ON t.id = o.text_id LEFT JOIN contacts p ON p.id = o.contact_id";

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
