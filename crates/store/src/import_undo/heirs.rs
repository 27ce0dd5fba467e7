//! Which other imports brought the people of one that is taken back. What they brought, too, is not taken from them: it is
//! theirs from then on, and goes when they are undone in their turn.

use std::collections::{BTreeMap, BTreeSet};

use crate::db::{Store, on};
use crate::error::Result;
use crate::imports::ImportRow;
use crate::met::People;

/// The imports that ran later than one, or beside it, and are not undone.
pub(super) struct Heirs {
    of: i64,
    others: Vec<Other>,
}

struct Other {
    import: ImportRow,
    met: People,
}

/// Which of them brought some people.
pub(super) struct Brought<'a> {
    others: &'a [Other],
    /// The person and the other import's place.
    by: BTreeSet<(i64, usize)>,
    /// The same, where it brought evidence of its own.
    evidence: BTreeSet<(i64, usize)>,
    /// The same, where what it changed was changed again by the import that is taken back.
    before: BTreeSet<(i64, usize)>,
}

impl Heirs {
    /// Looks who may be one.
    pub(super) async fn of(store: &Store, import: &ImportRow) -> Result<Self> {
        let mut link = store.read().await?;
        let rows: Vec<ImportRow> = on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM imports WHERE id <> $1 AND state <> 'undone' AND (id > $1 OR finished_at >= $2) ORDER BY id")
            .bind(import.id).bind(import.started_at).fetch_all(c).await)?;
        drop(link);
        let mut others = Vec::with_capacity(rows.len());
        for row in rows {
            let met = if row.unchanged > 0 { store.met_by(row.id).await? } else { People::default() };
            others.push(Other { import: row, met });
        }
        Ok(Self { of: import.id, others })
    }

    /// Which of them brought these people, ascending by id: whoever is what another made of them, was changed by it, came
    /// to its list or consented by it, or was met by it with nothing to write.
    pub(super) async fn brought(&self, store: &Store, people: &[i64]) -> Result<Brought<'_>> {
        let mut brought =
            Brought { others: &self.others, by: BTreeSet::new(), evidence: BTreeSet::new(), before: BTreeSet::new() };
        if self.others.is_empty() || people.is_empty() {
            return Ok(brought);
        }
        for (place, other) in self.others.iter().enumerate() {
            brought
                .by
                .extend(people.iter().filter(|person| other.met.contains(**person)).map(|person| (*person, place)));
        }
        let lists: BTreeSet<i64> = self.others.iter().map(|other| other.import.list_id).collect();
        let changing: Vec<i64> = self.others.iter().filter(|o| o.import.updated > 0).map(|o| o.import.id).collect();
        let none = BTreeSet::new();
        brought.add(self, pairs(store, MADE, people, &none).await?);
        brought.add(self, pairs(store, JOINED, people, &lists).await?);
        let evidence = pairs(store, CONSENTED, people, &none).await?;
        brought.evidence = self.places(&evidence).collect();
        brought.add(self, evidence);
        let changing: BTreeSet<i64> = changing.into_iter().chain([self.of]).collect();
        let changes = pairs(store, CHANGED, people, &changing).await?;
        brought.add(self, changes.iter().map(|change| (change.0, change.1, None)).collect());
        brought.before = self.changed_before(&changes);
        Ok(brought)
    }

    /// The other imports among pairs of a person and an import.
    fn places<'a>(&'a self, found: &'a [Pair]) -> impl Iterator<Item = (i64, usize)> + 'a {
        found.iter().filter_map(|(person, import, _)| Some((*person, self.place(*import)?)))
    }

    fn place(&self, import: i64) -> Option<usize> {
        self.others.binary_search_by_key(&import, |other| other.import.id).ok()
    }

    /// Whose changes the import found there already: it changed them again, and each has noted who wrote before it.
    fn changed_before(&self, changes: &[Pair]) -> BTreeSet<(i64, usize)> {
        let before: BTreeMap<(i64, i64), Option<i64>> =
            changes.iter().map(|(person, import, before)| ((*person, *import), *before)).collect();
        let mut found = BTreeSet::new();
        for (person, _) in before.keys().filter(|(_, import)| *import == self.of) {
            let mut import = self.of;
            // As long as the imports are at most: a chain that bites its tail must not be followed for ever.
            for _ in 0..=self.others.len() {
                let Some(earlier) = before.get(&(*person, import)).copied().flatten() else { break };
                found.extend(self.place(earlier).map(|place| (*person, place)));
                import = earlier;
            }
        }
        found
    }
}

