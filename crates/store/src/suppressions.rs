//! The standing blocks: who may not be messaged, since when, by which evidence.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use domain::optout::scope::Scope;

use crate::chunks::Chunks;
use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::inbound;
use crate::ledger::{self, NewEntry};
use crate::sends::SendKey;
use crate::wamids;

/// [`Stop::user_id`] in `identities`.
pub(crate) const USER_ID: i16 = 2;
/// [`Stop::parent_user_id`] in `identities`.
const PARENT_USER_ID: i16 = 3;

/// Somebody said stop. At least one of phone, user id or quoted message should be known; every person they lead to
/// is suppressed, and somebody nobody knows yet is kept, so that they are known when they turn up.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The person, where already known.
    pub contact_id: Option<i64>,
    /// The number's canonical key and its digits.
    pub phone: Option<(i64, i64)>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
    /// The parent user id.
    pub parent_user_id: Option<String>,
    /// The message that was tapped or quoted.
    pub quoted_wamid: Option<String>,
    /// The campaign it came through, where known.
    pub campaign_id: Option<i64>,
    /// What is stopped.
    pub scope: Scope,
    /// How it was said: `button`, `text`, `api`, …
    pub source: &'static str,
    /// When the person said it.
    pub at: i64,
    /// The evidence, as it goes into the ledger.
    pub evidence: NewEntry,
}

/// A stop that holds now.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// The people it suppresses.
    pub contact_ids: Vec<i64>,
    /// How many of them were not suppressed before.
    pub new: usize,
    /// The ledger entry, where a person became suppressed.
    pub evidence_id: Option<i64>,
}

/// A standing block.
#[derive(Clone, Debug)]
pub struct Suppression {
    /// The person.
    pub contact_id: i64,
    /// The number's digits, where there is one.
    pub phone: Option<i64>,
    /// What is stopped: a [`Scope`] in its written form.
    pub scope: String,
    /// Since when.
    pub since: i64,
    /// How it was said.
    pub source: String,
    /// Through which campaign.
    pub campaign_id: Option<i64>,
    /// The ledger entry.
    pub evidence_id: Option<i64>,
}

from_row!(Suppression { contact_id, phone, scope, since, source, campaign_id, evidence_id });

/// A send that is claimed and has no outcome yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitting {
    /// Of which campaign.
    pub campaign_id: i64,
    /// To whom.
    pub contact_id: i64,
    /// The attempt.
    pub attempt: i64,
    /// From which of our numbers.
    pub number_id: i64,
    /// The fence of the lane's term under which it was claimed.
    pub term: i64,
}

from_row!(Submitting { campaign_id, contact_id, attempt, number_id, term });

/// Whether a block `p` forbids a send from the number `n` of a campaign whose template is `t`: as
/// [`domain::optout::scope::Forbidding`]. Free text has no template, and only what stops everything forbids it.
pub(crate) const FORBIDS: &str = "(p.scope = 'all' OR (upper(t.category) NOT IN ('UTILITY', 'AUTHENTICATION')
      AND p.scope IN ('marketing', 'number:' || n.phone_number_id, 'brand:' || n.brand)))";

