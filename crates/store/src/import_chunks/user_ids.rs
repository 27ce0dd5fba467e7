//! People whom a file gives a business-scoped user id: alone, or beside their number.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Serialize;

use super::known::Survey;
use super::{Arriving, Chunk, Extra, NewEvidence, fresh};
use crate::db::{Link, on};
use crate::error::Result;
use crate::suppressions::{Identity, USER_ID, learn_within, one_at_a_time};

/// Which kind of name a file brings.
pub(super) const KIND: i16 = USER_ID;

/// Somebody known by a user id only: our id of them, name, language, attributes.
#[derive(Serialize)]
struct Row<'a>(i64, Option<&'a str>, Option<&'a str>, &'a str);

/// Creates them under ids that were taken for them, so that each can be given their user id.
const CREATE: [&str; 2] = [
    "INSERT INTO contacts (id, name, language, attributes, import_id, created_at, updated_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, $3, $2, $2 FROM json_each($1)",
    "INSERT INTO contacts (id, name, language, attributes, import_id, created_at, updated_at)
     SELECT (v ->> 0)::bigint, v ->> 1, v ->> 2, v ->> 3, $3, $2, $2
     FROM jsonb_array_elements($1::jsonb) AS e(v) ORDER BY 1",
];

/// Which of them change: the condition of both statements that follow.
const CHANGES: [&str; 2] = [
    "(c.name IS NOT coalesce(j.value ->> 1, c.name) OR c.language IS NOT coalesce(j.value ->> 2, c.language)
      OR c.attributes <> json_patch(c.attributes, j.value ->> 3))",
    "(c.name IS DISTINCT FROM coalesce(v ->> 1, c.name) OR c.language IS DISTINCT FROM coalesce(v ->> 2, c.language)
      OR c.attributes::jsonb <> c.attributes::jsonb || (v ->> 3)::jsonb)",
];

/// What the changed people were before.
static KEEP: LazyLock<[String; 2]> = LazyLock::new(|| {
    let columns = "INSERT INTO import_changes
        (import_id, contact_id, phone, name, language, attributes, before_import, updated_at)
        SELECT $2, c.id, c.phone, c.name, c.language, c.attributes, c.import_id, c.updated_at";
    [
        format!(
            "{columns} FROM json_each($1) AS j CROSS JOIN contacts AS c ON c.id = j.value ->> 0 WHERE {}",
            CHANGES[0]
        ),
        format!(
            "{columns} FROM jsonb_array_elements($1::jsonb) AS e(v) JOIN contacts c ON c.id = (v ->> 0)::bigint WHERE {}",
            CHANGES[1]
        ),
    ]
});

/// Only people of whom something changes. The number that somebody has meanwhile stays.
static UPDATE: LazyLock<[String; 2]> = LazyLock::new(|| {
    [
        format!(
            "INSERT INTO contacts (id, name, language, attributes, import_id, created_at, updated_at)
             SELECT c.id, j.value ->> 1, j.value ->> 2, j.value ->> 3, $3, $2, $2
             FROM json_each($1) AS j CROSS JOIN contacts AS c ON c.id = j.value ->> 0 WHERE {}
             ON CONFLICT (id) DO UPDATE SET
                name = coalesce(excluded.name, contacts.name),
                language = coalesce(excluded.language, contacts.language),
                attributes = json_patch(contacts.attributes, excluded.attributes), import_id = excluded.import_id,
                updated_at = excluded.updated_at",
            CHANGES[0]
        ),
        format!(
            "UPDATE contacts c SET name = coalesce(v ->> 1, c.name), language = coalesce(v ->> 2, c.language),
                attributes = (c.attributes::jsonb || (v ->> 3)::jsonb)::text, import_id = $3, updated_at = $2
             FROM jsonb_array_elements($1::jsonb) AS e(v) WHERE c.id = (v ->> 0)::bigint AND {}",
            CHANGES[1]
        ),
    ]
});

/// What came of the people without a number.
#[derive(Default)]
struct Written {
    created: i64,
    updated: i64,
    /// Which person of the chunk (from 0) has which of our ids.
    ids: Vec<(i64, i64)>,
}

