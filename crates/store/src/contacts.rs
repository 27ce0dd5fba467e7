//! People, as imports bring them: in chunks of a thousand or two, each one short transaction.

mod user_ids;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sqlx::FromRow;

use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::imports::ImportCounts;
use crate::ledger::{self, NewEntry};

/// A person as an import brings them.
#[derive(Clone, PartialEq, Eq)]
pub struct Arriving {
    /// The number's canonical key, one for all national variants. `None` for somebody known by a user id only.
    pub phone_key: Option<i64>,
    /// The number as dialled, digits without the plus sign; there whenever its key is.
    pub phone: Option<i64>,
    /// The business-scoped user id (`EG.1349…`). There if the number is not.
    pub user_id: Option<String>,
    /// `None` keeps the name that is there.
    pub name: Option<String>,
    /// `None` keeps the language that is there.
    pub language: Option<String>,
    /// Merged into what is there; the newer text of a column wins.
    pub attributes: BTreeMap<String, String>,
    /// When they consented, epoch ms.
    pub opt_in_at: i64,
    /// Where this person's consent comes from, where the file has a column for it; `None`: as the whole import's.
    pub opt_in_source: Option<String>,
    /// The words that this person agreed to, where the file has a column for them; `None`: as the whole import's.
    pub opt_in_wording: Option<String>,
    /// Makes this piece of evidence's leaf unguessable; erased with the person's data.
    pub salt: [u8; 16],
}

impl std::fmt::Debug for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No number, no name: this may end up in a log line.
        f.debug_struct("Arriving").field("opt_in_at", &self.opt_in_at).finish_non_exhaustive()
    }
}

/// A chunk of an import.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The import and its list; `None` for a dry run, of which nothing is kept.
    pub target: Option<ImportTarget>,
    /// Counts from 1 within the import.
    pub number: i64,
    /// The people. Each phone key and each user id at most once.
    pub people: &'a [Arriving],
    /// Where the consent comes from.
    pub opt_in_source: &'a str,
    /// The counts of the chunks before, and of all rows read so far. What this chunk creates and updates is added to
    /// them in the same transaction.
    pub so_far: ImportCounts,
    /// Epoch ms.
    pub now: i64,
}

/// Where an import goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportTarget {
    /// The import.
    pub import_id: i64,
    /// Its list.
    pub list_id: i64,
}

/// What a chunk did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkEnd {
    /// It is kept (or, in a dry run, would be).
    Kept {
        /// People who were not known before.
        created: i64,
        /// People of whom something changed.
        updated: i64,
        /// People who are opted out.
        suppressed: i64,
    },
    /// The list was removed meanwhile. Nothing of the chunk is kept.
    ListGone,
}

/// One person's new piece of evidence in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEvidence {
    /// Which of the chunk's people, from 0.
    pub index: usize,
    /// Our id of the person.
    pub contact_id: i64,
}

/// A person as they are kept.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct Contact {
    /// Ours.
    pub id: i64,
    /// The number's canonical key; `None` for people known only by a user id.
    pub phone_key: Option<i64>,
    /// The number as dialled, digits without the plus sign.
    pub phone: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The other columns: a JSON object of texts.
    pub attributes: String,
    /// Epoch ms.
    pub created_at: i64,
    /// Epoch ms.
    pub updated_at: i64,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One piece of evidence of a person's consent.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OptIn {
    /// When they consented, epoch ms.
    pub at: i64,
    /// Where it comes from.
    pub source: String,
    /// The import that brought it.
    pub import_id: Option<i64>,
    /// Its chunk: the ledger entry of both holds the root above this piece's leaf.
    pub chunk: Option<i64>,
    /// The salt of its leaf, until it is erased.
    pub salt: Option<Vec<u8>>,
}

/// Only people who are not there yet. A file that is imported again stops here, having written nothing.
const CREATE: [&str; 2] = [
    "INSERT INTO contacts (phone_key, phone, name, language, attributes, created_at, updated_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value -> 4, $2, $2 FROM json_each($1) WHERE true
     ON CONFLICT (phone_key) DO NOTHING",
    // In the order of their keys: two imports at once lock the same people in the same order.
    "INSERT INTO contacts (phone_key, phone, name, language, attributes, created_at, updated_at)
     SELECT (v ->> 0)::bigint, (v ->> 1)::bigint, v ->> 2, v ->> 3, v ->> 4, $2, $2
     FROM jsonb_array_elements($1::jsonb) AS e(v) ORDER BY 1
     ON CONFLICT (phone_key) DO NOTHING",
];