/// Everybody a stop leads to, and among them whom its names belong to: whose number it names, who is made if nobody has
/// it yet, or else who got the message that it quotes.
async fn people_of(store: &Store, tx: &mut Link, stop: &Stop) -> Result<(Vec<i64>, Option<i64>)> {
    let mut people: Vec<i64> = stop.contact_id.into_iter().collect();
    let mut bearer = None;
    if let Some((key, _)) = stop.phone {
        let known: Option<i64> = on!(tx, c => sqlx::query_scalar(
            "SELECT id FROM contacts WHERE phone_key IN ($1, $2)")
            .bind(key).bind(store.blind_phone(Some(key))).fetch_optional(c).await)?;
        bearer = Some(match known {
            Some(person) => person,
            None => new_person(tx, stop).await?,
        });
        people.extend(bearer);
    }
    for (kind, value) in names_in(stop) {
        let blind = store.blind.get().map(|blind| blind.name(kind, value));
        people.extend(on!(tx, c => sqlx::query_scalar::<_, i64>(
            "SELECT contact_id FROM identities WHERE kind = $1 AND value = $2
             UNION SELECT contact_id FROM identities WHERE kind = $1 AND value = $3")
            .bind(kind).bind(value).bind(blind).fetch_all(c).await)?);
    }
    if let Some(wamid) = &stop.quoted_wamid {
        let mut recipients: Vec<i64> = wamids::find(tx, &[wamid]).await?.iter().map(|found| found.contact_id).collect();
        recipients.sort_unstable();
        bearer = bearer.or(recipients.first().copied());
        people.extend(recipients);
    }
    if people.is_empty() {
        people.push(new_person(tx, stop).await?);
    }
    people.sort_unstable();
    people.dedup();
    Ok((people, bearer))
}

/// The names of a person in a stop.
fn names_in(stop: &Stop) -> impl Iterator<Item = (i16, &str)> {
    [(USER_ID, &stop.user_id), (PARENT_USER_ID, &stop.parent_user_id)]
        .into_iter()
        .filter_map(|(kind, value)| Some((kind, value.as_deref()?)))
}

async fn new_person(tx: &mut Link, stop: &Stop) -> Result<i64> {
    // The conflict is with a person who was imported since we looked (PostgreSQL).
    Ok(on!(tx, c => sqlx::query_scalar(
        "INSERT INTO contacts (phone_key, phone, created_at, updated_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (phone_key) DO UPDATE SET updated_at = contacts.updated_at RETURNING id")
        .bind(stop.phone.map(|(key, _)| key)).bind(stop.phone.map(|(_, digits)| digits)).bind(stop.evidence.at)
        .fetch_one(c).await)?)
}

/// Lets one transaction at a time write people's names. Two that insert the same names in different orders would wait
/// for each other on PostgreSQL until one is thrown out; SQLite has one writer anyway.
pub(crate) async fn one_at_a_time(tx: &mut Link) -> Result<()> {
    if let Link::Postgres(held) = tx {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('hudhud: names of people', 0))")
            .execute(&mut **held)
            .await?;
    }
    Ok(())
}