/// Takes in the user ids of a chunk, and the people who have nothing else. `new` and `ids` are the people with a number
/// whom the chunk has just made.
pub(super) async fn take_in(
    tx: &mut Link,
    chunk: &Chunk<'_>,
    survey: &Survey,
    new: &[usize],
    ids: &[i64],
    extra: &mut Extra,
) -> Result<()> {
    if !chunk.people.iter().any(|person| person.user_id.is_some()) {
        return Ok(());
    }
    let index_of = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let made = new.iter().copied().zip(ids.iter().copied());
    let numbered: Vec<(i64, i64)> = survey.known().chain(made).map(|(index, id)| (index_of(index), id)).collect();
    let before = suppressed(tx, &numbered).await?;
    give(tx, chunk.people, &numbered).await?;
    let written = write_people(tx, chunk).await?;
    extra.updated += written.updated;
    extra.known += i64::try_from(written.ids.len()).unwrap_or(i64::MAX) - written.created;
    extra.suppressed += suppressed(tx, &numbered).await? - before + suppressed(tx, &written.ids).await?;
    // A user id may lead to somebody with a number who is in the chunk too: then all is said of them already.
    let said: HashSet<i64> = numbered.iter().map(|(_, id)| *id).collect();
    let mut settled = HashSet::new();
    for (index, contact_id, member, evident) in standing(tx, chunk, &written.ids).await? {
        if said.contains(&contact_id) || !settled.insert(contact_id) {
            continue;
        }
        if !member {
            extra.joining.push(contact_id);
        }
        if !evident {
            extra.evidence.push(NewEvidence { index, contact_id });
        }
        if member && evident {
            extra.met.push(contact_id);
        }
    }
    Ok(())
}

/// How many of them are opted out.
async fn suppressed(tx: &mut Link, people: &[(i64, i64)]) -> Result<i64> {
    let ids = serde_json::to_string(&people.iter().map(|(_, id)| id).collect::<Vec<_>>())?;
    let sql = tx.pick(
        "SELECT count(DISTINCT s.contact_id) FROM json_each($1) AS j
         CROSS JOIN suppressions AS s ON s.contact_id = j.value",
        "SELECT count(DISTINCT s.contact_id) FROM jsonb_array_elements_text($1::jsonb) AS e(v)
         JOIN suppressions s ON s.contact_id = e.v::bigint",
    );
    Ok(on!(tx, c => sqlx::query_scalar(sql).bind(ids).fetch_one(c).await)?)
}

/// Of each of them: the index in the chunk, our id, whether they are on the list and have the evidence.
async fn standing(tx: &mut Link, chunk: &Chunk<'_>, people: &[(i64, i64)]) -> Result<Vec<(usize, i64, bool, bool)>> {
    let list_id = chunk.target.map_or(0, |target| target.list_id);
    let rows: Vec<(i64, i64, i64, i64)> = people
        .iter()
        .filter_map(|&(index, id)| {
            let place = usize::try_from(index).ok()?;
            Some((index, id, chunk.people.get(place)?.opt_in_at, *chunk.text_ids.get(place)?))
        })
        .collect();
    let sql = tx.pick(
        "SELECT j.value ->> 0, j.value ->> 1,
                EXISTS (SELECT 1 FROM list_members m WHERE m.list_id = $2 AND m.contact_id = j.value ->> 1),
                EXISTS (SELECT 1 FROM opt_ins o WHERE o.contact_id = j.value ->> 1 AND o.at = j.value ->> 2
                                                  AND o.text_id = j.value ->> 3)
         FROM json_each($1) AS j ORDER BY 2",
        "SELECT (v ->> 0)::bigint, (v ->> 1)::bigint,
                EXISTS (SELECT 1 FROM list_members m WHERE m.list_id = $2 AND m.contact_id = (v ->> 1)::bigint),
                EXISTS (SELECT 1 FROM opt_ins o WHERE o.contact_id = (v ->> 1)::bigint AND o.at = (v ->> 2)::bigint
                                                  AND o.text_id = (v ->> 3)::bigint)
         FROM jsonb_array_elements($1::jsonb) AS e(v) ORDER BY 2",
    );
    let json = serde_json::to_string(&rows)?;
    let rows: Vec<(i64, i64, bool, bool)> =
        on!(tx, c => sqlx::query_as(sql).bind(json).bind(list_id).fetch_all(c).await)?;
    let place = |index: i64| usize::try_from(index).unwrap_or(usize::MAX);
    Ok(rows.into_iter().map(|(index, id, member, evident)| (place(index), id, member, evident)).collect())
}

