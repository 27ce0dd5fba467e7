//! People whom a file gives a business-scoped user id: alone, or beside their number.

use std::collections::HashMap;

use serde::Serialize;

use super::Arriving;
use crate::db::{Link, on};
use crate::error::Result;
use crate::suppressions::{Identity, USER_ID, learn_within, one_at_a_time};

/// Somebody known by a user id only: our id of them, name, language, attributes.
#[derive(Serialize)]
struct Row<'a>(i64, Option<&'a str>, Option<&'a str>, &'a std::collections::BTreeMap<String, String>);

/// Creates them under ids that were taken for them, so that each can be given their user id.
const CREATE: [&str; 2] = [
    "INSERT INTO contacts (id, name, language, attributes, created_at, updated_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value -> 3, $2, $2 FROM json_each($1)",
    "INSERT INTO contacts (id, name, language, attributes, created_at, updated_at)
     SELECT (v ->> 0)::bigint, v ->> 1, v ->> 2, v ->> 3, $2, $2 FROM jsonb_array_elements($1::jsonb) AS e(v) ORDER BY 1",
];

/// Only people of whom something changes. The number that somebody has meanwhile stays.
const UPDATE: [&str; 2] = [
    "INSERT INTO contacts (id, name, language, attributes, created_at, updated_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value -> 3, $2, $2 FROM json_each($1) WHERE true
     ON CONFLICT (id) DO UPDATE SET
        name = coalesce(excluded.name, contacts.name), language = coalesce(excluded.language, contacts.language),
        attributes = json_patch(contacts.attributes, excluded.attributes), updated_at = excluded.updated_at
     WHERE contacts.name IS DISTINCT FROM coalesce(excluded.name, contacts.name)
        OR contacts.language IS DISTINCT FROM coalesce(excluded.language, contacts.language)
        OR contacts.attributes <> json_patch(contacts.attributes, excluded.attributes)",
    "UPDATE contacts c SET
        name = coalesce(j.name, c.name), language = coalesce(j.language, c.language),
        attributes = (c.attributes::jsonb || j.attributes::jsonb)::text, updated_at = $2
     FROM (SELECT (v ->> 0)::bigint AS id, v ->> 1 AS name, v ->> 2 AS language, v ->> 3 AS attributes
           FROM jsonb_array_elements($1::jsonb) AS e(v)) AS j
     WHERE c.id = j.id
       AND (c.name IS DISTINCT FROM coalesce(j.name, c.name)
            OR c.language IS DISTINCT FROM coalesce(j.language, c.language)
            OR c.attributes::jsonb <> c.attributes::jsonb || j.attributes::jsonb)",
];

/// What came of the people without a number.
#[derive(Default)]
pub(super) struct Written {
    pub(super) created: i64,
    pub(super) updated: i64,
    /// Which person of the chunk (from 0) has which of our ids.
    pub(super) ids: Vec<(i64, i64)>,
}

/// Writes the people of a chunk who have a user id and no number. A user id that is known already is theirs, be it of
/// somebody with a number.
pub(super) async fn write_people(tx: &mut Link, people: &[Arriving], now: i64) -> Result<Written> {
    let nameless: Vec<(usize, &Arriving, &str)> = people
        .iter()
        .enumerate()
        .filter(|(_, person)| person.phone.is_none())
        .filter_map(|(index, person)| Some((index, person, person.user_id.as_deref()?)))
        .collect();
    if nameless.is_empty() {
        return Ok(Written::default());
    }
    one_at_a_time(tx).await?;
    let mut known = known_ids(tx, nameless.iter().map(|(_, _, user_id)| *user_id)).await?;
    let (old, new): (Vec<_>, Vec<_>) = nameless.iter().copied().partition(|(_, _, id)| known.contains_key(*id));
    let taken = take_ids(tx, new.len()).await?;
    let rows: Vec<_> = new.iter().zip(&taken).map(|((_, person, _), id)| row(*id, person)).collect();
    let created = run(tx, CREATE, &rows, now).await?;
    let names: Vec<Identity> = new
        .iter()
        .zip(&taken)
        .map(|((_, _, user_id), id)| Identity { kind: USER_ID, value: (*user_id).to_owned(), contact_id: *id })
        .collect();
    learn_within(tx, &names).await?;
    let rows: Vec<_> = old.iter().map(|(_, person, user_id)| row(known[*user_id], person)).collect();
    let updated = if rows.is_empty() { 0 } else { run(tx, UPDATE, &rows, now).await? };
    known.extend(names.into_iter().map(|name| (name.value, name.contact_id)));
    let index_of = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let ids = nameless.iter().filter_map(|(index, _, id)| Some((index_of(*index), *known.get(*id)?))).collect();
    Ok(Written { created, updated, ids })
}

/// Gives the people with a number the user ids that stand beside it. Whoever was known by the user id alone is that
/// person from now on, and so is a standing block of theirs.
pub(super) async fn give(tx: &mut Link, people: &[Arriving], ids: &[(i64, i64)]) -> Result<()> {
    let person_at = |index: i64| usize::try_from(index).ok().and_then(|index| people.get(index));
    let names: Vec<Identity> = ids
        .iter()
        .filter_map(|(index, id)| {
            let person = person_at(*index).filter(|person| person.phone.is_some())?;
            Some(Identity { kind: USER_ID, value: person.user_id.clone()?, contact_id: *id })
        })
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    one_at_a_time(tx).await?;
    learn_within(tx, &names).await?;
    Ok(())
}

