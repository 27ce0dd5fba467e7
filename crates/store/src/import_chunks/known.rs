//! People of a chunk who are known: what of them differs, and writing that.

use std::sync::LazyLock;

use serde::Serialize;

use super::{Arriving, Chunk, ChunkEnd, Extra, NewEvidence};
use crate::chunks::Chunks;
use crate::db::{Link, Store, on};
use crate::error::Result;

/// What is there of one person.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Which of the chunk's people, from 0.
    index: usize,
    contact_id: i64,
    /// Something of them would change.
    changed: bool,
    /// On the list already.
    member: bool,
    /// The evidence of this consent is there already.
    evident: bool,
}

/// What is there of a chunk's people. The default: of nobody anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    known: i64,
    changed: i64,
    suppressed: i64,
    /// People of whom something is to be written, or who are to be told from the unknown; in the order of the chunk.
    /// Empty where nobody is known, or everything is there.
    rows: Vec<Known>,
    /// Known people of whom nothing is to be written.
    met: Vec<i64>,
}

impl Survey {
    /// Whether everything of the chunk is there already.
    pub(super) fn needs_nothing(&self, chunk: &Chunk<'_>) -> bool {
        self.met.len() == chunk.people.len()
    }

    /// Which of the chunk's people are not known.
    pub(super) fn unknown(&self, chunk: &Chunk<'_>) -> Vec<usize> {
        if self.needs_nothing(chunk) {
            return Vec::new();
        }
        let mut known = self.rows.iter().map(|row| row.index).peekable();
        let with_number = chunk.people.iter().enumerate().filter(|(_, person)| person.phone_key.is_some());
        with_number.map(|(index, _)| index).filter(|index| known.next_if_eq(index).is_none()).collect()
    }

    /// Known people with a number: which of the chunk's, and our id of them.
    pub(super) fn known(&self) -> impl Iterator<Item = (usize, i64)> {
        self.rows.iter().map(|row| (row.index, row.contact_id))
    }

    /// Known people of whom nothing is to be written.
    pub(super) fn met(&self) -> &[i64] {
        &self.met
    }

    /// Known people who are not on the list.
    pub(super) fn strangers_to_the_list(&self) -> impl Iterator<Item = i64> {
        self.rows.iter().filter(|row| !row.member).map(|row| row.contact_id)
    }

    /// Known people the evidence of whose consent is not there.
    pub(super) fn without_evidence(&self) -> impl Iterator<Item = NewEvidence> {
        let missing = self.rows.iter().filter(|row| !row.evident);
        missing.map(|row| NewEvidence { index: row.index, contact_id: row.contact_id })
    }

    /// The counts of the import with this chunk; and who is still to be kept as met, where it is not noted.
    pub(super) fn end(&self, chunk: &Chunk<'_>, extra: &Extra, met: Option<Vec<i64>>) -> ChunkEnd {
        let known = self.known + extra.known;
        let mut counts = chunk.so_far;
        counts.created += count(chunk.people.len()) - known;
        counts.updated += extra.updated;
        counts.suppressed += self.suppressed + extra.suppressed;
        counts.unchanged += count(self.met.len() + extra.met.len());
        ChunkEnd::Kept { counts, met_known: known > 0, noted: met.is_none(), met: met.unwrap_or_default() }
    }