pub(crate) async fn stop_within(store: &Store, tx: &mut Link, stop: &Stop) -> Result<Stopped> {
    let (people, bearer) = people_of(store, tx, stop).await?;
    let mut new = 0;
    let mut evidence_id = None;
    let scope = stop.scope.to_string();
    for person in &people {
        let inserted: Option<i64> = on!(tx, c => sqlx::query_scalar(
            "INSERT INTO suppressions (contact_id, scope, since, source, campaign_id)
             SELECT $1, $2, $3, $4, $5
             WHERE ($4 NOT IN ('text', 'button', 'user_preferences')
                    OR NOT EXISTS (SELECT 1 FROM lifted
                                   WHERE lifted.contact_id = $1 AND lifted.scope = $2 AND lifted.at > $3))
               AND NOT EXISTS (SELECT 1 FROM suppressions e
                               WHERE e.contact_id = $1 AND e.scope = 'all' AND e.source = 'erasure')
             ON CONFLICT (contact_id, scope) DO NOTHING RETURNING contact_id")
            .bind(person).bind(&scope).bind(stop.at).bind(stop.source).bind(stop.campaign_id)
            .fetch_optional(c).await)?;
        if inserted.is_none() {
            outrun_lift(tx, *person, stop.at).await?;
            continue;
        }
        new += 1;
        let mut entry = stop.evidence.clone();
        entry.contact_id = Some(*person);
        entry.campaign_id = stop.campaign_id;
        let id = ledger::append(tx, &entry).await?;
        on!(tx, c => sqlx::query("UPDATE suppressions SET evidence_id = $2 WHERE contact_id = $1 AND scope = $3")
            .bind(person).bind(id).bind(&scope).execute(c).await.map(drop))?;
        evidence_id = Some(id);
    }
    let contact_id = bearer.unwrap_or(people[0]);
    let names: Vec<Identity> =
        names_in(stop).map(|(kind, value)| Identity { kind, value: value.to_owned(), contact_id }).collect();
    // A name that somebody bears already stays theirs, unless the stop says whose it is.
    if bearer.is_some() {
        learn_within(tx, &names).await?;
    } else {
        insert_names(tx, &serde_json::to_string(&names)?).await?;
    }
    Ok(Stopped { contact_ids: people, new, evidence_id })
}

/// Somebody who is blocked says stop once more: a lift that was asked for before that is no wish of theirs any more.
async fn outrun_lift(tx: &mut Link, person: i64, at: i64) -> Result<()> {
    Ok(on!(tx, c => sqlx::query(
        "UPDATE lift_requests SET decided = 'refused', decided_by = 'stop', decided_at = $2
         WHERE contact_id = $1 AND decided IS NULL AND at < $2")
        .bind(person).bind(at).execute(c).await.map(drop))?)
}

/// A name that a webhook gave a person whom we know by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Identity {
    /// 1 wa_id, 2 business-scoped user id, 3 parent user id.
    pub kind: i16,
    /// The name itself.
    pub value: String,
    /// The person.
    pub contact_id: i64,
}

impl Store {
    /// Lets one stop take effect. Durable when it returns.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn stop(&self, stop: &Stop) -> Result<Stopped> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let stopped = stop_within(self, &mut tx, stop).await?;
        tx.commit().await?;
        Ok(stopped)
    }

    /// Lets several stops take effect in one transaction, all or none; what each did, in their order.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn stop_all(&self, stops: &[Stop]) -> Result<Vec<Stopped>> {
        let mut tx = self.write(Priority::Soon).await?;
        one_at_a_time(&mut tx).await?;
        let mut stopped = Vec::with_capacity(stops.len());
        for stop in stops {
            stopped.push(stop_within(self, &mut tx, stop).await?);
        }
        tx.commit().await?;
        Ok(stopped)
    }

    /// Which sends to these people are claimed and may be leaving right now.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn submitting_to(&self, contact_ids: &[i64]) -> Result<Vec<Submitting>> {
        let mut link = self.read().await?;
        let sql = link.pick(
            "SELECT campaign_id, contact_id, attempt, number_id, coalesce(term, 0) AS term FROM sends
             WHERE campaign_id IN (SELECT campaign_id FROM claims)
               AND contact_id IN (SELECT value FROM json_each($1)) AND state = 1",
            "SELECT s.campaign_id, s.contact_id, s.attempt, s.number_id, coalesce(s.term, 0) AS term
             FROM (SELECT DISTINCT campaign_id FROM claims) c
             CROSS JOIN LATERAL (
                 SELECT * FROM sends WHERE campaign_id = c.campaign_id
                   AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint)) AND state = 1
                 OFFSET 0) s",
        );
        let json = serde_json::to_string(contact_ids)?;
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(json).fetch_all(c).await)?)
    }

    /// How many of these sends were claimed more than `slack` milliseconds after their person's stop was taken in: a
    /// check on the promise that there are none, by what the rows say.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn claimed_after_stop(&self, sends: &[SendKey], slack: i64) -> Result<i64> {
        let people: Vec<i64> = sends.iter().map(|(_, contact_id)| *contact_id).collect();
        if self.stopped_among(&people).await?.is_empty() {
            return Ok(0);
        }
        let mut link = self.read().await?;
        let sql = link.pick(
            "SELECT count(DISTINCT s.campaign_id || '/' || s.contact_id)
             FROM json_each($1) k CROSS JOIN suppressions p ON p.contact_id = k.value ->> 1
             CROSS JOIN sends s ON s.campaign_id = k.value ->> 0 AND s.contact_id = p.contact_id
             CROSS JOIN numbers n ON n.id = s.number_id CROSS JOIN campaigns c ON c.id = s.campaign_id
             CROSS JOIN ledger l ON l.id = p.evidence_id
             LEFT JOIN templates t ON t.id = c.template_id
             WHERE s.claimed_at > l.at + $2 AND s.state <> 8 AND #",
            "SELECT count(DISTINCT (s.campaign_id, s.contact_id)) FROM (SELECT (v ->> 0)::bigint AS a, (v ->> 1)::bigint AS b
                                   FROM jsonb_array_elements($1::jsonb) AS e(v)) k
             JOIN suppressions p ON p.contact_id = k.b
             JOIN sends s ON s.campaign_id = k.a AND s.contact_id = k.b
             JOIN numbers n ON n.id = s.number_id JOIN campaigns c ON c.id = s.campaign_id
             LEFT JOIN templates t ON t.id = c.template_id
             JOIN ledger l ON l.id = p.evidence_id WHERE s.claimed_at > l.at + $2 AND s.state <> 8 AND #",
        );
        let sql = sqlx::AssertSqlSafe(sql.replace('#', FORBIDS));
        let json = serde_json::to_string(sends)?;
        Ok(on!(&mut link, c => sqlx::query_scalar(sql).bind(json).bind(slack).fetch_one(c).await)?)
    }

    /// The widest standing block of a person, by their number's canonical key or their user id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn suppression(&self, phone_key: Option<i64>, user_id: Option<&str>) -> Result<Option<Suppression>> {
        Ok(self.blocks_of(phone_key, user_id).await?.into_iter().next())
    }

    /// The standing blocks of a person, by their number's canonical key or their user id: the widest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn blocks_of(&self, phone_key: Option<i64>, user_id: Option<&str>) -> Result<Vec<Suppression>> {
        let mut link = self.read().await?;
        let (blind, [own, parent]) = (self.blind_phone(phone_key), self.blind_names(user_id));
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT p.contact_id, c.phone, p.scope, p.since, p.source, p.campaign_id, p.evidence_id
             FROM suppressions p JOIN contacts c ON c.id = p.contact_id
             WHERE c.id IN (SELECT id FROM contacts WHERE phone_key IN ($1, $3)
                            UNION SELECT contact_id FROM identities WHERE kind = 2 AND value = $2
                            UNION SELECT contact_id FROM identities WHERE kind = 2 AND value = $4
                            UNION SELECT contact_id FROM identities WHERE kind = 3 AND value = $2
                            UNION SELECT contact_id FROM identities WHERE kind = 3 AND value = $5)
             ORDER BY CASE p.scope WHEN 'all' THEN 0 WHEN 'marketing' THEN 1 ELSE 2 END, p.scope, p.since")
            .bind(phone_key).bind(user_id).bind(blind).bind(own).bind(parent).fetch_all(c).await)?)
    }

    /// Standing blocks since a time, by person after a contact id: those of a page of so many people, of each the widest
    /// first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn suppressions(&self, since: i64, after: i64, limit: i64) -> Result<Vec<Suppression>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT p.contact_id, c.phone, p.scope, p.since, p.source, p.campaign_id, p.evidence_id
             FROM suppressions p JOIN contacts c ON c.id = p.contact_id
             WHERE p.since >= $1 AND p.contact_id IN (
                 SELECT DISTINCT contact_id FROM suppressions WHERE contact_id > $2 AND since >= $1
                 ORDER BY contact_id LIMIT $3)
             ORDER BY p.contact_id, CASE p.scope WHEN 'all' THEN 0 WHEN 'marketing' THEN 1 ELSE 2 END, p.scope")
            .bind(since).bind(after).bind(limit).fetch_all(c).await)?)
    }

    /// Learns names of people from webhooks. Where a name belonged to somebody who was known by nothing else, the two
    /// are one person: the name moves over, and so does a standing block. The people who became suppressed by it.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn learn_identities(&self, identities: &[Identity]) -> Result<Vec<i64>> {
        // Several statuses of a message name the same person; and names in order are looked up quicker.
        let identities: Vec<&Identity> = identities.iter().collect::<BTreeSet<_>>().into_iter().collect();
        // Most names are known already: look before taking the writer.
        let mut link = self.read().await?;
        let (new, others) = unknown(&mut link, &identities).await?;
        drop(link);
        if new.is_empty() && others.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.write(Priority::Soon).await?;
        one_at_a_time(&mut tx).await?;
        let mut carried = Vec::new();
        if insert_new(&mut tx, &new).await? != new.len() as u64 {
            // Of somebody who is not here, or learned by another process since we looked.
            carried = learn_within(&mut tx, &new).await?;
        }
        carried.extend(learn_within(&mut tx, &others).await?);
        tx.commit().await?;
        Ok(carried)
    }
}