/// Writes the people of a chunk who have a user id and no number. A user id that is known already is theirs, be it of
/// somebody with a number.
async fn write_people(tx: &mut Link, chunk: &Chunk<'_>) -> Result<Written> {
    let nameless: Vec<(usize, &Arriving, &str)> = chunk
        .people
        .iter()
        .enumerate()
        .filter(|(_, person)| person.phone.is_none())
        .filter_map(|(index, person)| Some((index, person, person.user_id.as_deref()?)))
        .collect();
    if nameless.is_empty() {
        return Ok(Written::default());
    }
    let import_id = chunk.target.map(|target| target.import_id);
    one_at_a_time(tx).await?;
    let mut known = known_ids(tx, nameless.iter().map(|(_, _, user_id)| *user_id)).await?;
    let (old, new): (Vec<_>, Vec<_>) = nameless.iter().copied().partition(|(_, _, id)| known.contains_key(*id));
    let taken = fresh::new_ids(tx, new.len()).await?;
    let rows: Vec<_> = new.iter().zip(&taken).map(|((_, person, _), id)| row(*id, person)).collect();
    let sql = tx.pick(CREATE[0], CREATE[1]);
    let created = run(tx, sql, &rows, chunk.now, import_id).await?;
    let names: Vec<Identity> = new
        .iter()
        .zip(&taken)
        .map(|((_, _, user_id), id)| Identity { kind: USER_ID, value: (*user_id).to_owned(), contact_id: *id })
        .collect();
    learn_within(tx, &names).await?;
    let rows: Vec<_> = old.iter().map(|(_, person, user_id)| row(known[*user_id], person)).collect();
    let updated = if rows.is_empty() {
        0
    } else {
        let keep = tx.pick(&KEEP[0], &KEEP[1]);
        let json = serde_json::to_string(&rows)?;
        on!(tx, c => sqlx::query(keep).bind(json).bind(import_id.unwrap_or_default()).execute(c).await.map(drop))?;
        let sql = tx.pick(&UPDATE[0], &UPDATE[1]);
        run(tx, sql, &rows, chunk.now, import_id).await?
    };
    known.extend(names.into_iter().map(|name| (name.value, name.contact_id)));
    let index_of = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let ids = nameless.iter().filter_map(|(index, _, id)| Some((index_of(*index), *known.get(*id)?))).collect();
    Ok(Written { created, updated, ids })
}

/// Gives the people with a number the user ids that stand beside it. Whoever was known by the user id alone is that
/// person from now on, and so is a standing block of theirs.
async fn give(tx: &mut Link, people: &[Arriving], ids: &[(i64, i64)]) -> Result<()> {
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

async fn run(tx: &mut Link, sql: &'static str, rows: &[Row<'_>], now: i64, import_id: Option<i64>) -> Result<i64> {
    let rows = serde_json::to_string(rows)?;
    let written = on!(tx, c => sqlx::query(sql).bind(rows).bind(now).bind(import_id).execute(c).await.map(|done| done.rows_affected()))?;
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

#[cfg(test)]
mod tests {
    use crate::import_chunks::tests::{NOW, done, person, suppressed, take};
    use crate::testing::{Database, entry, on_both_databases};
    use crate::{Arriving, Stop};

    fn nameless(n: i64) -> Arriving {
        Arriving { phone_key: None, phone: None, user_id: Some(format!("EG.13{n}")), ..person(n) }
    }

    on_both_databases! {
        async fn people_with_a_user_id_alone_are_kept_and_the_same_again_changes_nothing(db: Database) {
            let people = [nameless(1), nameless(3), person(2)];
            let (end, evidence) = take(&db.store, &people, NOW).await;
            assert_eq!((done(&end), evidence.len()), ((3, 0), 3));
            let of = |index| evidence.iter().find(|new| new.index == index).unwrap().contact_id;
            let kept_as = db.store.contact(of(0)).await.unwrap().unwrap();
            assert_eq!((kept_as.phone, kept_as.name.as_deref()), (None, person(1).name.as_deref()));
            let (end, evidence) = take(&db.store, &people, NOW + 1).await;
            assert_eq!((done(&end), evidence.len()), ((0, 0), 0));
            assert_eq!(db.store.lists().await.unwrap()[0].members, 3);
            let renamed = Arriving { name: Some("New".to_owned()), attributes: "{}".to_owned(), ..nameless(1) };
            let (end, _) = take(&db.store, &[renamed, nameless(3)], NOW + 2).await;
            assert_eq!(done(&end), (0, 1));
            let now = db.store.contact(kept_as.id).await.unwrap().unwrap();
            let columns = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(now.name.as_deref(), Some("New"));
            assert_eq!(columns(&now.attributes), columns(&kept_as.attributes));
        }

        async fn a_number_and_a_user_id_lead_to_one_person_with_one_block(db: Database) {
            take(&db.store, &[nameless(1)], NOW).await;
            let stop = Stop {
                contact_id: None,
                phone: None,
                user_id: Some("EG.131".to_owned()),
                parent_user_id: None,
                quoted_wamid: None,
                campaign_id: None,
                scope: domain::optout::scope::Scope::All,
                source: "text",
                at: NOW,
                evidence: entry("opt-out", NOW),
            };
            db.store.stop(&stop).await.unwrap();
            let both = Arriving { user_id: nameless(1).user_id, ..person(1) };
            let (end, _) = take(&db.store, std::slice::from_ref(&both), NOW + 1).await;
            assert_eq!((done(&end), suppressed(&end)), ((1, 0), 1));
            assert!(db.store.suppression(both.phone_key, None).await.unwrap().is_some());
            let known = db.store.contact_of_phone(both.phone_key.unwrap()).await.unwrap().unwrap();
            // From now on the user id alone leads to the person with the number.
            let (end, evidence) = take(&db.store, &[Arriving { opt_in_at: NOW, ..nameless(1) }], NOW + 2).await;
            assert_eq!((done(&end), suppressed(&end)), ((0, 0), 1));
            assert_eq!(evidence[0].contact_id, known.id);
        }
    }
}