    /// The same for a dry run, of which nothing is written.
    pub(super) fn would_end(&self, chunk: &Chunk<'_>) -> ChunkEnd {
        self.end(chunk, &Extra { updated: self.changed, ..Extra::default() }, None)
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Of each known person: id, key, whether they change, are on the list, have this evidence, are opted out. A JSON text
/// that is the same needs no merging to be compared.
const KNOWN_SQLITE: &str = "
    SELECT c.id AS id, c.phone_key AS phone_key,
           (c.phone IS NOT j.column2 OR c.name IS NOT coalesce(j.column3, c.name)
            OR c.language IS NOT coalesce(j.column4, c.language)
            OR (c.attributes <> j.column5 AND c.attributes <> json_patch(c.attributes, j.column5))) AS changed,
           EXISTS (SELECT 1 FROM list_members m WHERE m.list_id = ? AND m.contact_id = c.id) AS member,
           EXISTS (SELECT 1 FROM opt_ins o
                   WHERE o.contact_id = c.id AND o.at = j.column6 AND o.text_id = j.column7) AS evident,
           EXISTS (SELECT 1 FROM suppressions s WHERE s.contact_id = c.id) AS suppressed
    FROM (VALUES #) AS j CROSS JOIN contacts AS c ON c.phone_key = j.column1";

/// LATERAL and LIMIT make it look each one up by its key, and never read the whole table, whatever it estimates.
const KNOWN_POSTGRES: &str = "
    SELECT c.id AS id, c.phone_key AS phone_key,
           (c.phone IS DISTINCT FROM j.phone OR c.name IS DISTINCT FROM coalesce(j.name, c.name)
            OR c.language IS DISTINCT FROM coalesce(j.language, c.language)
            OR (c.attributes <> j.attributes
                AND c.attributes::jsonb <> c.attributes::jsonb || j.attributes::jsonb)) AS changed,
           EXISTS (SELECT 1 FROM list_members m WHERE m.list_id = $1 AND m.contact_id = c.id LIMIT 1) AS member,
           EXISTS (SELECT 1 FROM opt_ins o
                   WHERE o.contact_id = c.id AND o.at = j.at AND o.text_id = j.text_id LIMIT 1) AS evident,
           EXISTS (SELECT 1 FROM suppressions s WHERE s.contact_id = c.id LIMIT 1) AS suppressed
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
         AS j(key, phone, name, language, attributes, at, text_id)
    CROSS JOIN LATERAL (SELECT * FROM contacts WHERE phone_key = j.key LIMIT 1) AS c";

/// How many are known, change, are opted out; and who needs nothing, as a JSON array.
const SUMS: [&str; 2] = [
    "SELECT count(*), coalesce(sum(changed), 0), coalesce(sum(suppressed), 0),
            json_group_array(id) FILTER (WHERE NOT changed AND member AND evident) FROM (",
    "SELECT count(*), count(*) FILTER (WHERE changed), count(*) FILTER (WHERE suppressed),
            coalesce(json_agg(id) FILTER (WHERE NOT changed AND member AND evident)::text, '[]') FROM (",
];
const ROWS: &str = "SELECT phone_key, id, changed, member, evident FROM (";

static SQLITE_SUMS: LazyLock<Chunks> = LazyLock::new(|| sqlite(SUMS[0]));
static SQLITE_ROWS: LazyLock<Chunks> = LazyLock::new(|| sqlite(ROWS));
static POSTGRES_SUMS: LazyLock<String> = LazyLock::new(|| format!("{}{KNOWN_POSTGRES}) AS k", SUMS[1]));
static POSTGRES_ROWS: LazyLock<String> = LazyLock::new(|| format!("{ROWS}{KNOWN_POSTGRES}) AS k"));

fn sqlite(what: &str) -> Chunks {
    Chunks::bulk(7, |values| format!("{what}{}) AS k", KNOWN_SQLITE.replace('#', values)))
}

impl Store {
    /// Looks who of a chunk is known, and what of them is there. Reads only, and outside any transaction: what changes
    /// afterwards is found as a conflict when the chunk is written.
    pub(super) async fn survey(&self, chunk: &Chunk<'_>) -> Result<Survey> {
        let list_id = chunk.target.map_or(0, |target| target.list_id);
        let mut link = self.read().await?;
        let sums: Vec<(i64, i64, i64, String)> =
            ask(&mut link, (&SQLITE_SUMS, POSTGRES_SUMS.as_str()), list_id, chunk).await?;
        let mut survey = Survey::default();
        for (known, changed, suppressed, met) in sums {
            survey.known += known;
            survey.changed += changed;
            survey.suppressed += suppressed;
            survey.met.extend(serde_json::from_str::<Vec<i64>>(&met)?);
        }
        let by_user_id = chunk.people.iter().any(|person| person.user_id.is_some());
        let is_told = survey.known == 0 || survey.needs_nothing(chunk) || chunk.target.is_none();
        if is_told && !by_user_id {
            return Ok(survey);
        }
        let rows: Vec<(i64, i64, bool, bool, bool)> =
            ask(&mut link, (&SQLITE_ROWS, POSTGRES_ROWS.as_str()), list_id, chunk).await?;
        let place = |key: i64| chunk.people.binary_search_by_key(&Some(key), |person| person.phone_key).ok();
        survey.rows = rows
            .into_iter()
            .filter_map(|(key, contact_id, changed, member, evident)| {
                Some(Known { index: place(key)?, contact_id, changed, member, evident })
            })
            .collect();
        survey.rows.sort_unstable_by_key(|row| row.index);
        // Whoever came between the two looks is among the rows, and counted as they are.
        survey.known = count(survey.rows.len());
        Ok(survey)
    }
}

/// Asks one of the questions above about a chunk's people.
async fn ask<T>(
    link: &mut Link,
    (sqlite, postgres): (&'static Chunks, &'static str),
    list_id: i64,
    chunk: &Chunk<'_>,
) -> Result<Vec<T>>
where
    T: Send + Unpin,
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    match link {
        Link::Sqlite(held, _) => {
            let people: Vec<(&Arriving, i64)> = chunk.people.iter().zip(chunk.text_ids.iter().copied()).collect();
            let mut answers = Vec::new();
            for (statement, people) in sqlite.over(&people) {
                let mut query = sqlx::query_as(statement).bind(list_id);
                for (person, text_id) in people {
                    query = query
                        .bind(person.phone_key)
                        .bind(person.phone)
                        .bind(person.name.as_deref())
                        .bind(person.language.as_deref())
                        .bind(person.attributes.as_str())
                        .bind(person.opt_in_at)
                        .bind(text_id);
                }
                answers.append(&mut query.fetch_all(&mut **held).await?);
            }
            Ok(answers)
        }
        Link::Postgres(held) => {
            let numbers = |value: fn(&Arriving) -> Option<i64>| chunk.people.iter().map(value).collect::<Vec<_>>();
            let texts = |value: fn(&Arriving) -> Option<&str>| chunk.people.iter().map(value).collect::<Vec<_>>();
            Ok(sqlx::query_as(postgres)
                .bind(list_id)
                .bind(numbers(|person| person.phone_key))
                .bind(numbers(|person| person.phone))
                .bind(texts(|person| person.name.as_deref()))
                .bind(texts(|person| person.language.as_deref()))
                .bind(texts(|person| Some(&person.attributes)))
                .bind(numbers(|person| Some(person.opt_in_at)))
                .bind(chunk.text_ids)
                .fetch_all(&mut **held)
                .await?)
        }
    }
}

/// What the changed people were before, so that the import can be undone. On PostgreSQL it locks them, in the order of
/// their keys.
const KEEP: [&str; 2] = [
    "INSERT INTO import_changes (import_id, contact_id, phone, name, language, attributes, before_import, updated_at)
     SELECT $2, c.id, c.phone, c.name, c.language, c.attributes, c.import_id, c.updated_at
     FROM json_each($1) AS j CROSS JOIN contacts AS c ON c.phone_key = j.value ->> 0 WHERE true
     ON CONFLICT (import_id, contact_id) DO NOTHING",
    "INSERT INTO import_changes (import_id, contact_id, phone, name, language, attributes, before_import, updated_at)
     SELECT $2, c.id, c.phone, c.name, c.language, c.attributes, c.import_id, c.updated_at
     FROM contacts c
     WHERE c.phone_key = ANY (ARRAY(SELECT (v ->> 0)::bigint FROM jsonb_array_elements($1::jsonb) AS e(v)))
     ORDER BY c.phone_key FOR NO KEY UPDATE
     ON CONFLICT (import_id, contact_id) DO NOTHING",
];

/// An upsert, because SQLite's `UPDATE … FROM json_each` reads the whole table for each row. The array keeps PostgreSQL
/// from doing so, whatever it estimates.
const UPDATE: [&str; 2] = [
    "INSERT INTO contacts (phone_key, phone, name, language, attributes, import_id, created_at, updated_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, $2, $3, $3 FROM json_each($1) WHERE true
     ON CONFLICT (phone_key) DO UPDATE SET
        phone = excluded.phone, name = coalesce(excluded.name, contacts.name),
        language = coalesce(excluded.language, contacts.language),
        attributes = json_patch(contacts.attributes, excluded.attributes), import_id = excluded.import_id,
        updated_at = excluded.updated_at",
    "UPDATE contacts c SET phone = j.phone, name = coalesce(j.name, c.name), language = coalesce(j.language, c.language),
        attributes = (c.attributes::jsonb || j.attributes::jsonb)::text, import_id = $2, updated_at = $3
     FROM (SELECT (v ->> 0)::bigint AS key, (v ->> 1)::bigint AS phone, v ->> 2 AS name, v ->> 3 AS language,
                  v ->> 4 AS attributes FROM jsonb_array_elements($1::jsonb) AS e(v)) AS j
     WHERE c.phone_key = j.key
       AND c.phone_key = ANY (ARRAY(SELECT (v ->> 0)::bigint FROM jsonb_array_elements($1::jsonb) AS e(v)))",
];

/// Writes what changes of known people, and what they were. How many those are.
pub(super) async fn update(tx: &mut Link, chunk: &Chunk<'_>, survey: &Survey) -> Result<i64> {
    let import_id = chunk.target.map_or(0, |target| target.import_id);
    #[derive(Serialize)]
    struct Row<'a>(Option<i64>, Option<i64>, Option<&'a str>, Option<&'a str>, &'a str);
    let changed = survey.rows.iter().filter(|row| row.changed).filter_map(|row| chunk.people.get(row.index));
    let rows: Vec<_> =
        changed.map(|p| Row(p.phone_key, p.phone, p.name.as_deref(), p.language.as_deref(), &p.attributes)).collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let json = serde_json::to_string(&rows)?;
    let (keep, update) = (tx.pick(KEEP[0], KEEP[1]), tx.pick(UPDATE[0], UPDATE[1]));
    on!(tx, c => sqlx::query(keep).bind(&json).bind(import_id).execute(c).await.map(drop))?;
    let updated = on!(tx, c => sqlx::query(update).bind(&json).bind(import_id).bind(chunk.now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(i64::try_from(updated).unwrap_or(i64::MAX))
}