/// Which of these names nobody bears, and which somebody else does.
async fn unknown(link: &mut Link, identities: &[&Identity]) -> Result<(Vec<Identity>, Vec<Identity>)> {
    let rows: Vec<(i16, String, i64, bool)> = match link {
        Link::Sqlite(held, _) => {
            let mut rows = Vec::new();
            for (statement, some) in UNKNOWN_SQLITE.over(identities) {
                let mut query = sqlx::query_as(statement);
                for identity in some {
                    query = query.bind(identity.kind).bind(identity.value.as_str()).bind(identity.contact_id);
                }
                rows.extend(query.fetch_all(&mut **held).await?);
            }
            rows
        }
        Link::Postgres(held) => {
            let (kinds, values, people) = columns(identities);
            let query = sqlx::query_as(
                "SELECT n.kind, n.value, n.contact_id, i.contact_id IS NULL
                 FROM unnest($1::smallint[], $2::text[], $3::bigint[]) AS n(kind, value, contact_id)
                 LEFT JOIN identities i ON i.kind = n.kind AND i.value = n.value
                 WHERE i.contact_id IS DISTINCT FROM n.contact_id",
            );
            query.bind(kinds).bind(values).bind(people).fetch_all(&mut **held).await?
        }
    };
    let (mut new, mut others) = (Vec::new(), Vec::new());
    for (kind, value, contact_id, is_new) in rows {
        let list = if is_new { &mut new } else { &mut others };
        list.push(Identity { kind, value, contact_id });
    }
    Ok((new, others))
}