fn row<'a>(id: i64, person: &'a Arriving) -> Row<'a> {
    Row(id, person.name.as_deref(), person.language.as_deref(), &person.attributes)
}

async fn run(tx: &mut Link, [sqlite, postgres]: [&'static str; 2], rows: &[Row<'_>], now: i64) -> Result<i64> {
    let sql = tx.pick(sqlite, postgres);
    let rows = serde_json::to_string(rows)?;
    let written =
        on!(tx, c => sqlx::query(sql).bind(rows).bind(now).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(i64::try_from(written).unwrap_or(i64::MAX))
}

/// Whose each of these user ids is.
async fn known_ids<'a>(tx: &mut Link, user_ids: impl Iterator<Item = &'a str>) -> Result<HashMap<String, i64>> {
    let user_ids = serde_json::to_string(&user_ids.collect::<Vec<_>>())?;
    let sql = tx.pick(
        "SELECT i.value, i.contact_id FROM json_each($1) AS j CROSS JOIN identities AS i
         ON i.kind = 2 AND i.value = j.value",
        "SELECT i.value, i.contact_id FROM jsonb_array_elements_text($1::jsonb) AS e(v)
         JOIN identities i ON i.kind = 2 AND i.value = e.v",
    );
    let known: Vec<(String, i64)> = on!(tx, c => sqlx::query_as(sql).bind(user_ids).fetch_all(c).await)?;
    Ok(known.into_iter().collect())
}

/// Ids that nobody has. SQLite has one writer, so that the next ones stay free; PostgreSQL gives them out.
async fn take_ids(tx: &mut Link, count: usize) -> Result<Vec<i64>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = tx.pick(
        "WITH RECURSIVE n(id) AS (SELECT coalesce(max(id), 0) + 1 FROM contacts UNION ALL SELECT id + 1 FROM n LIMIT $1)
         SELECT id FROM n",
        "SELECT nextval(pg_get_serial_sequence('contacts', 'id')) FROM generate_series(1, $1)",
    );
    Ok(on!(tx, c => sqlx::query_scalar(sql).bind(count).fetch_all(c).await)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::contacts::tests::{NOW, kept, person, take, target};
    use crate::testing::{Database, entry, on_both_databases};
    use crate::{Arriving, Stop};

    fn nameless(n: i64) -> Arriving {
        Arriving { phone_key: None, phone: None, user_id: Some(format!("EG.13{n}")), ..person(n) }
    }

    on_both_databases! {
        async fn people_with_a_user_id_alone_are_kept_and_the_same_again_changes_nothing(db: Database) {
            let target = target(&db.store).await;
            let people = [nameless(1), person(2), nameless(3)];
            let (end, evidence) = take(&db.store, target, &people, NOW).await;
            assert_eq!((end, evidence.len()), (kept(3, 0), 3));
            let of = |index| evidence.iter().find(|new| new.index == index).unwrap().contact_id;
            let kept_as = db.store.contact(of(0)).await.unwrap().unwrap();
            assert_eq!((kept_as.phone, kept_as.name.as_deref()), (None, person(1).name.as_deref()));
            let (end, evidence) = take(&db.store, target, &people, NOW + 1).await;
            assert_eq!((end, evidence.len()), (kept(0, 0), 0));
            assert_eq!(db.store.lists().await.unwrap()[0].members, 3);
            let renamed = Arriving { name: Some("New".to_owned()), attributes: BTreeMap::new(), ..nameless(1) };
            let (end, _) = take(&db.store, target, &[renamed, nameless(3)], NOW + 2).await;
            assert_eq!(end, kept(0, 1));
            let now = db.store.contact(kept_as.id).await.unwrap().unwrap();
            assert_eq!((now.name.as_deref(), now.attributes), (Some("New"), kept_as.attributes));
        }

        async fn a_number_and_a_user_id_lead_to_one_person_with_one_block(db: Database) {
            let target = target(&db.store).await;
            take(&db.store, target, &[nameless(1)], NOW).await;
            let stop = Stop {
                contact_id: None,
                phone: None,
                user_id: Some("EG.131".to_owned()),
                parent_user_id: None,
                quoted_wamid: None,
                campaign_id: None,
                scope: "all",
                source: "text",
                at: NOW,
                evidence: entry("opt-out", NOW),
            };
            db.store.stop(&stop).await.unwrap();
            let both = Arriving { user_id: nameless(1).user_id, ..person(1) };
            let (end, _) = take(&db.store, target, std::slice::from_ref(&both), NOW + 1).await;
            assert_eq!(end, crate::ChunkEnd::Kept { created: 1, updated: 0, suppressed: 1 });
            assert!(db.store.suppression(both.phone_key, None).await.unwrap().is_some());
            let known = db.store.contact_of_phone(both.phone_key.unwrap()).await.unwrap().unwrap();
            // From now on the user id alone leads to the person with the number.
            let (end, evidence) = take(&db.store, target, &[Arriving { opt_in_at: NOW, ..nameless(1) }], NOW + 2).await;
            assert_eq!(end, crate::ChunkEnd::Kept { created: 0, updated: 0, suppressed: 1 });
            assert_eq!(evidence[0].contact_id, known.id);
        }
    }
}
