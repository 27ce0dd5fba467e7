//! Rows that are new: people, memberships, evidence. Whatever is there already is a conflict, and ends the transaction.

use std::sync::LazyLock;

use super::{Chunk, ImportTarget, NewEvidence};
use crate::chunks::Chunks;
use crate::db::Link;
use crate::error::Result;
use crate::pg_copy::CopyRows;

static PEOPLE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::bulk(6, |values| {
        format!(
            "INSERT INTO contacts (import_id, created_at, updated_at, id, phone_key, phone, name, language, attributes)
             SELECT ?, ?, ?, column1, column2, column3, column4, column5, column6 FROM (VALUES {values})"
        )
    })
});

static MEMBERS: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::bulk(1, |values| {
        format!(
            "INSERT INTO list_members (list_id, contact_id, import_id, added_at)
             SELECT ?, column1, ?, ? FROM (VALUES {values})"
        )
    })
});

static EVIDENCE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::bulk(4, |values| {
        format!(
            "INSERT INTO opt_ins (import_id, chunk, contact_id, at, text_id, salt)
             SELECT ?, ?, column1, column2, column3, column4 FROM (VALUES {values})"
        )
    })
});

/// Writes new people and gives their ids, ascending: `new` tells which of the chunk's they are.
pub(super) async fn people(tx: &mut Link, chunk: &Chunk<'_>, new: &[usize]) -> Result<Vec<i64>> {
    let import_id = chunk.target.map(|target| target.import_id);
    let ids = new_ids(tx, new.len()).await?;
    let rows: Vec<_> = ids.iter().copied().zip(new.iter().filter_map(|index| chunk.people.get(*index))).collect();
    match tx {
        Link::Sqlite(held, _) => {
            for (statement, rows) in PEOPLE.over(&rows) {
                let mut query = sqlx::query(statement).bind(import_id).bind(chunk.now).bind(chunk.now);
                for (id, person) in rows {
                    query = query
                        .bind(id)
                        .bind(person.phone_key)
                        .bind(person.phone)
                        .bind(person.name.as_deref())
                        .bind(person.language.as_deref())
                        .bind(person.attributes.as_str());
                }
                query.execute(&mut **held).await?;
            }
        }
        Link::Postgres(_) if rows.is_empty() => {}
        Link::Postgres(held) => {
            let mut copy = CopyRows::new(9);
            for (id, person) in &rows {
                copy.row()
                    .int(*id)
                    .maybe_int(person.phone_key)
                    .maybe_int(person.phone)
                    .text(person.name.as_deref())
                    .text(person.language.as_deref())
                    .text(Some(&person.attributes))
                    .maybe_int(import_id)
                    .int(chunk.now)
                    .int(chunk.now);
            }
            copy.send(
                held,
                "COPY contacts (id, phone_key, phone, name, language, attributes, import_id, created_at, updated_at)
                 FROM STDIN (FORMAT binary)",
            )
            .await?;
        }
    }
    Ok(ids)
}

/// Ids that nobody has or had, ascending.
pub(super) async fn new_ids(tx: &mut Link, count: usize) -> Result<Vec<i64>> {
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    match tx {
        _ if count == 0 => Ok(Vec::new()),
        Link::Sqlite(held, _) => {
            // Ours is the only writer, and SQLite moves this mark itself as the rows come.
            let last: i64 =
                sqlx::query_scalar("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contacts'), 0)")
                    .fetch_one(&mut **held)
                    .await?;
            Ok((last + 1..=last + wanted).collect())
        }
        Link::Postgres(held) => {
            let mut ids: Vec<i64> = sqlx::query_scalar(
                // The sequence is looked up once: for each id it takes twice as long as the id itself.
                "SELECT array_agg(nextval(s))
                 FROM (SELECT pg_get_serial_sequence('contacts', 'id')::regclass AS s OFFSET 0) q, generate_series(1, $1)",
            )
            .bind(wanted)
            .fetch_one(&mut **held)
            .await?;
            ids.sort_unstable();
            Ok(ids)
        }
    }
}

/// Puts people on the import's list.
pub(super) async fn members(tx: &mut Link, target: ImportTarget, people: &[i64], now: i64) -> Result<()> {
    match tx {
        Link::Sqlite(held, _) => {
            for (statement, people) in MEMBERS.over(people) {
                let mut query = sqlx::query(statement).bind(target.list_id).bind(target.import_id).bind(now);
                for id in people {
                    query = query.bind(id);
                }
                query.execute(&mut **held).await?;
            }
        }
        Link::Postgres(_) if people.is_empty() => {}
        Link::Postgres(held) => {
            let mut copy = CopyRows::new(4);
            for id in people {
                copy.row().int(target.list_id).int(*id).int(target.import_id).int(now);
            }
            let statement = "COPY list_members (list_id, contact_id, import_id, added_at) FROM STDIN (FORMAT binary)";
            copy.send(held, statement).await?;
        }
    }
    Ok(())
}

/// Keeps the evidence of consent.
pub(super) async fn evidence(
    tx: &mut Link,
    chunk: &Chunk<'_>,
    target: ImportTarget,
    evidence: &[NewEvidence],
) -> Result<()> {
    let rows: Vec<_> = evidence
        .iter()
        .filter_map(|one| Some((one.contact_id, chunk.people.get(one.index)?, *chunk.text_ids.get(one.index)?)))
        .collect();
    match tx {
        Link::Sqlite(held, _) => {
            for (statement, rows) in EVIDENCE.over(&rows) {
                let mut query = sqlx::query(statement).bind(target.import_id).bind(chunk.number);
                for (id, person, text_id) in rows {
                    query = query.bind(id).bind(person.opt_in_at).bind(text_id).bind(&person.salt[..]);
                }
                query.execute(&mut **held).await?;
            }
        }
        Link::Postgres(_) if rows.is_empty() => {}
        Link::Postgres(held) => {
            let mut copy = CopyRows::new(6);
            for (id, person, text_id) in &rows {
                let row = copy.row().int(*id).int(person.opt_in_at).int(*text_id);
                row.int(target.import_id).int(chunk.number).field(&person.salt);
            }
            let statement = "COPY opt_ins (contact_id, at, text_id, import_id, chunk, salt) FROM STDIN (FORMAT binary)";
            copy.send(held, statement).await?;
        }
    }
    Ok(())
}