/// Inserts names that nobody bore a moment ago, of people who are here. How many.
async fn insert_new(tx: &mut Link, new: &[Identity]) -> Result<u64> {
    match tx {
        Link::Sqlite(held, _) => {
            let mut inserted = 0;
            for (statement, some) in INSERT_NEW_SQLITE.over(new) {
                let mut query = sqlx::query(statement);
                for identity in some {
                    query = query.bind(identity.kind).bind(identity.value.as_str()).bind(identity.contact_id);
                }
                inserted += query.execute(&mut **held).await?.rows_affected();
            }
            Ok(inserted)
        }
        Link::Postgres(_) if new.is_empty() => Ok(0),
        Link::Postgres(held) => {
            let (kinds, values, people) = columns(&new.iter().collect::<Vec<_>>());
            let query = sqlx::query(
                "INSERT INTO identities (kind, value, contact_id)
                 SELECT n.kind, n.value, n.contact_id
                 FROM unnest($1::smallint[], $2::text[], $3::bigint[]) AS n(kind, value, contact_id)
                 JOIN contacts c ON c.id = n.contact_id AND (c.phone_key IS NULL OR c.phone_key > 0)
                 ORDER BY n.kind, n.value
                 ON CONFLICT (kind, value) DO NOTHING",
            );
            Ok(query.bind(kinds).bind(values).bind(people).execute(&mut **held).await?.rows_affected())
        }
    }
}

fn columns<'a>(identities: &[&'a Identity]) -> (Vec<i16>, Vec<&'a str>, Vec<i64>) {
    let kinds = identities.iter().map(|identity| identity.kind).collect();
    let values = identities.iter().map(|identity| identity.value.as_str()).collect();
    (kinds, values, identities.iter().map(|identity| identity.contact_id).collect())
}