impl Brought<'_> {
    fn add(&mut self, heirs: &Heirs, found: Vec<Pair>) {
        self.by.extend(heirs.places(&found));
    }

    /// The others who brought a person, the earliest first.
    fn of(&self, person: i64) -> impl Iterator<Item = (usize, &ImportRow)> {
        let places = self.by.range((person, 0)..=(person, usize::MAX));
        places.filter_map(|(_, place)| Some((*place, &self.others.get(*place)?.import)))
    }

    /// These people, by the import whose what is known of them is from then on.
    pub(super) fn by_person(&self, people: &[i64]) -> BTreeMap<Option<i64>, Vec<i64>> {
        group(people, |person| self.of(person).find(|(place, _)| !self.before.contains(&(person, *place))))
    }

    /// These people, by the import that brought them to that list, too.
    pub(super) fn by_list(&self, people: &[i64], list_id: i64) -> BTreeMap<Option<i64>, Vec<i64>> {
        group(people, |person| self.of(person).find(|(_, import)| import.list_id == list_id))
    }

    /// These people, by the import that brought the same evidence. An import that brought a person and has no evidence of
    /// its own found it there.
    pub(super) fn by_evidence(&self, people: &[i64]) -> BTreeMap<Option<i64>, Vec<i64>> {
        group(people, |person| self.of(person).find(|(place, _)| !self.evidence.contains(&(person, *place))))
    }

    /// The import of that id, one of the others.
    pub(super) fn import(&self, id: i64) -> Option<&ImportRow> {
        self.others.iter().map(|other| &other.import).find(|import| import.id == id)
    }
}

fn group<'a>(people: &[i64], heir: impl Fn(i64) -> Option<(usize, &'a ImportRow)>) -> BTreeMap<Option<i64>, Vec<i64>> {
    let mut groups: BTreeMap<Option<i64>, Vec<i64>> = BTreeMap::new();
    for person in people {
        groups.entry(heir(*person).map(|(_, import)| import.id)).or_default().push(*person);
    }
    groups
}

/// A person, an import that brought them, and who had written of them before.
type Pair = (i64, i64, Option<i64>);

/// Of the people `$1` (a JSON array), with imports or lists `$2`. SQLite keeps to the order of a CROSS JOIN, and looks
/// each pair up by its key; LATERAL and LIMIT make PostgreSQL do the same.
const MADE: [&str; 2] = [
    "SELECT c.id, c.import_id, NULL FROM json_each($1) AS j CROSS JOIN contacts AS c ON c.id = j.value
     WHERE c.import_id IS NOT NULL AND $2 = $2",
    "SELECT c.id, c.import_id, NULL::bigint FROM contacts c
     WHERE c.id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))
       AND c.import_id IS NOT NULL AND $2::text = $2::text",
];
const CHANGED: [&str; 2] = [
    "SELECT x.contact_id, x.import_id, x.before_import FROM json_each($2) AS i CROSS JOIN json_each($1) AS j
     CROSS JOIN import_changes AS x ON x.import_id = i.value AND x.contact_id = j.value",
    "SELECT x.contact_id, x.import_id, x.before_import
     FROM jsonb_array_elements_text($2::jsonb) AS i(v) CROSS JOIN jsonb_array_elements_text($1::jsonb) AS j(v)
     CROSS JOIN LATERAL (SELECT * FROM import_changes
                         WHERE import_id = i.v::bigint AND contact_id = j.v::bigint LIMIT 1) AS x",
];
const JOINED: [&str; 2] = [
    "SELECT m.contact_id, m.import_id, NULL FROM json_each($2) AS l CROSS JOIN json_each($1) AS j
     CROSS JOIN list_members AS m ON m.list_id = l.value AND m.contact_id = j.value WHERE m.import_id IS NOT NULL",
    "SELECT m.contact_id, m.import_id, NULL::bigint
     FROM jsonb_array_elements_text($2::jsonb) AS l(v) CROSS JOIN jsonb_array_elements_text($1::jsonb) AS j(v)
     CROSS JOIN LATERAL (SELECT * FROM list_members
                         WHERE list_id = l.v::bigint AND contact_id = j.v::bigint LIMIT 1) AS m
     WHERE m.import_id IS NOT NULL",
];
const CONSENTED: [&str; 2] = [
    "SELECT o.contact_id, o.import_id, NULL FROM json_each($1) AS j CROSS JOIN opt_ins AS o ON o.contact_id = j.value
     WHERE o.import_id IS NOT NULL AND $2 = $2",
    "SELECT o.contact_id, o.import_id, NULL::bigint FROM opt_ins o
     WHERE o.contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))
       AND o.import_id IS NOT NULL AND $2::text = $2::text",
];

async fn pairs(store: &Store, sql: [&'static str; 2], people: &[i64], with: &BTreeSet<i64>) -> Result<Vec<Pair>> {
    let (people, with) = (serde_json::to_string(people)?, serde_json::to_string(with)?);
    let mut link = store.read().await?;
    let sql = link.pick(sql[0], sql[1]);
    Ok(on!(&mut link, c => sqlx::query_as(sql).bind(people).bind(with).fetch_all(c).await)?)
}