/// Only people of whom something changes. An upsert, because SQLite's `UPDATE … FROM json_each` reads the whole table
/// for each row.
const UPDATE: [&str; 2] = [
    "INSERT INTO contacts (phone_key, phone, name, language, attributes, created_at, updated_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value -> 4, $2, $2 FROM json_each($1) WHERE true
     ON CONFLICT (phone_key) DO UPDATE SET
        phone = excluded.phone, name = coalesce(excluded.name, contacts.name),
        language = coalesce(excluded.language, contacts.language),
        attributes = json_patch(contacts.attributes, excluded.attributes), updated_at = excluded.updated_at
     WHERE contacts.phone IS DISTINCT FROM excluded.phone
        OR contacts.name IS DISTINCT FROM coalesce(excluded.name, contacts.name)
        OR contacts.language IS DISTINCT FROM coalesce(excluded.language, contacts.language)
        OR contacts.attributes <> json_patch(contacts.attributes, excluded.attributes)",
    // PostgreSQL locks every row that an upsert meets, also those it then leaves alone; so these are left out before.
    // LATERAL and LIMIT make it look each one up by its key, and never read the whole table, whatever it estimates.
    "INSERT INTO contacts (phone_key, phone, name, language, attributes, created_at, updated_at)
     SELECT j.key, j.phone, j.name, j.language, j.attributes, $2, $2
     FROM (SELECT (v ->> 0)::bigint AS key, (v ->> 1)::bigint AS phone, v ->> 2 AS name, v ->> 3 AS language,
                  v ->> 4 AS attributes FROM jsonb_array_elements($1::jsonb) AS e(v)) AS j
     CROSS JOIN LATERAL (SELECT * FROM contacts WHERE phone_key = j.key LIMIT 1) AS c
     WHERE c.phone IS DISTINCT FROM j.phone
        OR c.name IS DISTINCT FROM coalesce(j.name, c.name)
        OR c.language IS DISTINCT FROM coalesce(j.language, c.language)
        OR c.attributes::jsonb <> c.attributes::jsonb || j.attributes::jsonb
     ORDER BY j.key
     ON CONFLICT (phone_key) DO UPDATE SET
        phone = excluded.phone, name = coalesce(excluded.name, contacts.name),
        language = coalesce(excluded.language, contacts.language),
        attributes = (contacts.attributes::jsonb || excluded.attributes::jsonb)::text, updated_at = excluded.updated_at",
];

impl Store {
    /// Takes in a chunk of an import: people, their membership of the list, the evidence of their consent, and the
    /// counts of the import, all or nothing. When the chunk brings evidence that was not there, `entry` makes the one
    /// ledger entry for it, within the same transaction.
    ///
    /// # Errors
    /// As every write. The same chunk may be given again.
    pub async fn take_in(&self, chunk: &Chunk<'_>, entry: impl FnOnce(&[NewEvidence]) -> NewEntry) -> Result<ChunkEnd> {
        #[derive(Serialize)]
        struct Row<'a>(i64, i64, Option<&'a str>, Option<&'a str>, &'a BTreeMap<String, String>);
        let rows: Vec<_> = chunk
            .people
            .iter()
            .filter_map(|p| Some(Row(p.phone_key?, p.phone?, p.name.as_deref(), p.language.as_deref(), &p.attributes)))
            .collect();
        let with_number = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let rows = serde_json::to_string(&rows)?;
        let mut tx = self.write(Priority::Bulk).await?;
        if let Some(target) = chunk.target
            && !hold_list(&mut tx, target.list_id).await?
        {
            return Ok(ChunkEnd::ListGone);
        }
        let created = write_people(&mut tx, CREATE, &rows, chunk.now).await?;
        let known_before = with_number - created;
        let updated = if known_before > 0 { write_people(&mut tx, UPDATE, &rows, chunk.now).await? } else { 0 };
        let mut ids = ids_of(&mut tx, chunk.people).await?;
        user_ids::give(&mut tx, chunk.people, &ids).await?;
        let by_user_id = user_ids::write_people(&mut tx, chunk.people, chunk.now).await?;
        let (created, updated) = (created + by_user_id.created, updated + by_user_id.updated);
        ids.extend(by_user_id.ids);
        let id_list = serde_json::to_string(&ids.iter().map(|(_, id)| id).collect::<Vec<_>>())?;
        let suppressed = count_suppressed(&mut tx, &id_list).await?;
        let Some(target) = chunk.target else {
            return Ok(ChunkEnd::Kept { created, updated, suppressed });
        };
        join_list(&mut tx, target, &id_list, chunk.now).await?;
        let new = keep_evidence(&mut tx, target, chunk, &ids).await?;
        if !new.is_empty() {
            ledger::append(&mut tx, &entry(&new)).await?;
        }
        let mut counts = chunk.so_far;
        counts.created += created;
        counts.updated += updated;
        counts.suppressed += suppressed;
        counts.write(&mut tx, target.import_id).await?;
        tx.commit().await?;
        Ok(ChunkEnd::Kept { created, updated, suppressed })
    }

    /// The person of our id.
    ///
    /// # Errors
    /// As every read.
    pub async fn contact(&self, id: i64) -> Result<Option<Contact>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM contacts WHERE id = $1")
            .bind(id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The person of that canonical phone key.
    ///
    /// # Errors
    /// As every read.
    pub async fn contact_of_phone(&self, phone_key: i64) -> Result<Option<Contact>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM contacts WHERE phone_key = $1")
            .bind(phone_key).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The evidence of a person's consent, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn opt_ins(&self, contact_id: i64) -> Result<Vec<OptIn>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT at, source, import_id, chunk, salt FROM opt_ins WHERE contact_id = $1 ORDER BY at, source")
            .bind(contact_id).fetch_all(c).await)?;
        Ok(rows)
    }
}