static UNKNOWN_SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(3, |values| {
        format!(
            "SELECT n.column1, n.column2, n.column3, i.contact_id IS NULL FROM (VALUES {values}) n
             LEFT JOIN identities i ON i.kind = n.column1 AND i.value = n.column2
             WHERE i.contact_id IS NOT n.column3"
        )
    })
});

static INSERT_NEW_SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(3, |values| {
        format!(
            "INSERT INTO identities (kind, value, contact_id)
             SELECT n.column1, n.column2, n.column3 FROM (VALUES {values}) n CROSS JOIN contacts c
             WHERE c.id = n.column3 AND (c.phone_key IS NULL OR c.phone_key > 0)
             ON CONFLICT (kind, value) DO NOTHING"
        )
    })
});

async fn insert_names(tx: &mut Link, json: &str) -> Result<()> {
    let insert = tx.pick(
        "INSERT INTO identities (kind, value, contact_id)
         SELECT value ->> 'kind', value ->> 'value', value ->> 'contact_id' FROM json_each($1) j
         WHERE NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = j.value ->> 'contact_id' AND c.phone_key < 0)
         ON CONFLICT (kind, value) DO NOTHING",
        "INSERT INTO identities (kind, value, contact_id)
         SELECT kind, value, min(contact_id)
         FROM jsonb_to_recordset($1::jsonb) AS j(kind smallint, value text, contact_id bigint)
         WHERE NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = j.contact_id AND c.phone_key < 0)
         GROUP BY kind, value ORDER BY kind, value ON CONFLICT (kind, value) DO NOTHING",
    );
    on!(tx, c => sqlx::query(insert).bind(json).execute(c).await.map(drop))?;
    Ok(())
}

/// Learns names within the caller's transaction. The people who became suppressed by it.
pub(crate) async fn learn_within(tx: &mut Link, identities: &[Identity]) -> Result<Vec<i64>> {
    if identities.is_empty() {
        return Ok(Vec::new());
    }
    let people: Vec<i64> = identities.iter().map(|identity| identity.contact_id).collect();
    let sql = tx.pick(
        "SELECT id FROM contacts WHERE id IN (SELECT value FROM json_each($1)) AND (phone_key IS NULL OR phone_key > 0)",
        "SELECT id FROM contacts WHERE id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))
           AND (phone_key IS NULL OR phone_key > 0)",
    );
    let json = serde_json::to_string(&people)?;
    let known: Vec<i64> = on!(tx, c => sqlx::query_scalar(sql).bind(json).fetch_all(c).await)?;
    let known: HashSet<i64> = known.into_iter().collect();
    // A webhook may speak of somebody whom this database does not hold (any more), or whose data was erased: nobody to
    // give a name to.
    let identities: Vec<&Identity> =
        identities.iter().filter(|identity| known.contains(&identity.contact_id)).collect();
    let json = serde_json::to_string(&identities)?;
    insert_names(tx, &json).await?;
    // The block of a person of that name holds for the person the message went to.
    let carry = tx.pick(
        "INSERT INTO suppressions (contact_id, scope, since, source, campaign_id, evidence_id)
         SELECT j.value ->> 'contact_id', p.scope, p.since, p.source, p.campaign_id, p.evidence_id
         FROM json_each($1) j JOIN identities i ON i.kind = j.value ->> 'kind' AND i.value = j.value ->> 'value'
         JOIN suppressions p ON p.contact_id = i.contact_id
         WHERE i.contact_id <> j.value ->> 'contact_id'
         ON CONFLICT (contact_id, scope) DO NOTHING RETURNING contact_id",
        // From an array: see `Store::unpark`.
        "INSERT INTO suppressions (contact_id, scope, since, source, campaign_id, evidence_id)
         SELECT DISTINCT ON (j.contact_id, p.scope) j.contact_id, p.scope, p.since, p.source, p.campaign_id, p.evidence_id
         FROM (SELECT (v ->> 'kind')::smallint AS kind, v ->> 'value' AS value, (v ->> 'contact_id')::bigint AS contact_id
               FROM unnest(ARRAY(SELECT jsonb_array_elements($1::jsonb))) AS e(v)) j
         JOIN identities i ON i.kind = j.kind AND i.value = j.value
         JOIN suppressions p ON p.contact_id = i.contact_id
         WHERE i.contact_id <> j.contact_id ORDER BY j.contact_id, p.scope, p.since
         ON CONFLICT (contact_id, scope) DO NOTHING RETURNING contact_id",
    );
    let mut carried: Vec<i64> = on!(tx, c => sqlx::query_scalar(carry).bind(&json).fetch_all(c).await)?;
    carried.sort_unstable();
    carried.dedup();
    if !carried.is_empty() {
        crate::planning::note_carried(tx).await?;
    }
    let repoint = tx.pick(
        "UPDATE identities SET contact_id = (
             SELECT j.value ->> 'contact_id' FROM json_each($1) j
             WHERE j.value ->> 'kind' = identities.kind AND j.value ->> 'value' = identities.value LIMIT 1)
         WHERE (kind, value) IN (SELECT j.value ->> 'kind', j.value ->> 'value' FROM json_each($1) j)
           AND EXISTS (SELECT 1 FROM contacts c WHERE c.id = identities.contact_id AND c.phone IS NULL)",
        "UPDATE identities i SET contact_id = j.contact_id
         FROM (SELECT (v ->> 'kind')::smallint AS kind, v ->> 'value' AS value, (v ->> 'contact_id')::bigint AS contact_id
               FROM unnest(ARRAY(SELECT jsonb_array_elements($1::jsonb))) AS e(v)) j
         WHERE i.kind = j.kind AND i.value = j.value AND i.contact_id <> j.contact_id
           AND EXISTS (SELECT 1 FROM contacts c WHERE c.id = i.contact_id AND c.phone IS NULL)",
    );
    let nameless = tx.pick(
        "SELECT DISTINCT i.contact_id, j.value ->> 'contact_id' FROM json_each($1) j
         JOIN identities i ON i.kind = j.value ->> 'kind' AND i.value = j.value ->> 'value'
         JOIN contacts c ON c.id = i.contact_id AND c.phone IS NULL
         WHERE i.contact_id <> j.value ->> 'contact_id'",
        "SELECT DISTINCT i.contact_id, j.contact_id
         FROM (SELECT (v ->> 'kind')::smallint AS kind, v ->> 'value' AS value, (v ->> 'contact_id')::bigint AS contact_id
               FROM unnest(ARRAY(SELECT jsonb_array_elements($1::jsonb))) AS e(v)) j
         JOIN identities i ON i.kind = j.kind AND i.value = j.value
         JOIN contacts c ON c.id = i.contact_id AND c.phone IS NULL
         WHERE i.contact_id <> j.contact_id",
    );
    let nameless: Vec<(i64, i64)> = on!(tx, c => sqlx::query_as(nameless).bind(&json).fetch_all(c).await)?;
    inbound::hand_over(tx, &nameless).await?;
    let nameless: Vec<i64> = nameless.into_iter().map(|(from, _)| from).collect();
    on!(tx, c => sqlx::query(repoint).bind(&json).execute(c).await.map(drop))?;
    // Whoever has no name left is the person above; one block is enough, and the ledger keeps the evidence.
    let forget = tx.pick(
        "DELETE FROM suppressions WHERE contact_id IN (SELECT value FROM json_each($1))
           AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.contact_id = suppressions.contact_id)",
        "DELETE FROM suppressions WHERE contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))
           AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.contact_id = suppressions.contact_id)",
    );
    let nameless = serde_json::to_string(&nameless)?;
    on!(tx, c => sqlx::query(forget).bind(nameless).execute(c).await.map(drop))?;
    Ok(carried)
}

#[cfg(test)]
mod tests;