/// Keeps the list from being removed until the transaction ends. `false` when it is gone already.
async fn hold_list(tx: &mut Link, list_id: i64) -> Result<bool> {
    let sql = tx.pick("SELECT id FROM lists WHERE id = $1", "SELECT id FROM lists WHERE id = $1 FOR KEY SHARE");
    let found: Option<i64> = on!(tx, c => sqlx::query_scalar(sql).bind(list_id).fetch_optional(c).await)?;
    Ok(found.is_some())
}

async fn write_people(tx: &mut Link, [sqlite, postgres]: [&'static str; 2], rows: &str, now: i64) -> Result<i64> {
    let sql = tx.pick(sqlite, postgres);
    let written =
        on!(tx, c => sqlx::query(sql).bind(rows).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(i64::try_from(written).unwrap_or(i64::MAX))
}

/// Which person of the chunk (from 0) has which id.
async fn ids_of(tx: &mut Link, people: &[Arriving]) -> Result<Vec<(i64, i64)>> {
    let keys = serde_json::to_string(&people.iter().map(|p| p.phone_key).collect::<Vec<_>>())?;
    let sql = tx.pick(
        "SELECT j.key, c.id FROM json_each($1) AS j CROSS JOIN contacts AS c ON c.phone_key = j.value",
        "SELECT e.o - 1, c.id FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS e(v, o)
         CROSS JOIN LATERAL (SELECT id FROM contacts WHERE phone_key = e.v::bigint LIMIT 1) AS c",
    );
    let ids = on!(tx, c => sqlx::query_as(sql).bind(keys).fetch_all(c).await)?;
    Ok(ids)
}

async fn count_suppressed(tx: &mut Link, id_list: &str) -> Result<i64> {
    let sql = tx.pick(
        "SELECT count(*) FROM json_each($1) AS j CROSS JOIN suppressions AS s ON s.contact_id = j.value",
        "SELECT count(*) FROM jsonb_array_elements_text($1::jsonb) AS e(v)
         JOIN suppressions s ON s.contact_id = e.v::bigint",
    );
    Ok(on!(tx, c => sqlx::query_scalar(sql).bind(id_list).fetch_one(c).await)?)
}

async fn join_list(tx: &mut Link, target: ImportTarget, id_list: &str, now: i64) -> Result<()> {
    let sql = tx.pick(
        "INSERT INTO list_members (list_id, contact_id, import_id, added_at)
         SELECT $2, value, $3, $4 FROM json_each($1) WHERE true ON CONFLICT (list_id, contact_id) DO NOTHING",
        "INSERT INTO list_members (list_id, contact_id, import_id, added_at)
         SELECT $2, e.v::bigint, $3, $4 FROM jsonb_array_elements_text($1::jsonb) AS e(v) ORDER BY e.v::bigint
         ON CONFLICT (list_id, contact_id) DO NOTHING",
    );
    on!(tx, c => sqlx::query(sql).bind(id_list).bind(target.list_id).bind(target.import_id).bind(now)
        .execute(c).await.map(drop))?;
    Ok(())
}

async fn keep_evidence(
    tx: &mut Link,
    target: ImportTarget,
    chunk: &Chunk<'_>,
    ids: &[(i64, i64)],
) -> Result<Vec<NewEvidence>> {
    let at_index = |index: i64| usize::try_from(index).ok().and_then(|index| Some((index, chunk.people.get(index)?)));
    let mut index_of = HashMap::with_capacity(ids.len());
    let mut rows = Vec::with_capacity(ids.len());
    for &(index, id) in ids {
        if let Some((index, person)) = at_index(index) {
            index_of.insert(id, index);
            let source = person.opt_in_source.as_deref().unwrap_or(chunk.opt_in_source);
            rows.push((id, person.opt_in_at, hex::encode(person.salt), source));
        }
    }
    let sql = tx.pick(
        "INSERT INTO opt_ins (contact_id, at, source, import_id, chunk, salt)
         SELECT value ->> 0, value ->> 1, value ->> 3, $2, $3, unhex(value ->> 2) FROM json_each($1) WHERE true
         ON CONFLICT (contact_id, at, source) DO NOTHING RETURNING contact_id",
        "INSERT INTO opt_ins (contact_id, at, source, import_id, chunk, salt)
         SELECT (v ->> 0)::bigint, (v ->> 1)::bigint, v ->> 3, $2, $3, decode(v ->> 2, 'hex')
         FROM jsonb_array_elements($1::jsonb) AS e(v) ORDER BY 1
         ON CONFLICT (contact_id, at, source) DO NOTHING RETURNING contact_id",
    );
    let json = serde_json::to_string(&rows)?;
    let new: Vec<i64> = on!(tx, c => sqlx::query_scalar(sql)
        .bind(json).bind(target.import_id).bind(chunk.number).fetch_all(c).await)?;
    Ok(new
        .into_iter()
        .filter_map(|contact_id| Some(NewEvidence { index: *index_of.get(&contact_id)?, contact_id }))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::NewImport;
    use crate::testing::{Database, entry, on_both_databases};

    pub(super) const NOW: i64 = 1_700_000_000_000;

    pub(super) fn person(n: i64) -> Arriving {
        Arriving {
            phone_key: Some(201_000_000_000 + n),
            phone: Some(201_000_000_000 + n),
            user_id: None,
            name: Some(format!("Person \"{n}\" \\ مريم")),
            language: None,
            attributes: BTreeMap::from([
                ("city".to_owned(), "القاهرة 🌙 \"q\" \\n".to_owned()),
                ("b".to_owned(), "1".to_owned()),
            ]),
            opt_in_at: NOW - 1000,
            opt_in_source: None,
            opt_in_wording: None,
            salt: [7; 16],
        }
    }

    pub(super) async fn target(store: &Store) -> ImportTarget {
        let list_id = store.ensure_list("people", NOW).await.unwrap();
        let new = NewImport {
            list_id,
            list_name: "people",
            file_name: "people.csv",
            actor: "cli:amr",
            opt_in_source: "shop",
            region: None,
            now: NOW,
        };
        ImportTarget { import_id: store.begin_import(new).await.unwrap(), list_id }
    }

    pub(super) async fn take(
        store: &Store,
        target: ImportTarget,
        people: &[Arriving],
        now: i64,
    ) -> (ChunkEnd, Vec<NewEvidence>) {
        let mut seen = Vec::new();
        let chunk = Chunk {
            target: Some(target),
            number: 1,
            people,
            opt_in_source: "shop",
            so_far: ImportCounts::default(),
            now,
        };
        let end = store
            .take_in(&chunk, |new| {
                seen = new.to_vec();
                entry("opt-in", now)
            })
            .await
            .unwrap();
        (end, seen)
    }

    pub(super) fn kept(created: i64, updated: i64) -> ChunkEnd {
        ChunkEnd::Kept { created, updated, suppressed: 0 }
    }

    on_both_databases! {
        async fn the_same_chunk_again_changes_nothing(db: Database) {
            let target = target(&db.store).await;
            let people: Vec<_> = (0..1500).map(person).collect();
            let (end, evidence) = take(&db.store, target, &people, NOW).await;
            assert_eq!((end, evidence.len()), (kept(1500, 0), 1500));
            let before = db.store.contact_of_phone(people[3].phone_key.unwrap()).await.unwrap().unwrap();
            let (end, evidence) = take(&db.store, target, &people, NOW + 5000).await;
            assert_eq!((end, evidence.len()), (kept(0, 0), 0));
            assert_eq!(db.store.contact(before.id).await.unwrap().unwrap(), before);
            assert_eq!(db.store.lists().await.unwrap()[0].members, 1500);
            let evidence = db.store.opt_ins(before.id).await.unwrap();
            assert_eq!(evidence.len(), 1);
            assert_eq!(evidence[0].salt.as_deref(), Some([7; 16].as_slice()));
        }

        async fn columns_are_merged_and_an_empty_name_keeps_the_old_one(db: Database) {
            let target = target(&db.store).await;
            take(&db.store, target, &[person(1), person(2)], NOW).await;
            let mut changed = person(1);
            changed.name = None;
            changed.language = Some("ar".to_owned());
            changed.attributes = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "new".to_owned())]);
            let (end, evidence) = take(&db.store, target, &[changed.clone(), person(2), person(3)], NOW + 1).await;
            assert_eq!((end, evidence.len()), (kept(1, 1), 1));
            assert_eq!(evidence[0].index, 2);
            let now = db.store.contact_of_phone(changed.phone_key.unwrap()).await.unwrap().unwrap();
            assert_eq!((now.name, now.language.as_deref(), now.updated_at), (person(1).name, Some("ar"), NOW + 1));
            let attributes: BTreeMap<String, String> = serde_json::from_str(&now.attributes).unwrap();
            assert_eq!(attributes["b"], "2");
            assert_eq!(attributes["a"], "new");
            assert_eq!(attributes["city"], person(1).attributes["city"]);
            // And the merged form is stable.
            let (end, _) = take(&db.store, target, &[changed], NOW + 2).await;
            assert_eq!(end, kept(0, 0));
        }

        async fn another_consent_of_a_known_person_is_evidence_but_no_update(db: Database) {
            let target = target(&db.store).await;
            take(&db.store, target, &[person(1)], NOW).await;
            let later = Arriving { opt_in_at: NOW, ..person(1) };
            let (end, evidence) = take(&db.store, target, &[later], NOW + 1).await;
            assert_eq!((end, evidence.len()), (kept(0, 0), 1));
            assert_eq!(db.store.opt_ins(evidence[0].contact_id).await.unwrap().len(), 2);
            assert_eq!(db.store.ledger_size().await.unwrap(), 2);
        }

        async fn a_dry_run_counts_truly_and_keeps_nothing(db: Database) {
            let target = target(&db.store).await;
            take(&db.store, target, &[person(1)], NOW).await;
            let changed = Arriving { name: Some("New".to_owned()), ..person(1) };
            let people = [changed, person(2), person(3)];
            let dry = Chunk { target: None, number: 1, people: &people, opt_in_source: "shop", so_far: ImportCounts::default(), now: NOW };
            let end = db.store.take_in(&dry, |_| entry("opt-in", NOW)).await.unwrap();
            assert_eq!(end, kept(2, 1));
            assert!(db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().is_none());
            assert_eq!(db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().unwrap().name, person(1).name);
        }

        async fn a_chunk_for_a_list_that_was_removed_is_not_kept(db: Database) {
            let target = target(&db.store).await;
            assert!(db.store.remove_list(target.list_id).await.unwrap());
            let (end, _) = take(&db.store, target, &[person(1)], NOW).await;
            assert_eq!(end, ChunkEnd::ListGone);
            assert!(db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().is_none());
        }

        async fn two_imports_of_the_same_people_at_once_create_each_person_once(db: Database) {
            let target = target(&db.store).await;
            let forwards: Vec<_> = (0..800).map(person).collect();
            let mut backwards: Vec<_> = (400..1200).map(person).collect();
            backwards.reverse();
            let second = db.second_handle().await;
            let ((one, _), (two, _)) =
                tokio::join!(take(&db.store, target, &forwards, NOW), take(&second, target, &backwards, NOW + 1));
            let created = |end: &ChunkEnd| match end {
                ChunkEnd::Kept { created, .. } => *created,
                ChunkEnd::ListGone => 0,
            };
            assert_eq!(created(&one) + created(&two), 1200);
            assert_eq!(db.store.lists().await.unwrap()[0].members, 1200);
        }
    }
}
